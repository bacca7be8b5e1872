/// Has Linux's own usbtest try a device (gadget zero) that its driver has, by usbfs.
///
///   usbtest NODE [TEST]
///
/// Tells which tests failed, of all or only that one; there is none for isochronous endpoints, which dummy_hcd has not.
/// What the tests are, and what their parameters mean, is in the kernel's drivers/usb/misc/usbtest.c.
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct Request {
    uint32_t test, iterations, length, vary, parts;
    int64_t seconds, microseconds; // that it took
};

/// The device sends whole packets: what asks for a part of one is sent more than it wants.
enum { packet = 1024 };

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

int main(int count, char** words)
{
    int const device = count > 1 ? open(words[1], O_RDWR) : -1;
    if (device < 0) {
        perror(count > 1 ? words[1] : "usbtest");
        return 2;
    }
    char const* const only = count > 2 ? words[2] : NULL;
    int failed = 0;
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++) {
        struct Test const* const test = &tests[i];
        if (only && strtoul(only, NULL, 10) != test->number)
            continue;
        struct Request request = { test->number, test->iterations, test->length, test->vary, test->parts, 0, 0 };
        struct usbdevfs_ioctl asked = { .ifno = 0, .ioctl_code = _IOWR('U', 100, struct Request), .data = &request };
        if (ioctl(device, USBDEVFS_IOCTL, &asked) < 0) {
            printf("%u (%s): %s\n", test->number, test->what, strerror(errno));
            failed = 1;
        }
    }
    return failed;
}
