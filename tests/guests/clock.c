#include "lib/check.h"

/// The RTC and its memory (Motorola MC146818A).

static uint8_t readCmos(uint8_t index)
{
    out8(0x70, index);
    return in8(0x71);
}

static void writeCmos(uint8_t index, uint8_t value)
{
    out8(0x70, index);
    out8(0x71, value);
}

static unsigned readPart(uint8_t index)
{
    while (readCmos(0x0a) & 0x80) { }
    unsigned const value = readCmos(index);
    return readCmos(0x0b) & 4 ? value : (value >> 4) * 10 + (value & 15);
}

static void timeIsSane(void)
{
    unsigned const month = readPart(8), day = readPart(7), hour = readPart(4), minute = readPart(2),
                   second = readPart(0);
    NOTE("clock %02u-%02u-%02u %02u:%02u:%02u", readPart(9), month, day, hour, minute, second);
    EXPECT(month >= 1 && month <= 12);
    EXPECT(day >= 1 && day <= 31);
    EXPECT(hour <= 23 && minute <= 59 && second <= 59);
    EXPECT(readPart(9) >= 25); // the year
    EXPECT(readCmos(0x0d) & 0x80);
}

static void secondsPass(void)
{
    unsigned const before = readPart(0);
    EXPECT(WAIT(readPart(0) != before, 2));
    uint64_t const start = now();
    unsigned const here = readPart(0);
    EXPECT(WAIT(readPart(0) != here, 2));
    uint64_t const ticks = now() - start;
    NOTE("a second took %lu ticks of %u", ticks, ticksPerSecond);
    EXPECT(ticks > ticksPerSecond / 2 && ticks < ticksPerSecond * 2);
}

static void memoryHolds(void)
{
    uint8_t const before = readCmos(0x50);
    writeCmos(0x50, 0xa5);
    EXPECT_EQUAL(readCmos(0x50), 0xa5);
    writeCmos(0x50, 0x5a);
    EXPECT_EQUAL(readCmos(0x50), 0x5a);
    writeCmos(0x50, before);
}

static void setTimeHolds(void)
{
    uint8_t const control = readCmos(0x0b);
    writeCmos(0x0b, control | 0x80); // SET: the clock stands still
    uint8_t const before = readCmos(2);
    writeCmos(2, 0x33);
    EXPECT_EQUAL(readCmos(2), 0x33);
    writeCmos(2, before);
    writeCmos(0x0b, control & 0x7f);
}

static void updateInterrupts(void)
{
    uint64_t const before = interrupts[picBase + 8];
    uint8_t const control = readCmos(0x0b);
    readCmos(0x0c);
    enableIrq(8, true);
    writeCmos(0x0b, control | 0x10);
    EXPECT(WAIT(interrupts[picBase + 8] > before, 3));
    EXPECT_EQUAL(readCmos(0x0c) & 0x90, 0x90);
    EXPECT_EQUAL(readCmos(0x0c) & 0x80, 0); // reading cleared it
    writeCmos(0x0b, control);
    enableIrq(8, false);
}

static void periodicInterrupts(void)
{
    uint8_t const rate = readCmos(0x0a), control = readCmos(0x0b);
    writeCmos(0x0a, (rate & 0xf0) | 0x0b); // 32 Hz
    readCmos(0x0c);
    uint64_t before = interrupts[picBase + 8];
    enableIrq(8, true);
    writeCmos(0x0b, control | 0x40);
    uint64_t const start = now();
    unsigned seen = 0;
    while (seen < 8 && now() < start + 3 * ticksPerSecond) {
        if (interrupts[picBase + 8] != before) {
            before = interrupts[picBase + 8];
            seen++;
            readCmos(0x0c);
        } else {
            halt();
        }
    }
    uint64_t const ticks = now() - start;
    writeCmos(0x0b, control);
    writeCmos(0x0a, rate);
    readCmos(0x0c);
    enableIrq(8, false);
    NOTE("8 of 32 a second took %lu ticks", ticks);
    EXPECT_EQUAL(seen, 8);
    EXPECT(ticks >= 8);
}

void program(void)
{
    run("clock.timeIsSane", timeIsSane);
    run("clock.secondsPass", secondsPass);
    run("clock.memoryHolds", memoryHolds);
    run("clock.setTimeHolds", setTimeHolds);
    run("clock.updateInterrupts", updateInterrupts);
    run("clock.periodicInterrupts", periodicInterrupts);
    finish();
}
