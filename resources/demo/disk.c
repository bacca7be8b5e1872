#include "bare/virtio.h"
#include "demo.h"

/// The count on the disk is read back each second and compared with what memory says was written, so that a machine
/// whose memory went back in time without its disk (or the other way round) notices at once.

struct Disk disk;

enum { sectorSize = 512, requestRead = 0, requestWrite = 1, requestFlush = 4, sectorNumber = 0, flushFeature = 1 << 9 };

static struct Virtio device;
static struct Queue queue;
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} request;
static uint8_t status;
static union {
    struct {
        char magic[16];
        uint64_t boots, seconds;
    } count;
    uint8_t bytes[sectorSize];
} sector;
static char const magic[16] = "chronovisor demo";

static uint64_t startedAt, secondsBefore;
static uint64_t written; ///< what the last write put there, as memory has it
static enum { idle, reading, writing } doing;

static void submit(uint32_t type)
{
    struct Buffer const buffers[] = { { &request, sizeof request }, { &sector, sectorSize }, { &status, 1 } };
    struct Buffer const noData[] = { buffers[0], buffers[2] };
    request.type = type;
    request.sector = sectorNumber;
    status = 0xff;
    if (type == requestFlush)
        queueAdd(&queue, noData, 1, 1);
    else
        queueAdd(&queue, buffers, type == requestWrite ? 2 : 1, type == requestWrite ? 1 : 2);
    queueNotify(&queue);
}

/// Submits and waits; for the start and the end, when nothing else is going on.
static bool complete(uint32_t type)
{
    submit(type);
    for (uint64_t const end = now() + 5 * ticksPerSecond; queueTake(&queue, NULL) < 0; halt()) {
        if (now() > end)
            return false;
    }
    return status == 0;
}

static void prepareWrite(void)
{
    memcpy(sector.count.magic, magic, sizeof magic);
    sector.count.boots = disk.boots;
    sector.count.seconds = disk.seconds;
}

/// A disk with something else on it is left alone.
static bool mayUse(void)
{
    uint8_t any = 0;
    for (unsigned i = 0; i < sectorSize; i++)
        any |= sector.bytes[i];
    return any == 0 || memcmp(sector.count.magic, magic, sizeof magic) == 0;
}

void diskStart(void)
{
    disk = (struct Disk) { .state = diskAbsent, .boots = 1 };
    startedAt = now();
    if (!virtioOpen(&device, virtioBlock, 0, flushFeature) || !virtioQueue(&device, &queue, 0, 8, 0xffff))
        return;
    virtioGo(&device);
    if (!complete(requestRead)) {
        disk.state = diskFailed;
        return;
    }
    if (!mayUse()) {
        disk.state = diskForeign;
        return;
    }
    disk.boots = sector.count.boots + 1;
    disk.seconds = disk.found = secondsBefore = sector.count.seconds;
    prepareWrite();
    written = disk.seconds;
    disk.state = complete(requestWrite) ? diskAgrees : diskFailed;
}

/// The answer to the read or the write that was under way has come.
static void step(void)
{
    if (status != 0) {
        disk.state = diskFailed;
        doing = idle;
        return;
    }
    if (doing == writing) {
        disk.found = written;
        doing = idle;
        return;
    }
    disk.found = sector.count.seconds;
    disk.state = disk.found == written && sector.count.boots == disk.boots ? diskAgrees : diskDisagrees;
    prepareWrite();
    written = disk.seconds;
    doing = writing;
    submit(requestWrite);
}

void diskWork(void)
{
    disk.seconds = secondsBefore + (now() - startedAt) / ticksPerSecond;
    if (disk.state == diskAbsent || disk.state == diskForeign)
        return;
    if (doing != idle) {
        if (queueTake(&queue, NULL) >= 0)
            step();
    } else if (disk.seconds != written) {
        doing = reading;
        submit(requestRead);
    }
}

void diskClose(void)
{
    if (disk.state == diskAbsent || disk.state == diskForeign)
        return;
    for (uint64_t const end = now() + 2 * ticksPerSecond; doing != idle && now() < end; halt())
        diskWork();
    prepareWrite();
    if (complete(requestWrite) && (device.features & flushFeature))
        complete(requestFlush);
}
