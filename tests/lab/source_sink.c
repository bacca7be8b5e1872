/// A USB device of L1's on which Linux' usbtest tries what gadget zero has not there:
///   source_sink fast|slow PORT      at that port of the controller's, until it is killed
/// fast: high-speed, with isochronous endpoints, of which each has a packet a millisecond. slow: low-speed, with
/// interrupt endpoints. What it sends is zeros, as much as was asked for, and what comes is dropped; but what is
/// written by the control requests of usbtest's is read by them again.
#define _GNU_SOURCE
#include "usb_ip.h"

#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

enum { second = 1000000000, millisecond = 1000000 };                  // nanoseconds
enum { isochronousSize = 512, interruptSize = 8, mostPackets = 128 }; // of a request: usbfs takes no more packets
enum { writeControl = 0x5b, readControl = 0x5c };                     // Linux, drivers/usb/misc/usbtest.c, ctrl_out()

struct Request {
    struct Request* next;
    uint64_t end; // millisecond, of the clock's
    uint32_t sequence, count;
    struct Packet packets[mostPackets];
};

// Gadget zero's numbers, by which usbtest's driver knows it.
static uint8_t device[18] = { sizeof device, USB_DT_DEVICE, 0x00, 0x02, USB_CLASS_VENDOR_SPEC, 0, 0, 64, //
    0x25, 0x05, 0xa0, 0xa4, 0x00, 0x01, 0, 0, 0, 1 };
static struct {
    uint8_t itself[9], quiet[9], talking[9], in[7], out[7];
} const fast = {
    { 9, USB_DT_CONFIG, sizeof fast, 0, 1, 1, 0, USB_CONFIG_ATT_ONE, 50 },
    { 9, USB_DT_INTERFACE, 0, 0, 0, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 9, USB_DT_INTERFACE, 0, 1, 2, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_IN | 1, USB_ENDPOINT_XFER_ISOC | USB_ENDPOINT_SYNC_ASYNC, isochronousSize & 255,
        isochronousSize >> 8, 4 },
    { 7, USB_DT_ENDPOINT, USB_DIR_OUT | 2, USB_ENDPOINT_XFER_ISOC | USB_ENDPOINT_SYNC_ASYNC, isochronousSize & 255,
        isochronousSize >> 8, 4 },
};
static struct {
    uint8_t itself[9], talking[9], in[7], out[7];
} const slow = {
    { 9, USB_DT_CONFIG, sizeof slow, 0, 1, 1, 0, USB_CONFIG_ATT_ONE, 50 },
    { 9, USB_DT_INTERFACE, 0, 0, 2, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_IN | 1, USB_ENDPOINT_XFER_INT, interruptSize, 0, 10 },
    { 7, USB_DT_ENDPOINT, USB_DIR_OUT | 2, USB_ENDPOINT_XFER_INT, interruptSize, 0, 10 },
};
static bool isSlow;
static uint8_t written[1024], zeros[mostPackets * isochronousSize];
static struct Request* requests[2]; // out, in
static uint64_t nextFrame[2];

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * second + (uint64_t)time.tv_nsec;
}

static int find_descriptor(uint8_t const* setup, void const** found)
{
    switch (setup[3] << 8 | setup[2]) {
    case USB_DT_DEVICE << 8: *found = device; return sizeof device;
    case USB_DT_CONFIG << 8: *found = isSlow ? (void const*)&slow : &fast; return isSlow ? sizeof slow : sizeof fast;
    default: return -EPIPE;
    }
}

static void answer(struct Command const* command)
{
    uint8_t const* const setup = command->setup;
    bool const isVendors = (setup[0] & USB_TYPE_MASK) == USB_TYPE_VENDOR;
    void const* data = written;
    if (isVendors && setup[1] == writeControl && ntohl(command->length) <= sizeof written) {
        receive(written, ntohl(command->length));
        return send_outcome(command, 0, NULL, ntohl(command->length));
    }
    pass_over_data(command);
    bool const readsAgain = isVendors && setup[1] == readControl;
    int const size = readsAgain ? (int)sizeof written : find_answer(setup, find_descriptor, &data);
    send_answer(command, size, data);
}

