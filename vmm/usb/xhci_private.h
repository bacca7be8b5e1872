#pragma once

#include "vmm/usb/empty_port.h"
#include "vmm/usb/xhci_controller.h"

#include <algorithm>

// What the source files of the controller share.

namespace vmm {

namespace xhci {

// Where the registers are.
constexpr unsigned barSize = 0x4000, operationalBase = 0x40, portBase = 0x440, runtimeBase = 0x1000,
                   interrupterBase = 0x1020, doorbellBase = 0x2000;

// 5.4.1 "USB Command Register (USBCMD)".
constexpr std::uint32_t runStop = 1 << 0, hostReset = 1 << 1, interruptEnable = 1 << 2, systemErrorEnable = 1 << 3,
                        saveState = 1 << 8, restoreState = 1 << 9, wrapEnable = 1 << 10, stopU3 = 1 << 11;
// 5.4.2 "USB Status Register (USBSTS)".
constexpr std::uint32_t halted = 1 << 0, systemError = 1 << 2, eventInterrupt = 1 << 3, portChange = 1 << 4,
                        stateError = 1 << 10, notReady = 1 << 11;
// 5.4.5 "Command Ring Control Register (CRCR)".
constexpr std::uint32_t commandStop = 1 << 1, commandAbort = 1 << 2, commandRunning = 1 << 3;
// 5.5.2.1 "Interrupter Management Register (IMAN)", 5.5.2.3.3 "Event Ring Dequeue Pointer Register (ERDP)".
constexpr std::uint32_t interruptPending = 1 << 0, interrupterEnable = 1 << 1, handlerBusy = 1 << 3;

constexpr Nanoseconds microframeTime { 125'000 };
constexpr unsigned mostTrbsOfTd = 4096, mostTrbsAtOnce = 16384, mostLinks = 64, mostStreamRings = 16384;
constexpr std::size_t mostTrbsInFlight = 1u << 18; // some 10 MB; no driver queues as many
constexpr std::uint64_t mostBytesOfTd = 16u << 20;
// A century of them: no machine gets there, and its nanoseconds can be counted.
constexpr std::uint64_t mostMicroframes = std::uint64_t(100) * 365 * 24 * 3600 * 8000;

/// Of an endpoint, as its descriptor has it.
constexpr std::uint8_t addressOf(unsigned id)
{
    return static_cast<std::uint8_t>(id / 2 | (id % 2 != 0 ? 0x80 : 0));
}

}

/// The outcome of reading a ring.
struct XhciController::Fetched {
    enum Kind : std::uint8_t { Ready, Empty, Broken } kind;
};

/// A Transfer Descriptor with what the device is asked to do for it; of a control endpoint all stages together.
struct XhciController::Td final : UsbTransfer {
    Ring* ring = nullptr;
    UsbDevice* device = nullptr;
    std::vector<xhci::Trb> trbs;
    std::vector<iovec> memory;
    std::array<std::uint8_t, 8> immediate {};
    XhciRingState start, end; // where it begins, and what follows it
    std::uint64_t before = 0; // bytes that were done of it earlier
    xhci::Code broken = xhci::Code::Success;
    bool landed = false;
    bool cancelled = false; // asked for
};

struct XhciController::Ring {
    XhciRingState state;
    XhciRingState fetch; // ahead of `state` by what is in flight
    Endpoint* endpoint = nullptr;
    unsigned stream = 0;
    bool queued = false;
    bool rewound = false; // what is in flight is of no interest, and what is in the ring waits for it to land
    std::vector<std::unique_ptr<Td>> flying {}; // the first is the oldest; there may be thousands of empty ones
};

struct XhciController::Endpoint {
    XhciEndpointState state; // but for `rings`
    Slot* slot = nullptr;
    std::deque<Ring> rings {};                     // stay where they are
    std::size_t flying = 0;                        // TDs of all rings
    std::uint64_t timeOf = 0;                      // when to look at its rings again, in microframes; 0: never
    std::uint64_t givesUpAt = 0;                   // the same, while nobody answers what is in them
    std::uint64_t waitingTd = 0, waitingFrame = 0; // which TD waits for its microframe

    unsigned type() const { return state.context.type(); }
    bool isControl() const { return type() == xhci::Control; }
    bool isIn() const { return type() >= xhci::IsochIn; }
    bool isIsochronous() const { return type() == xhci::IsochOut || type() == xhci::IsochIn; }
    bool hasStreams() const { return state.context.maxStreams() != 0; }
    std::uint64_t interval() const { return std::uint64_t(1) << std::min(state.context.interval(), 15u); }
    std::uint8_t address() const { return xhci::addressOf(state.id); }
};

struct XhciController::Slot {
    unsigned number = 0;
    bool enabled = false;
    std::uint64_t contextAddress = 0;
    bool lost = false;
    xhci::SlotContext context {};
    std::array<std::unique_ptr<Endpoint>, 32> endpoints {}; // by id

    bool hasAddress() const
    {
        return context.state() == xhci::SlotAddressed || context.state() == xhci::SlotConfigured;
    }
    bool isFlying(std::uint32_t ids = ~0u) const
    {
        return std::any_of(endpoints.begin(), endpoints.end(),
            [&](auto const& e) { return e && (ids >> e->state.id & 1) != 0 && e->flying != 0; });
    }
};

class XhciController::Work {
public:
    explicit Work(XhciController& owner) : m_owner(owner)
    {
        if (m_owner.m_depth++ == 0)
            m_owner.m_budget = xhci::mostTrbsAtOnce;
    }
    ~Work()
    {
        if (m_owner.m_depth == 1)
            m_owner.finishWork();
        --m_owner.m_depth;
    }
    Work(Work const&) = delete;
    Work& operator=(Work const&) = delete;

private:
    XhciController& m_owner;
};

}
