/// A USB device of L1's that means no good, and how it does so:
///   hostile MANNER PORT      at that port of the controller's, until it is killed
/// Whoever is about to give it away is told of three interfaces that no driver takes; whoever has it then, that they
/// are something to talk to, a keyboard and a stick. All but what a device is asked to be known by is answered in the
/// device's manner. What no controller lets through is left out: that it takes nothing back (vhci_hcd would wait for
/// ever), and packets longer than were asked for (it takes that for the end of the device; a real one tells
/// -EOVERFLOW).
#define _GNU_SOURCE
#include "usb_ip.h"

#include <stdbool.h>
#include <string.h>

enum Manner {
    contradicts, // itself, already to the host: in its descriptors' lengths and numbers
    shrinks,     // its configuration is nothing, to the guest
    grows,       // and here more than fits anywhere
    stalls,
    babbles, // sends more than was asked for, and has taken more than was sent
    isSilent,
    dies, // silent to the host, too, once the guest has seen it
    garbles,
    vanishes, // when it is first talked to, and comes back as another device, which means well
    floods,   // with short packets
    manners
};
static char const* const names[]
    = { "contradicts", "shrinks", "grows", "stalls", "babbles", "silent", "dies", "garbles", "vanishes", "floods" };

enum { bulkSize = 512, reportSize = 8, firstAsked = 64, headAsked = 9 };
enum { requestOfClass = USB_TYPE_CLASS | USB_RECIP_INTERFACE, reportDescriptor = 0x22 };

// Numbers of vendor and product: pid.codes', for tests. The product is 0x100 and the manner, or 0x200 when it is back.
static uint8_t device[18] = { sizeof device, USB_DT_DEVICE, 0x00, 0x02, 0, 0, 0, 64, //
    0x09, 0x12, 0x00, 0x01, 0x00, 0x01, 0, 0, 0, 1 };
// USB's HID class, E.8 "Example HID Report Descriptors": that of a keyboard without lights.
static uint8_t const keyboardReports[] = { 0x05, 1, 0x09, 6, 0xa1, 1,             //
    0x05, 7, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0, 0x25, 1, 0x75, 1, 0x95, 8, 0x81, 2, //
    0x95, 1, 0x75, 8, 0x81, 1,                                                    //
    0x95, 6, 0x75, 8, 0x15, 0, 0x25, 101, 0x05, 7, 0x19, 0, 0x29, 101, 0x81, 0, 0xc0 };
static struct Configuration {
    uint8_t itself[9], talk[9], talkIn[7], talkOut[7], keyboard[9], hid[9], reports[7], stick[9], stickIn[7],
        stickOut[7], end[2];
} harmless = {
    { 9, USB_DT_CONFIG, sizeof harmless, 0, 3, 1, 0, USB_CONFIG_ATT_ONE, 50 },
    { 9, USB_DT_INTERFACE, 0, 0, 2, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_IN | 1, USB_ENDPOINT_XFER_BULK, bulkSize & 255, bulkSize >> 8, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_OUT | 2, USB_ENDPOINT_XFER_BULK, bulkSize & 255, bulkSize >> 8, 0 },
    { 9, USB_DT_INTERFACE, 1, 0, 1, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 9, 0x21, 0x11, 1, 0, 1, reportDescriptor, sizeof keyboardReports, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_IN | 3, USB_ENDPOINT_XFER_INT, reportSize, 0, 1 },
    { 9, USB_DT_INTERFACE, 2, 0, 2, USB_CLASS_VENDOR_SPEC, 0, 0, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_IN | 4, USB_ENDPOINT_XFER_BULK, bulkSize & 255, bulkSize >> 8, 0 },
    { 7, USB_DT_ENDPOINT, USB_DIR_OUT | 5, USB_ENDPOINT_XFER_BULK, bulkSize & 255, bulkSize >> 8, 0 },
    { 2, 0xff },
};
static struct Configuration told; // to who has it

static enum Manner manner;
static unsigned port;
static bool isConfigured, isGivenAway, isBack, isDead;
static uint8_t junk[1 << 20];

static void make_lies(void)
{
    if (manner == contradicts) {
        harmless.itself[2] += 50; // of which nothing comes
        harmless.itself[4] = 2;
        harmless.talk[4] = 1;
        harmless.keyboard[2] = 0;             // which was there already
        harmless.reports[4] = 0;              // no packets
        harmless.stick[4] = 7;                // more than come
        harmless.stickIn[2] = USB_DIR_IN | 1; // the same as another interface's
        harmless.end[0] = 0;
    }
    told = harmless;
    memcpy(told.keyboard + 5, (uint8_t[]) { USB_CLASS_HID, 1, 1 }, 3);
    memcpy(told.stick + 5, (uint8_t[]) { USB_CLASS_MASS_STORAGE, 6, 0x50 }, 3); // SCSI, Bulk-Only Transport
    if (manner == shrinks)
        memset(told.itself, 0, 4);
    if (manner == grows) {
        memset(told.itself + 2, 255, 3); // length and interfaces
        told.talk[4] = 255;
        memset(told.talkIn + 4, 0, 2);
        memset(told.talkOut + 4, 255, 3);
        told.reports[6] = 0;
        told.stickOut[2] = USB_DIR_OUT | 15; // the host has no such endpoint
        told.end[0] = 255;
    }
}

