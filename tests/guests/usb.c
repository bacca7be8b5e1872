#include "lib/check.h"
#include "lib/xhci.h"

/// An xHCI controller and what is plugged into it: a stick (Bulk-Only Transport), a keyboard, a tablet, and a hub with
/// a keyboard on it; with pad=1 and tone=1 a gamepad and a sound card too. Options: keys=1, moves=1, pad=1: the harness
/// presses keys, moves the pointer and plays the pad when it is asked to; tone=1: it listens, and types when it does;
/// pull=1: it pulls the stick out, and plugs it in again; copy=1: it suspends and restores the machine, and then types
/// on the first serial port. The stick is written from sector 64 to 1023.

enum {
    mostDevices = 16,
    sector = 512,
    firstSector = 64,
    area = 480,
    hubClass = 9,
    massStorage = 8,
    inputClass = 3,
    audioClass = 1
};
enum { padVendor = 0x18d1, packetsOfTone = 60, framesOfPacket = 48 };
enum { phaseBytes = 31, statusBytes = 13 };
enum { inquiry = 0x12, readCapacity = 0x25, read10 = 0x28, write10 = 0x2a, synchronizeCache = 0x35 };

static struct UsbDevice devices[mostDevices];
static unsigned deviceCount;
static struct UsbDevice *hub, *stick, *keyboard, *hubKeyboard, *tablet, *pad, *sound;
static uint8_t buffer[area * sector] __attribute__((aligned(4096))),
    other[area * sector] __attribute__((aligned(4096)));
static uint8_t wrapper[phaseBytes], status[statusBytes], report[64];
static uint32_t tag = 100;

static uint8_t interfaceClass(struct UsbDevice const* device)
{
    return device->configuration[14];
}

static uint8_t interfaceProtocol(struct UsbDevice const* device)
{
    return device->configuration[16];
}

/// Opens the device at a port and remembers what it is.
static struct UsbDevice* take(unsigned port, unsigned speed, uint32_t route)
{
    struct UsbDevice* const device = &devices[deviceCount];
    if (deviceCount == mostDevices || !usbOpen(device, port, speed, route))
        return NULL;
    deviceCount++;
    char product[33] = "";
    int const size = usbControl(device, 0x80, 6, 0x0302, 0x0409, buffer, 255);
    for (int i = 2; i + 1 < size && i < 64; i += 2)
        product[i / 2 - 1] = (char)buffer[i];
    NOTE("port %u route %x: %s", port, route, product);
    uint8_t const class = device->descriptor[4] ? device->descriptor[4] : interfaceClass(device);
    if (class == hubClass)
        hub = device;
    else if (class == massStorage)
        stick = device;
    else if (class == inputClass && interfaceProtocol(device) == 1)
        *(route ? &hubKeyboard : &keyboard) = device;
    else if (class == audioClass)
        sound = device;
    else if (class == inputClass && (device->descriptor[8] | device->descriptor[9] << 8) == padVendor)
        pad = device;
    else if (class == inputClass && interfaceProtocol(device) == 0)
        tablet = device;
    return device;
}

static void controllerStarts(void)
{
    EXPECT(xhciStart());
    NOTE("%04x:%04x with %u ports", xhciController->vendor, xhciController->device, xhciPorts());
    EXPECT_EQUAL(xhciCommand(trbNoOpCommand, 0, 0, 0, NULL), codeSuccess);
    EXPECT(interrupts[xhciVector] > 0);
    // More commands than its ring has places.
    for (unsigned i = 0; i < 70; i++)
        EXPECT_EQUAL(xhciCommand(trbNoOpCommand, 0, 0, 0, NULL), codeSuccess);
    EXPECT_EQUAL(xhciCommand(trbDisableSlot, 0, 5, 0, NULL), codeSlotNotEnabled);
    unsigned versions[4] = { 0 };
    for (unsigned port = 1; port <= xhciPorts(); port++)
        versions[xhciPortVersion(port) & 3]++;
    EXPECT_EQUAL(versions[0], 0);
    EXPECT(versions[2] > 0 && versions[3] > 0);
}

