#include "bare/virtio.h"
#include "lib/apic.h"
#include "lib/check.h"

/// A long computation in ring 3 while everything around ticks: for suspending in the middle. Options: seconds=N, how
/// long (10); work=N, how many MiB it goes through again and again (16). Each second it says "NOTE second N passes P".
/// At the end memory, vector registers, timers, the clock that must not run backwards, and the first disk are what an
/// independent calculation says.

enum { timerVector = 0x50, vectors = 8, sectorSize = 512 };
static uint64_t const workStart = 32 << 20, multiplier = 6364136223846793005, increment = 1442695040888963407;

static uint64_t seconds, words, passes, tscBackwards, ticksSeen, silentSeconds;
static uint64_t volatile vectorPatterns[vectors][2], vectorsFound[vectors][2];

static struct Virtio disk;
static struct Queue queue;
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} request;
static uint8_t status;
static uint64_t sector[sectorSize / 8];
static uint64_t diskWrites, diskWrong;

static bool transfer(bool writes)
{
    struct Buffer const chain[] = { { &request, 16 }, { sector, sectorSize }, { &status, 1 } };
    request.type = writes;
    request.sector = 64;
    return queueDo(&queue, chain, writes ? 2 : 1, writes ? 1 : 2, 20) >= 0 && status == 0;
}

/// Once a second: what was written last must still be there; then something new.
static void visitDisk(void)
{
    if (!disk.pci)
        return;
    if (diskWrites) {
        memset(sector, 0, sizeof sector);
        diskWrong += !transfer(false);
        for (unsigned i = 0; i < sectorSize / 8; i++)
            diskWrong += sector[i] != diskWrites * 1000 + i;
    }
    diskWrites++;
    for (unsigned i = 0; i < sectorSize / 8; i++)
        sector[i] = diskWrites * 1000 + i;
    diskWrong += !transfer(true);
}

static void loadVectors(void)
{
    __asm__ volatile(
        "movdqu 0(%0), %%xmm0; movdqu 16(%0), %%xmm1; movdqu 32(%0), %%xmm2; movdqu 48(%0), %%xmm3;"
        "movdqu 64(%0), %%xmm4; movdqu 80(%0), %%xmm5; movdqu 96(%0), %%xmm6; movdqu 112(%0), %%xmm7" ::"r"(
            vectorPatterns)
        : "memory");
}

static void storeVectors(void)
{
    __asm__ volatile(
        "movdqu %%xmm0, 0(%0); movdqu %%xmm1, 16(%0); movdqu %%xmm2, 32(%0); movdqu %%xmm3, 48(%0);"
        "movdqu %%xmm4, 64(%0); movdqu %%xmm5, 80(%0); movdqu %%xmm6, 96(%0); movdqu %%xmm7, 112(%0)" ::"r"(
            vectorsFound)
        : "memory");
}

static uint64_t compute(uint64_t unused)
{
    (void)unused;
    uint64_t* const memory = (uint64_t*)workStart;
    uint64_t const begin = now();
    uint64_t lastTsc = 0, nextVisit = begin + ticksPerSecond;
    for (uint64_t i = 0; i < words; i++)
        memory[i] = i;
    loadVectors();
    while (now() < begin + seconds * ticksPerSecond) {
        for (uint64_t i = 0; i < words; i++)
            memory[i] = memory[i] * multiplier + increment;
        passes++;
        uint64_t const tsc = readTsc();
        tscBackwards += tsc < lastTsc;
        lastTsc = tsc;
        if (now() >= nextVisit) {
            nextVisit = now() + ticksPerSecond;
            silentSeconds += interrupts[timerVector] == ticksSeen;
            ticksSeen = interrupts[timerVector];
            visitDisk();
            print("NOTE second %lu passes %lu\n", (now() - begin) / ticksPerSecond, passes);
        }
    }
    storeVectors();
    return 0;
}

static void computes(void)
{
    EXPECT(seconds > 0 && words > 0);
    for (unsigned i = 0; i < vectors; i++) {
        vectorPatterns[i][0] = 0x0101010101010101 * (i + 1);
        vectorPatterns[i][1] = ~vectorPatterns[i][0];
    }
    __asm__ volatile("mov %%cr4, %%rax; or $0x600, %%rax; mov %%rax, %%cr4" ::: "rax"); // SSE for ring 3
    __asm__ volatile("mov %%cr0, %%rax; and $~0xc, %%rax; or $2, %%rax; mov %%rax, %%cr0" ::: "rax");
    apicWrite(apicDivide, 0x3);
    apicWrite(apicTimer, timerVector | 1 << 17);
    apicWrite(apicInitial, 6250000); // every tenth of a second at 1 GHz
    runInRing3(compute, 0);
    apicWrite(apicTimer, 1 << 16);
    NOTE("%lu passes, %lu APIC ticks, %lu disk writes", passes, interrupts[timerVector], diskWrites);
}

/// Each word went through `passes` steps of x*m + c: the same by squaring, in ring 3 as well.
static uint64_t verify(uint64_t unused)
{
    (void)unused;
    uint64_t m = 1, c = 0, stepM = multiplier, stepC = increment, wrong = 0;
    for (uint64_t n = passes; n; n >>= 1) {
        if (n & 1) {
            m *= stepM;
            c = c * stepM + stepC;
        }
        stepC = stepC * stepM + stepC;
        stepM *= stepM;
    }
    for (uint64_t i = 0; i < words; i++)
        wrong += ((uint64_t*)workStart)[i] != i * m + c;
    return wrong;
}

static void memoryIsRight(void)
{
    EXPECT(passes > 0);
    EXPECT_EQUAL(runInRing3(verify, 0), 0);
}

static void vectorsAreRight(void)
{
    for (unsigned i = 0; i < vectors; i++) {
        EXPECT_EQUAL(vectorsFound[i][0], vectorPatterns[i][0]);
        EXPECT_EQUAL(vectorsFound[i][1], vectorPatterns[i][1]);
    }
}

/// How many ticks there were is the host's load; that there was a second without any is not.
static void timersGoOn(void)
{
    EXPECT(ticksSeen > 0);
    EXPECT_EQUAL(silentSeconds, 0);
    EXPECT_EQUAL(tscBackwards, 0);
}

static void diskIsRight(void)
{
    if (!disk.pci) {
        skip("no disk");
        return;
    }
    EXPECT_EQUAL(diskWrong, 0);
    EXPECT(diskWrites > 0);
}

void program(void)
{
    seconds = option("seconds", 10);
    words = option("work", 16) << 17;
    pciStart();
    if (!virtioOpen(&disk, virtioBlock, 0, 0) || !virtioQueue(&disk, &queue, 0, 8, 0xffff))
        disk.pci = NULL;
    else
        virtioGo(&disk);
    run("compute.computes", computes);
    run("compute.memoryIsRight", memoryIsRight);
    run("compute.vectorsAreRight", vectorsAreRight);
    run("compute.timersGoOn", timersGoOn);
    run("compute.diskIsRight", diskIsRight);
    finish();
}
