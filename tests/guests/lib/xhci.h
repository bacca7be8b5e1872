#pragma once

#include "bare/pci.h"

/// A driver for one xHCI controller (eXtensible Host Controller Interface for Universal Serial Bus, chapter 4
/// "Operational Model"), with one event ring and MSI-X, and the requests that every device knows (Universal Serial Bus
/// Specification, Rev. 2.0, 9.4 "Standard Device Requests"). Waiting sleeps.

enum { xhciVector = 0x71, usbRingTrbs = 32, usbEndpoints = 32 };

enum {
    trbNormal = 1,
    trbSetup = 2,
    trbData = 3,
    trbStatus = 4,
    trbIsochronous = 5,
    trbLink = 6,
    trbEventData = 7,
    trbEnableSlot = 9,
    trbDisableSlot = 10,
    trbAddressDevice = 11,
    trbConfigureEndpoint = 12,
    trbResetEndpoint = 14,
    trbStopEndpoint = 15,
    trbSetDequeue = 16,
    trbNoOpCommand = 23,
    trbTransferEvent = 32,
    trbCommandCompletion = 33,
    trbPortStatusChange = 34,
};
enum { trbAsSoonAsPossible = (int)(1u << 31) }; // of an isochronous TRB
enum { trbCycle = 1, trbShortInterrupt = 1 << 2, trbChain = 1 << 4, trbInterrupt = 1 << 5, trbImmediate = 1 << 6 };
enum {
    codePending = 0,
    codeSuccess = 1,
    codeTransaction = 4,
    codeStall = 6,
    codeSlotNotEnabled = 11,
    codeShort = 13,
    codeStopped = 26,
    codeStoppedInvalid = 27,
};
enum { speedFull = 1, speedLow = 2, speedHigh = 3, speedSuper = 4 };
enum {
    portConnected = 1,
    portEnabled = 2,
    portReset = 1 << 4,
    portPower = 1 << 9,
    portConnectChange = 1 << 17,
    portResetChange = 1 << 21,
    portChanges = 0x7f << 17
};
enum { endpointRunning = 1, endpointHalted = 2, endpointStopped = 3 };

struct Trb {
    uint64_t parameter;
    uint32_t status, control;
};

/// A transfer ring, and what its TRBs have ended with.
struct UsbRing {
    struct Trb* trbs;
    unsigned next;
    uint32_t cycle;
    uint8_t volatile codes[usbRingTrbs];
    uint32_t volatile left[usbRingTrbs]; ///< the length that was not transferred
    uint64_t volatile eventData;         ///< of the last Event Data TRB
};

struct UsbDevice {
    unsigned slot, port, speed; ///< port: of the root hub, from 1 on
    uint32_t route;
    bool isHub;
    unsigned hubPorts;
    uint32_t* context; ///< the controller's
    struct UsbRing rings[usbEndpoints];
    uint8_t descriptor[18], configuration[256];
    unsigned configurationSize;
    uint8_t bulkIn, bulkOut, interruptIn; ///< ids of endpoints; 0: none
};

/// Finds the controller, resets it, and lets it run. False: there is none, or it does not do so.
bool xhciStart(void);
extern struct PciDevice* xhciController;
unsigned xhciPorts(void);
/// PORTSC; ports count from 1.
uint32_t xhciPort(unsigned port);
/// The port's USB version (2, 3), as the extended capabilities have it; 0: in none of them.
unsigned xhciPortVersion(unsigned port);
bool xhciResetPort(unsigned port);
/// Takes the port's changes back.
void xhciClearChanges(unsigned port);
/// How many port status change events there were.
unsigned xhciPortEvents(void);

/// Takes in what the controller has told. Waiting does so by itself.
void xhciPoll(void);
/// A command and its completion code; -1: none came. `slot`: gets the event's, may be null.
int xhciCommand(uint32_t type, uint64_t parameter, unsigned slot, unsigned endpoint, unsigned* answeredSlot);

/// Gives the device at a root port, behind hubs by `route`, a slot and an address, and reads its descriptors.
bool usbOpen(struct UsbDevice*, unsigned port, unsigned speed, uint32_t route);
void usbClose(struct UsbDevice*);
/// Selects the configuration, with all endpoints of its first interface. A hub's ports are told to the controller.
bool usbConfigure(struct UsbDevice*);
/// Selects a setting of an interface of the first configuration, with its isochronous endpoint, whose id it is; 0: it
/// did not.
unsigned usbStream(struct UsbDevice*, uint8_t interface, uint8_t setting);
/// A control transfer: how many bytes, or minus the completion code.
int usbControl(
    struct UsbDevice*, uint8_t kind, uint8_t request, uint16_t value, uint16_t index, void* data, uint16_t length);
/// Appends a TRB; its place in the ring.
unsigned usbPut(struct UsbDevice*, unsigned endpoint, uint64_t parameter, uint32_t length, uint32_t control);
void usbKick(struct UsbDevice*, unsigned endpoint);
/// Sends or receives; the place of its last TRB.
unsigned usbBegin(struct UsbDevice*, unsigned endpoint, void* data, uint32_t length);
/// The completion code; codePending when it did not come within `seconds`.
unsigned usbEnd(struct UsbDevice*, unsigned endpoint, unsigned place, unsigned seconds);
unsigned usbState(struct UsbDevice const*, unsigned endpoint);
/// After a stall, or a stop: the endpoint goes on with what is put into its ring next.
bool usbRestart(struct UsbDevice*, unsigned endpoint);
