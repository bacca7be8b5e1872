/// Has Linux's own usbtest try a device that its driver has, by usbfs.
///
///   usbtest NODE [TEST]           all of a device with bulk endpoints (gadget zero), or only that one
///   usbtest NODE isochronous      of one that has these (source_sink.c), which gadget zero's controller has not
///   usbtest NODE slow             of a slow one (source_sink.c), and its interrupt endpoints
///
/// Those by usbfs itself: usbtest's driver asks for them without an interval, and Linux refuses that.
/// Tells which tests failed. What the tests are, and what their parameters mean, is in the kernel's
/// drivers/usb/misc/usbtest.c.
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct Request {
    uint32_t test, iterations, length, vary, parts;
    int64_t seconds, microseconds; // that it took
};

/// Gadget zero sends whole packets: what asks for a part of one is sent more than it wants.
enum { packet = 1024 };
enum { isochronousPacket = 512, interruptPacket = 8 };

struct Test {
    uint32_t number, iterations, length, vary, parts;
    char const* what;
};

static struct Test const tests[] = {
    { 0, 1, 0, 0, 0, "nothing" },
    { 1, 32, 4096, 0, 0, "bulk writes" },
    { 2, 32, 4096, 0, 0, "bulk reads" },
    { 3, 32, 4096, 509, 0, "bulk writes of any size" },
    { 4, 32, 4096, packet, 0, "bulk reads of many sizes" },
    { 5, 8, 2048, 0, 16, "queued bulk writes" },
    { 6, 8, 2048, 0, 16, "queued bulk reads" },
    { 7, 8, 2048, 509, 16, "queued bulk writes of any size" },
    { 8, 8, 2048, packet, 16, "queued bulk reads of many sizes" },
    { 9, 4, 0, 0, 0, "requests of chapter 9" },
    { 10, 8, 0, 0, 8, "queued control requests" },
    { 11, 16, 4096, 0, 0, "taking reads back" },
    { 12, 16, 4096, 0, 0, "taking writes back" },
    { 13, 8, 512, 0, 0, "halts" },
    { 14, 16, 512, 61, 0, "control writes" },
    { 17, 8, 509, 0, 0, "bulk writes from odd addresses" },
    { 18, 8, packet, 0, 0, "bulk reads to odd addresses" },
    { 21, 8, 509, 61, 0, "control writes from odd addresses" },
    { 24, 8, 1024, 0, 8, "taking some of a queue back" },
    { 29, 4, 512, 0, 0, "clearing a halt that is none" },
};

/// Some requests end with a part of a packet. Of the packets one in ten may be late.
static struct Test const isochronousTests[] = {
    { 15, 4, 8 * isochronousPacket, 0, 8, "isochronous writes" },
    { 15, 4, 7 * isochronousPacket + 1, 0, 8, "isochronous writes of parts" },
    { 16, 4, 8 * isochronousPacket, 0, 8, "isochronous reads" },
    { 16, 4, 7 * isochronousPacket + 1, 0, 8, "isochronous reads of parts" },
    { 22, 4, 8 * isochronousPacket - 1, 0, 8, "isochronous writes from odd addresses" },
    { 23, 4, 8 * isochronousPacket - 1, 0, 8, "isochronous reads to odd addresses" },
};

static struct Test const slowTests[] = {
    { 14, 8, 512, 61, 0, "control writes" },
    { 21, 8, 509, 61, 0, "control writes from odd addresses" },
};

static int move_by_interrupts(int device)
{
    struct usbdevfs_ioctl without_driver = { .ifno = 0, .ioctl_code = USBDEVFS_DISCONNECT };
    unsigned interface = 0;
    if (ioctl(device, USBDEVFS_IOCTL, &without_driver) < 0 || ioctl(device, USBDEVFS_CLAIMINTERFACE, &interface) < 0) {
        printf("its interface: %s\n", strerror(errno));
        return 1;
    }
    static unsigned const endpoints[] = { 0x81, 0x02 };
    for (unsigned turn = 0; turn < 16; turn++) {
        char data[interruptPacket] = { 0 };
        struct usbdevfs_bulktransfer transfer = { endpoints[turn % 2], sizeof data, 5000, data }; // of any kind
        int const moved = ioctl(device, USBDEVFS_BULK, &transfer);
        if (moved != interruptPacket) {
            printf("an interrupt transfer of endpoint %#x: %d of %d bytes, %s\n", transfer.ep, moved, interruptPacket,
                moved < 0 ? strerror(errno) : "short");
            return 1;
        }
    }
    return 0;
}

int main(int count, char** words)
{
    int const device = count > 1 ? open(words[1], O_RDWR) : -1;
    if (device < 0) {
        perror(count > 1 ? words[1] : "usbtest");
        return 2;
    }
    char const* only = count > 2 ? words[2] : NULL;
    bool const isSlow = only && strcmp(only, "slow") == 0, isIsochronous = only && strcmp(only, "isochronous") == 0;
    struct Test const* test = isSlow ? slowTests : isIsochronous ? isochronousTests : tests;
    struct Test const* const end = isSlow ? slowTests + sizeof slowTests / sizeof *slowTests
        : isIsochronous                   ? isochronousTests + sizeof isochronousTests / sizeof *isochronousTests
                                          : tests + sizeof tests / sizeof *tests;
    if (isSlow || isIsochronous)
        only = NULL;
    int failed = 0;
    for (; test < end; test++) {
        if (only && strtoul(only, NULL, 10) != test->number)
            continue;
        struct Request request = { test->number, test->iterations, test->length, test->vary, test->parts, 0, 0 };
        struct usbdevfs_ioctl asked = { .ifno = 0, .ioctl_code = _IOWR('U', 100, struct Request), .data = &request };
        if (ioctl(device, USBDEVFS_IOCTL, &asked) < 0) {
            printf("%u (%s): %s\n", test->number, test->what, strerror(errno));
            failed = 1;
        }
    }
    return isSlow && !failed ? move_by_interrupts(device) : failed;
}
