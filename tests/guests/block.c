#include "bare/virtio.h"
#include "lib/apic.h"
#include "lib/check.h"

/// virtio-blk (VIRTIO 1.2, 5.2 "Block Device"), option disks=N: how many there must be. Each is written from sector 64
/// to 1023, so it must have at least half a mebibyte and nothing that matters.

enum { typeRead = 0, typeWrite = 1, typeFlush = 4, typeGetId = 8, typeDiscard = 11, typeWriteZeroes = 13 };
enum { statusOk = 0, statusError = 1, statusUnsupported = 2 };
enum { sector = 512, mostDisks = 8, vectorBase = 0x60, firstSector = 64 };
static uint64_t const featureFlush = 1 << 9, featureDiscard = 1 << 13, featureWriteZeroes = 1 << 14;

static struct Disk {
    struct Virtio device;
    struct Queue queue;
    uint64_t sectors;
} disks[mostDisks];
static unsigned diskCount;

struct Request {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint8_t status;
};
static struct Request request;
static uint8_t buffer[64 * 1024] __attribute__((aligned(4096))), other[64 * 1024] __attribute__((aligned(4096)));

/// One request, waited for. Returns its status, or -1 when no answer came.
static int transfer(struct Disk* disk, uint32_t type, uint64_t at, void* data, uint32_t size)
{
    struct Buffer const read[] = { { &request.header, 16 }, { data, size }, { &request.status, 1 } };
    struct Buffer const none[] = { read[0], read[2] };
    bool const fromGuest = type == typeWrite || type == typeDiscard || type == typeWriteZeroes;
    request.header.type = type;
    request.header.sector = at;
    request.status = 0xff;
    int64_t const written = size ? queueDo(&disk->queue, read, fromGuest ? 2 : 1, fromGuest ? 1 : 2, 10)
                                 : queueDo(&disk->queue, none, 1, 1, 10);
    return written < 0 ? -1 : request.status;
}

static void pattern(uint8_t* data, uint32_t size, uint64_t seed)
{
    for (uint32_t i = 0; i < size; i += 8) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        *(uint64_t*)(data + i) = seed;
    }
}

static void allAreFound(void)
{
    for (; diskCount < mostDisks; diskCount++) {
        struct Disk* const disk = &disks[diskCount];
        if (!virtioOpen(&disk->device, virtioBlock, diskCount, featureFlush | featureDiscard | featureWriteZeroes))
            break;
        msixRoute(disk->device.pci, 0, (uint8_t)(vectorBase + diskCount));
        EXPECT(virtioQueue(&disk->device, &disk->queue, 0, 64, 0));
        virtioGo(&disk->device);
        disk->sectors = MMIO32(disk->device.config) | (uint64_t)MMIO32(disk->device.config + 4) << 32;
        NOTE("disk %u: slot %u, %lu sectors, features %lx, %u vectors", diskCount, disk->device.pci->slot,
            disk->sectors, disk->device.offered, msixEntries(disk->device.pci));
        EXPECT(disk->sectors >= 1024);
        EXPECT(disk->device.features & virtioVersion1);
    }
    EXPECT_EQUAL(diskCount, option("disks", diskCount));
    EXPECT(diskCount > 0);
}

static void identify(void)
{
    for (unsigned i = 0; i < diskCount; i++) {
        char id[21] = "";
        EXPECT_EQUAL(transfer(&disks[i], typeGetId, 0, id, 20), statusOk);
        NOTE("disk %u: id \"%s\"", i, id);
    }
}

static void eachKeepsItsOwn(void)
{
    for (unsigned i = 0; i < diskCount; i++) {
        pattern(buffer, 4096, 100 + i);
        EXPECT_EQUAL(transfer(&disks[i], typeWrite, firstSector, buffer, 4096), statusOk);
    }
    for (unsigned i = 0; i < diskCount; i++) {
        pattern(buffer, 4096, 100 + i);
        memset(other, 0, 4096);
        EXPECT_EQUAL(transfer(&disks[i], typeRead, firstSector, other, 4096), statusOk);
        EXPECT(memcmp(buffer, other, 4096) == 0);
    }
}

static void sizesFromOneSectorToMany(void)
{
    static uint32_t const sizes[] = { 1, 3, 8, 64, 128 };
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t const size = sizes[i] * sector;
        pattern(buffer, size, i);
        EXPECT_EQUAL(transfer(&disks[0], typeWrite, firstSector + 100, buffer, size), statusOk);
        memset(other, 0xee, size);
        EXPECT_EQUAL(transfer(&disks[0], typeRead, firstSector + 100, other, size), statusOk);
        EXPECT(memcmp(buffer, other, size) == 0);
    }
}