static void rootPortsHaveTheirDevices(void)
{
    // QEMU tells of changes only while it runs, and these are from before.
    EXPECT(!option("strict", 0) || WAIT((xhciPoll(), xhciPortEvents() >= 1), 2));
    for (unsigned port = 1; port <= xhciPorts(); port++) {
        if (!(xhciPort(port) & portConnected))
            continue;
        xhciClearChanges(port);
        EXPECT_EQUAL(xhciPort(port) & portChanges, 0);
        // A USB 3 port has trained by itself; a USB 2 port is reset.
        EXPECT_EQUAL(xhciPort(port) & portEnabled, xhciPortVersion(port) == 3 ? portEnabled : 0);
        if (!(xhciPort(port) & portEnabled))
            EXPECT(xhciResetPort(port));
        EXPECT(take(port, xhciPort(port) >> 10 & 15, 0));
    }
    EXPECT(hub && stick && keyboard && tablet);
    EXPECT_EQUAL(stick->speed, speedSuper);
}

/// USB 2.0, 11.24 "Requests".
static void hubHasAKeyboard(void)
{
    uint8_t description[9], state[4];
    EXPECT(hub != NULL);
    EXPECT(usbControl(hub, 0xa0, 6, 0x2900, 0, description, sizeof description) >= 7);
    hub->isHub = true;
    hub->hubPorts = description[2];
    EXPECT(usbConfigure(hub));
    unsigned const change = usbBegin(hub, hub->interruptIn, report, 2);
    for (unsigned port = 1; port <= hub->hubPorts; port++)
        EXPECT_EQUAL(usbControl(hub, 0x23, 3, 8, (uint16_t)port, NULL, 0), 0); // power
    EXPECT_EQUAL(usbEnd(hub, hub->interruptIn, change, 2), codeSuccess);
    EXPECT(report[0] & 0xfe || report[1]);
    for (unsigned port = 1; port <= hub->hubPorts; port++) {
        EXPECT_EQUAL(usbControl(hub, 0xa3, 0, 0, (uint16_t)port, state, 4), 4);
        if (!(state[0] & 1))
            continue;
        EXPECT_EQUAL(usbControl(hub, 0x23, 1, 16, (uint16_t)port, NULL, 0), 0); // connection change
        EXPECT_EQUAL(usbControl(hub, 0x23, 3, 4, (uint16_t)port, NULL, 0), 0);  // reset
        EXPECT_EQUAL(usbControl(hub, 0xa3, 0, 0, (uint16_t)port, state, 4), 4);
        EXPECT_EQUAL(state[0] & 2, 2);
        EXPECT_EQUAL(usbControl(hub, 0x23, 1, 20, (uint16_t)port, NULL, 0), 0); // reset change
        EXPECT(take(hub->port, state[1] & 2 ? speedLow : state[1] & 4 ? speedHigh : speedFull, port));
    }
    EXPECT(hubKeyboard != NULL);
    EXPECT_EQUAL(usbControl(hub, 0x23, 3, 99, 1, NULL, 0), -codeStall);
    EXPECT_EQUAL(usbControl(hub, 0xa3, 0, 0, 1, state, 4), 4); // and goes on
}

// ---- The stick: USB Mass Storage Class, Bulk-Only Transport, 5 "Command/Data/Status Protocol" ----

/// Sends a command.
static unsigned sendCommand(uint8_t const* cdb, uint32_t length, bool in)
{
    memset(wrapper, 0, sizeof wrapper);
    *(uint32_t*)wrapper = 0x43425355;
    *(uint32_t*)(wrapper + 4) = ++tag;
    *(uint32_t*)(wrapper + 8) = length;
    wrapper[12] = in ? 0x80 : 0;
    wrapper[14] = 10;
    memcpy(wrapper + 15, cdb, 10);
    return usbEnd(stick, stick->bulkOut, usbBegin(stick, stick->bulkOut, wrapper, phaseBytes), 5);
}

/// The status of a command, and how much of its data was left; -1 where there is none.
static int takeStatus(uint32_t* residue)
{
    if (usbEnd(stick, stick->bulkIn, usbBegin(stick, stick->bulkIn, status, statusBytes), 10) != codeSuccess
        || *(uint32_t*)status != 0x53425355 || *(uint32_t*)(status + 4) != tag)
        return -1;
    *residue = *(uint32_t*)(status + 8);
    return status[12];
}

