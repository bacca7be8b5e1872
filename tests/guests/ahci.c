#include "lib/apic.h"
#include "lib/check.h"

/// AHCI (Serial ATA AHCI 1.3.1) with ATA disks (ATA8-ACS) and ATAPI drives (MMC). Options disks=N and drives=N: how
/// many there must be; disc=1: there is a disc in the first drive. Disks are written from sector 64 to 1023.

enum { capabilities = 0x00, globalControl = 0x04, interruptStatus = 0x08, implemented = 0x0c, version = 0x10 };
enum {
    listBase = 0x00,
    fisBase = 0x08,
    portInterrupts = 0x10,
    portInterruptEnable = 0x14,
    command = 0x18,
    taskFile = 0x20,
    signature = 0x24,
    sataStatus = 0x28,
    sataControl = 0x2c,
    sataError = 0x30,
    sataActive = 0x34,
    commandIssue = 0x38
};
enum {
    start = 1,
    receive = 1 << 4,
    receiving = 1 << 14,
    running = 1 << 15,
    busy = 0x80,
    wantsData = 0x08,
    error = 0x01
};
enum { vector = 0x70, sectorSize = 512, mostPorts = 32, firstSector = 64 };

struct Header {
    uint16_t flags, regions;
    uint32_t count;
    uint64_t table, reserved[2];
};

struct Table {
    uint8_t fis[64], packet[16], reserved[48];
    struct {
        uint64_t address;
        uint32_t reserved, size;
    } regions[8];
};

static struct Port {
    uint64_t base;
    bool isDrive;
    uint64_t sectors;
    struct Header* headers;
    struct Table* tables[4];
} ports[mostPorts];
static unsigned portCount, diskCount, driveCount;
static struct PciDevice* controller;
static uint64_t hba;
static uint8_t buffer[64 * 1024] __attribute__((aligned(4096))), other[64 * 1024] __attribute__((aligned(4096)));

static uint32_t volatile* reg(struct Port const* port, unsigned offset)
{
    return &MMIO32(port->base + offset);
}

static bool stop(struct Port* port)
{
    *reg(port, command) &= ~(uint32_t)start;
    if (!WAIT(!(*reg(port, command) & running), 1))
        return false;
    *reg(port, command) &= ~(uint32_t)receive;
    return WAIT(!(*reg(port, command) & receiving), 1);
}

static void go(struct Port* port)
{
    *reg(port, sataError) = 0xffffffff;
    *reg(port, portInterrupts) = 0xffffffff;
    *reg(port, command) |= receive;
    *reg(port, command) |= start;
}

static bool openPort(struct Port* port)
{
    if (!stop(port))
        return false;
    port->headers = allocate(1024, 1024);
    for (unsigned i = 0; i < 4; i++) {
        port->tables[i] = allocate(sizeof(struct Table), 128);
        port->headers[i].table = (uint64_t)port->tables[i];
    }
    *reg(port, listBase) = (uint32_t)(uintptr_t)port->headers;
    *reg(port, listBase + 4) = 0;
    *reg(port, fisBase) = (uint32_t)(uintptr_t)allocate(256, 256);
    *reg(port, fisBase + 4) = 0;
    go(port);
    return WAIT(!(*reg(port, taskFile) & (busy | wantsData)), 2);
}

/// Fills slot `slot`: an ATA command, with one region of memory.
static void prepare(
    struct Port* port, unsigned slot, uint8_t ata, uint64_t at, unsigned count, void* data, uint32_t size, bool writes)
{
    struct Table* const table = port->tables[slot];
    memset(table, 0, sizeof *table);
    uint8_t const fis[20] = { 0x27, 0x80, ata, 0, (uint8_t)at, (uint8_t)(at >> 8), (uint8_t)(at >> 16), 0x40,
        (uint8_t)(at >> 24), (uint8_t)(at >> 32), (uint8_t)(at >> 40), 0, (uint8_t)count, (uint8_t)(count >> 8), 0, 0 };
    memcpy(table->fis, fis, sizeof fis);
    table->regions[0].address = (uint64_t)data;
    table->regions[0].size = size - 1;
    port->headers[slot].flags = (uint16_t)(5 | (writes ? 1 << 6 : 0));
    port->headers[slot].regions = size ? 1 : 0;
    port->headers[slot].count = 0;
}

/// Issues the prepared slots and waits. Returns the task file's status and error, or -1.
static int issue(struct Port* port, uint32_t slots)
{
    *reg(port, portInterrupts) = 0xffffffff;
    barrier();
    *reg(port, commandIssue) = slots;
    if (!WAIT(!(*reg(port, commandIssue) & slots) || (*reg(port, portInterrupts) & 1 << 30), 10))
        return -1;
    return (int)(*reg(port, taskFile) & 0xffff);
}

