#include "lib/apic.h"
#include "lib/check.h"

/// PIT, 8259s, local APIC, IOAPIC, and the ACPI timer against each other.

enum { timerVector = 0x50, pinVector = 0x51, selfVector = 0x52, pmTimer = 0x608 };

static void pitCountsDown(void)
{
    out8(0x43, 0x00); // latch channel 0
    unsigned const a = in8(0x40) | in8(0x40) << 8;
    wait(1);
    out8(0x43, 0x00);
    unsigned const b = in8(0x40) | in8(0x40) << 8;
    EXPECT(a <= 1193182 / ticksPerSecond);
    EXPECT(b <= 1193182 / ticksPerSecond);
}

static void pitChannel2Signals(void)
{
    out8(0x61, (in8(0x61) & 0xfc) | 1); // gate on, speaker off
    out8(0x43, 0xb0);                   // channel 2, both bytes, mode 0
    out8(0x42, 0xa8);
    out8(0x42, 0x61); // 25000: 21 ms
    EXPECT_EQUAL(in8(0x61) & 0x20, 0);
    EXPECT(WAIT(in8(0x61) & 0x20, 1));
}

static void pmTimerAgreesWithPit(void)
{
    uint32_t const a = in32(pmTimer);
    wait(ticksPerSecond / 2);
    uint32_t const b = in32(pmTimer), passed = (b - a) & 0xffffff;
    NOTE("ACPI timer: %u in half a second", passed);
    EXPECT(passed > 3579545 / 2 * 7 / 10 && passed < 3579545 / 2 * 14 / 10);
}

static void apicTimerOnce(void)
{
    uint64_t const before = interrupts[timerVector];
    apicWrite(apicDivide, 0x3); // by 16
    apicWrite(apicTimer, timerVector);
    apicWrite(apicInitial, 1000000);
    EXPECT(WAIT(interrupts[timerVector] != before, 2));
    wait(5);
    EXPECT_EQUAL(interrupts[timerVector], before + 1);
    EXPECT_EQUAL(apicRead(apicCurrent), 0);
}

static void apicTimerPeriodic(void)
{
    uint64_t const before = interrupts[timerVector], start = now();
    apicWrite(apicDivide, 0x3);
    apicWrite(apicTimer, timerVector | 1 << 17);
    apicWrite(apicInitial, 1000000); // 16 ms at 1 GHz
    EXPECT(WAIT(interrupts[timerVector] >= before + 5, 3));
    apicWrite(apicInitial, 0);
    apicWrite(apicTimer, 1 << 16);
    NOTE("5 periods took %lu ticks", now() - start);
    wait(3);
    uint64_t const after = interrupts[timerVector];
    wait(5);
    EXPECT_EQUAL(interrupts[timerVector], after);
}

static void apicTimerByTsc(void)
{
    uint32_t a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1 << 24)) {
        skip("the processor has no TSC deadline");
        return;
    }
    uint64_t const before = interrupts[timerVector], deadline = readTsc() + 20000000;
    apicWrite(apicTimer, timerVector | 2 << 17);
    barrier();
    __asm__ volatile("wrmsr" ::"c"(0x6e0), "a"((uint32_t)deadline), "d"((uint32_t)(deadline >> 32)));
    EXPECT(WAIT(interrupts[timerVector] != before, 3));
    EXPECT(readTsc() >= deadline);
    apicWrite(apicTimer, 1 << 16);
}

static void apicInterruptsItself(void)
{
    uint64_t const before = interrupts[selfVector];
    apicSend(0, 1 << 18 | 1 << 14 | selfVector); // shorthand: self
    EXPECT(WAIT(interrupts[selfVector] == before + 1, 1));
}

static void ioApicRoutesThePit(void)
{
    EXPECT_EQUAL(ioApicRead(1) >> 16 & 0xff, 23); // 24 pins
    uint64_t const before = interrupts[pinVector];
    ioApicRoute(2, pinVector, 0); // where PCs have the PIT
    ioApicRoute(0, pinVector, 0);
    EXPECT(WAIT(interrupts[pinVector] >= before + 2, 1));
    ioApicRoute(2, pinVector, ioMasked);
    ioApicRoute(0, pinVector, ioMasked);
    wait(1);
    uint64_t const after = interrupts[pinVector];
    wait(5);
    EXPECT_EQUAL(interrupts[pinVector], after);
}

static void masksHoldInterruptsBack(void)
{
    uint64_t const start = now();
    uint32_t const from = in32(pmTimer);
    enableIrq(0, false);
    while (((in32(pmTimer) - from) & 0xffffff) < 3579545 / 5) { }
    EXPECT(now() <= start + 1);
    enableIrq(0, true);
    EXPECT(WAIT(now() > start + 1, 1));
}

void program(void)
{
    run("timers.pitCountsDown", pitCountsDown);
    run("timers.pitChannel2Signals", pitChannel2Signals);
    run("timers.pmTimerAgreesWithPit", pmTimerAgreesWithPit);
    run("timers.apicTimerOnce", apicTimerOnce);
    run("timers.apicTimerPeriodic", apicTimerPeriodic);
    run("timers.apicTimerByTsc", apicTimerByTsc);
    run("timers.apicInterruptsItself", apicInterruptsItself);
    run("timers.ioApicRoutesThePit", ioApicRoutesThePit);
    run("timers.masksHoldInterruptsBack", masksHoldInterruptsBack);
    finish();
}
