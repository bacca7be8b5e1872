/// A USB device of L1's: high-speed, with an isochronous endpoint that has a packet in each microframe, 8000 a second.
/// A packet is full of its microframe's number; one for which no request was there in time is lost, and its number
/// missing. It is plugged in until it is killed.
#define _GNU_SOURCE
#include "usb_ip.h"

#include <poll.h>
#include <sched.h>
#include <string.h>
#include <time.h>

enum { second = 1000000000, microframe = 125000 }; // nanoseconds
enum { packetSize = 64, mostPackets = 128 };       // of a request: usbfs takes no more

struct Request {
    struct Request* next;
    uint64_t first; // microframe, of the clock's
    uint32_t sequence, count;
    struct Packet packets[mostPackets];
};

// Numbers of vendor and product: pid.codes', for tests.
static uint8_t const device[18] = { sizeof device, USB_DT_DEVICE, 0x00, 0x02, 0, 0, 0, 64, //
    0x09, 0x12, 0x01, 0x00, 0x00, 0x01, 0, 1, 0, 1 };
static struct {
    uint8_t itself[9], quiet[9], sending[9], endpoint[7];
} const configuration = {
    { 9, USB_DT_CONFIG, sizeof configuration, 0, 1, 1, 0, USB_CONFIG_ATT_ONE, 50 },
    { 9, USB_DT_INTERFACE, 0, 0, 0, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 9, USB_DT_INTERFACE, 0, 1, 1, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_IN | 1, USB_ENDPOINT_XFER_ISOC | USB_ENDPOINT_SYNC_ASYNC, packetSize, 0, 1 },
};
static uint8_t const languages[] = { 4, USB_DT_STRING, 0x09, 0x04 };
static struct {
    uint8_t length, type;
    uint16_t text[10];
} const name = { sizeof name, USB_DT_STRING, u"Microphone" };
static struct Request* requests;
static uint64_t nextFrame;

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
    case USB_DT_CONFIG << 8: *found = &configuration; return sizeof configuration;
    case USB_DT_STRING << 8: *found = languages; return sizeof languages;
    case USB_DT_STRING << 8 | 1: *found = &name; return sizeof name;
    default: return -EPIPE;
    }
}

static void answer(struct Command const* command)
{
    void const* data = NULL;
    int const size = find_answer(command->setup, find_descriptor, &data);
    pass_over_data(command);
    send_answer(command, size, data);
}

/// A packet for each microframe from the next one on, or where the last request ends, if that is later.
static void begin(struct Command const* command)
{
    struct Request* const request = calloc(1, sizeof *request);
    request->sequence = command->sequence;
    request->count = ntohl(command->packets);
    if (request->count > mostPackets || ntohl(command->length) != request->count * packetSize) {
        fprintf(stderr, "a request for other packets than there are\n");
        exit(1);
    }
    receive(request->packets, request->count * sizeof *request->packets);
    uint64_t const coming = now() / microframe + 1;
    request->first = nextFrame > coming ? nextFrame : coming;
    nextFrame = request->first + request->count;
    struct Request** end = &requests;
    while (*end)
        end = &(*end)->next;
    *end = request;
}

/// A request's, before its packets have come.
static void forget(struct Command const* command)
{
    struct Request** at = &requests;
    while (*at && (*at)->sequence != command->takenBack)
        at = &(*at)->next;
    int outcome = 0;
    if (*at) {
        struct Request* const forgotten = *at;
        *at = forgotten->next;
        free(forgotten);
        outcome = -ECONNRESET;
    }
    send_taken_back(command, outcome);
}

/// When the last packet of the first request has come.
static uint64_t end_of_first(void)
{
    return (requests->first + requests->count) * microframe;
}

static void end_first(void)
{
    static uint32_t data[mostPackets][packetSize / sizeof(uint32_t)];
    struct Request* const request = requests;
    requests = request->next;
    for (uint32_t i = 0; i < request->count; i++) {
        for (unsigned word = 0; word < packetSize / sizeof(uint32_t); word++)
            data[i][word] = (uint32_t)(request->first + i);
        request->packets[i].actualLength = htonl(packetSize);
        request->packets[i].status = 0;
    }
    size_t const size = request->count * sizeof *data;
    struct Reply const reply = { .command = htonl(wasSubmitted),
        .sequence = request->sequence,
        .length = htonl((uint32_t)size),
        .packets = htonl(request->count) };
    send_reply(&reply, data, size, request->packets, request->count * sizeof *request->packets);
    free(request);
}

static void obey(void)
{
    struct Command command;
    receive(&command, sizeof command);
    if (ntohl(command.command) == takeBack)
        forget(&command);
    else if (command.endpoint == 0)
        answer(&command);
    else
        begin(&command);
}

int main(int count, char** words)
{
    // What is made of hardware waits for no processor.
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param) { .sched_priority = 1 }) != 0)
        fail("a priority");
    plug_in(count > 1 ? (unsigned)atoi(words[1]) : 0, USB_SPEED_HIGH);
    for (;;) {
        while (requests && now() >= end_of_first())
            end_first();
        uint64_t const end = requests ? end_of_first() : 0, time = now(), left = end > time ? end - time : 0;
        struct timespec const patience = { (time_t)(left / second), (long)(left % second) };
        struct pollfd watched = { .fd = connection, .events = POLLIN };
        if (ppoll(&watched, 1, requests ? &patience : NULL, NULL) > 0)
            obey();
    }
}
