# Where another processor begins: real mode, at the page that the SIPI named (0x8000). Copied there; so addresses within
# are counted from that page.

    .section .rodata
    .globl trampoline, trampolineEnd
    .code16
trampoline:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl pointer - trampoline
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x18, $protected
pointer:
    .word 0x37
    .long gdt
trampolineEnd:

    .text
    .code32
protected:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $pageTables, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    ljmp $0x08, $long
    .code64
long:
    mov $1, %edi
    lock xadd %edi, smpArrived(%rip)
    inc %edi                            # the first processor is number 0
    mov smpStacks(,%rdi,8), %rsp
    call smpMain

    .section .note.GNU-stack, "", @progbits