static void scatteredBuffersGather(void)
{
    enum { pieces = 8 };
    struct Buffer chain[pieces + 2] = { { &request.header, 16 } };
    for (unsigned i = 0; i < pieces; i++)
        chain[1 + i] = (struct Buffer) { other + i * 4096 + 512 * (i & 3), 512 };
    chain[pieces + 1] = (struct Buffer) { &request.status, 1 };
    pattern(buffer, pieces * 512, 77);
    EXPECT_EQUAL(transfer(&disks[0], typeWrite, firstSector, buffer, pieces * 512), statusOk);
    request.header.type = typeRead;
    request.header.sector = firstSector;
    EXPECT_EQUAL(queueDo(&disks[0].queue, chain, 1, pieces + 1, 10), pieces * 512 + 1);
    for (unsigned i = 0; i < pieces; i++)
        EXPECT(memcmp(chain[1 + i].data, buffer + 512 * i, 512) == 0);
}

static void manyInFlight(void)
{
    enum { many = 16 };
    static struct Request requests[many];
    struct Queue* const queue = &disks[0].queue;
    for (unsigned i = 0; i < many; i++) {
        struct Buffer const chain[]
            = { { &requests[i].header, 16 }, { buffer + i * 1024, 1024 }, { &requests[i].status, 1 } };
        pattern(buffer + i * 1024, 1024, 500 + i);
        requests[i].header.type = typeWrite;
        requests[i].header.sector = firstSector + 200 + 2 * i;
        requests[i].status = 0xff;
        EXPECT(queueAdd(queue, chain, 2, 1) >= 0);
    }
    queueNotify(queue);
    for (unsigned i = 0; i < many; i++)
        EXPECT(WAIT(queueTake(queue, NULL) >= 0, 10));
    for (unsigned i = 0; i < many; i++)
        EXPECT_EQUAL(requests[i].status, statusOk);
    EXPECT_EQUAL(transfer(&disks[0], typeRead, firstSector + 200, other, many * 1024), statusOk);
    EXPECT(memcmp(buffer, other, many * 1024) == 0);
}

static void flushAnswers(void)
{
    if (!(disks[0].device.features & featureFlush)) {
        skip("not offered");
        return;
    }
    EXPECT_EQUAL(transfer(&disks[0], typeFlush, 0, NULL, 0), statusOk);
}

static struct {
    uint64_t sector;
    uint32_t count, flags;
} range;

static void zeroesAreWritten(void)
{
    if (!(disks[0].device.features & featureWriteZeroes)) {
        skip("not offered");
        return;
    }
    pattern(buffer, 8192, 5);
    EXPECT_EQUAL(transfer(&disks[0], typeWrite, firstSector + 300, buffer, 8192), statusOk);
    range.sector = firstSector + 304;
    range.count = 8;
    EXPECT_EQUAL(transfer(&disks[0], typeWriteZeroes, 0, &range, 16), statusOk);
    EXPECT_EQUAL(transfer(&disks[0], typeRead, firstSector + 300, other, 8192), statusOk);
    memset(buffer + 4 * sector, 0, 8 * sector);
    EXPECT(memcmp(buffer, other, 8192) == 0);
}

static void discardAnswers(void)
{
    if (!(disks[0].device.features & featureDiscard)) {
        skip("not offered");
        return;
    }
    range.sector = firstSector + 400;
    range.count = 8;
    EXPECT_EQUAL(transfer(&disks[0], typeDiscard, 0, &range, 16), statusOk);
}

static void wrongRequestsAreRefused(void)
{
    struct Disk* const disk = &disks[0];
    EXPECT_EQUAL(transfer(disk, typeRead, disk->sectors, buffer, 512), statusError);
    EXPECT_EQUAL(transfer(disk, typeRead, disk->sectors - 1, buffer, 1024), statusError);
    EXPECT_EQUAL(transfer(disk, typeWrite, 1ull << 60, buffer, 512), statusError);
    EXPECT_EQUAL(transfer(disk, typeRead, ~0ull, buffer, 512), statusError);
    EXPECT_EQUAL(transfer(disk, 0x7777, 0, buffer, 512), statusUnsupported);
    EXPECT_EQUAL(transfer(disk, typeRead, 0, buffer, 512), statusOk); // and it goes on
}

