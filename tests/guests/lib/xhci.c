#include "xhci.h"

#include "apic.h"
#include "check.h"

enum {
    usbCommand = 0x00,
    usbStatus = 0x04,
    commandRing = 0x18,
    contextArray = 0x30,
    configure = 0x38,
    portBase = 0x400
};
enum { runStop = 1, hostReset = 2, interruptEnable = 4, halted = 1, notReady = 1 << 11 };
enum { iman = 0x20, imod = 0x24, tableSize = 0x28, tableBase = 0x30, dequeue = 0x38, handlerBusy = 1 << 3 };
enum { eventTrbs = 256, commandTrbs = 32, slots = 16, toggleCycle = 1 << 1, protocolCapability = 2 };
enum { controlEndpoint = 1, inputSize = 33, most = 64, pieceSize = 0x10000 };

struct PciDevice* xhciController;
static uint64_t capabilities, operational, runtime, doorbells;
static unsigned contextWords;
static uint64_t* contexts;
static struct Trb *commands, *events;
static unsigned commandNext, eventNext, portEvents;
static uint32_t commandCycle, eventCycle;
static struct Trb answer; // the completion of the last command
static bool answered;
static uint32_t* input;
static struct UsbDevice* devices[slots + 1];

static uint32_t volatile* op(unsigned offset)
{
    return &MMIO32(operational + offset);
}

static void write64(uint64_t address, uint64_t value)
{
    MMIO32(address) = (uint32_t)value;
    MMIO32(address + 4) = (uint32_t)(value >> 32);
}

unsigned xhciPorts(void)
{
    return MMIO32(capabilities + 4) >> 24;
}

static uint32_t volatile* portStatus(unsigned port)
{
    return op(portBase + 16 * (port - 1));
}

uint32_t xhciPort(unsigned port)
{
    return *portStatus(port);
}

void xhciClearChanges(unsigned port)
{
    *portStatus(port) = portPower | (*portStatus(port) & portChanges);
}

unsigned xhciPortEvents(void)
{
    return portEvents;
}

unsigned xhciPortVersion(unsigned port)
{
    unsigned at = MMIO32(capabilities + 0x10) >> 16;
    for (unsigned i = 0; at && i < most; i++) {
        uint64_t const here = capabilities + 4 * at;
        uint32_t const head = MMIO32(here), ports = MMIO32(here + 8);
        unsigned const first = ports & 0xff, count = ports >> 8 & 0xff;
        if ((head & 0xff) == protocolCapability && port >= first && port < first + count)
            return head >> 24;
        unsigned const next = head >> 8 & 0xff;
        at = next ? at + next : 0;
    }
    return 0;
}

bool xhciStart(void)
{
    for (unsigned i = 0; !xhciController; i++) {
        struct PciDevice* const candidate = pciFindClass(0x0c03, i);
        if (!candidate)
            return false;
        if ((candidate->classCode & 0xff) == 0x30)
            xhciController = candidate;
    }
    capabilities = xhciController->bar[0];
    operational = capabilities + (MMIO32(capabilities) & 0xff);
    runtime = capabilities + MMIO32(capabilities + 0x18);
    doorbells = capabilities + MMIO32(capabilities + 0x14);
    contextWords = MMIO32(capabilities + 0x10) & 1 << 2 ? 16 : 8;
    *op(usbCommand) &= ~(uint32_t)runStop;
    if (!WAIT(*op(usbStatus) & halted, 1))
        return false;
    *op(usbCommand) = hostReset;
    if (!WAIT(!(*op(usbCommand) & hostReset) && !(*op(usbStatus) & notReady), 1))
        return false;

    contexts = allocate(8 * (slots + 1), 64);
    unsigned const high = MMIO32(capabilities + 8);
    unsigned const scratchpads = (high >> 27 & 0x1f) | (high >> 21 & 0x1f) << 5;
    if (scratchpads) {
        uint64_t* const pads = allocate(8 * scratchpads, 64);
        for (unsigned i = 0; i < scratchpads; i++)
            pads[i] = (uint64_t)allocate(4096, 4096);
        contexts[0] = (uint64_t)pads;
    }
    commands = allocate(commandTrbs * sizeof(struct Trb), 64);
    events = allocate(eventTrbs * sizeof(struct Trb), 64);
    input = allocate(4 * contextWords * inputSize, 64);
    uint64_t* const table = allocate(16, 64);
    table[0] = (uint64_t)events;
    table[1] = eventTrbs;
    commandCycle = eventCycle = 1;
    *op(configure) = slots;
    write64(operational + contextArray, (uint64_t)contexts);
    write64(operational + commandRing, (uint64_t)commands | 1);
    MMIO32(runtime + tableSize) = 1;
    write64(runtime + dequeue, (uint64_t)events);
    write64(runtime + tableBase, (uint64_t)table);
    MMIO32(runtime + imod) = 0;
    MMIO32(runtime + iman) = 2;
    if (msixEntries(xhciController))
        msixRoute(xhciController, 0, xhciVector);
    *op(usbCommand) = runStop | interruptEnable;
    return WAIT(!(*op(usbStatus) & halted), 1);
}