/// A whole command. Its status; -1 where something else went wrong.
static int scsi(uint8_t const* cdb, void* data, uint32_t length, bool in)
{
    uint32_t residue = 0;
    if (sendCommand(cdb, length, in) != codeSuccess)
        return -1;
    if (length) {
        unsigned const endpoint = in ? stick->bulkIn : stick->bulkOut;
        unsigned const code = usbEnd(stick, endpoint, usbBegin(stick, endpoint, data, length), 10);
        if (code != codeSuccess && code != codeShort)
            return -1;
    }
    return takeStatus(&residue);
}

static void blocks(uint8_t* cdb, uint8_t operation, uint32_t at, unsigned count)
{
    memset(cdb, 0, 10);
    cdb[0] = operation;
    for (unsigned i = 0; i < 4; i++)
        cdb[2 + i] = (uint8_t)(at >> 8 * (3 - i));
    cdb[7] = (uint8_t)(count >> 8);
    cdb[8] = (uint8_t)count;
}

static bool access(uint8_t operation, uint32_t at, unsigned count, void* data)
{
    uint8_t cdb[10];
    blocks(cdb, operation, at, count);
    return scsi(cdb, data, count * sector, operation == read10) == 0;
}

static void pattern(uint8_t* data, uint32_t size, uint64_t seed)
{
    for (uint32_t i = 0; i < size; i += 8) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        *(uint64_t*)(data + i) = seed;
    }
}

static bool same(uint8_t const* a, uint8_t const* b, uint32_t size)
{
    for (uint32_t i = 0; i < size; i += 8) {
        if (*(uint64_t const*)(a + i) != *(uint64_t const*)(b + i))
            return false;
    }
    return true;
}

static void stickKeepsBlocks(void)
{
    static uint8_t const identify[10] = { inquiry, 0, 0, 0, 36 }, size[10] = { readCapacity }, ready[10] = { 0 },
                         flush[10] = { synchronizeCache };
    EXPECT(stick && usbConfigure(stick));
    EXPECT(stick->bulkIn && stick->bulkOut);
    EXPECT_EQUAL(scsi(identify, buffer, 36, true), 0);
    EXPECT_EQUAL(buffer[0], 0);
    int const first = scsi(ready, NULL, 0, false);
    EXPECT(first == 1 || (first == 0 && !option("strict", 0))); // that it was reset is told first
    EXPECT_EQUAL(scsi(ready, NULL, 0, false), 0);
    EXPECT_EQUAL(scsi(size, buffer, 8, true), 0);
    EXPECT(__builtin_bswap32(*(uint32_t*)buffer) >= 1023);
    EXPECT_EQUAL(__builtin_bswap32(*(uint32_t*)(buffer + 4)), sector);
    pattern(buffer, sizeof buffer, 7);
    EXPECT(access(write10, firstSector, area, buffer));
    EXPECT_EQUAL(scsi(flush, NULL, 0, false), 0);
    memset(other, 0, sizeof other);
    EXPECT(access(read10, firstSector, area, other));
    EXPECT(same(buffer, other, sizeof buffer));
}

/// xHCI 1.2, 4.10.1.1 "Short Transfers".
static void shortTransfersSayWhatIsMissing(void)
{
    static uint8_t const identify[10] = { inquiry, 0, 0, 0, 255 };
    uint32_t residue = 0;
    EXPECT(stick != NULL);
    EXPECT_EQUAL(sendCommand(identify, 255, true), codeSuccess);
    unsigned const place = usbBegin(stick, stick->bulkIn, buffer, 255);
    EXPECT_EQUAL(usbEnd(stick, stick->bulkIn, place, 5), codeShort);
    EXPECT_EQUAL(stick->rings[stick->bulkIn].left[place], 255 - 36);
    EXPECT_EQUAL(takeStatus(&residue), 0);
    EXPECT_EQUAL(residue, 255 - 36);
}

