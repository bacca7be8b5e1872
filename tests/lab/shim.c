/*
 * Preloaded into the lab's QEMU 7.2, against two faults of its software CPU.
 *
 * 1. When a nested guest writes CR8 while a virtual interrupt is pending, QEMU's
 * software CPU (helper_write_crN, target/i386/tcg) raises that interrupt without holding the big lock, and
 * tcg_handle_interrupt then aborts because it asserts the lock. The request comes from the very CPU that it is for,
 * which is the case that needs no lock: so to that one asker, and only while the lock is free, we answer that it is
 * held.
 *
 * The asker lives in the module accel-tcg, which QEMU opens with dlopen, and the function that it asks lives in the
 * executable, which no preloaded library can precede. Therefore the module's import slot is redirected once it is open.
 *
 * 2. At each exit of a nested guest (do_vmexit, target/i386/tcg/sysemu) QEMU clears a bit of the CPU's pending requests
 * without the lock, and so may undo what another thread has just set there: an interrupt that L1 waits for is lost, and
 * sooner or later L1 stands still. Its local APIC still knows, so every CPU is asked to look there again, all the time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef bool (*Question)(void);

static Question isLockHeld;
static uintptr_t askerBegin, askerEnd;

static bool answer(void)
{
    uintptr_t const caller = (uintptr_t)__builtin_return_address(0);
    return isLockHeld() || (caller >= askerBegin && caller < askerEnd);
}

static void redirect(struct link_map const* module, char const* function)
{
    char const* names = NULL;
    ElfW(Sym) const* symbols = NULL;
    struct {
        ElfW(Rela) const* first;
        size_t bytes;
    } tables[2] = { { NULL, 0 }, { NULL, 0 } };
    for (ElfW(Dyn) const* entry = module->l_ld; entry->d_tag != DT_NULL; ++entry) {
        switch (entry->d_tag) {
        case DT_STRTAB: names = (char const*)entry->d_un.d_ptr; break;
        case DT_SYMTAB: symbols = (ElfW(Sym) const*)entry->d_un.d_ptr; break;
        case DT_RELA: tables[0].first = (ElfW(Rela) const*)entry->d_un.d_ptr; break;
        case DT_RELASZ: tables[0].bytes = entry->d_un.d_val; break;
        case DT_JMPREL: tables[1].first = (ElfW(Rela) const*)entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: tables[1].bytes = entry->d_un.d_val; break;
        default: break;
        }
    }
    uintptr_t const page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (unsigned table = 0; table < 2; ++table) {
        for (size_t i = 0; i < tables[table].bytes / sizeof(ElfW(Rela)); ++i) {
            ElfW(Rela) const* relocation = tables[table].first + i;
            if (strcmp(names + symbols[ELF64_R_SYM(relocation->r_info)].st_name, function) != 0)
                continue;
            Question* slot = (Question*)(module->l_addr + relocation->r_offset);
            uintptr_t const begin = (uintptr_t)slot & ~(page - 1);
            uintptr_t const end = (uintptr_t)(slot + 1);
            if (mprotect((void*)begin, end - begin, PROT_READ | PROT_WRITE) == 0)
                *slot = answer;
        }
    }
}

static void prepare(void* handle)
{
    static char const* const spellings[] = { "qemu_mutex_iothread_locked", "bql_locked" }; /* before and since 9.0 */
    void* asker = dlsym(handle, "tcg_handle_interrupt");
    struct link_map* module = NULL;
    Dl_info information;
    ElfW(Sym)* symbol = NULL;
    if (!asker || dlinfo(handle, RTLD_DI_LINKMAP, &module) != 0
        || !dladdr1(asker, &information, (void**)&symbol, RTLD_DL_SYMENT) || !symbol)
        return;
    askerBegin = (uintptr_t)asker;
    askerEnd = askerBegin + symbol->st_size;
    for (unsigned i = 0; i < sizeof spellings / sizeof *spellings; ++i) {
        isLockHeld = (Question)dlsym(RTLD_DEFAULT, spellings[i]);
        if (isLockHeld) {
            redirect(module, spellings[i]);
            return;
        }
    }
}

static void* remind(void* unused)
{
    enum { poll = 0x10 }; /* CPU_INTERRUPT_POLL, target/i386/cpu.h */
    void* (*cpuNumber)(int) = (void* (*)(int))dlsym(RTLD_DEFAULT, "qemu_get_cpu");
    void (*interrupt)(void*, int) = (void (*)(void*, int))dlsym(RTLD_DEFAULT, "cpu_interrupt");
    void (*lock)(char const*, int) = (void (*)(char const*, int))dlsym(RTLD_DEFAULT, "qemu_mutex_lock_iothread_impl");
    void (*unlock)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "qemu_mutex_unlock_iothread");
    while (cpuNumber && interrupt && lock && unlock) {
        usleep(5000);
        lock(__FILE__, __LINE__);
        void* cpu = NULL;
        for (int number = 0; (cpu = cpuNumber(number)) != NULL; ++number)
            interrupt(cpu, poll);
        unlock();
    }
    return unused;
}

static void startReminding(void)
{
    static bool started;
    pthread_t thread;
    if (!started && pthread_create(&thread, NULL, remind, NULL) == 0)
        pthread_detach(thread);
    started = true;
}

void* dlopen(char const* file, int mode)
{
    static void* (*next)(char const*, int);
    if (!next)
        next = (void* (*)(char const*, int))dlsym(RTLD_NEXT, "dlopen");
    void* handle = next(file, mode);
    if (handle && file && strstr(file, "accel-tcg")) {
        prepare(handle);
        startReminding();
    }
    return handle;
}
