#include "bare/virtio.h"

#include "lib/check.h"

/// The small ones of virtio: rng, console and input; and what every transport must do.

static void transportKeepsItsRules(void)
{
    static uint8_t const kinds[] = { virtioNet, virtioBlock, virtioConsole, virtioRng, virtioInput };
    unsigned found = 0;
    for (unsigned i = 0; i < sizeof kinds; i++) {
        struct Virtio device;
        for (unsigned n = 0; virtioOpen(&device, kinds[i], n, 0); n++) {
            NOTE("virtio %u: slot %u, features %lx, queues %u", kinds[i], device.pci->slot, device.offered,
                MMIO16(device.common + 0x12));
            found++;
            EXPECT(device.offered & virtioVersion1);
            EXPECT(pciRead8(device.pci, 8) >= 1); // revision: not transitional
            EXPECT_EQUAL(MMIO8(device.common + 0x14), 11);
            MMIO16(device.common + 0x16) = 0xfff0; // no such queue
            if (option("strict", 0))               // QEMU goes on showing the queue before
                EXPECT_EQUAL(MMIO16(device.common + 0x18), 0);
            MMIO32(device.common + 0x00) = 7; // no such features
            EXPECT_EQUAL(MMIO32(device.common + 0x04), 0);
            MMIO16(device.common + 0x10) = 0x7ff; // no such vector
            EXPECT_EQUAL(MMIO16(device.common + 0x10), 0xffff);
            MMIO8(device.common + 0x14) = 0;
            EXPECT_EQUAL(MMIO8(device.common + 0x14), 0);
        }
    }
    EXPECT(found > 0);
}

static void featuresWithoutVersion1AreRefused(void)
{
    struct Virtio device;
    if (!option("strict", 0) || !virtioOpen(&device, virtioRng, 0, 0)) {
        skip("no rng, or a host that takes them");
        return;
    }
    MMIO8(device.common + 0x14) = 0;
    EXPECT(WAIT(MMIO8(device.common + 0x14) == 0, 1));
    MMIO8(device.common + 0x14) = 3;
    MMIO32(device.common + 0x08) = 1;
    MMIO32(device.common + 0x0c) = 0;
    MMIO32(device.common + 0x08) = 0;
    MMIO32(device.common + 0x0c) = 0xffffffff; // and some that nobody offered
    MMIO8(device.common + 0x14) = 11;
    EXPECT_EQUAL(MMIO8(device.common + 0x14) & 8, 0);
    MMIO8(device.common + 0x14) = 0;
}

static void windowReachesTheSame(void)
{
    struct Virtio device;
    if (!virtioOpen(&device, virtioRng, 0, 0)) {
        skip("no rng");
        return;
    }
    unsigned at = 0;
    do
        at = pciCapability(device.pci, 9, at);
    while (at && pciRead8(device.pci, at + 3) != 5); // the capability for access by configuration space
    EXPECT(at);
    unsigned common = 0;
    do
        common = pciCapability(device.pci, 9, common);
    while (common && pciRead8(device.pci, common + 3) != 1);
    pciWrite8(device.pci, at + 4, pciRead8(device.pci, common + 4));
    pciWrite32(device.pci, at + 8, pciRead32(device.pci, common + 8) + 0x14);
    pciWrite32(device.pci, at + 12, 1);
    EXPECT_EQUAL(pciRead8(device.pci, at + 16), MMIO8(device.common + 0x14));
}

static void rngFillsItsBuffer(void)
{
    struct Virtio device;
    struct Queue queue;
    if (!virtioOpen(&device, virtioRng, 0, 0)) {
        skip("no rng");
        return;
    }
    EXPECT(virtioQueue(&device, &queue, 0, 8, 0xffff));
    virtioGo(&device);
    static uint64_t bytes[2][8];
    for (unsigned i = 0; i < 2; i++) {
        struct Buffer const buffer = { bytes[i], sizeof bytes[i] };
        int64_t const written = queueDo(&queue, &buffer, 0, 1, 5);
        EXPECT(written > 0 && written <= (int64_t)sizeof bytes[i]);
    }
    EXPECT(bytes[0][0] != 0);
    EXPECT(bytes[0][0] != bytes[1][0]);
}

static struct Virtio console;
static struct Queue consoleIn, consoleOut;

/// The harness sees this line on the console.
static void consoleSpeaks(void)
{
    if (!virtioOpen(&console, virtioConsole, 0, 0)) {
        skip("no console");
        return;
    }
    EXPECT(virtioQueue(&console, &consoleIn, 0, 8, 0xffff));
    EXPECT(virtioQueue(&console, &consoleOut, 1, 8, 0xffff));
    virtioGo(&console);
    static char text[] = "hello from the console\r\n";
    struct Buffer const buffer = { text, sizeof text - 1 };
    EXPECT(queueDo(&consoleOut, &buffer, 1, 0, 5) >= 0);
}