/// One TD of several TRBs, which the ring's Link TRB may divide, with an Event Data TRB; at every place of the ring.
static void transfersGather(void)
{
    EXPECT(stick != NULL);
    pattern(buffer, sizeof buffer, 7);
    for (unsigned round = 0; round < usbRingTrbs; round++) {
        uint8_t cdb[10];
        uint32_t residue = 0;
        blocks(cdb, read10, firstSector, 8);
        memset(other, 0, 16 * sector);
        EXPECT_EQUAL(sendCommand(cdb, 8 * sector, true), codeSuccess);
        for (unsigned i = 0; i < 7; i++)
            usbPut(stick, stick->bulkIn, (uint64_t)(other + 2 * i * sector), sector, trbNormal << 10 | trbChain);
        unsigned const last = usbPut(
            stick, stick->bulkIn, (uint64_t)(other + 14 * sector), sector, trbNormal << 10 | trbInterrupt | trbChain);
        usbPut(stick, stick->bulkIn, 0x1234567890ul + round, 0, trbEventData << 10 | trbInterrupt);
        usbKick(stick, stick->bulkIn);
        EXPECT_EQUAL(usbEnd(stick, stick->bulkIn, last, 5), codeSuccess);
        EXPECT(WAIT((xhciPoll(), stick->rings[stick->bulkIn].eventData == 0x1234567890ul + round), 2));
        EXPECT_EQUAL(takeStatus(&residue), 0);
        for (unsigned i = 0; i < 8; i++)
            EXPECT(same(buffer + i * sector, other + 2 * i * sector, sector));
    }
}

/// Bulk-Only Transport, 5.3.4 "Reset Recovery"; xHCI 1.2, 4.6.8 "Reset Endpoint", 4.6.10 "Set TR Dequeue Pointer".
static void stallsAreRecoveredFrom(void)
{
    EXPECT(stick != NULL);
    memset(wrapper, 0x55, sizeof wrapper); // no command at all
    unsigned const place = usbBegin(stick, stick->bulkOut, wrapper, phaseBytes);
    EXPECT_EQUAL(usbEnd(stick, stick->bulkOut, place, 5), codeStall);
    EXPECT_EQUAL(usbState(stick, stick->bulkOut), endpointHalted);
    unsigned const second = usbBegin(stick, stick->bulkIn, status, statusBytes);
    EXPECT_EQUAL(usbEnd(stick, stick->bulkIn, second, 5), codeStall);
    EXPECT_EQUAL(usbControl(stick, 0x21, 0xff, 0, 0, NULL, 0), 0);
    EXPECT(usbRestart(stick, stick->bulkIn) && usbRestart(stick, stick->bulkOut));
    EXPECT_EQUAL(usbState(stick, stick->bulkOut), endpointStopped);
    for (unsigned i = 0; i < 2; i++) {
        unsigned const id = i ? stick->bulkIn : stick->bulkOut;
        EXPECT_EQUAL(usbControl(stick, 2, 1, 0, (uint16_t)(id / 2 | (id & 1) << 7), NULL, 0), 0);
    }
    memset(other, 0, 8 * sector);
    bool const first = access(read10, firstSector, 8, other);
    EXPECT(first || access(read10, firstSector, 8, other)); // the reset may be told of first
    EXPECT_EQUAL(usbState(stick, stick->bulkOut), endpointRunning);
    EXPECT(same(buffer, other, 8 * sector));
}

// ---- Input: Device Class Definition for Human Interface Devices (HID), Appendix B.1 ----

/// Takes the report that was begun at that place, and the one in which the key is up again. The key; 0 within the time.
static unsigned takeKey(struct UsbDevice* device, unsigned place)
{
    if (usbEnd(device, device->interruptIn, place, 20) != codeSuccess)
        return 0;
    unsigned const key = report[2];
    place = usbBegin(device, device->interruptIn, report, 8);
    bool const ended = usbEnd(device, device->interruptIn, place, 20) == codeSuccess && report[2] == 0;
    return ended ? key : 0;
}

static void keysArrive(void)
{
    EXPECT(keyboard && usbConfigure(keyboard));
    EXPECT_EQUAL(usbControl(keyboard, 0x21, 0x0b, 0, 0, NULL, 0), 0); // boot protocol
    EXPECT_EQUAL(usbControl(keyboard, 0x21, 0x0a, 0, 0, NULL, 0), 0); // reports only what changes
    if (!option("keys", 0)) {
        skip("nobody types");
        return;
    }
    unsigned place = usbBegin(keyboard, keyboard->interruptIn, report, 8);
    NOTE("press a key");
    EXPECT_EQUAL(takeKey(keyboard, place), 0x04);
    // The last keyboard that is listened to gets the keys.
    EXPECT(hubKeyboard && usbConfigure(hubKeyboard));
    place = usbBegin(hubKeyboard, hubKeyboard->interruptIn, report, 8);
    NOTE("press a key");
    EXPECT_EQUAL(takeKey(hubKeyboard, place), 0x04);
}

