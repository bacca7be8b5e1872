#include "lib/check.h"
#include "lib/xhci.h"

/// Two of each kind of USB device, in the middle of what each does while the machine goes away and comes back: a
/// keyboard has told half of what was typed, the sticks have a command and not its data, pads were played and nobody
/// has asked, ports of hubs are on, and serial ports and sound cards are set, each to something else. The harness types
/// A and B, plays both pads when it is asked to, and then types on the first serial port; it suspends and restores the
/// machine once, and types again.

enum { most = 16, sector = 512, area = 8, mostPorts = 8 };
enum { hubClass = 9, massStorage = 8, inputClass = 3, communicationClass = 2, audioClass = 1, padVendor = 0x18d1 };
enum { read10 = 0x28, write10 = 0x2a, phaseBytes = 31, statusBytes = 13 };
enum { getCurrent = 0x81, setCurrent = 1, loudspeakers = 2 << 8, volumeOfLeft = 0x0201 };

static struct UsbDevice devices[most];
static unsigned deviceCount;

/// What there is of a kind, in the order of ports.
struct Pair {
    struct UsbDevice* devices[2];
    unsigned count;
};
static struct Pair keyboards, hubs, sticks, lines, sounds, pads;

static void take(unsigned port, unsigned speed, uint32_t route)
{
    struct UsbDevice* const device = &devices[deviceCount++];
    EXPECT(deviceCount <= most && usbOpen(device, port, speed, route));
    uint8_t const class = device->descriptor[4] ? device->descriptor[4] : device->configuration[14];
    bool const isPad = (device->descriptor[8] | device->descriptor[9] << 8) == padVendor;
    struct Pair* const pair = class == hubClass ? &hubs
        : class == massStorage                  ? &sticks
        : class == audioClass                   ? &sounds
        : class == inputClass && isPad          ? &pads
        : class == inputClass                   ? &keyboards
                                                : &lines;
    EXPECT(pair->count < 2);
    if (pair->count < 2)
        pair->devices[pair->count++] = device;
}

static void openHub(struct UsbDevice* hub)
{
    uint8_t description[9], state[4];
    EXPECT(usbControl(hub, 0xa0, 6, 0x2900, 0, description, sizeof description) >= 7);
    hub->isHub = true;
    hub->hubPorts = description[2];
    EXPECT(hub->hubPorts <= mostPorts && usbConfigure(hub));
    for (unsigned port = 1; port <= hub->hubPorts; port++)
        EXPECT_EQUAL(usbControl(hub, 0x23, 3, 8, (uint16_t)port, NULL, 0), 0); // power
    for (unsigned port = 1; port <= hub->hubPorts; port++) {
        EXPECT_EQUAL(usbControl(hub, 0xa3, 0, 0, (uint16_t)port, state, 4), 4);
        if (!(state[0] & 1))
            continue;
        EXPECT_EQUAL(usbControl(hub, 0x23, 3, 4, (uint16_t)port, NULL, 0), 0); // reset
        EXPECT_EQUAL(usbControl(hub, 0xa3, 0, 0, (uint16_t)port, state, 4), 4);
        take(hub->port, state[1] & 2 ? speedLow : state[1] & 4 ? speedHigh : speedFull, port);
    }
}

static void allAreThere(void)
{
    EXPECT(xhciStart());
    for (unsigned port = 1; port <= xhciPorts(); port++) {
        if (!(xhciPort(port) & portConnected))
            continue;
        xhciClearChanges(port);
        if (!(xhciPort(port) & portEnabled))
            EXPECT(xhciResetPort(port));
        take(port, xhciPort(port) >> 10 & 15, 0);
    }
    for (unsigned i = 0; i < hubs.count; i++)
        openHub(hubs.devices[i]);
    struct Pair* const all[] = { &keyboards, &hubs, &sticks, &lines, &sounds, &pads };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        EXPECT_EQUAL(all[i]->count, 2);
        for (unsigned j = 0; all[i] != &hubs && j < all[i]->count; j++)
            EXPECT(usbConfigure(all[i]->devices[j]));
    }
}

