# From the loader's first instruction to C, from an interrupt to C, and to ring 3 and back.
#
# The loader follows the PVH boot protocol: it finds `start32` in the ELF note, and enters it in 32-bit protected mode
# with flat segments, paging off, and EBX pointing to a struct hvm_start_info.

    .section .note.pvh, "a", @note
    .align 4
    .long 4, 8, 18                      # lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad start32

    .section .text.start, "ax"
    .code32
    .globl start32
start32:
    cli
    cld
    mov %ebx, startInfo
    lgdt gdtPointer
    mov $pageTables, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax                      # PAE
    mov %eax, %cr4
    mov $0xc0000080, %ecx               # EFER
    rdmsr
    or $0x100, %eax                     # LME
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax                # PG
    mov %eax, %cr0
    ljmp $0x08, $start64

    .code64
start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    lea bootStackTop(%rip), %rsp
    call bareMain
1:  hlt
    jmp 1b

# ---- Interrupts and faults: one 16-byte entry for each vector, all ending in trap(struct Frame*). ----

    .text
    .globl vectorEntries
    .balign 16
vectorEntries:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
    push $0                             # where the processor pushes no error code, so that frames look alike
    .endif
    push $vector
    jmp vectorCommon
    .set vector, vector + 1
    .endr

vectorCommon:                           # C keeps the other registers; the fewer instructions here, the better
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov %rsp, %rdi
    call trap
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

# ---- uint64_t ring3Call(function, argument, top of its stack, &tss.rsp0): runs function(argument) in ring 3. ----
# Interrupts and faults find their stack right under what is saved here, so that the way back needs no variable.

    .globl ring3Call
ring3Call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushfq
    cli
    mov %rsp, (%rcx)
    mov %rdi, %rax
    mov %rsi, %rdi
    push $0x2b
    push %rdx
    push $0x202                         # interrupts on
    push $0x33
    lea 1f(%rip), %rcx
    push %rcx
    iretq
1:  call *%rax
    .globl ring3Exit
ring3Exit:
    ud2                                 # trap() sees this address and calls ring3Leave

# ring3Leave(result, end of the frame)
    .globl ring3Leave
ring3Leave:
    mov %rdi, %rax
    mov %rsi, %rsp
    popfq
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .data
    .globl startInfo, gdt, gdtPointer, pageTables
startInfo:
    .long 0
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            # 0x08: 64-bit code, ring 0
    .quad 0x00cf93000000ffff            # 0x10: data, ring 0
    .quad 0x00cf9b000000ffff            # 0x18: 32-bit code, ring 0: where a second processor passes by
    .quad 0
    .quad 0x00cff3000000ffff            # 0x28: data, ring 3
    .quad 0x00affb000000ffff            # 0x30: 64-bit code, ring 3
    .fill 2 * 16, 8, 0                  # 0x38: a TSS for each processor, filled in by C
gdtEnd:
gdtPointer:
    .word gdtEnd - gdt - 1
    .quad gdt

# The first 4 GiB one to one in 2 MiB pages, open to ring 3: it is there for speed, not for protection.
    .balign 4096
pageTables:
    .quad pointers + 7
    .fill 511, 8, 0
    .globl pagePointers
pagePointers:
pointers:
    .quad directories + 0x0007, directories + 0x1007, directories + 0x2007, directories + 0x3007
    .fill 508, 8, 0
directories:
    .set address, 0
    .rept 2048
    .quad address + 0x87                # present, writable, ring 3, large
    .set address, address + 0x200000
    .endr

    .bss
    .balign 4096
    .skip 16384
    .globl bootStackTop
bootStackTop:

    .section .note.GNU-stack, "", @progbits
