/// Reads from L1's microphone (microphone.c) by Linux' usbfs, and tells how many whole packets came, how many numbers
/// were missing between them, and how many packets had an error:
///   stream NODE SECONDS REQUESTS     with so many requests, of 64 packets each, under way at any time
/// The first request, in which the stream begins, does not count.
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum {
    endpoint = 0x81,
    packetSize = 64,
    packetWords = packetSize / 4,
    packets = 64,
    requestsPerSecond = 8000 / packets
};

static int device;
static unsigned came, missing, errors;

static void control(unsigned long code, void* argument, char const* what)
{
    if (ioctl(device, code, argument) < 0) {
        perror(what);
        exit(1);
    }
}

static struct usbdevfs_urb* new_request(void)
{
    struct usbdevfs_urb* const request = calloc(1, sizeof *request + packets * sizeof *request->iso_frame_desc);
    request->type = USBDEVFS_URB_TYPE_ISO;
    request->endpoint = endpoint;
    request->flags = USBDEVFS_URB_ISO_ASAP;
    request->buffer = malloc(packets * packetSize);
    request->buffer_length = packets * packetSize;
    request->number_of_packets = packets;
    for (int i = 0; i < packets; i++)
        request->iso_frame_desc[i].length = packetSize;
    return request;
}

static int is_whole(struct usbdevfs_iso_packet_desc const* packet, uint32_t const* words)
{
    for (int i = 1; i < packetWords; i++) {
        if (words[i] != words[0])
            return 0;
    }
    return packet->status == 0 && packet->actual_length == packetSize;
}

static void look_at(struct usbdevfs_urb const* request)
{
    static uint32_t expected;
    uint32_t const* words = request->buffer;
    for (int i = 0; i < packets; i++, words += packetWords) {
        if (!is_whole(&request->iso_frame_desc[i], words)) {
            errors++;
            continue;
        }
        if (came++ > 0)
            missing += words[0] - expected;
        expected = words[0] + 1;
    }
}

int main(int count, char** words)
{
    device = count == 4 ? open(words[1], O_RDWR) : -1;
    if (device < 0) {
        perror(count > 1 ? words[1] : "stream");
        return 2;
    }
    unsigned interface = 0;
    control(USBDEVFS_CLAIMINTERFACE, &interface, "taking the interface");
    control(USBDEVFS_SETINTERFACE, &(struct usbdevfs_setinterface) { .interface = 0, .altsetting = 1 }, "its setting");
    unsigned const wanted = 1 + (unsigned)atoi(words[2]) * requestsPerSecond, together = (unsigned)atoi(words[3]);
    for (unsigned i = 0; i < together && i < wanted; i++)
        control(USBDEVFS_SUBMITURB, new_request(), "a request");
    for (unsigned done = 0; done < wanted; done++) {
        struct usbdevfs_urb* request;
        control(USBDEVFS_REAPURB, &request, "its end");
        if (done > 0)
            look_at(request);
        if (done + together < wanted)
            control(USBDEVFS_SUBMITURB, request, "one more request");
    }
    printf("%u %u %u\n", came, missing, errors);
    return 0;
}