/// A packet for each millisecond from the next one on, or where the last request of that direction ends, if that is
/// later.
static void begin(struct Command const* command)
{
    unsigned const direction = ntohl(command->direction);
    struct Request* const request = calloc(1, sizeof *request);
    request->sequence = command->sequence;
    request->count = ntohl(command->packets);
    if (request->count > mostPackets || ntohl(command->length) > sizeof zeros) {
        fprintf(stderr, "a request for more than there is\n");
        exit(1);
    }
    pass_over_data(command);
    receive(request->packets, request->count * sizeof *request->packets);
    uint64_t const coming = now() / millisecond + 1;
    request->end = (nextFrame[direction] > coming ? nextFrame[direction] : coming) + request->count;
    nextFrame[direction] = request->end;
    struct Request** end = &requests[direction];
    while (*end)
        end = &(*end)->next;
    *end = request;
}

/// A request's, before its time has come.
static void forget(struct Command const* command)
{
    for (unsigned direction = 0; direction < 2; direction++) {
        struct Request** at = &requests[direction];
        while (*at && (*at)->sequence != command->takenBack)
            at = &(*at)->next;
        if (*at) {
            struct Request* const forgotten = *at;
            *at = forgotten->next;
            free(forgotten);
            return send_taken_back(command, -ECONNRESET);
        }
    }
    send_taken_back(command, 0);
}

static void end_first(unsigned direction)
{
    struct Request* const request = requests[direction];
    requests[direction] = request->next;
    uint32_t size = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        size += ntohl(request->packets[i].length);
        request->packets[i].actualLength = request->packets[i].length;
        request->packets[i].status = 0;
    }
    struct Reply const reply = { .command = htonl(wasSubmitted),
        .sequence = request->sequence,
        .length = htonl(size),
        .packets = htonl(request->count) };
    send_reply(
        &reply, zeros, direction == isOut ? 0 : size, request->packets, request->count * sizeof *request->packets);
    free(request);
}

static void obey(void)
{
    struct Command command;
    receive(&command, sizeof command);
    if (ntohl(command.command) == takeBack)
        return forget(&command);
    if (command.endpoint == 0)
        return answer(&command);
    if (!isSlow)
        return begin(&command);
    pass_over_data(&command);
    uint32_t const asked = ntohl(command.length);
    send_outcome(&command, 0, zeros, asked < sizeof zeros ? asked : sizeof zeros);
}

int main(int count, char** words)
{
    // What is made of hardware waits for no processor.
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param) { .sched_priority = 1 }) != 0)
        fail("a priority");
    if (count != 3)
        return 2;
    isSlow = strcmp(words[1], "slow") == 0;
    if (isSlow) {
        memcpy(device + 2, (uint8_t[]) { 0x10, 0x01 }, 2); // of USB 1.1
        device[7] = interruptSize;
    }
    plug_in((unsigned)atoi(words[2]), isSlow ? USB_SPEED_LOW : USB_SPEED_HIGH);
    for (;;) {
        uint64_t first = UINT64_MAX;
        for (unsigned direction = 0; direction < 2; direction++) {
            while (requests[direction] && now() >= requests[direction]->end * millisecond)
                end_first(direction);
            if (requests[direction] && requests[direction]->end < first)
                first = requests[direction]->end;
        }
        bool const waits = first != UINT64_MAX;
        uint64_t const end = first * millisecond, time = now(), left = waits && end > time ? end - time : 0;
        struct timespec const patience = { (time_t)(left / second), (long)(left % second) };
        struct pollfd watched = { .fd = connection, .events = POLLIN };
        if (ppoll(&watched, 1, waits ? &patience : NULL, NULL) > 0)
            obey();
    }
}
