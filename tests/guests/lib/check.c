#include "check.h"

static char const* current = "start";
static unsigned passCount, failCount, skipCount;
static bool ended;

void failed(unsigned line, char const* what)
{
    print("FAIL %s line %u: %s\n", current, line, what);
    failCount++;
    ended = true;
}

void skip(char const* why)
{
    print("SKIP %s %s\n", current, why);
    skipCount++;
    ended = true;
}

void run(char const* name, void (*test)(void))
{
    current = name;
    ended = false;
    test();
    if (ended)
        return;
    print("PASS %s\n", name);
    passCount++;
}

void powerOff(void)
{
    out16(0x604, 0x2000); // SLP_EN, SLP_TYP 0
}

void finish(void)
{
    print("DONE %u %u %u\n", passCount, failCount, skipCount);
    out8(0x501, failCount != 0);
    powerOff();
    for (;;)
        halt();
}

void wait(unsigned ticks)
{
    for (uint64_t const end = now() + ticks; now() < end;)
        halt();
}

void pauseIfAsked(void)
{
    if (!option("pause", 0))
        return;
    NOTE("suspend me");
    while (serialGet(com1) != 'x')
        halt();
}

void unexpectedFault(struct Frame const* frame)
{
    uint64_t cr2;
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    print("FAIL %s fault %lu, error %lx, rip %lx, cr2 %lx\n", current, frame->vector, frame->error, frame->rip, cr2);
    failCount++;
    finish();
}