// ---- Sticks: USB Mass Storage Class, Bulk-Only Transport ----

static uint8_t wrapper[phaseBytes], status[statusBytes];
static uint8_t blocks[2][area * sector] __attribute__((aligned(4096)));

static bool command(unsigned i, uint8_t operation)
{
    struct UsbDevice* const stick = sticks.devices[i];
    memset(wrapper, 0, sizeof wrapper);
    *(uint32_t*)wrapper = 0x43425355;
    *(uint32_t*)(wrapper + 4) = 77 + i;
    *(uint32_t*)(wrapper + 8) = operation ? area * sector : 0;
    wrapper[12] = operation == read10 ? 0x80 : 0;
    wrapper[14] = 10;
    wrapper[15] = operation;
    wrapper[20] = (uint8_t)(16 + i); // the block
    wrapper[23] = operation ? area : 0;
    return usbEnd(stick, stick->bulkOut, usbBegin(stick, stick->bulkOut, wrapper, phaseBytes), 5) == codeSuccess;
}

static int answer(unsigned i)
{
    struct UsbDevice* const stick = sticks.devices[i];
    bool const came
        = usbEnd(stick, stick->bulkIn, usbBegin(stick, stick->bulkIn, status, statusBytes), 10) == codeSuccess;
    return came && *(uint32_t*)(status + 4) == 77 + i ? status[12] : -1;
}

static void fillSticks(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct UsbDevice* const stick = sticks.devices[i];
        for (unsigned tries = 0; tries < 2; tries++) {
            EXPECT(command(i, 0)); // TEST UNIT READY: that it was reset is told first
            EXPECT(answer(i) >= 0);
        }
        for (unsigned at = 0; at < area * sector; at++)
            blocks[i][at] = (uint8_t)(at * 7 + i * 91);
        EXPECT(command(i, write10));
        EXPECT_EQUAL(
            usbEnd(stick, stick->bulkOut, usbBegin(stick, stick->bulkOut, blocks[i], area * sector), 10), codeSuccess);
        EXPECT_EQUAL(answer(i), 0);
        memset(blocks[i], 0, area * sector);
    }
}

static void takeBlocks(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct UsbDevice* const stick = sticks.devices[i];
        EXPECT_EQUAL(
            usbEnd(stick, stick->bulkIn, usbBegin(stick, stick->bulkIn, blocks[i], area * sector), 10), codeSuccess);
        EXPECT_EQUAL(answer(i), 0);
        unsigned wrong = 0;
        for (unsigned at = 0; at < area * sector; at++)
            wrong += blocks[i][at] != (uint8_t)(at * 7 + i * 91);
        EXPECT_EQUAL(wrong, 0);
    }
}

// ---- What is set ----

/// Communications Class Subclass Specification for PSTN Devices, 6.3 "PSTN Subclass Specific Requests".
static void setAll(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t coding[7] = { (uint8_t)(0x10 + i), 0x20, 0, 0, (uint8_t)i, 0, 7 };
        EXPECT_EQUAL(usbControl(lines.devices[i], 0x21, 0x20, 0, 0, coding, sizeof coding), sizeof coding);
        int16_t volume = (int16_t)(-256 * (int)(i + 3));
        EXPECT_EQUAL(usbControl(sounds.devices[i], 0x21, setCurrent, volumeOfLeft, loudspeakers, &volume, 2), 2);
        EXPECT_EQUAL(usbControl(keyboards.devices[i], 0x21, 0x0b, (uint16_t)i, 0, NULL, 0), 0); // protocol
        EXPECT_EQUAL(usbControl(keyboards.devices[i], 0x21, 0x0a, 0, 0, NULL, 0), 0);           // tells what changes
    }
}