static void pointerMoves(void)
{
    EXPECT(tablet && usbConfigure(tablet));
    if (!option("moves", 0)) {
        skip("nobody moves it");
        return;
    }
    NOTE("move");
    unsigned const place = usbBegin(tablet, tablet->interruptIn, report, 8);
    EXPECT_EQUAL(usbEnd(tablet, tablet->interruptIn, place, 20), codeShort); // 7 bytes
    EXPECT_EQUAL(*(uint16_t*)(report + 1), 1000);
    EXPECT_EQUAL(*(uint16_t*)(report + 3), 2000);
}

static void padIsPlayed(void)
{
    if (!option("pad", 0)) {
        skip("nobody plays");
        return;
    }
    EXPECT(pad && usbConfigure(pad));
    unsigned place = usbBegin(pad, pad->interruptIn, report, 16);
    NOTE("play the pad");
    EXPECT_EQUAL(usbEnd(pad, pad->interruptIn, place, 20), codeShort);
    EXPECT_EQUAL(pad->rings[pad->interruptIn].left[place], 16 - 11);
    EXPECT_EQUAL(report[0], 3);
    EXPECT_EQUAL(report[1], 2);    // to the right
    EXPECT_EQUAL(report[3], 0x40); // south
    EXPECT_EQUAL(report[4], 255);  // and the left stick too
    place = usbBegin(pad, pad->interruptIn, report, 16);
    EXPECT_EQUAL(usbEnd(pad, pad->interruptIn, place, 20), codeShort);
    EXPECT_EQUAL(report[1], 8);
    EXPECT_EQUAL(report[4], 128);
    uint8_t const shake[5] = { 5, 0x00, 0x80, 0xff, 0x00 };
    EXPECT_EQUAL(usbControl(pad, 0x21, 9, 0x0205, 0, (void*)shake, sizeof shake), sizeof shake);
}

/// Packets whose frames are numbered, one each millisecond: as fast as the controller takes them, and no faster.
static void toneIsPlayed(void)
{
    static uint32_t packets[packetsOfTone][framesOfPacket] __attribute__((aligned(4096)));
    if (!option("tone", 0)) {
        skip("nobody listens");
        return;
    }
    EXPECT(sound && usbConfigure(sound));
    unsigned const id = usbStream(sound, 1, 1);
    EXPECT(id != 0);
    NOTE("listen");
    EXPECT(WAIT(serialGet(com1) >= 0, 20));
    unsigned places[packetsOfTone];
    uint64_t const begin = now();
    for (unsigned i = 0; i < packetsOfTone + 16; i++) {
        if (i < packetsOfTone) {
            for (unsigned frame = 0; frame < framesOfPacket; frame++)
                packets[i][frame] = i * framesOfPacket + frame + 1;
            places[i] = usbPut(sound, id, (uint64_t)packets[i], sizeof packets[i],
                trbIsochronous << 10 | trbInterrupt | (uint32_t)trbAsSoonAsPossible);
            usbKick(sound, id);
        }
        if (i >= 16) // so many are in the ring
            EXPECT_EQUAL(usbEnd(sound, id, places[i - 16], 5), codeSuccess);
    }
    uint64_t const took = (now() - begin) * 1000 / ticksPerSecond;
    NOTE("%u packets in %u ms", packetsOfTone, (unsigned)took); // a host that was late makes up for it
    EXPECT_EQUAL(usbControl(sound, 1, 11, 0, 1, NULL, 0), 0);
}

/// xHCI 1.2, 4.6.9 "Stop Endpoint": in the middle of a transfer that waits, and again after it went on.
static void endpointsStop(void)
{
    EXPECT(tablet != NULL);
    unsigned const id = tablet->interruptIn;
    unsigned const place = usbBegin(tablet, id, report, 8);
    for (unsigned i = 0; i < 2; i++) {
        wait(2);
        EXPECT_EQUAL(xhciCommand(trbStopEndpoint, 0, tablet->slot, id, NULL), codeSuccess);
        EXPECT_EQUAL(tablet->rings[id].codes[place], codeStopped);
        EXPECT_EQUAL(tablet->rings[id].left[place], 8);
        EXPECT_EQUAL(usbState(tablet, id), endpointStopped);
        tablet->rings[id].codes[place] = codePending;
        usbKick(tablet, id); // it is still there
    }
    EXPECT_EQUAL(usbState(tablet, id), endpointRunning);
    EXPECT_EQUAL(xhciCommand(trbStopEndpoint, 0, tablet->slot, id, NULL), codeSuccess);
    EXPECT(usbRestart(tablet, id)); // and now forgotten
    if (!option("moves", 0))
        return;
    unsigned const next = usbBegin(tablet, id, report, 8);
    NOTE("move");
    EXPECT_EQUAL(usbEnd(tablet, id, next, 20), codeShort);
}

