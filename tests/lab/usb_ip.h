#pragma once

/// For programs that are a USB device of L1's: Linux plays its controller (vhci_hcd), and speaks USB/IP to it by way of
/// a socket. A device is plugged in for as long as its program has that.
///
/// Linux, Documentation/usb/usbip_protocol.rst, from "usbip_header_basic" on. How a socket becomes a device, and what
/// is expected of packets, is in drivers/usb/usbip/: vhci_sysfs.c, attach_store(), and usbip_common.c,
/// usbip_recv_iso().
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usb/ch9.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { isOut = 0, takeBack = 2, wasSubmitted = 3, wasTakenBack = 4 };

// All numbers are big-endian.

struct Command {
    uint32_t command, sequence, device, direction, endpoint;
    union {
        uint32_t flags;
        uint32_t takenBack; // that command's sequence
    };
    uint32_t length, startFrame, packets, interval;
    uint8_t setup[8];
};

struct Reply {
    uint32_t command, sequence, device, direction, endpoint, status, length, startFrame, packets, errors, padding[2];
};

struct Packet {
    uint32_t offset, length, actualLength, status;
};

static int connection;

static inline void fail(char const* what)
{
    perror(what);
    exit(1);
}

static inline void receive(void* data, size_t size)
{
    if (recv(connection, data, size, MSG_WAITALL) != (ssize_t)size)
        fail("receiving");
}

static inline void send_reply(
    struct Reply const* reply, void const* data, size_t dataSize, struct Packet const* packets, size_t packetsSize)
{
    struct iovec const parts[]
        = { { (void*)reply, sizeof *reply }, { (void*)data, dataSize }, { (void*)packets, packetsSize } };
    if (writev(connection, parts, 3) != (ssize_t)(sizeof *reply + dataSize + packetsSize))
        fail("sending");
}

/// Of a command that has no packets: its outcome, 0 or a negative error of Linux', and how many bytes were moved.
static inline void send_outcome(struct Command const* command, int outcome, void const* data, uint32_t size)
{
    struct Reply const reply = { .command = htonl(wasSubmitted),
        .sequence = command->sequence,
        .length = htonl(size),
        .status = htonl((uint32_t)outcome),
        .packets = command->packets };
    send_reply(&reply, data, command->direction == isOut ? 0 : size, NULL, 0);
}

/// What is sent to the device with a command, and of no interest.
static inline void pass_over_data(struct Command const* command)
{
    char unwanted[4096];
    for (uint32_t left = command->direction == isOut ? ntohl(command->length) : 0; left > 0;) {
        uint32_t const size = left < sizeof unwanted ? left : sizeof unwanted;
        receive(unwanted, size);
        left -= size;
    }
}

/// The size of a descriptor; negative: there is none.
typedef int FindDescriptor(uint8_t const* setup, void const** found);

/// The size of the answer to what any device is asked; negative: it does not know.
static inline int find_answer(uint8_t const* setup, FindDescriptor find, void const** found)
{
    static uint8_t const noStatus[2];
    switch (setup[0] << 8 | setup[1]) {
    case USB_DIR_IN << 8 | USB_REQ_GET_DESCRIPTOR: return find(setup, found);
    case (USB_DIR_IN | USB_RECIP_DEVICE) << 8 | USB_REQ_GET_STATUS:
    case (USB_DIR_IN | USB_RECIP_INTERFACE) << 8 | USB_REQ_GET_STATUS:
    case (USB_DIR_IN | USB_RECIP_ENDPOINT) << 8 | USB_REQ_GET_STATUS: *found = noStatus; return sizeof noStatus;
    case USB_RECIP_DEVICE << 8 | USB_REQ_SET_CONFIGURATION:
    case USB_RECIP_INTERFACE << 8 | USB_REQ_SET_INTERFACE: return 0;
    default: return -EPIPE;
    }
}

/// With that much of it, as find_answer() finds it, as was asked for.
static inline void send_answer(struct Command const* command, int size, void const* data)
{
    uint32_t const asked = ntohl(command->length), most = size < 0 ? 0 : (uint32_t)size;
    send_outcome(command, size < 0 ? size : 0, data, asked < most ? asked : most);
}

/// The outcome of taking a command back: -ECONNRESET where there will be no other.
static inline void send_taken_back(struct Command const* command, int outcome)
{
    struct Reply const reply
        = { .command = htonl(wasTakenBack), .sequence = command->sequence, .status = htonl((uint32_t)outcome) };
    send_reply(&reply, NULL, 0, NULL, 0);
}

/// A device of that speed of Linux', at that port of the controller's, where another may be about to go.
static inline void plug_in(unsigned port, enum usb_device_speed speed)
{
    int ends[2];
    int const attach = open("/sys/devices/platform/vhci_hcd.0/attach", O_WRONLY);
    if (attach < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        fail("a controller");
    connection = ends[0];
    // Port, socket, number of the device, speed.
    while (dprintf(attach, "%u %d %u %d", port, ends[1], port + 1, speed) < 0) {
        if (errno != EBUSY)
            fail("plugging in");
        usleep(10000);
    }
    close(ends[1]);
    close(attach);
}
