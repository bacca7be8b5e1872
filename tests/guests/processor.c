#include "bare/traps.h"
#include "lib/check.h"

/// Memory as the loader described it, faults in both rings, and ring 3. With pause=1 the machine goes away and comes
/// back while all of its memory is in use; with stride=64 that is a word in every 64 MiB.

extern uint64_t pagePointers[];

static void memoryMapIsSane(void)
{
    uint64_t usable = 0;
    EXPECT(memoryRanges >= 2);
    for (unsigned i = 0; i < memoryRanges; i++) {
        NOTE("memory %lx %lx %u", memoryMap[i].start, memoryMap[i].size, memoryMap[i].type);
        if (memoryMap[i].type == 1)
            usable += memoryMap[i].size;
        for (unsigned j = 0; j < i; j++)
            EXPECT(memoryMap[i].start >= memoryMap[j].start + memoryMap[j].size
                || memoryMap[j].start >= memoryMap[i].start + memoryMap[i].size);
    }
    uint64_t const expected = option("memory", usable >> 20); // in MiB
    EXPECT(usable >> 20 <= expected);
    EXPECT(expected - (usable >> 20) < 4); // the firmware's share
}

/// Makes the GiB that holds `address` reachable, one to one.
static void mapGib(uint64_t address)
{
    uint64_t const gib = address >> 30;
    if (gib < 4 || pagePointers[gib])
        return;
    uint64_t* const directory = allocate(4096, 4096);
    for (unsigned i = 0; i < 512; i++)
        directory[i] = (gib << 30) + ((uint64_t)i << 21) + 0x87;
    pagePointers[gib] = (uint64_t)directory + 7;
}

static uint64_t const first = 16 << 20; // above this program
static uint64_t stride;

static uint64_t touch(uint64_t seed)
{
    uint64_t wrong = 0;
    for (unsigned i = 0; i < memoryRanges; i++) {
        uint64_t const start = memoryMap[i].start < first ? first : memoryMap[i].start;
        uint64_t const end = memoryMap[i].start + memoryMap[i].size;
        for (uint64_t at = start; memoryMap[i].type == 1 && at + 8 <= end; at += stride) {
            if (seed & 1)
                *(uint64_t volatile*)at = at ^ seed;
            else
                wrong += *(uint64_t volatile*)at != (at ^ (seed | 1));
        }
    }
    return wrong;
}

static void allMemoryIsThereOnce(void)
{
    for (unsigned i = 0; i < memoryRanges; i++) {
        for (uint64_t at = memoryMap[i].start; memoryMap[i].type == 1 && at < memoryMap[i].start + memoryMap[i].size;
             at += 1 << 30)
            mapGib(at);
        if (memoryMap[i].type == 1)
            mapGib(memoryMap[i].start + memoryMap[i].size - 1);
    }
    stride = option("stride", 2) << 20; // else one word in each large page
    runInRing3(touch, 0x5a5a5a5a5a5a5a51);
    pauseIfAsked();
    EXPECT_EQUAL(runInRing3(touch, 0x5a5a5a5a5a5a5a50), 0);
}

static void memoryAboveFourGib(void)
{
    uint64_t above = 0;
    for (unsigned i = 0; i < memoryRanges; i++) {
        if (memoryMap[i].type == 1 && memoryMap[i].start >= 1ull << 32)
            above = memoryMap[i].start;
    }
    if (!above) {
        skip("less than that");
        return;
    }
    mapGib(above);
    uint64_t volatile* const high = (uint64_t volatile*)above;
    uint64_t volatile* const low = (uint64_t volatile*)(8ull << 20);
    *low = 1;
    *high = 0x1122334455667788;
    EXPECT_EQUAL(*high, 0x1122334455667788);
    EXPECT_EQUAL(*low, 1); // no alias 4 GiB below
    NOTE("memory above 4 GiB from %lx", above);
}

static void undefinedInstruction(void)
{
    __asm__ volatile("ud2");
}
static void divideByZero(void)
{
    __asm__ volatile("div %0" ::"r"(0), "a"(1), "d"(0));
}
static void badSelector(void)
{
    __asm__ volatile("mov %0, %%fs" ::"r"(0xfff8));
}
static void unmapped(void)
{
    *(uint8_t volatile*)(1ull << 46) = 1;
}
static void notCanonical(void)
{
    *(uint8_t volatile*)(1ull << 60) = 1;
}

static void faultsOfRing0(void)
{
    EXPECT_EQUAL(faultOf(undefinedInstruction), 6);
    EXPECT_EQUAL(faultOf(divideByZero), 0);
    EXPECT_EQUAL(faultOf(badSelector), 13);
    EXPECT_EQUAL(faultOf(unmapped), 14);
    EXPECT_EQUAL(faultOf(notCanonical), 13);
}

static uint64_t crash(uint64_t kind)
{
    if (kind == 6)
        undefinedInstruction();
    if (kind == 0)
        divideByZero();
    if (kind == 13)
        __asm__ volatile("cli");
    if (kind == 14)
        unmapped();
    return 0;
}

static uint64_t crashKind;
static void crashInRing3(void)
{
    runInRing3(crash, crashKind);
}

static void faultsOfRing3(void)
{
    static uint8_t const kinds[] = { 0, 6, 13, 14 };
    for (unsigned i = 0; i < sizeof kinds; i++) {
        crashKind = kinds[i];
        EXPECT_EQUAL(faultOf(crashInRing3), crashKind);
    }
}

static uint64_t portOfRing3(uint64_t value)
{
    out8(com1 + 7, (uint8_t)value); // the scratch register, by way of the fault handler
    return in8(com1 + 7);
}

static void ring3HasItsPorts(void)
{
    EXPECT_EQUAL(runInRing3(portOfRing3, 0x5a), 0x5a);
    EXPECT_EQUAL(runInRing3(portOfRing3, 0xa5), 0xa5);
}

static uint64_t spin(uint64_t ticks)
{
    uint64_t count = 0;
    for (uint64_t const end = now() + ticks; now() < end;)
        count++;
    return count;
}

static void ring3IsInterrupted(void)
{
    uint64_t const before = now();
    NOTE("ring 3 looked %lu times in 10 ticks", runInRing3(spin, 10));
    EXPECT(now() - before >= 10);
}

static void identifiesItself(void)
{
    uint32_t a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    uint32_t const vendor[] = { b, d, c, 0 };
    EXPECT(a >= 1);
    NOTE("processor %s", (char const*)vendor);
    a = 1;
    c = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    NOTE("signature %x", a);
    EXPECT_EQUAL(b >> 24, 0); // the first processor's APIC id
    EXPECT(d & 1 << 9);       // has an APIC
    EXPECT(c & 1u << 31);     // a hypervisor is present
}

void program(void)
{
    run("processor.identifiesItself", identifiesItself);
    run("processor.memoryMapIsSane", memoryMapIsSane);
    run("processor.allMemoryIsThereOnce", allMemoryIsThereOnce);
    run("processor.memoryAboveFourGib", memoryAboveFourGib);
    run("processor.faultsOfRing0", faultsOfRing0);
    run("processor.faultsOfRing3", faultsOfRing3);
    run("processor.ring3HasItsPorts", ring3HasItsPorts);
    run("processor.ring3IsInterrupted", ring3IsInterrupted);
    finish();
}