static int ata(struct Port* port, uint8_t code, uint64_t at, unsigned count, void* data, uint32_t size, bool writes)
{
    prepare(port, 0, code, at, count, data, size, writes);
    return issue(port, 1);
}

static int packet(struct Port* port, uint8_t const* bytes, void* data, uint32_t size)
{
    prepare(port, 0, 0xa0, 0, 0, data, size, false);
    port->tables[0]->fis[3] = size != 0; // by DMA
    port->tables[0]->fis[5] = 0xfe;
    port->tables[0]->fis[6] = 0xff;
    memcpy(port->tables[0]->packet, bytes, 12);
    port->headers[0].flags |= 1 << 5;
    return issue(port, 1);
}

/// After an error the port stands still until it is started anew (AHCI 6.2.2).
static void recover(struct Port* port)
{
    stop(port);
    go(port);
}

static struct Port* find(bool isDrive, unsigned n)
{
    for (unsigned i = 0; i < portCount; i++) {
        if (ports[i].isDrive == isDrive && n-- == 0)
            return &ports[i];
    }
    return NULL;
}

static void controllerIsThere(void)
{
    controller = pciFindClass(0x0106, 0);
    EXPECT(controller);
    hba = controller->bar[5];
    EXPECT(hba);
    NOTE("%04x:%04x capabilities %x, version %x, ports %x", controller->vendor, controller->device,
        MMIO32(hba + capabilities), MMIO32(hba + version), MMIO32(hba + implemented));
    MMIO32(hba + globalControl) = 0x80000000; // AHCI enable
    MMIO32(hba + globalControl) = 0x80000001; // reset
    EXPECT(WAIT(!(MMIO32(hba + globalControl) & 1), 1));
    MMIO32(hba + globalControl) = 0x80000000;
    EXPECT_EQUAL(MMIO32(hba + globalControl) & 0x80000000, 0x80000000);
    EXPECT(MMIO32(hba + version) >= 0x00010000);
}

static void portsHaveTheirDevices(void)
{
    uint32_t const map = MMIO32(hba + implemented);
    for (unsigned i = 0; i < mostPorts; i++) {
        struct Port* const port = &ports[portCount];
        if (!(map >> i & 1))
            continue;
        *port = (struct Port) { .base = hba + 0x100 + 0x80 * i };
        *reg(port, sataControl) = 0x301; // a reset of the link, which brings the signature
        wait(1);
        *reg(port, sataControl) = 0x300;
        wait(2);
        if ((*reg(port, sataStatus) & 0xf) != 3)
            continue;
        EXPECT(openPort(port));
        uint32_t const kind = *reg(port, signature);
        NOTE("port %u: signature %x, link %x", i, kind, *reg(port, sataStatus));
        EXPECT(kind == 0x00000101 || kind == 0xeb140101);
        port->isDrive = kind == 0xeb140101;
        portCount++;
        diskCount += !port->isDrive;
        driveCount += port->isDrive;
    }
    EXPECT_EQUAL(diskCount, option("disks", diskCount));
    EXPECT_EQUAL(driveCount, option("drives", driveCount));
}

static void swapText(char* to, uint8_t const* from, unsigned size)
{
    for (unsigned i = 0; i < size; i += 2) {
        to[i] = (char)from[i + 1];
        to[i + 1] = (char)from[i];
    }
    to[size] = '\0';
}

static void allIdentify(void)
{
    for (unsigned i = 0; i < portCount; i++) {
        struct Port* const port = &ports[i];
        memset(buffer, 0, 512);
        EXPECT_EQUAL(ata(port, port->isDrive ? 0xa1 : 0xec, 0, 0, buffer, 512, false) & error, 0);
        char serial[21], model[41];
        swapText(serial, buffer + 20, 20);
        swapText(model, buffer + 54, 40);
        port->sectors = *(uint64_t*)(buffer + 200);
        NOTE("%s \"%s\" \"%s\" %lu sectors", port->isDrive ? "drive" : "disk", model, serial, port->sectors);
        EXPECT(port->isDrive || port->sectors >= 1024);
        EXPECT_EQUAL(port->headers[0].count, 512);
    }
}

static void pattern(uint8_t* data, uint32_t size, uint64_t seed)
{
    for (uint32_t i = 0; i < size; i += 8) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        *(uint64_t*)(data + i) = seed;
    }
}

static void disksKeepTheirOwn(void)
{
    for (unsigned i = 0; i < diskCount; i++) {
        pattern(buffer, 16384, 40 + i);
        EXPECT_EQUAL(ata(find(false, i), 0x35, firstSector, 32, buffer, 16384, true) & error, 0); // WRITE DMA EXT
    }
    for (unsigned i = 0; i < diskCount; i++) {
        pattern(buffer, 16384, 40 + i);
        memset(other, 0, 16384);
        EXPECT_EQUAL(ata(find(false, i), 0x25, firstSector, 32, other, 16384, false) & error, 0); // READ DMA EXT
        EXPECT(memcmp(buffer, other, 16384) == 0);
        EXPECT_EQUAL(find(false, i)->headers[0].count, 16384);
    }
    if (!diskCount)
        skip("no disk");
}

