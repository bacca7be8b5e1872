#include "lib/check.h"
#include "lib/xhci.h"

/// Counts, and says so five times a second. Whatever is plugged into its xHCI controller meanwhile it takes, as far as
/// that lets itself be taken: reads its descriptors, configures it, and uses one endpoint of each kind, the halted ones
/// again and again. One that sends back what it was sent says all of this right; from then on, and from any other, it
/// waits for more until the device goes. What came of a device is told in numbers, the completion codes; nothing that
/// it does is a failure of the guest's.

enum { mostPorts = 16, echoBytes = 64, packetBytes = 192, retries = 20, ticksPerLine = ticksPerSecond / 5 };

static struct Visitor {
    struct UsbDevice device;
    bool isOpen, waits;
    unsigned reading; ///< the place of the transfer that waits
} visitors[mostPorts + 1];
static uint8_t sent[echoBytes], got[echoBytes], report[64], packet[packetBytes];

/// A transfer, and its code; where it halts the endpoint, that of the last try.
static unsigned use(struct UsbDevice* device, unsigned endpoint, void* data, uint32_t length)
{
    unsigned code = codePending;
    for (unsigned i = 0; endpoint && i < retries; i++) {
        code = usbEnd(device, endpoint, usbBegin(device, endpoint, data, length), 1);
        if (usbState(device, endpoint) != endpointHalted || !usbRestart(device, endpoint))
            break;
    }
    return code;
}

static unsigned useIsochronous(struct UsbDevice* device)
{
    unsigned const id = device->isochronousIn;
    if (!id)
        return codePending;
    unsigned const place = usbPut(
        device, id, (uint64_t)packet, packetBytes, trbIsochronous << 10 | trbInterrupt | (uint32_t)trbAsSoonAsPossible);
    usbKick(device, id);
    return usbEnd(device, id, place, 1);
}

static void take(unsigned port)
{
    struct Visitor* const visitor = &visitors[port];
    struct UsbDevice* const device = &visitor->device;
    unsigned const speed = xhciPort(port) >> 10 & 15;
    visitor->isOpen = true;
    visitor->waits = false;
    if (!usbOpen(device, port, speed, 0)) {
        NOTE("device %u is refused", port);
        return;
    }
    if (!usbConfigure(device)) {
        NOTE("device %u is not configured", port);
        return;
    }
    for (unsigned i = 0; i < echoBytes; i++) {
        sent[i] = (uint8_t)(i * 7 + port);
        got[i] = 0;
    }
    unsigned const out = use(device, device->bulkOut, sent, echoBytes),
                   in = use(device, device->bulkIn, got, echoBytes);
    unsigned const interrupt = use(device, device->interruptIn, report, 8), isochronous = useIsochronous(device);
    bool const echoes = out == codeSuccess && in == codeSuccess && memcmp(sent, got, echoBytes) == 0;
    visitor->waits = device->bulkIn && usbState(device, device->bulkIn) != endpointHalted;
    if (visitor->waits)
        visitor->reading = usbBegin(device, device->bulkIn, got, echoBytes);
    NOTE("device %u: out %u in %u interrupt %u isochronous %u%s", port, out, in, interrupt, isochronous,
        echoes ? ", an echo" : "");
}

static void leave(unsigned port)
{
    struct Visitor* const visitor = &visitors[port];
    xhciPoll();
    unsigned const code = visitor->waits ? visitor->device.rings[visitor->device.bulkIn].codes[visitor->reading] : 0;
    if (visitor->device.slot)
        usbClose(&visitor->device);
    visitor->isOpen = false;
    NOTE("device %u is gone, with code %u", port, code);
}

static void lookAt(unsigned port)
{
    uint32_t const status = xhciPort(port);
    if (!(status & portConnectChange))
        return;
    xhciClearChanges(port);
    if (visitors[port].isOpen)
        leave(port);
    if ((xhciPort(port) & portConnected) && ((xhciPort(port) & portEnabled) || xhciResetPort(port)))
        take(port);
}

void program(void)
{
    pciStart();
    if (!xhciStart() || xhciPorts() > mostPorts) {
        print("FAIL there is no controller\n");
        finish();
    }
    NOTE("ready");
    uint64_t count = 0;
    for (uint64_t next = now();; halt()) {
        xhciPoll();
        for (unsigned port = 1; port <= xhciPorts(); port++)
            lookAt(port);
        if (now() < next)
            continue;
        print("COUNT %lu\n", ++count);
        next = now() + ticksPerLine;
    }
}