// ---- Rings ----

/// Where the next TRB goes; a Link TRB, which belongs to the chain around it, has turned the ring back before.
static unsigned nextPlace(struct Trb* trbs, unsigned size, unsigned* next, uint32_t* cycle, uint32_t chain)
{
    if (*next == size - 1) {
        trbs[*next] = (struct Trb) { (uint64_t)trbs, 0, trbLink << 10 | toggleCycle | chain | *cycle };
        *next = 0;
        *cycle ^= 1;
    }
    return (*next)++;
}

static void store(struct Trb* at, uint64_t parameter, uint32_t status, uint32_t control)
{
    at->parameter = parameter;
    at->status = status;
    barrier();
    *(uint32_t volatile*)&at->control = control;
}

static void takeTransferEvent(struct Trb const* event)
{
    struct UsbDevice* const device = devices[event->control >> 24 <= slots ? event->control >> 24 : 0];
    struct UsbRing* const ring = device ? &device->rings[event->control >> 16 & 31] : NULL;
    if (!ring || !ring->trbs)
        return;
    if (event->control & 1 << 2) { // Event Data
        ring->eventData = event->parameter;
        return;
    }
    uint64_t const place = (event->parameter - (uint64_t)ring->trbs) / sizeof(struct Trb);
    if (place >= usbRingTrbs)
        return;
    ring->left[place] = event->status & 0xffffff;
    ring->codes[place] = (uint8_t)(event->status >> 24);
}

void xhciPoll(void)
{
    bool any = false;
    while ((*(uint32_t volatile*)&events[eventNext].control & trbCycle) == eventCycle) {
        struct Trb const event = events[eventNext];
        switch (event.control >> 10 & 0x3f) {
        case trbTransferEvent: takeTransferEvent(&event); break;
        case trbCommandCompletion:
            answer = event;
            answered = true;
            break;
        case trbPortStatusChange: portEvents++; break;
        default: break;
        }
        if (++eventNext == eventTrbs) {
            eventNext = 0;
            eventCycle ^= 1;
        }
        any = true;
    }
    if (any)
        write64(runtime + dequeue, (uint64_t)&events[eventNext] | handlerBusy);
}

int xhciCommand(uint32_t type, uint64_t parameter, unsigned slot, unsigned endpoint, unsigned* answeredSlot)
{
    unsigned const place = nextPlace(commands, commandTrbs, &commandNext, &commandCycle, 0);
    answered = false;
    store(&commands[place], parameter, 0, slot << 24 | endpoint << 16 | type << 10 | commandCycle);
    MMIO32(doorbells) = 0;
    if (!WAIT((xhciPoll(), answered), 5) || answer.parameter != (uint64_t)&commands[place])
        return -1;
    if (answeredSlot)
        *answeredSlot = answer.control >> 24;
    return (int)(answer.status >> 24);
}

unsigned usbPut(struct UsbDevice* device, unsigned endpoint, uint64_t parameter, uint32_t length, uint32_t control)
{
    struct UsbRing* const ring = &device->rings[endpoint];
    // The chain of a TD goes through the Link TRB.
    uint32_t const chain = ring->next ? ring->trbs[ring->next - 1].control & trbChain : 0;
    unsigned const place = nextPlace(ring->trbs, usbRingTrbs, &ring->next, &ring->cycle, chain);
    ring->codes[place] = codePending;
    ring->left[place] = 0;
    store(&ring->trbs[place], parameter, length, control | ring->cycle);
    return place;
}

void usbKick(struct UsbDevice* device, unsigned endpoint)
{
    MMIO32(doorbells + 4 * device->slot) = endpoint;
}