static void interruptsCome(void)
{
    for (unsigned i = 0; i < diskCount; i++) {
        uint64_t const before = interrupts[vectorBase + i];
        EXPECT_EQUAL(transfer(&disks[i], typeRead, 0, buffer, 512), statusOk);
        EXPECT(WAIT(interrupts[vectorBase + i] > before, 1));
    }
}

static void maskedInterruptsWait(void)
{
    struct PciDevice const* const pci = disks[0].device.pci;
    msixMask(pci, 0, true);
    uint64_t const before = interrupts[vectorBase];
    EXPECT_EQUAL(transfer(&disks[0], typeRead, 0, buffer, 512), statusOk);
    wait(3);
    EXPECT_EQUAL(interrupts[vectorBase], before);
    EXPECT(msixPending(pci, 0));
    msixMask(pci, 0, false);
    EXPECT(WAIT(interrupts[vectorBase] > before, 1));
    EXPECT(!msixPending(pci, 0));
}

static void suppressedInterruptsStayAway(void)
{
    disks[0].queue.available->flags = 1; // the driver polls
    barrier();
    uint64_t const before = interrupts[vectorBase];
    EXPECT_EQUAL(transfer(&disks[0], typeRead, 0, buffer, 512), statusOk);
    wait(3);
    EXPECT_EQUAL(interrupts[vectorBase], before);
    disks[0].queue.available->flags = 0;
}

static void resetForgetsAndWorksAgain(void)
{
    struct Disk* const disk = &disks[diskCount - 1];
    EXPECT(virtioOpen(&disk->device, virtioBlock, diskCount - 1, 0));
    EXPECT(virtioQueue(&disk->device, &disk->queue, 0, 8, 0xffff));
    virtioGo(&disk->device);
    EXPECT_EQUAL(MMIO16(disk->device.common + 0x1a), 0xffff); // its vector is gone
    pattern(buffer, 4096, 99);
    EXPECT_EQUAL(transfer(disk, typeWrite, firstSector, buffer, 4096), statusOk);
    EXPECT_EQUAL(transfer(disk, typeRead, firstSector, other, 4096), statusOk);
    EXPECT(memcmp(buffer, other, 4096) == 0);
}

/// Rings that point nowhere: the device may stop with DEVICE_NEEDS_RESET, and must work after the reset.
static void badRingsDoNoHarm(void)
{
    struct Disk* const disk = &disks[0];
    static uint64_t const bad[] = { 0, 0xfffffffffffff000, 0x00000000fee00000, 0x8000000000000000 };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct Buffer const chain[] = { { (void*)bad[i], 0xffffffff }, { (void*)bad[i], 512 }, { (void*)bad[i], 1 } };
        EXPECT(virtioOpen(&disk->device, virtioBlock, 0, 0));
        EXPECT(virtioQueue(&disk->device, &disk->queue, 0, 8, 0xffff));
        virtioGo(&disk->device);
        queueAdd(&disk->queue, chain, 1, 2);
        disk->queue.descriptors[2].next = 0; // and a circle
        disk->queue.descriptors[2].flags = 3;
        queueNotify(&disk->queue);
        wait(3);
    }
    EXPECT(virtioOpen(&disk->device, virtioBlock, 0, 0));
    EXPECT(virtioQueue(&disk->device, &disk->queue, 0, 8, 0xffff));
    virtioGo(&disk->device);
    EXPECT_EQUAL(transfer(disk, typeRead, 0, buffer, 512), statusOk);
}

void program(void)
{
    pciStart();
    run("block.allAreFound", allAreFound);
    if (!diskCount)
        finish();
    run("block.identify", identify);
    run("block.eachKeepsItsOwn", eachKeepsItsOwn);
    run("block.sizesFromOneSectorToMany", sizesFromOneSectorToMany);
    run("block.scatteredBuffersGather", scatteredBuffersGather);
    run("block.manyInFlight", manyInFlight);
    run("block.flushAnswers", flushAnswers);
    run("block.zeroesAreWritten", zeroesAreWritten);
    run("block.discardAnswers", discardAnswers);
    run("block.wrongRequestsAreRefused", wrongRequestsAreRefused);
    run("block.interruptsCome", interruptsCome);
    run("block.maskedInterruptsWait", maskedInterruptsWait);
    run("block.suppressedInterruptsStayAway", suppressedInterruptsStayAway);
    run("block.resetForgetsAndWorksAgain", resetForgetsAndWorksAgain);
    run("block.badRingsDoNoHarm", badRingsDoNoHarm);
    finish();
}