static void allIsSet(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t coding[7] = { 0 }, protocol = 99;
        int16_t volume = 0;
        EXPECT_EQUAL(usbControl(lines.devices[i], 0xa1, 0x21, 0, 0, coding, sizeof coding), sizeof coding);
        EXPECT_EQUAL(coding[0], 0x10 + i);
        EXPECT_EQUAL(coding[4], i);
        EXPECT_EQUAL(coding[6], 7);
        EXPECT_EQUAL(usbControl(sounds.devices[i], 0xa1, getCurrent, volumeOfLeft, loudspeakers, &volume, 2), 2);
        EXPECT_EQUAL(volume, -256 * (int)(i + 3));
        EXPECT_EQUAL(usbControl(keyboards.devices[i], 0xa1, 3, 0, 0, &protocol, 1), 1);
        EXPECT_EQUAL(protocol, i);
    }
}

static uint8_t ports[2][mostPorts + 1][4];

/// The state of every port of each hub; where it is looked at again, that it is the same.
static void lookAtPorts(bool again)
{
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned port = 1; port <= hubs.devices[i]->hubPorts; port++) {
            uint8_t state[4];
            EXPECT_EQUAL(usbControl(hubs.devices[i], 0xa3, 0, 0, (uint16_t)port, state, 4), 4);
            if (again)
                EXPECT_EQUAL(*(uint32_t*)state, *(uint32_t*)ports[i][port]);
            memcpy(ports[i][port], state, 4);
        }
    }
}

// ---- Input ----

static uint8_t reports[2][16];

/// The key that the report of a keyboard tells first; -1 where none came.
static int keyIn(struct UsbDevice* keyboard, unsigned place)
{
    return usbEnd(keyboard, keyboard->interruptIn, place, 20) == codeSuccess ? reports[1][2] : -1;
}

static int nextKey(struct UsbDevice* keyboard)
{
    return keyIn(keyboard, usbBegin(keyboard, keyboard->interruptIn, reports[1], 8));
}

static void theMiddleOfEverythingComesBack(void)
{
    EXPECT(deviceCount == 12);
    if (deviceCount != 12)
        return;
    fillSticks();
    setAll();
    lookAtPorts(false);
    // The keyboard that was configured last is typed on.
    struct UsbDevice* const quiet = keyboards.devices[0];
    struct UsbDevice* const typed = keyboards.devices[1];
    unsigned const waiting = usbBegin(quiet, quiet->interruptIn, reports[0], 8);
    unsigned const first = usbBegin(typed, typed->interruptIn, reports[1], 8);
    NOTE("type and play");
    EXPECT_EQUAL(keyIn(typed, first), 0x04); // A is down; that it is up, and B, is still to be told
    EXPECT(WAIT(serialGet(com1) >= 0, 20));
    for (unsigned i = 0; i < 2; i++)
        EXPECT(command(i, read10));

    NOTE("suspend me");
    EXPECT(WAIT(serialGet(com1) >= 0, 60));

    EXPECT_EQUAL(nextKey(typed), 0);
    EXPECT_EQUAL(nextKey(typed), 0x05);
    EXPECT_EQUAL(nextKey(typed), 0);
    EXPECT_EQUAL(quiet->rings[quiet->interruptIn].codes[waiting], codePending);
    takeBlocks();
    allIsSet();
    lookAtPorts(true);
    for (unsigned i = 0; i < 2; i++) {
        struct UsbDevice* const pad = pads.devices[i];
        EXPECT_EQUAL(usbEnd(pad, pad->interruptIn, usbBegin(pad, pad->interruptIn, reports[0], 16), 20), codeShort);
        EXPECT_EQUAL(reports[0][3], i ? 0x20 : 0x40); // east, south
        EXPECT_EQUAL(reports[0][4], i ? 1 : 255);     // to the left, to the right
    }
}

void program(void)
{
    pciStart();
    run("usb_pairs.allAreThere", allAreThere);
    run("usb_pairs.theMiddleOfEverythingComesBack", theMiddleOfEverythingComesBack);
    finish();
}