unsigned usbBegin(struct UsbDevice* device, unsigned endpoint, void* data, uint32_t length)
{
    // The buffer of a TRB crosses no boundary of 64 KiB.
    uint64_t at = (uint64_t)data;
    unsigned place;
    do {
        uint32_t const room = pieceSize - (uint32_t)(at % pieceSize), piece = length < room ? length : room;
        length -= piece;
        place = usbPut(device, endpoint, at, piece,
            trbNormal << 10 | trbShortInterrupt | (length ? (uint32_t)trbChain : trbInterrupt));
        at += piece;
    } while (length);
    usbKick(device, endpoint);
    return place;
}

unsigned usbEnd(struct UsbDevice* device, unsigned endpoint, unsigned place, unsigned seconds)
{
    struct UsbRing* const ring = &device->rings[endpoint];
    WAIT((xhciPoll(), ring->codes[place] != codePending), seconds);
    return ring->codes[place];
}

unsigned usbState(struct UsbDevice const* device, unsigned endpoint)
{
    return *(uint32_t volatile*)(device->context + endpoint * contextWords) & 7;
}

bool usbRestart(struct UsbDevice* device, unsigned endpoint)
{
    struct UsbRing* const ring = &device->rings[endpoint];
    if (usbState(device, endpoint) == endpointHalted
        && xhciCommand(trbResetEndpoint, 0, device->slot, endpoint, NULL) != codeSuccess)
        return false;
    uint64_t const at = (uint64_t)&ring->trbs[ring->next] | ring->cycle;
    return xhciCommand(trbSetDequeue, at, device->slot, endpoint, NULL) == codeSuccess;
}

// ---- Devices ----

bool xhciResetPort(unsigned port)
{
    *portStatus(port) = portPower | portReset;
    if (!WAIT(*portStatus(port) & portResetChange, 1))
        return false;
    xhciClearChanges(port);
    return *portStatus(port) & portEnabled;
}

static void makeRing(struct UsbRing* ring)
{
    memset(ring, 0, sizeof *ring);
    ring->trbs = allocate(usbRingTrbs * sizeof(struct Trb), 64);
    ring->cycle = 1;
}

static uint32_t* inputContext(unsigned index)
{
    return input + contextWords * (index + 1);
}

static void describeSlot(struct UsbDevice const* device, unsigned entries)
{
    uint32_t* const slot = inputContext(0);
    slot[0] = device->route | device->speed << 20 | (device->isHub ? 1u << 26 : 0) | entries << 27;
    slot[1] = device->port << 16 | device->hubPorts << 24;
}

static void describeEndpoint(struct UsbDevice* device, unsigned id, unsigned type, unsigned packet, unsigned interval)
{
    uint32_t* const endpoint = inputContext(id);
    makeRing(&device->rings[id]);
    endpoint[0] = interval << 16;
    endpoint[1] = packet << 16 | type << 3 | (type % 4 == 1 ? 0 : 3 << 1); // nobody tries isochronous ones again
    endpoint[2] = (uint32_t)(uintptr_t)device->rings[id].trbs | 1;
    endpoint[3] = 0;
    endpoint[4] = packet;
}

int usbControl(struct UsbDevice* device, uint8_t kind, uint8_t request, uint16_t value, uint16_t index, void* data,
    uint16_t length)
{
    bool const in = kind & 0x80;
    uint64_t const setup
        = kind | (uint64_t)request << 8 | (uint64_t)value << 16 | (uint64_t)index << 32 | (uint64_t)length << 48;
    uint32_t const way = length == 0 ? 0 : in ? 3 : 2;
    usbPut(device, controlEndpoint, setup, 8, trbSetup << 10 | trbImmediate | way << 16);
    unsigned stage = usbRingTrbs;
    if (length)
        stage = usbPut(
            device, controlEndpoint, (uint64_t)data, length, trbData << 10 | trbShortInterrupt | (in ? 1u << 16 : 0));
    unsigned const last
        = usbPut(device, controlEndpoint, 0, 0, trbStatus << 10 | trbInterrupt | (in && length ? 0 : 1u << 16));
    usbKick(device, controlEndpoint);
    struct UsbRing* const ring = &device->rings[controlEndpoint];
    // A request that fails does so at any of its stages.
    WAIT((xhciPoll(), ring->codes[last] != codePending || usbState(device, controlEndpoint) == endpointHalted), 5);
    xhciPoll();
    if (ring->codes[last] == codeSuccess)
        return (int)(length - (stage < usbRingTrbs ? ring->left[stage] : 0));
    unsigned const code = ring->codes[last]                   ? ring->codes[last]
        : stage < usbRingTrbs && ring->codes[stage]           ? ring->codes[stage]
        : usbState(device, controlEndpoint) == endpointHalted ? codeStall
                                                              : 255u;
    usbRestart(device, controlEndpoint);
    return -(int)code;
}

