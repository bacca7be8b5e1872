/*
 * Preloaded into the lab's QEMU, against four faults of its software CPU that show where guests are nested (seen
 * in 10.0: target/i386/tcg/system/fpu_helper.c, svm_helper.c and misc_helper.c):
 *
 * 1. Whenever a processor loads an FPU state without exceptions, QEMU clears IGNNE# in the first processor's flags, by
 * a plain read-modify-write of flags that belong to that processor's thread. It can bring back the flag "nested
 * paging", which an exit from a guest has just cleared: L1 then runs with its guest's page tables, and L1 or the guest
 * falls over or hangs. Nothing here ever sets IGNNE# (port F0h does), so clearing it becomes an empty function.
 * 2. VMRUN changes the CPU's pending requests without the big lock, and so may undo what another thread has just set
 *    there: L1 loses an interrupt. Therefore VMRUN gets the lock.
 * 3. VMRUN that injects an interrupt leaves its number behind as an exception still to be raised. If the CPU is then
 *    called out of its loop before the guest's next exit, the guest gets the interrupt once more, even with its
 *    interrupts off. Therefore VMRUN ends as one that leaves no exception behind.
 * 4. A write to CR8 while a virtual interrupt is pending raises it without the lock, and QEMU aborts because it asserts
 * the lock. OVMF does that at each timer interrupt. Therefore raising an interrupt takes the lock where it is not held.
 *
 * QEMU calls VMRUN through its table of helpers and the raising through that of its accelerator, and both can be
 * written. It exports every name that is needed here, for its own modules.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void (*Vmrun)(void* state, int addressSize, int length);
typedef void (*HandleInterrupt)(void* cpu, int mask);

static Vmrun vmrun;
static HandleInterrupt handleInterrupt;
static void (*lock)(char const* file, int line);
static void (*unlock)(void);
static bool (*isLocked)(void);
static void (*leaveWithoutException)(void* cpu);
static void** (*accelerator)(void);

static void handleInterruptLocked(void* cpu, int mask)
{
    bool const mine = !isLocked();
    if (mine)
        lock(__FILE__, __LINE__);
    handleInterrupt(cpu, mask);
    if (mine)
        unlock();
}

/* Once the accelerator exists, which it does when a processor runs; called with the lock held. */
static void redirectInterrupts(void)
{
    static bool done;
    void** const table = done ? NULL : accelerator();
    for (size_t i = 0; table && i < malloc_usable_size(table) / sizeof *table; ++i) {
        if (table[i] == (void*)handleInterrupt)
            table[i] = (void*)handleInterruptLocked;
    }
    done = true;
}

static void vmrunLocked(void* state, int addressSize, int length)
{
    static __thread void** cpu;
    if (!cpu)
        cpu = dlsym(RTLD_DEFAULT, "current_cpu");
    lock(__FILE__, __LINE__);
    redirectInterrupts();
    vmrun(state, addressSize, length); /* if it jumps away, QEMU's loop gives the lock back */
    unlock();
    leaveWithoutException(*cpu);
}

static bool makeEmpty(unsigned char* function)
{
    enum { ret = 0xC3 };
    uintptr_t const page = (uintptr_t)function & -(uintptr_t)sysconf(_SC_PAGESIZE);
    if (!function || mprotect((void*)page, 1, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    *function = ret;
    return mprotect((void*)page, 1, PROT_READ | PROT_EXEC) == 0;
}

__attribute__((constructor)) static void prepare(void)
{
    Vmrun* const helper = dlsym(RTLD_DEFAULT, "helper_info_vmrun"); /* its first member is the function */
    vmrun = (Vmrun)dlsym(RTLD_DEFAULT, "helper_vmrun");
    handleInterrupt = (HandleInterrupt)dlsym(RTLD_DEFAULT, "tcg_handle_interrupt");
    lock = (void (*)(char const*, int))dlsym(RTLD_DEFAULT, "bql_lock_impl");
    unlock = (void (*)(void))dlsym(RTLD_DEFAULT, "bql_unlock");
    isLocked = (bool (*)(void))dlsym(RTLD_DEFAULT, "bql_locked");
    leaveWithoutException = (void (*)(void*))dlsym(RTLD_DEFAULT, "cpu_loop_exit_noexc");
    accelerator = (void** (*)(void))dlsym(RTLD_DEFAULT, "cpus_get_accel");
    if (helper && vmrun && *helper == vmrun && handleInterrupt && lock && unlock && isLocked && leaveWithoutException
        && accelerator)
        *helper = vmrunLocked;
    else
        fputs("lab shim: this QEMU has no VMRUN that could be mended\n", stderr);
    if (!makeEmpty(dlsym(RTLD_DEFAULT, "cpu_clear_ignne")))
        fputs("lab shim: this QEMU has no cpu_clear_ignne\n", stderr);
}