static uint16_t asked_by(uint8_t const* setup)
{
    return (uint16_t)(setup[6] | setup[7] << 8);
}

/// Linux asks for 64 bytes of a device's descriptor when it has reset its port, and for a configuration's head when it
/// does not know it yet: the host does so once.
static int find_descriptor(uint8_t const* setup, void const** found)
{
    switch (setup[3] << 8 | setup[2]) {
    case USB_DT_DEVICE << 8:
        if (asked_by(setup) == firstAsked)
            isGivenAway = false;
        *found = device;
        return sizeof device;
    case USB_DT_CONFIG << 8:
        if (isConfigured && asked_by(setup) == headAsked)
            isGivenAway = true;
        *found = isGivenAway && !isBack ? &told : &harmless;
        return sizeof told;
    default: return -EPIPE;
    }
}

static void come_back(void)
{
    close(connection);
    isConfigured = isGivenAway = false;
    isBack = true;
    device[11] = 2;
    plug_in(port, USB_SPEED_HIGH);
}

/// No key that does more than write a letter.
static void make_report(uint8_t* data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = i < 2 ? 0 : (uint8_t)(4 + random() % 26);
}

static void garble(struct Command const* command, uint32_t asked)
{
    static int const outcomes[] = { 0, 0, 0, 0, -EPIPE, -EPROTO, -EILSEQ, -ETIME, -EOVERFLOW };
    uint32_t const size = (uint32_t)random() % (asked + 1);
    for (uint32_t i = 0; i < size; i++)
        junk[i] = (uint8_t)random();
    if (ntohl(command->endpoint) == 3)
        make_report(junk, size);
    send_outcome(command, outcomes[(unsigned)random() % (sizeof outcomes / sizeof *outcomes)], junk, size);
}

static void misbehave(struct Command const* command)
{
    uint32_t const asked = ntohl(command->length);
    bool const out = ntohl(command->direction) == isOut;
    if (asked > sizeof junk)
        return send_outcome(command, -EPIPE, NULL, 0);
    switch (manner) {
    case contradicts:
    case shrinks:
    case grows:
    case vanishes: return isBack ? send_outcome(command, 0, junk, asked) : send_outcome(command, -EPIPE, NULL, 0);
    case babbles:
        return out ? send_outcome(command, 0, NULL, INT32_MAX) : send_outcome(command, -EOVERFLOW, junk, asked);
    case isSilent:
    case dies: return;
    case garbles: return garble(command, asked);
    case floods: return send_outcome(command, 0, junk, out ? asked : (uint32_t)random() % 2);
    default: return send_outcome(command, -EPIPE, NULL, 0);
    }
}

static void control(struct Command const* command)
{
    uint8_t const* const setup = command->setup;
    void const* data = keyboardReports;
    bool const asksForReports = setup[1] == USB_REQ_GET_DESCRIPTOR && setup[3] == reportDescriptor;
    int const size
        = asksForReports && manner != stalls ? (int)sizeof keyboardReports : find_answer(setup, find_descriptor, &data);
    if (isDead)
        return;
    isDead = manner == dies && isGivenAway && asked_by(setup) > headAsked;
    if (setup[0] == USB_RECIP_DEVICE && setup[1] == USB_REQ_SET_CONFIGURATION)
        isConfigured = true;
    if (size < 0 && setup[1] != USB_REQ_GET_DESCRIPTOR)
        misbehave(command);
    else
        send_answer(command, size, data);
}

static void obey(void)
{
    struct Command command;
    receive(&command, sizeof command);
    if (ntohl(command.command) == takeBack)
        return send_taken_back(&command, -ECONNRESET); // for those that have been answered nobody takes it
    pass_over_data(&command);
    if (command.endpoint == 0)
        control(&command);
    else if (manner == vanishes && !isBack)
        come_back();
    else
        misbehave(&command);
}

int main(int count, char** words)
{
    while (count == 3 && manner < manners && strcmp(words[1], names[manner]) != 0)
        manner++;
    if (count != 3 || manner == manners)
        return 2;
    port = (unsigned)atoi(words[2]);
    device[10] = (uint8_t)manner;
    make_lies();
    plug_in(port, USB_SPEED_HIGH);
    for (;;)
        obey();
}