static void regionsGather(void)
{
    struct Port* const port = find(false, 0);
    if (!port) {
        skip("no disk");
        return;
    }
    prepare(port, 0, 0x25, firstSector, 8, other, 512, false);
    for (unsigned i = 0; i < 8; i++) {
        port->tables[0]->regions[i].address = (uint64_t)(other + 8192 * i);
        port->tables[0]->regions[i].size = 511;
    }
    port->headers[0].regions = 8;
    EXPECT_EQUAL(issue(port, 1) & error, 0);
    pattern(buffer, 16384, 40);
    for (unsigned i = 0; i < 8; i++)
        EXPECT(memcmp(other + 8192 * i, buffer + 512 * i, 512) == 0);
}

static void oldCommandsWork(void)
{
    struct Port* const port = find(false, 0);
    if (!port) {
        skip("no disk");
        return;
    }
    pattern(buffer, 4096, 9);
    EXPECT_EQUAL(ata(port, 0xca, firstSector + 100, 8, buffer, 4096, true) & error, 0); // WRITE DMA
    EXPECT_EQUAL(ata(port, 0xc8, firstSector + 100, 8, other, 4096, false) & error, 0); // READ DMA
    EXPECT(memcmp(buffer, other, 4096) == 0);
    memset(other, 0, 4096);
    EXPECT_EQUAL(ata(port, 0x20, firstSector + 100, 1, other, 512, false) & error, 0); // READ SECTORS, by PIO
    EXPECT(memcmp(buffer, other, 512) == 0);
    EXPECT_EQUAL(ata(port, 0xe7, 0, 0, NULL, 0, false) & error, 0); // FLUSH CACHE
    EXPECT_EQUAL(ata(port, 0xea, 0, 0, NULL, 0, false) & error, 0); // FLUSH CACHE EXT
}

static void queuedCommandsWork(void)
{
    struct Port* const port = find(false, 0);
    if (!port || !(MMIO32(hba + capabilities) & 1 << 30)) {
        skip("no disk, or no native queueing");
        return;
    }
    pattern(buffer, 4 * 4096, 123);
    for (unsigned pass = 0; pass < 2; pass++) {
        memset(other, 0, 4 * 4096);
        for (unsigned i = 0; i < 4; i++) {
            uint8_t* const data = (pass == 0 ? buffer : other) + 4096 * i;
            prepare(port, i, pass == 0 ? 0x61 : 0x60, firstSector + 200 + 8 * i, i << 3, data, 4096, pass == 0);
            port->tables[i]->fis[3] = 8; // the count is in the features
        }
        barrier();
        *reg(port, sataActive) = 0xf;
        EXPECT_EQUAL(issue(port, 0xf) & error, 0);
        EXPECT(WAIT(*reg(port, sataActive) == 0, 5));
    }
    EXPECT(memcmp(buffer, other, 4 * 4096) == 0);
}

static void wrongCommandsEndInErrors(void)
{
    struct Port* const port = find(false, 0);
    if (!port) {
        skip("no disk");
        return;
    }
    int const unknown = ata(port, 0xfd, 0, 0, NULL, 0, false);
    EXPECT(unknown >= 0 && (unknown & error) && (unknown >> 8 & 0x04)); // ABRT
    recover(port);
    int const outside = ata(port, 0x25, port->sectors, 1, other, 512, false);
    EXPECT(outside >= 0 && (outside & error));
    recover(port);
    EXPECT_EQUAL(ata(port, 0x25, 0, 1, other, 512, false) & error, 0);
}

static void interruptsCome(void)
{
    unsigned const msi = pciCapability(controller, 5, 0);
    struct Port* const port = portCount ? &ports[0] : NULL;
    if (!msi || !port) {
        skip("no MSI, or nothing there");
        return;
    }
    bool const wide = pciRead16(controller, msi + 2) & 0x80;
    pciWrite32(controller, msi + 4, localApic);
    pciWrite32(controller, msi + 8, wide ? 0 : vector);
    if (wide)
        pciWrite16(controller, msi + 12, vector);
    pciWrite16(controller, msi + 2, 1);
    MMIO32(hba + interruptStatus) = 0xffffffff;
    MMIO32(hba + globalControl) = 0x80000002; // interrupts on
    *reg(port, portInterruptEnable) = 0x7d40007f;
    uint64_t const before = interrupts[vector];
    EXPECT_EQUAL(ata(port, port->isDrive ? 0xa1 : 0xec, 0, 0, buffer, 512, false) & error, 0);
    EXPECT(WAIT(interrupts[vector] > before, 1));
    EXPECT(MMIO32(hba + interruptStatus) != 0);
    EXPECT(*reg(port, portInterrupts) != 0);
    *reg(port, portInterrupts) = 0xffffffff;
    MMIO32(hba + interruptStatus) = 0xffffffff;
    EXPECT_EQUAL(MMIO32(hba + interruptStatus), 0);
    *reg(port, portInterruptEnable) = 0;
    MMIO32(hba + globalControl) = 0x80000000;
}

