#include "vmm/base/log.h"
#include "vmm/usb/xhci_private.h"

// xHCI 1.2: 4.9.4 "Event Ring Management", 4.17 "Interrupters", 6.5 "Event Ring Segment Table".

namespace vmm {

using namespace xhci;

namespace {

constexpr std::uint64_t pointerMask = ~std::uint64_t(0xf);
constexpr std::uint16_t leastTrbs = 16, mostTrbs = 4096;

struct Cursor {
    std::size_t segment, place;
};

Cursor after(XhciInterrupterState const& ring, Cursor at)
{
    if (++at.place < ring.segments[at.segment].size)
        return at;
    return { at.segment + 1 < ring.segments.size() ? at.segment + 1 : 0, 0 };
}

std::uint64_t addressOf(XhciInterrupterState const& ring, Cursor at)
{
    return ring.segments[at.segment].base + at.place * Trb::size;
}

void advance(XhciInterrupterState& ring)
{
    auto const next = after(ring, { ring.segment, ring.place });
    ring.segment = static_cast<std::uint16_t>(next.segment);
    ring.place = static_cast<std::uint16_t>(next.place);
    if (next.segment == 0 && next.place == 0)
        ring.cycle = !ring.cycle;
}

/// Whether the driver has seen all events.
bool isEmpty(XhciInterrupterState const& ring)
{
    return addressOf(ring, { ring.segment, ring.place }) == (ring.dequeue & pointerMask);
}

/// Whether after `count` more events the next place is the one that the driver reads next.
bool fullAfter(XhciInterrupterState const& ring, unsigned count)
{
    Cursor at { ring.segment, ring.place };
    for (unsigned i = 0; i < count; ++i) {
        at = after(ring, at);
        if (addressOf(ring, at) == (ring.dequeue & pointerMask))
            return true;
    }
    return false;
}

}

/// The ring begins anew with its first segment.
void XhciController::readSegments(XhciInterrupterState& interrupter)
{
    interrupter.segments.clear();
    interrupter.segment = interrupter.place = 0;
    interrupter.cycle = true;
    interrupter.full = false;
    auto const count = std::min<std::size_t>(interrupter.tableSize, XhciInterrupterState::maximumSegments);
    std::vector<XhciSegment> segments;
    for (std::size_t i = 0; i < count; ++i) {
        std::array<std::uint8_t, 16> entry {};
        if (!services().ram.read(interrupter.table + i * entry.size(), entry))
            return trace("xhci", "an event ring segment table outside of memory");
        auto const size = loadLittle<std::uint16_t>(ConstByteSpan(entry).subspan(8));
        if (size < leastTrbs || size > mostTrbs)
            return trace("xhci", "an event ring segment of {}", size);
        segments.push_back({ loadLittle<std::uint64_t>(entry) & ~std::uint64_t(0x3f), size });
    }
    interrupter.segments = std::move(segments);
}

bool XhciController::eventsWait() const
{
    auto const& all = m_state.interrupters;
    return std::any_of(all.begin(), all.end(), [](auto const& interrupter) { return !interrupter.waiting.empty(); });
}

void XhciController::postEvent(
    unsigned interrupter, std::uint64_t parameter, std::uint32_t status, std::uint32_t control, Quiet quiet)
{
    auto& target = m_state.interrupters[interrupter < interrupterCount ? interrupter : 0];
    if (target.segments.empty())
        return trace("xhci", "an event for interrupter {}, which has no ring", interrupter);
    // Whoever makes events stops as soon as one waits; only a guest that asks for thousands of them in a TD gets here.
    if (target.waiting.size() == XhciInterrupterState::maximumWaiting)
        return trace("xhci", "an event is lost");
    target.waiting.push_back({ parameter, status, control, quiet == Quiet::Yes });
    flushEvents(static_cast<unsigned>(&target - m_state.interrupters.data()));
}

bool XhciController::storeEvent(XhciInterrupterState& interrupter, XhciEvent const& event)
{
    auto const at = addressOf(interrupter, { interrupter.segment, interrupter.place });
    std::uint32_t const control = event.control | (interrupter.cycle ? cycleBit : 0);
    advance(interrupter);
    // The word with the cycle bit is last: with it the event is there.
    return services().ram.store(at, event.parameter) && services().ram.store(at + 8, event.status)
        && services().ram.store(at + 12, control);
}

void XhciController::flushEvents(unsigned index)
{
    // A ring that was full goes on when there is room for more than saying so again.
    constexpr unsigned enoughRoom = 4;
    auto& interrupter = m_state.interrupters[index];
    interrupter.full &= fullAfter(interrupter, enoughRoom);
    std::size_t done = 0;
    bool stored = true;
    while (stored && done < interrupter.waiting.size() && !interrupter.full) {
        auto event = interrupter.waiting[done];
        if (fullAfter(interrupter, 1))
            break; // the driver has left no room at all
        // The last place but one is for saying that the ring is full.
        if (fullAfter(interrupter, 2)) {
            event = { 0, std::uint32_t(Code::EventRingFull) << 24, HostController << 10, false };
            interrupter.full = true;
        } else {
            ++done;
        }
        stored = storeEvent(interrupter, event);
        interrupter.wanted |= !event.quiet;
    }
    interrupter.waiting.erase(
        interrupter.waiting.begin(), interrupter.waiting.begin() + static_cast<std::ptrdiff_t>(done));
    if (!stored) {
        interrupter.waiting.clear();
        interrupter.segments.clear();
        hostSystemError();
    }
}

/// 4.17.2 "Interrupt Moderation", 4.17.5 "Interrupt Blocking".
void XhciController::updateInterrupts()
{
    bool level = false;
    for (unsigned i = 0; i < interrupterCount; ++i) {
        auto& interrupter = m_state.interrupters[i];
        interrupter.wanted &= !interrupter.segments.empty() && !isEmpty(interrupter);
        constexpr std::chrono::nanoseconds unit { 250 }, longest = 0xffff * unit;
        if (interrupter.wanted && (interrupter.dequeue & handlerBusy) == 0
            && usb::hasCome(m_time, interrupter.quietUntil, longest)) {
            interrupter.wanted = false;
            interrupter.quietUntil = usb::fromNow(m_time, interrupter.interval * unit);
            interrupter.management |= interruptPending;
            interrupter.dequeue |= handlerBusy;
            m_state.status |= eventInterrupt;
        }
        constexpr auto both = interruptPending | interrupterEnable;
        if ((interrupter.management & both) != both || (m_state.command & interruptEnable) == 0)
            continue;
        if (msixEnabled()) {
            sendMsix(i);
            interrupter.management &= ~interruptPending;
        } else {
            level |= i == 0;
        }
    }
    setInterrupt(level);
}

}
