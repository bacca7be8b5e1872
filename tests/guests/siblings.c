#include "bare/virtio.h"
#include "lib/check.h"

/// Devices of one kind are apart: each is brought into a state of its own, the machine goes away and comes back, and
/// each has still what it had, and works.

enum { most = 16, rounds = 1 };

static uint16_t const ports[] = { com1, com2, 0x3e8, 0x2e8 };

static void waitForReturn(void)
{
    static unsigned round;
    NOTE("suspend me %u", ++round);
    while (serialGet(com1) != 'x')
        halt();
}

static uint16_t readDivisor(uint16_t port)
{
    uint8_t const control = in8(port + 3);
    out8(port + 3, control | 0x80);
    uint16_t const divisor = (uint16_t)(in8(port) | in8(port + 1) << 8);
    out8(port + 3, control);
    return divisor;
}

static void prepareSerials(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        out8(ports[i] + 7, (uint8_t)(0x50 + i));
        if (i == 0)
            continue; // it talks
        out8(ports[i] + 3, 0x83);
        out8(ports[i], (uint8_t)(0x10 + i));
        out8(ports[i] + 1, (uint8_t)i);
        out8(ports[i] + 3, 0x03);
    }
}

static void serialsAreApart(void)
{
    unsigned const count = (unsigned)option("serials", 2);
    prepareSerials(count);
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            EXPECT_EQUAL(in8(ports[i] + 7), 0x50 + i);
            if (i > 0)
                EXPECT_EQUAL(readDivisor(ports[i]), i << 8 | (0x10 + i));
        }
        if (round < rounds)
            waitForReturn();
    }
}

static struct Virtio devices[most];
static struct Queue queues[most];

/// Opens all of a kind, each with its queue `index`; how many there are.
static unsigned openAll(unsigned kind, unsigned index)
{
    unsigned count = 0;
    while (count < most && virtioOpen(&devices[count], kind, count, 0)) {
        if (index > 0) {
            static struct Queue unused[most];
            virtioQueue(&devices[count], &unused[count], 0, 4, 0xffff);
        }
        if (!virtioQueue(&devices[count], &queues[count], index, 8, 0xffff))
            return 0;
        virtioGo(&devices[count]);
        count++;
    }
    return count;
}

/// The registers of the queue that is the device's own.
static bool hasItsQueue(unsigned i)
{
    return MMIO32(devices[i].common + 0x20) == (uint32_t)(uint64_t)queues[i].descriptors
        && MMIO16(devices[i].common + 0x18) == queues[i].size;
}

static bool transfer(unsigned disk, bool write, uint64_t sector, uint64_t* words)
{
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
    } request;
    static uint8_t status;
    request.type = write;
    request.sector = sector;
    status = 0xff;
    struct Buffer const buffers[] = { { &request, 16 }, { words, 512 }, { &status, 1 } };
    return queueDo(&queues[disk], buffers, write ? 2 : 1, write ? 1 : 2, 5) >= 0 && status == 0;
}

static void disksAreApart(void)
{
    static uint64_t words[64];
    unsigned const count = openAll(virtioBlock, 0);
    EXPECT_EQUAL(count, option("disks", 0));
    for (unsigned i = 0; i < count; i++) {
        for (unsigned w = 0; w < 64; w++)
            words[w] = (i + 1) * 0x0101010101010101 + w;
        EXPECT(transfer(i, true, 8 * i, words));
    }
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            EXPECT(hasItsQueue(i));
            EXPECT_EQUAL(MMIO64(devices[i].config), 2048 * (i + 1)); // each a MiB larger than the one before
            EXPECT(transfer(i, false, 8 * i, words));
            EXPECT_EQUAL(words[1], (i + 1) * 0x0101010101010101 + 1);
            EXPECT_EQUAL(words[63], (i + 1) * 0x0101010101010101 + 63);
        }
        if (round < rounds)
            waitForReturn();
    }
}

static uint64_t macOf(unsigned card)
{
    uint64_t mac = 0;
    for (unsigned byte = 0; byte < 6; byte++)
        mac = mac << 8 | MMIO8(devices[card].config + byte);
    return mac;
}

