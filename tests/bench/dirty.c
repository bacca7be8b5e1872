#include "bare/bare.h"

/// Fills `fill=` MiB of its memory, and then dirties `area=` MiB of it round and round at `rate=` MB/s for ever (0: it
/// only computes). The rate is kept by computing between two pages, so that whatever costs the guest time slows it
/// down. It counts on the serial line, about every `slice=` microseconds, how many units of that work are done: pages,
/// or, at a rate of 0, as much as 20 microseconds.

enum { freshWords = 128, wordsPerPage = 512, usedTables = 512 };
enum { start = 16 << 20, fourGiB = 1ull << 32 };

extern uint64_t pagePointers[];

static uint64_t number = 88172645463325252ull;
static uint64_t areaPages, nextPage, spins, unitsPerSlice, rate;

static uint64_t fresh(void)
{
    number ^= number << 13; // xorshift64
    number ^= number >> 7;
    number ^= number << 17;
    return number;
}

/// A quarter of it cannot be compressed, the rest is as it was.
static void writePage(uint64_t* page)
{
    for (unsigned i = 0; i < freshWords; i++)
        page[i] = fresh();
}

static void spin(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        __asm__ volatile("");
}

static uint64_t fill(uint64_t bytes)
{
    for (unsigned r = 0; r < memoryRanges; r++) {
        uint64_t from = memoryMap[r].start, end = memoryMap[r].start + memoryMap[r].size;
        if (memoryMap[r].type != 1 || end <= start)
            continue;
        for (from = from < start ? start : from; from + 4096 <= end && bytes; from += 4096, bytes -= 4096)
            writePage((uint64_t*)from);
    }
    return 0;
}

static uint64_t work(uint64_t units)
{
    for (uint64_t i = 0; i < units; i++) {
        if (rate) {
            writePage((uint64_t*)start + nextPage * wordsPerPage);
            nextPage = nextPage + 1 == areaPages ? 0 : nextPage + 1;
        }
        spin(spins);
    }
    return 0;
}

/// The least that one of several tries takes, in ticks of the TSC, in ring 3.
static uint64_t leastTicks(uint64_t (*what)(uint64_t), uint64_t argument)
{
    uint64_t least = ~0ull;
    for (unsigned i = 0; i < 10; i++) {
        uint64_t const began = readTsc();
        runInRing3(what, argument);
        uint64_t const taken = readTsc() - began;
        least = taken < least ? taken : least;
    }
    return least;
}

static uint64_t onlySpin(uint64_t count)
{
    spin(count);
    return 0;
}

static uint64_t waitTenth(uint64_t unused)
{
    uint64_t const first = now();
    while (now() == first) { }
    uint64_t const began = readTsc();
    while (now() < first + 1 + ticksPerSecond / 10) { }
    return unused + readTsc() - began;
}

static void mapAboveFourGiB(void)
{
    for (unsigned table = 4; table < 16; table++) {
        uint64_t* const entries = allocate(4096, 4096);
        for (unsigned i = 0; i < usedTables; i++)
            entries[i] = ((uint64_t)table << 30 | (uint64_t)i << 21) + 0x87; // present, writable, ring 3, large
        pagePointers[table] = (uint64_t)entries + 7;
    }
}

static void calibrate(void)
{
    enum { pages = 4000, loops = 10000000 };
    uint64_t const second = runInRing3(waitTenth, 0) * 10;
    uint64_t const pageTicks = rate ? leastTicks(work, pages) / pages : 0;
    uint64_t const unitTicks = rate ? second / 1000000 * 4096 / rate : second / 50000;
    if (unitTicks > pageTicks)
        spins = (unitTicks - pageTicks) * loops / leastTicks(onlySpin, loops);
    unitsPerSlice = second / 1000000 * option("slice", 10000) / (unitTicks > pageTicks ? unitTicks : pageTicks);
    print("CALIBRATED %lu ticks a unit, of them %lu for the page, %lu units a slice\n", unitTicks, pageTicks,
        unitsPerSlice);
}

void program(void)
{
    rate = option("rate", 200);
    areaPages = option("area", 512) << 8;
    mapAboveFourGiB();
    runInRing3(fill, option("fill", 64) << 20);
    calibrate();
    print("READY\n");
    for (uint64_t done = 0;; done += unitsPerSlice) {
        print("%lu\n", done);
        runInRing3(work, unitsPerSlice);
    }
}

void unexpectedFault(struct Frame const* frame)
{
    print("FAULT %lu at %lx\n", frame->vector, frame->rip);
    for (;;)
        halt();
}