static bool isReady(struct Port* drive)
{
    static uint8_t const testUnitReady[12], requestSense[12] = { 0x03, 0, 0, 0, 18 };
    for (unsigned i = 0; i < 4; i++) {
        int const result = packet(drive, testUnitReady, NULL, 0);
        if (result >= 0 && !(result & error))
            return true;
        recover(drive);
        packet(drive, requestSense, buffer, 18);
        NOTE("sense %x %x %x", buffer[2] & 15, buffer[12], buffer[13]);
    }
    return false;
}

static void drivesDescribeThemselves(void)
{
    static uint8_t const inquiry[12] = { 0x12, 0, 0, 0, 36 };
    for (unsigned i = 0; i < driveCount; i++) {
        memset(buffer, 0, 36);
        EXPECT_EQUAL(packet(find(true, i), inquiry, buffer, 36) & error, 0);
        EXPECT_EQUAL(buffer[0], 5);    // CD
        EXPECT_EQUAL(buffer[1], 0x80); // removable
        buffer[32] = '\0';
        NOTE("drive %u: %s", i, (char const*)buffer + 8);
    }
    if (!driveCount)
        skip("no drive");
}

static void discIsRead(void)
{
    struct Port* const drive = find(true, 0);
    if (!drive || !option("disc", 0)) {
        skip("no drive, or nothing in it");
        return;
    }
    static uint8_t const readCapacity[12] = { 0x25 }, read10[12] = { 0x28, 0, 0, 0, 0, 16, 0, 0, 1 },
                         readBeyond[12] = { 0x28, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 1 },
                         readToc[12] = { 0x43, 0, 0, 0, 0, 0, 0, 0, 12 };
    EXPECT(isReady(drive));
    EXPECT_EQUAL(packet(drive, readCapacity, buffer, 8) & error, 0);
    EXPECT_EQUAL(__builtin_bswap32(*(uint32_t*)(buffer + 4)), 2048);
    NOTE("disc: %u blocks", __builtin_bswap32(*(uint32_t*)buffer) + 1);
    memset(buffer, 0, 2048);
    EXPECT_EQUAL(packet(drive, read10, buffer, 2048) & error, 0);
    EXPECT(memcmp(buffer + 1, "CD001", 5) == 0);
    EXPECT_EQUAL(packet(drive, readToc, buffer, 12) & error, 0);
    EXPECT_EQUAL(buffer[2], 1); // the first track
    int const beyond = packet(drive, readBeyond, buffer, 2048);
    EXPECT(beyond >= 0 && (beyond & error));
    recover(drive);
    EXPECT(isReady(drive));
}

/// With option eject=1 the harness takes the disc out and puts one in.
static void discIsChanged(void)
{
    struct Port* const drive = find(true, 0);
    static uint8_t const testUnitReady[12], requestSense[12] = { 0x03, 0, 0, 0, 18 };
    if (!drive || !option("eject", 0)) {
        skip("nobody changes it");
        return;
    }
    NOTE("take the disc out");
    EXPECT(WAIT(packet(drive, testUnitReady, NULL, 0) & error, 20));
    recover(drive);
    EXPECT_EQUAL(packet(drive, requestSense, buffer, 18) & error, 0);
    NOTE("sense %x %x", buffer[2] & 15, buffer[12]);
    NOTE("put a disc in");
    EXPECT(WAIT(isReady(drive), 20));
}

void program(void)
{
    pciStart();
    run("ahci.controllerIsThere", controllerIsThere);
    if (!hba)
        finish();
    run("ahci.portsHaveTheirDevices", portsHaveTheirDevices);
    run("ahci.allIdentify", allIdentify);
    run("ahci.disksKeepTheirOwn", disksKeepTheirOwn);
    run("ahci.regionsGather", regionsGather);
    run("ahci.oldCommandsWork", oldCommandsWork);
    run("ahci.queuedCommandsWork", queuedCommandsWork);
    run("ahci.wrongCommandsEndInErrors", wrongCommandsEndInErrors);
    run("ahci.interruptsCome", interruptsCome);
    run("ahci.drivesDescribeThemselves", drivesDescribeThemselves);
    run("ahci.discIsRead", discIsRead);
    run("ahci.discIsChanged", discIsChanged);
    finish();
}
