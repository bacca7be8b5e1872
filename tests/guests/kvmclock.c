#include "lib/check.h"

/// KVM's clock (Documentation/virt/kvm/x86/msr.rst, "KVM-specific MSRs") and the processor's time stamp counter: read
/// over and over, both go on and never back. Whoever types is told the time of day by the clock; a jump forward of more
/// than a second is told too, with its seconds.

static struct __attribute__((packed, aligned(64))) {
    uint32_t volatile version;
    uint32_t padding;
    uint64_t tscTimestamp, systemTime;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, rest[2];
} clock;

static struct __attribute__((packed, aligned(64))) {
    uint32_t volatile version;
    uint32_t seconds, nanoseconds;
} wallClock;

enum { second = 1000 * 1000 * 1000, stable = 1 };

static void writeMsr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static uint64_t readClock(void)
{
    uint64_t time;
    uint32_t version;
    do {
        version = clock.version;
        __asm__ volatile("" ::: "memory");
        uint64_t const passed = readTsc() - clock.tscTimestamp;
        uint64_t const ticks = clock.shift < 0 ? passed >> -clock.shift : passed << clock.shift;
        time = clock.systemTime + (uint64_t)(((unsigned __int128)ticks * clock.multiplier) >> 32);
        __asm__ volatile("" ::: "memory");
    } while ((version & 1) || version != clock.version);
    return time;
}

static void timeGoesOn(void)
{
    writeMsr(0x4b564d00, (uint64_t)&wallClock);
    writeMsr(0x4b564d01, (uint64_t)&clock | 1);
    EXPECT(clock.version != 0 && clock.multiplier != 0);
    uint64_t const began = wallClock.seconds * (uint64_t)second + wallClock.nanoseconds;
    NOTE("ready");
    uint64_t ticksBefore = readTsc();
    for (uint64_t before = readClock();;) {
        int const typed = serialGet(com1); // first, so that a jump is told before the time after it
        uint64_t const time = readClock(), ticks = readTsc();
        // A host whose processors' counters differ sets the clock anew when another one runs us; it is not stable then.
        uint64_t const slack = clock.flags & stable ? 0 : second / 50;
        EXPECT(time + slack >= before);
        EXPECT(ticks >= ticksBefore);
        if (time > before && time - before > second)
            NOTE("jump %lu", (time - before) / second);
        before = time;
        ticksBefore = ticks;
        if (typed == 'q')
            return;
        if (typed >= 0)
            NOTE("time %lu", began + time);
    }
}

void program(void)
{
    run("kvmclock.timeGoesOn", timeGoesOn);
    finish();
}