bool usbOpen(struct UsbDevice* device, unsigned port, unsigned speed, uint32_t route)
{
    memset(device, 0, sizeof *device);
    device->port = port;
    device->speed = speed;
    device->route = route;
    if (xhciCommand(trbEnableSlot, 0, 0, 0, &device->slot) != codeSuccess || device->slot > slots)
        return false;
    devices[device->slot] = device;
    device->context = allocate(4 * contextWords * 32, 64);
    contexts[device->slot] = (uint64_t)device->context;
    memset(input, 0, 4 * contextWords * inputSize);
    input[1] = 3;
    describeSlot(device, 1);
    unsigned const packet = speed == speedSuper ? 512 : speed == speedHigh ? 64 : 8;
    describeEndpoint(device, controlEndpoint, 4, packet, 0);
    if (xhciCommand(trbAddressDevice, (uint64_t)input, device->slot, 0, NULL) != codeSuccess)
        return false;
    if (usbControl(device, 0x80, 6, 0x0100, 0, device->descriptor, 18) != 18)
        return false;
    int const size = usbControl(device, 0x80, 6, 0x0200, 0, device->configuration, sizeof device->configuration);
    device->configurationSize = size > 0 ? (unsigned)size : 0;
    return size >= 9;
}

void usbClose(struct UsbDevice* device)
{
    xhciCommand(trbDisableSlot, 0, device->slot, 0, NULL);
    devices[device->slot] = NULL;
    contexts[device->slot] = 0;
}

/// An endpoint's interval as a power of two of microframes.
static unsigned intervalOf(struct UsbDevice const* device, unsigned interval)
{
    if (device->speed >= speedHigh)
        return interval ? interval - 1 : 0;
    unsigned power = 3;
    while (interval >>= 1)
        power++;
    return power;
}

bool usbConfigure(struct UsbDevice* device)
{
    memset(input, 0, 4 * contextWords * inputSize);
    input[1] = 1;
    unsigned last = controlEndpoint;
    bool inInterface = false;
    for (unsigned at = 0; at + 2 <= device->configurationSize && device->configuration[at] >= 2;
         at += device->configuration[at]) {
        uint8_t const* const bytes = device->configuration + at;
        if (bytes[1] == 4) // the first interface, as it is without being asked
            inInterface = bytes[2] == 0 && bytes[3] == 0;
        if (bytes[1] != 5 || !inInterface)
            continue;
        bool const in = bytes[2] & 0x80;
        unsigned const id = 2u * (bytes[2] & 15) + in, kind = bytes[3] & 3;
        unsigned const packet = (unsigned)(bytes[4] | bytes[5] << 8) & 0x7ff;
        describeEndpoint(device, id, kind + (in ? 4 : 0), packet, kind == 3 ? intervalOf(device, bytes[6]) : 0);
        input[1] |= 1u << id;
        last = id > last ? id : last;
        *(kind == 3 ? &device->interruptIn : in ? &device->bulkIn : &device->bulkOut) = (uint8_t)id;
    }
    describeSlot(device, last);
    return xhciCommand(trbConfigureEndpoint, (uint64_t)input, device->slot, 0, NULL) == codeSuccess
        && usbControl(device, 0, 9, device->configuration[5], 0, NULL, 0) == 0;
}

unsigned usbStream(struct UsbDevice* device, uint8_t interface, uint8_t setting)
{
    bool inSetting = false;
    for (unsigned at = 0; at + 2 <= device->configurationSize && device->configuration[at] >= 2;
         at += device->configuration[at]) {
        uint8_t const* const bytes = device->configuration + at;
        if (bytes[1] == 4)
            inSetting = bytes[2] == interface && bytes[3] == setting;
        if (bytes[1] != 5 || !inSetting || (bytes[3] & 3) != 1)
            continue;
        bool const in = bytes[2] & 0x80;
        unsigned const id = 2u * (bytes[2] & 15) + in;
        memset(input, 0, 4 * contextWords * inputSize);
        input[1] = 1 | 1u << id;
        describeEndpoint(
            device, id, in ? 5 : 1, (unsigned)(bytes[4] | bytes[5] << 8) & 0x7ff, intervalOf(device, bytes[6]));
        describeSlot(device, id);
        bool const good = xhciCommand(trbConfigureEndpoint, (uint64_t)input, device->slot, 0, NULL) == codeSuccess
            && usbControl(device, 1, 11, setting, interface, NULL, 0) == 0;
        return good ? id : 0;
    }
    return 0;
}
