#include "smp.h"

#include "apic.h"
#include "bare/traps.h"

extern char const trampoline[], trampolineEnd[];
unsigned volatile smpArrived; // counted by the trampoline
void* smpStacks[maxCpus];
static void (*smpWork)(unsigned cpu);

enum {
    trampolineAt = 0x8000,
    stackSize = 16384,
    sendInit = 0x500,
    sendStart = 0x600,
    allOthers = 3 << 18,
    assert = 1 << 14
};

void smpMain(unsigned cpu);
void smpMain(unsigned cpu)
{
    loadTables(cpu);
    apicWrite(apicSpurious, 0x1ff);
    __asm__ volatile("sti");
    smpWork(cpu);
    for (;;)
        halt();
}

unsigned smpStart(void (*work)(unsigned cpu))
{
    smpWork = work;
    for (unsigned i = 1; i < maxCpus; i++)
        smpStacks[i] = (char*)allocate(stackSize, 16) + stackSize;
    memcpy((void*)trampolineAt, trampoline, (size_t)(trampolineEnd - trampoline));
    apicSend(0, allOthers | assert | sendInit);
    for (uint64_t const end = now() + 2; now() < end;)
        halt();
    apicSend(0, allOthers | assert | sendStart | trampolineAt >> 12);
    for (uint64_t const end = now() + ticksPerSecond / 2; now() < end;)
        halt();
    return smpArrived + 1;
}
