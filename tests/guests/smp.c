#include "lib/smp.h"

#include "bare/traps.h"
#include "lib/apic.h"
#include "lib/check.h"

/// Several processors: option cpus=N says how many there must be. With pause=1 the machine goes away and comes back
/// while the others wait, or with busy=1 while they count.

enum { pokeVector = 0x60, replyVector = 0x61 };

static unsigned volatile seen[maxCpus], counted, ready, go, done, poked[maxCpus], told;
static uint64_t volatile sums[maxCpus], counts[maxCpus], agreed[maxCpus];
static unsigned cpus;

static void onInterrupt(struct Frame* frame)
{
    if (frame->vector != pokeVector)
        return;
    __atomic_fetch_add(&poked[thisCpu()], 1, __ATOMIC_SEQ_CST);
    apicWrite(apicCommand + 0x10, 0);
    apicWrite(apicCommand, 1 << 14 | replyVector);
}

/// A sum that takes a while, in ring 3: each processor has its own.
static uint64_t work(uint64_t cpu)
{
    uint64_t sum = cpu;
    for (unsigned i = 0; i < 20000000; i++)
        sum = sum * 6364136223846793005 + 1442695040888963407;
    return sum;
}

/// In memory and in a register, until it is told to stop; whether the two were the same all the while.
static uint64_t count(uint64_t cpu)
{
    uint64_t own = 0;
    while (!told && counts[cpu] == own)
        counts[cpu] = ++own;
    return counts[cpu] == own;
}

static void other(unsigned cpu)
{
    seen[cpu] = apicRead(apicId) >> 24;
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    if (option("busy", 0))
        agreed[cpu] = runInRing3(count, cpu);
    while (!go)
        halt();
    for (unsigned i = 0; i < 2000; i++)
        __atomic_fetch_add(&counted, 1, __ATOMIC_SEQ_CST);
    sums[cpu] = runInRing3(work, 7);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

static void allArrive(void)
{
    cpus = smpStart(other);
    EXPECT_EQUAL(cpus, option("cpus", cpus));
    EXPECT(WAIT(ready == cpus - 1, 2));
    for (unsigned i = 1; i < cpus; i++) {
        EXPECT(seen[i] != 0);
        for (unsigned j = 1; j < i; j++)
            EXPECT(seen[i] != seen[j]);
    }
    NOTE("%u processors", cpus);
}

static void whoCountsGoesOn(void)
{
    for (unsigned i = 1; i < cpus; i++)
        EXPECT(WAIT(counts[i] != 0, 30));
    pauseIfAsked();
    for (unsigned i = 1; i < cpus; i++) {
        uint64_t const before = counts[i];
        EXPECT(WAIT(counts[i] != before, 30));
    }
    told = 1;
    for (unsigned i = 1; i < cpus; i++)
        EXPECT(WAIT(agreed[i], 30));
}

static void interruptsReachEachAndComeBack(void)
{
    interruptHandler = onInterrupt;
    for (unsigned i = 1; i < cpus; i++) {
        uint64_t const before = interrupts[replyVector];
        apicSend(seen[i], 1 << 14 | pokeVector);
        EXPECT(WAIT(interrupts[replyVector] > before, 2));
        EXPECT_EQUAL(poked[i], 1);
    }
}

static void broadcastReachesAll(void)
{
    apicSend(0, 3 << 18 | 1 << 14 | pokeVector);
    for (unsigned i = 1; i < cpus; i++)
        EXPECT(WAIT(poked[i] == 2, 2));
}

static void allCountTogether(void)
{
    go = 1;
    apicSend(0, 3 << 18 | 1 << 14 | pokeVector); // wakes them
    for (unsigned i = 0; i < 2000; i++)
        __atomic_fetch_add(&counted, 1, __ATOMIC_SEQ_CST);
    EXPECT(WAIT(done == cpus - 1, 30));
    EXPECT_EQUAL(counted, 2000 * cpus);
}

static void allComputeTheSame(void)
{
    uint64_t const own = runInRing3(work, 7);
    for (unsigned i = 1; i < cpus; i++)
        EXPECT_EQUAL(sums[i], own);
}

void program(void)
{
    run("smp.allArrive", allArrive);
    if (option("busy", 0))
        run("smp.whoCountsGoesOn", whoCountsGoesOn);
    else
        pauseIfAsked();
    run("smp.interruptsReachEachAndComeBack", interruptsReachEachAndComeBack);
    run("smp.broadcastReachesAll", broadcastReachesAll);
    run("smp.allCountTogether", allCountTogether);
    run("smp.allComputeTheSame", allComputeTheSame);
    finish();
}
