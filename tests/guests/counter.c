#include "bare/virtio.h"
#include "lib/apic.h"
#include "lib/check.h"

/// Counts in memory and on each of its virtio disks, as fast as they go, and first looks whether what a disk has is
/// what memory says was written there: a machine that comes back with the one but not the other tells by itself. Option
/// disks=N. A sector of each disk is written, so it must hold nothing that matters. The pages that it writes to besides
/// (area=MEBIBYTES of them, 16 at most) say when that was, and before each line of output all of them are looked at.

enum { typeRead = 0, typeWrite = 1, statusOk = 0, sector = 512, mostDisks = 8, vectorBase = 0x60, place = 64 };
enum { patience = 3000, pagesPerTurn = 16, mostMebibytes = 16, turnsPerLine = 8 };
enum { noise = 0x1000000 }; ///< where memory is written to, so many pages a turn, and around
static uint64_t areaPages, turnsPerArea;

static struct Disk {
    struct Virtio device;
    struct Queue queue;
    uint64_t written;
} disks[mostDisks];
static unsigned diskCount;

static struct {
    uint32_t type, reserved;
    uint64_t sector;
} header;
static uint8_t status;
static uint64_t buffer[sector / 8] __attribute__((aligned(sector)));

static bool transfer(struct Disk* disk, uint32_t type)
{
    struct Buffer const buffers[] = { { &header, 16 }, { buffer, sector }, { &status, 1 } };
    header.type = type;
    header.sector = place;
    status = 0xff;
    bool const toDisk = type == typeWrite;
    return queueDo(&disk->queue, buffers, toDisk ? 2 : 1, toDisk ? 1 : 2, patience) >= 0 && status == statusOk;
}

static void countOn(unsigned i)
{
    struct Disk* const disk = &disks[i];
    memset(buffer, 0xee, sector);
    bool const answered = transfer(disk, typeRead);
    if (!answered || buffer[0] != disk->written || (disk->written && buffer[1] != i))
        print("DISAGREE disk %u: it has %lu, memory %lu\n", i, answered ? buffer[0] : ~0ul, disk->written);
    memset(buffer, 0, sector);
    buffer[0] = disk->written + 1;
    buffer[1] = i;
    if (!transfer(disk, typeWrite))
        print("DISAGREE disk %u cannot be written\n", i);
    disk->written++;
}

static uint64_t* pageAt(uint64_t page)
{
    return (uint64_t*)(noise + page % areaPages * 4096);
}

static void dirty(uint64_t turn)
{
    for (uint64_t page = 0; page < pagesPerTurn; page++)
        *pageAt(turn * pagesPerTurn + page) = turn + 1;
}

/// After dirty(turn): each page has the turn that wrote it last, and zero where none has.
static void checkPages(uint64_t turn)
{
    for (uint64_t page = 0; page < areaPages; page++) {
        uint64_t const first = page / pagesPerTurn;
        uint64_t const expected = first > turn ? 0 : turn - (turn - first) % turnsPerArea + 1;
        if (*pageAt(page) == expected)
            continue;
        print("DISAGREE page %lu: it has %lu in turn %lu\n", page, *pageAt(page), turn);
        return;
    }
}

void program(void)
{
    pciStart();
    for (; diskCount < mostDisks; diskCount++) {
        struct Disk* const disk = &disks[diskCount];
        if (!virtioOpen(&disk->device, virtioBlock, diskCount, 0))
            break;
        msixRoute(disk->device.pci, 0, (uint8_t)(vectorBase + diskCount));
        virtioQueue(&disk->device, &disk->queue, 0, 64, 0);
        virtioGo(&disk->device);
    }
    if (diskCount != option("disks", diskCount))
        print("DISAGREE %u disks\n", diskCount);
    uint64_t const mebibytes = option("area", mostMebibytes);
    areaPages = (mebibytes < mostMebibytes ? mebibytes : mostMebibytes) * (1 << 20) / 4096;
    turnsPerArea = areaPages / pagesPerTurn;
    for (uint64_t turn = 0;; turn++) {
        for (unsigned i = 0; i < diskCount; i++)
            countOn(i);
        dirty(turn);
        if (turn % turnsPerLine == 0) {
            checkPages(turn);
            print("COUNT %lu\n", turn);
        }
    }
}