/// With option echo=1 the harness types a line on the console and gets it back.
static void consoleEchoes(void)
{
    if (!option("echo", 0) || !console.pci) {
        skip("nobody types");
        return;
    }
    NOTE("type on the console");
    static char text[64];
    while (text[0] != '\n') {
        struct Buffer buffer = { text, sizeof text };
        int64_t const size = queueDo(&consoleIn, &buffer, 0, 1, 20);
        EXPECT(size > 0 && size <= (int64_t)sizeof text);
        buffer.size = (uint32_t)size;
        EXPECT(queueDo(&consoleOut, &buffer, 1, 0, 5) >= 0);
        text[0] = text[size - 1] == '\n' ? '\n' : 0;
    }
}

/// With option size=1 the harness makes the terminal 132 by 43 in size.
static void consoleIsResized(void)
{
    if (!option("size", 0) || !console.pci) {
        skip("nobody resizes");
        return;
    }
    EXPECT_EQUAL(MMIO32(console.config), 80 | 25 << 16);
    uint8_t const generation = MMIO8(console.common + 0x15);
    (void)MMIO8(console.isr);
    NOTE("resize the console");
    EXPECT(WAIT(MMIO32(console.config) == (132 | 43 << 16), 20));
    EXPECT(MMIO8(console.common + 0x15) != generation);
    EXPECT(WAIT(MMIO8(console.isr) & 2, 5)); // the configuration has changed
}

static struct Virtio input;

static uint8_t inputSelect(uint8_t what, uint8_t of)
{
    MMIO8(input.config + 0) = what;
    MMIO8(input.config + 1) = of;
    return MMIO8(input.config + 2);
}

static void inputDescribesItself(void)
{
    unsigned n = 0;
    for (; virtioOpen(&input, virtioInput, n, 0); n++) {
        char name[129] = "";
        unsigned const length = inputSelect(1, 0);
        EXPECT(length > 0 && length <= 128);
        for (unsigned i = 0; i < length; i++)
            name[i] = (char)MMIO8(input.config + 8 + i);
        NOTE("input %u: %s", n, name);
        EXPECT_EQUAL(inputSelect(0x77, 0), 0); // nothing by that number
        EXPECT_EQUAL(inputSelect(0, 0), 0);
        if (inputSelect(0x11, 3)) { // has absolute axes
            for (uint8_t axis = 0; axis < 2; axis++) {
                EXPECT_EQUAL(inputSelect(0x12, axis), 20);
                EXPECT(MMIO32(input.config + 8) < MMIO32(input.config + 12));
            }
        }
    }
    if (!n)
        skip("no input");
}

/// With option moves=1 the harness moves the pointer and clicks.
static void inputEventsArrive(void)
{
    struct Queue queue;
    if (!option("moves", 0) || !virtioOpen(&input, virtioInput, 0, 0)) {
        skip("nobody moves");
        return;
    }
    static struct {
        uint16_t type, code;
        uint32_t value;
    } events[16];
    EXPECT(virtioQueue(&input, &queue, 0, 16, 0xffff));
    virtioGo(&input);
    for (unsigned i = 0; i < 16; i++) {
        struct Buffer const buffer = { &events[i], 8 };
        EXPECT(queueAdd(&queue, &buffer, 0, 1) >= 0);
    }
    queueNotify(&queue);
    NOTE("move and click");
    bool axis[2] = { false }, button = false, sync = false;
    for (uint64_t const end = now() + 20 * ticksPerSecond; now() < end && !(axis[0] && axis[1] && button && sync);
         halt()) {
        for (int id; (id = queueTake(&queue, NULL)) >= 0;) {
            unsigned const i = (unsigned)id % 16;
            NOTE("event %u %u %u", events[i].type, events[i].code, events[i].value);
            if (events[i].type == 3 && events[i].code < 2)
                axis[events[i].code] = true;
            button |= events[i].type == 1 && events[i].code == 0x110;
            sync |= events[i].type == 0;
            struct Buffer const buffer = { &events[i], 8 };
            queueAdd(&queue, &buffer, 0, 1);
            queueNotify(&queue);
        }
    }
    EXPECT(axis[0] && axis[1]);
    EXPECT(button);
    EXPECT(sync);
}

void program(void)
{
    pciStart();
    run("virtio.transportKeepsItsRules", transportKeepsItsRules);
    run("virtio.featuresWithoutVersion1AreRefused", featuresWithoutVersion1AreRefused);
    run("virtio.windowReachesTheSame", windowReachesTheSame);
    run("virtio.rngFillsItsBuffer", rngFillsItsBuffer);
    run("virtio.consoleSpeaks", consoleSpeaks);
    run("virtio.consoleEchoes", consoleEchoes);
    run("virtio.consoleIsResized", consoleIsResized);
    run("virtio.inputDescribesItself", inputDescribesItself);
    run("virtio.inputEventsArrive", inputEventsArrive);
    finish();
}