static void cardsAreApart(void)
{
    unsigned const count = openAll(virtioNet, 0);
    EXPECT_EQUAL(count, option("nets", 0));
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            EXPECT(hasItsQueue(i));
            EXPECT_EQUAL(macOf(i), 0x525400000001 + i);
        }
        if (round < rounds)
            waitForReturn();
    }
}

static void consolesAreApart(void)
{
    static char text[] = "console 0 round 0\n";
    unsigned const count = openAll(virtioConsole, 1);
    EXPECT_EQUAL(count, option("consoles", 0));
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            text[8] = (char)('0' + i);
            text[16] = (char)('0' + round);
            struct Buffer const buffer = { text, sizeof text - 1 };
            EXPECT(queueDo(&queues[i], &buffer, 1, 0, 5) >= 0);
        }
        if (round < rounds)
            waitForReturn();
    }
}

static void randomGeneratorsAreApart(void)
{
    static uint64_t numbers[most][2];
    unsigned const count = openAll(virtioRng, 0);
    EXPECT_EQUAL(count, option("rngs", 0));
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            EXPECT(hasItsQueue(i));
            uint64_t const before = numbers[i][0];
            struct Buffer const buffer = { numbers[i], sizeof numbers[i] };
            EXPECT(queueDo(&queues[i], &buffer, 0, 1, 5) > 0);
            EXPECT(numbers[i][0] != before);
        }
        if (round < rounds)
            waitForReturn();
    }
}

/// A register of each controller of a class that holds an address, at `offset` of its BAR.
static void controllersAreApart(unsigned classCode, unsigned bar, unsigned expected)
{
    unsigned count = 0;
    struct PciDevice* found;
    uint64_t place[most];
    while (count < most && (found = pciFindClass(classCode, count)) != NULL) {
        uint64_t const base = found->bar[bar];
        if (classCode == 0x0106) {
            MMIO32(base + 4) = 1u << 31; // GHC.AE
            place[count] = base + 0x100; // PxCLB of the first port
        } else {
            place[count] = base + MMIO8(base) + 0x30; // DCBAAP
        }
        MMIO32(place[count]) = (count + 1) << 16;
        count++;
    }
    EXPECT_EQUAL(count, expected);
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++)
            EXPECT_EQUAL(MMIO32(place[i]), (i + 1) << 16);
        if (round < rounds)
            waitForReturn();
    }
}

static void sataControllersAreApart(void)
{
    controllersAreApart(0x0106, 5, (unsigned)option("satas", 0));
}

static void usbControllersAreApart(void)
{
    controllersAreApart(0x0c03, 0, (unsigned)option("usbs", 0));
}

static void displaysAreApart(void)
{
    enum { registers = 0x500, xres = 2, yres = 4, bpp = 6, enable = 8 };
    unsigned count = 0;
    struct PciDevice* display;
    while ((display = pciFind(0x1234, 0x1111, count)) != NULL) {
        uint64_t const vbe = display->bar[2] + registers;
        MMIO16(vbe + xres) = (uint16_t)(640 + 160 * count);
        MMIO16(vbe + yres) = (uint16_t)(480 + 120 * count);
        MMIO16(vbe + bpp) = 32;
        MMIO16(vbe + enable) = 0x41;
        MMIO32(display->bar[0] + 4096) = 0x00c0ffee + count;
        count++;
    }
    EXPECT_EQUAL(count, option("displays", 0));
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            display = pciFind(0x1234, 0x1111, i);
            EXPECT_EQUAL(MMIO16(display->bar[2] + registers + xres), 640 + 160 * i);
            EXPECT_EQUAL(MMIO16(display->bar[2] + registers + yres), 480 + 120 * i);
            EXPECT_EQUAL(MMIO32(display->bar[0] + 4096), 0x00c0ffee + i);
        }
        if (round < rounds)
            waitForReturn();
    }
}

void program(void)
{
    pciStart();
    run("siblings.serialsAreApart", serialsAreApart);
    run("siblings.disksAreApart", disksAreApart);
    run("siblings.cardsAreApart", cardsAreApart);
    run("siblings.randomGeneratorsAreApart", randomGeneratorsAreApart);
    run("siblings.sataControllersAreApart", sataControllersAreApart);
    run("siblings.usbControllersAreApart", usbControllersAreApart);
    run("siblings.displaysAreApart", displaysAreApart);
    run("siblings.consolesAreApart", consolesAreApart);
    finish();
}