/// Writes and reads until the harness types something, and a little longer. A key's report is waited for meanwhile.
static void copyingGoesOnOverASuspend(void)
{
    if (!option("copy", 0)) {
        skip("nobody suspends");
        return;
    }
    EXPECT(stick && hubKeyboard);
    unsigned const key = usbBegin(hubKeyboard, hubKeyboard->interruptIn, report, 8);
    unsigned rounds = 0, after = 0;
    NOTE("suspend while I copy");
    while (after < 3) {
        if (after || serialGet(com1) >= 0)
            after++;
        pattern(buffer, sizeof buffer, ++rounds);
        EXPECT(access(write10, firstSector, area, buffer));
        // The stick has the transfer before it has the command, and both may be on either side of the suspend.
        memset(other, 0, sizeof other);
        unsigned const place = usbBegin(stick, stick->bulkIn, other, sizeof other);
        wait(5);
        uint8_t cdb[10];
        uint32_t residue = 0;
        blocks(cdb, read10, firstSector, area);
        EXPECT_EQUAL(sendCommand(cdb, sizeof other, true), codeSuccess);
        EXPECT_EQUAL(usbEnd(stick, stick->bulkIn, place, 10), codeSuccess);
        EXPECT_EQUAL(takeStatus(&residue), 0);
        EXPECT(same(buffer, other, sizeof buffer));
    }
    NOTE("copied %u times", rounds);
    EXPECT_EQUAL(hubKeyboard->rings[hubKeyboard->interruptIn].codes[key], codePending);
    NOTE("press a key");
    EXPECT_EQUAL(takeKey(hubKeyboard, key), 0x04);
}

static void stickIsPulledOutAndPluggedIn(void)
{
    if (!option("pull", 0)) {
        skip("nobody pulls");
        return;
    }
    EXPECT(stick != NULL);
    unsigned const port = stick->port;
    NOTE("pull the stick out");
    bool good = true;
    for (uint64_t const end = now() + 20 * ticksPerSecond; good && now() < end;)
        good = access(read10, firstSector, area, other);
    EXPECT(!good);
    EXPECT(WAIT((xhciPoll(), xhciPort(port) & portConnectChange), 2));
    EXPECT_EQUAL(xhciPort(port) & (portConnected | portEnabled), 0);
    xhciClearChanges(port);
    usbClose(stick);
    NOTE("plug the stick in");
    EXPECT(WAIT((xhciPoll(), xhciPort(port) & portConnected), 20));
    xhciClearChanges(port);
    EXPECT(xhciPort(port) & portEnabled);
    EXPECT(take(port, xhciPort(port) >> 10 & 15, 0));
    stickKeepsBlocks();
}

void program(void)
{
    pciStart();
    run("usb.controllerStarts", controllerStarts);
    if (!xhciController)
        finish();
    run("usb.rootPortsHaveTheirDevices", rootPortsHaveTheirDevices);
    run("usb.hubHasAKeyboard", hubHasAKeyboard);
    run("usb.stickKeepsBlocks", stickKeepsBlocks);
    run("usb.shortTransfersSayWhatIsMissing", shortTransfersSayWhatIsMissing);
    run("usb.transfersGather", transfersGather);
    run("usb.stallsAreRecoveredFrom", stallsAreRecoveredFrom);
    run("usb.keysArrive", keysArrive);
    run("usb.pointerMoves", pointerMoves);
    run("usb.padIsPlayed", padIsPlayed);
    run("usb.toneIsPlayed", toneIsPlayed);
    run("usb.endpointsStop", endpointsStop);
    run("usb.copyingGoesOnOverASuspend", copyingGoesOnOverASuspend);
    run("usb.stickIsPulledOutAndPluggedIn", stickIsPulledOutAndPluggedIn);
    finish();
}
