#pragma once

#include "vmm/bus/pci.h"
#include "vmm/usb/xhci_format.h"

#include <string>
#include <vector>

/// What the guest can observe of an xHCI controller, and what it cannot but would notice the lack of.
namespace vmm {

/// A TRB ring that the controller reads. Every address is the guest's word, and checked when it is used.
struct XhciRingState {
    std::uint64_t dequeue = 0;  ///< of the first TD that is not done
    bool cycle = false;         ///< of TRBs that are there
    bool active = false;        ///< a doorbell was rung, and the ring has not been seen empty since
    bool known = false;         ///< of a stream: read from its context
    std::uint64_t progress = 0; ///< bytes of that TD that were done before it was interrupted
    bool operator==(XhciRingState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("dequeue", s.dequeue);
        v.field("cycle", s.cycle);
        v.field("active", s.active);
        v.field("known", s.known);
        v.field("progress", s.progress);
    }
};

struct XhciEndpointState {
    std::uint8_t id = 0; ///< 1: the control endpoint; else 2 x number, + 1 for IN
    xhci::EndpointContext context;
    bool scheduled = false;           ///< isochronous: a TD has had its time
    std::uint64_t nextFrame = 0;      ///< the microframe of the next one, then
    std::vector<XhciRingState> rings; ///< one, or one for each stream
    bool operator==(XhciEndpointState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Range { 1, 31 });
        v.field("context", s.context);
        v.field("scheduled", s.scheduled);
        v.field("nextFrame", s.nextFrame);
        v.field("rings", s.rings, state::Max { 256 });
    }
};

struct XhciSlotState {
    bool enabled = false;
    std::uint64_t contextAddress = 0; ///< of the device context, once there is one
    bool lost = false;                ///< its device was pulled out or reset, and answers to this slot no more
    xhci::SlotContext context;
    std::vector<XhciEndpointState> endpoints; ///< in order of their ids
    bool operator==(XhciSlotState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("enabled", s.enabled);
        v.field("contextAddress", s.contextAddress);
        v.field("context", s.context);
        v.field("endpoints", s.endpoints, state::Max { 31 });
        v.field("lost", s.lost, state::Since { 2 });
    }
};

struct XhciPortState {
    std::uint32_t status = 0;     ///< [PORTSC] without the link's state and the speed
    std::uint8_t link = 5;        ///< [PLS]
    std::uint8_t speed = 0;       ///< [Port Speed]
    std::uint32_t power = 0;      ///< [PORTPMSC]
    std::string device;           ///< what is connected, as UsbDevice::identity() has it
    std::uint64_t emptyUntil = 0; ///< guest time in nanoseconds: nothing appears before
    /// The same of what hangs on that, if it is no part of the machine.
    std::vector<std::string> behind;
    bool operator==(XhciPortState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("status", s.status);
        v.field("link", s.link, state::Range { 0, 15 });
        v.field("speed", s.speed, state::Range { 0, 4 });
        v.field("power", s.power);
        v.field("device", s.device, state::Max { 128 });
        v.field("emptyUntil", s.emptyUntil, state::Since { 2 });
        v.field("behind", s.behind, state::Max { 128 }, state::Since { 3 });
    }
};

struct XhciSegment {
    std::uint64_t base = 0;
    std::uint16_t size = 0; ///< TRBs
    bool operator==(XhciSegment const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("base", s.base);
        v.field("size", s.size);
    }
};

/// An event that waits for room in its ring.
struct XhciEvent {
    std::uint64_t parameter = 0;
    std::uint32_t status = 0, control = 0;
    bool quiet = false; ///< raises no interrupt
    bool operator==(XhciEvent const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("parameter", s.parameter);
        v.field("status", s.status);
        v.field("control", s.control);
        v.field("quiet", s.quiet);
    }
};

struct XhciInterrupterState {
    static constexpr std::size_t maximumWaiting = 1024, maximumSegments = 16;
    std::uint32_t management = 0;         ///< [IMAN]
    std::uint32_t interval = 4000;        ///< [IMODI], of 250 ns
    std::uint64_t quietUntil = 0;         ///< guest time in nanoseconds
    std::uint32_t tableSize = 0;          ///< [ERSTSZ]
    std::uint64_t table = 0;              ///< [ERSTBA]
    std::uint64_t dequeue = 0;            ///< [ERDP] with its flags
    std::vector<XhciSegment> segments;    ///< as read from the table
    std::uint16_t segment = 0, place = 0; ///< where the next event goes
    bool cycle = true;
    bool full = false;              ///< the driver has been told so
    bool wanted = false;            ///< an interrupt waits for its time
    std::vector<XhciEvent> waiting; ///< for room in the ring
    bool operator==(XhciInterrupterState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("management", s.management, state::Range { 0, 3 });
        v.field("interval", s.interval, state::Range { 0, 0xffff });
        v.field("quietUntil", s.quietUntil);
        v.field("tableSize", s.tableSize, state::Range { 0, 0xffff });
        v.field("table", s.table);
        v.field("dequeue", s.dequeue);
        v.field("segments", s.segments, state::Max { maximumSegments });
        v.field("segment", s.segment);
        v.field("place", s.place);
        v.field("cycle", s.cycle);
        v.field("full", s.full);
        v.field("wanted", s.wanted);
        v.field("waiting", s.waiting, state::Max { maximumWaiting });
    }
};

}
