#include "vmm/base/log.h"
#include "vmm/usb/xhci_private.h"

#include <cassert>

// xHCI 1.2: 4.10 "Host Controller TRB Handling" (4.10.1.1 "Short Transfers", 4.10.2 "Errors"; 4.10.3 has what is other
// for isochronous ones), 4.11.2.3 on Isoch TRBs, 4.11.5.2 on Event Data TRBs, 4.14.2.1 on when an Isoch TD has its
// time.

namespace vmm {

using namespace xhci;

namespace {

Code codeOf(UsbStatus status)
{
    switch (status) {
    case UsbStatus::Success: return Code::Success;
    case UsbStatus::Stall: return Code::Stall;
    case UsbStatus::Babble: return Code::Babble;
    case UsbStatus::TransactionError:
    case UsbStatus::Cancelled: return Code::Transaction;
    }
    return Code::Transaction;
}

bool carriesData(Trb const& trb)
{
    return trb.type() == Normal || trb.type() == DataStage || trb.type() == Isoch;
}

std::size_t mostInFlight(UsbTransfer::Kind kind, UsbDevice const* device)
{
    // Isochronous: 16 ms of the fastest stream, and up to 64 for a device that wants them earlier. It is less than how
    // early that is: so what it is given next follows what has landed, several together, and not the clock.
    constexpr unsigned least = 128, most = 512;
    switch (kind) {
    case UsbTransfer::Kind::Control: return 1;
    case UsbTransfer::Kind::Interrupt: return 4;
    case UsbTransfer::Kind::Bulk: return 16;
    case UsbTransfer::Kind::Isochronous: return std::clamp(device ? device->isochronousLead() / 3 * 2 : 0, least, most);
    }
    return 1;
}

}

void XhciController::queue(Ring& ring)
{
    if (!std::exchange(ring.queued, true))
        m_queued.push_back(&ring);
}

bool XhciController::mayServe(Ring const& ring) const
{
    auto const& endpoint = *ring.endpoint;
    // Where a cancelled TD lands as one that is to begin anew, those behind it are too.
    bool const mayBeginAnew = !ring.flying.empty() && ring.flying.back()->cancelled;
    bool const standing
        = m_command && m_command->slot() == endpoint.slot->number && (m_standing >> endpoint.state.id & 1) != 0;
    return mayStart() && !standing && ring.state.active && ring.state.known && !ring.rewound && !mayBeginAnew
        && endpoint.state.context.state() == EndpointRunning && !eventsWait();
}

/// Gives the device what there is to do.
void XhciController::serve(Ring& ring)
{
    constexpr unsigned atOnce = 64; // then it is the others' turn
    auto& endpoint = *ring.endpoint;
    for (unsigned count = 0; mayServe(ring); ++count) {
        if (m_budget == 0 || count == atOnce)
            return queue(ring);
        auto const kind = endpoint.isControl()                                  ? UsbTransfer::Kind::Control
            : endpoint.isIsochronous()                                          ? UsbTransfer::Kind::Isochronous
            : endpoint.hasStreams()                                             ? UsbTransfer::Kind::Bulk
            : endpoint.type() == InterruptIn || endpoint.type() == InterruptOut ? UsbTransfer::Kind::Interrupt
                                                                                : UsbTransfer::Kind::Bulk;
        if (ring.flying.size() >= mostInFlight(kind, deviceOf(*endpoint.slot)))
            return;
        m_isCrowded |= m_trbsInFlight >= mostTrbsInFlight;
        if (m_isCrowded)
            return;
        auto td = obtainTd();
        td->ring = &ring;
        auto const fetched = fetchTd(ring, *td);
        if (fetched.kind == Fetched::Empty) {
            giveBack(std::move(td));
            return ranEmpty(ring);
        }
        if (fetched.kind == Fetched::Broken) {
            if (!ring.flying.empty())
                return; // looked at again when those have landed
            ringEvent(ring, Code::Trb, ring.fetch.dequeue, 0);
            return haltEndpoint(endpoint, EndpointError);
        }
        if (endpoint.isIsochronous() ? waitsForItsTime(ring, *td) : waitsInVain(endpoint))
            return giveBack(std::move(td));
        if (ring.flying.empty())
            td->before = std::exchange(ring.state.progress, 0);
        ring.fetch.dequeue = td->end.dequeue;
        ring.fetch.cycle = td->end.cycle;
        if (td->broken == Code::Success && !prepare(*td))
            td->broken = Code::Trb;
        submit(ring, std::move(td));
        retire(ring);
    }
}

void XhciController::submit(Ring& ring, std::unique_ptr<Td> pointer)
{
    auto& td = *ring.flying.emplace_back(std::move(pointer));
    ++ring.endpoint->flying;
    m_trbsInFlight += td.trbs.size();
    td.device = deviceOf(*ring.endpoint->slot);
    bool const asksForNothing = std::ranges::all_of(
        td.trbs, [](Trb const& trb) { return trb.type() == NoOp || trb.type() == EventData || trb.type() == Link; });
    if (td.broken != Code::Success || asksForNothing || !td.device) {
        td.landed = true;
        td.status = td.device || asksForNothing ? UsbStatus::Success : UsbStatus::TransactionError;
        return;
    }
    ++m_inFlight;
    td.device->submit(td);
}

void XhciController::completed(UsbTransfer& transfer)
{
    auto& td = static_cast<Td&>(transfer);
    assert(!td.landed);
    Work const work(*this);
    td.landed = true;
    td.transferred = std::min(td.transferred, td.length);
    --m_inFlight;
    queue(*td.ring);
}

/// Takes what has landed, in the order of the ring. A controller that is being reset tells nobody of it.
void XhciController::retire(Ring& ring)
{
    while (!ring.flying.empty() && ring.flying.front()->landed) {
        auto td = std::move(ring.flying.front());
        ring.flying.erase(ring.flying.begin());
        --ring.endpoint->flying;
        m_trbsInFlight -= td->trbs.size();
        // Behind one that begins anew from the ring it does so too.
        bool const counts = !ring.rewound && !m_resetting;
        if (counts && td->status == UsbStatus::Cancelled && td->broken == Code::Success)
            restart(ring, *td);
        else if (counts)
            finish(ring, *td);
        giveBack(std::move(td));
    }
    if (ring.flying.empty() && std::exchange(ring.rewound, false) && ring.state.active)
        queue(ring);
    if (m_isCrowded && m_trbsInFlight < mostTrbsInFlight / 2) {
        m_isCrowded = false;
        queueAll();
    }
}

/// The TD is where it was before it was begun, but for the bytes that are done.
void XhciController::restart(Ring& ring, Td const& td)
{
    auto const& endpoint = *ring.endpoint;
    if (endpoint.state.context.state() == EndpointRunning && deviceOf(*endpoint.slot) != td.device)
        return fail(ring, td, Code::Transaction, EndpointHalted);
    ring.state.dequeue = td.start.dequeue;
    ring.state.cycle = td.start.cycle;
    ring.state.progress = endpoint.isControl() ? 0 : td.before + td.transferred;
    ring.state.active = endpoint.state.context.state() == EndpointRunning;
    ring.fetch = ring.state;
    ring.rewound = true;
    if (endpoint.isIsochronous())
        ring.endpoint->state.nextFrame = std::min(ring.endpoint->state.nextFrame, td.frame);
}

void XhciController::finish(Ring& ring, Td const& td)
{
    auto const code = td.broken != Code::Success ? td.broken : codeOf(td.status);
    bool const isochronous = ring.endpoint->isIsochronous();
    if (code == Code::Success)
        reportTd(ring, td);
    else if (isochronous && code != Code::Trb) // 4.10.3: goes on with the next
        transferEvent(ring, td.trbs.front(), code, td.trbs.front().length());
    else
        return fail(ring, td, code, code == Code::Trb ? EndpointError : EndpointHalted);
    ring.state.dequeue = td.end.dequeue;
    ring.state.cycle = td.end.cycle;
}

/// The ring stands at the TD until the driver has seen to it.
void XhciController::fail(Ring& ring, Td const& td, Code code, unsigned endpointState)
{
    auto left = td.before + td.transferred;
    auto const* at = &td.trbs.back();
    std::uint64_t missing = 0;
    for (auto const& trb : td.trbs) {
        if (!carriesData(trb))
            continue;
        if (left < trb.length()) {
            at = &trb;
            missing = trb.length() - left;
            break;
        }
        left -= trb.length();
    }
    transferEvent(ring, *at, code, missing);
    ring.state.dequeue = td.start.dequeue;
    ring.state.cycle = td.start.cycle;
    // 4.6.8.1 "Soft Retry" goes on where the device did not answer.
    bool const mayGoOn = code == Code::Transaction && !ring.endpoint->isControl();
    ring.state.progress = mayGoOn ? td.before + td.transferred : 0;
    ring.fetch = ring.state;
    ring.rewound = !ring.flying.empty();
    haltEndpoint(*ring.endpoint, endpointState);
}

/// With all its streams: each stays where it is, and goes on when its doorbell is rung after the driver has seen to it.
void XhciController::haltEndpoint(Endpoint& endpoint, unsigned state)
{
    for (auto& ring : endpoint.rings)
        ring.state.active = false;
    endpoint.state.scheduled = false;
    endpoint.timeOf = 0;
    setEndpointState(endpoint, state);
    cancelEndpoint(endpoint);
}

/// The events of a TD that has ended well, though maybe with less data than there was room for.
void XhciController::reportTd(Ring const& ring, Td const& td)
{
    auto left = td.before + td.transferred;
    std::uint64_t accumulated = 0, missing = 0;
    bool isShort = false, begins = true;
    for (auto const& trb : td.trbs) {
        if (trb.type() == Link) { // of which the driver wants to hear; behind a short packet it is no more than passed
            if (!isShort)
                transferEvent(ring, trb, Code::Success, 0);
            continue;
        }
        if (std::exchange(begins, !trb.has(chainBit))) {
            isShort = false;
            accumulated = 0;
        }
        if (trb.type() == EventData) {
            if (trb.has(interruptOnCompletion))
                transferEvent(ring, trb, isShort ? Code::ShortPacket : Code::Success, accumulated);
            accumulated = 0;
            continue;
        }
        auto const length = carriesData(trb) ? trb.length() : 0u;
        auto const done = std::min<std::uint64_t>(left, length);
        left -= done;
        accumulated += done;
        if (isShort) {
            // 4.10.1.1.2: the last TRB says the same once more.
            if (!trb.has(chainBit) && trb.has(interruptOnCompletion))
                transferEvent(ring, trb, Code::ShortPacket, missing);
        } else if (done < length) {
            isShort = true;
            missing = length - done;
            if (trb.has(interruptOnCompletion) || trb.has(interruptOnShort))
                transferEvent(ring, trb, Code::ShortPacket, missing);
        } else if (trb.has(interruptOnCompletion)) {
            transferEvent(ring, trb, Code::Success, 0);
        }
    }
}

/// 6.4.2.1 "Transfer Event TRB".
void XhciController::transferEvent(Ring const& ring, Trb const& trb, Code code, std::uint64_t length)
{
    constexpr std::uint32_t eventData = 1 << 2, lengthMask = 0xffffff;
    bool const isData = trb.type() == EventData;
    bool const good = code == Code::Success || code == Code::ShortPacket;
    auto const quiet = good && trb.has(blockEventInterrupt) && trb.type() != SetupStage ? Quiet::Yes : Quiet::No;
    postEvent(trb.interrupter(), isData ? trb.parameter : trb.address,
        static_cast<std::uint32_t>(length & lengthMask) | std::uint32_t(code) << 24,
        TransferEvent << 10 | (isData ? eventData : 0) | std::uint32_t(ring.endpoint->state.id) << 16
            | ring.endpoint->slot->number << 24,
        quiet);
}

/// An event of the ring as such.
void XhciController::ringEvent(Ring const& ring, Code code, std::uint64_t pointer, std::uint64_t length)
{
    Trb trb;
    trb.address = pointer;
    trb.status = ring.endpoint->slot->context.interrupter() << 22;
    transferEvent(ring, trb, code, length);
}

/// 4.6.9 "Stop Endpoint": what was being done, or that nothing was. The ring stands at the TD.
void XhciController::stoppedEvent(Ring& ring)
{
    auto position = ring.state;
    Trb trb;
    bool const begun = ring.state.active && fetch(position, trb).kind == Fetched::Ready;
    auto done = ring.state.progress;
    while (begun && carriesData(trb) && done >= trb.length() && trb.length() != 0 && trb.has(chainBit)) {
        done -= trb.length();
        if (fetch(position, trb).kind != Fetched::Ready)
            break;
    }
    if (begun)
        transferEvent(ring, trb, Code::Stopped,
            carriesData(trb) ? trb.length() - std::min<std::uint64_t>(done, trb.length()) : 0);
    else if (!ring.endpoint->hasStreams())
        ringEvent(ring, Code::StoppedLengthInvalid, ring.state.dequeue, 0);
}

// Time

/// Whether the TD's time has not come yet; else it has its microframe, or is too late.
bool XhciController::waitsForItsTime(Ring& ring, Td& td)
{
    constexpr std::uint64_t frames = 0x4000, farthest = std::uint64_t(895) * 8, mostLate = std::uint64_t(64) * 8;
    auto& endpoint = *ring.endpoint;
    auto& state = endpoint.state;
    auto const& first = td.trbs.front();
    auto const now = microframe();
    if (first.type() != Isoch)
        return false;
    std::uint64_t due = 0;
    if (endpoint.waitingTd == first.address) {
        due = endpoint.waitingFrame;
    } else if (first.has(startAsap)) {
        bool const continues = state.scheduled && state.nextFrame + mostLate >= now;
        due = continues ? state.nextFrame : alignUp(now + 1, endpoint.interval());
    } else {
        // 4.11.2.5 "Frame ID": 11 bits of the frame; a shorter interval has several TDs in one frame.
        auto const frame = std::uint64_t(first.control >> 20 & 0x7ff) * 8;
        auto const from = state.scheduled ? std::min(now, state.nextFrame) : now;
        auto const ahead = (frame - from) % frames;
        if (state.scheduled && alignDown(state.nextFrame % frames, std::uint64_t(8)) == frame)
            due = state.nextFrame;
        else if (ahead <= farthest)
            due = from + ahead;
        else
            td.broken = Code::MissedService;
    }
    endpoint.waitingTd = 0;
    if (td.broken != Code::Success)
        return false;
    // What is to begin in a certain frame does. What follows may be given to the device long before, for the pace is
    // the device's.
    bool const begins = !first.has(startAsap) && !(state.scheduled && due == state.nextFrame);
    auto const* const device = deviceOf(*endpoint.slot);
    auto const lead = device && !begins ? device->isochronousLead() : 0;
    if (due > now + lead) {
        endpoint.waitingTd = first.address;
        endpoint.waitingFrame = due;
        endpoint.timeOf = due - lead;
        return true;
    }
    td.frame = due;
    state.scheduled = true;
    state.nextFrame = due + endpoint.interval();
    return false;
}

/// The device has gone, or has lost its address: as after the tries of a real controller the transfer fails, and not at
/// once. Drivers that try again whatever happens would let nothing else run on a processor until the system has taken
/// note.
bool XhciController::waitsInVain(Endpoint& endpoint)
{
    constexpr std::uint64_t tries = 10 * 8;
    if (deviceOf(*endpoint.slot)) {
        endpoint.givesUpAt = 0;
        return false;
    }
    auto const now = microframe();
    if (endpoint.givesUpAt == 0)
        endpoint.givesUpAt = now + tries;
    if (endpoint.givesUpAt <= now) {
        endpoint.givesUpAt = 0;
        return false;
    }
    endpoint.timeOf = endpoint.givesUpAt;
    if (std::ranges::find(m_timed, &endpoint) == m_timed.end())
        m_timed.push_back(&endpoint);
    return true;
}

/// 4.10.3.1: when the time of a TD comes that is not there, told once until the doorbell rings again. The event points
/// to the TRB that is not valid there, with a length of 0; controllers before 1.1 point to 0. The endpoint keeps
/// running. A device that was given the last TDs early has its own clock: as long as it has any of them, their time has
/// not passed.
void XhciController::ranEmpty(Ring& ring)
{
    auto& endpoint = *ring.endpoint;
    auto& state = endpoint.state;
    if (endpoint.isIsochronous() && state.scheduled) {
        if (!ring.flying.empty())
            return; // looked at again when they have landed
        if (microframe() < state.nextFrame) {
            endpoint.timeOf = state.nextFrame;
            return;
        }
        state.scheduled = false;
        ringEvent(ring, endpoint.isIn() ? Code::RingOverrun : Code::RingUnderrun, ring.fetch.dequeue, 0);
    }
    ring.state.active = false;
}

// Cancelling: the last one first, so that what a device ends by itself is never behind what it did not.

void XhciController::cancelRing(Ring& ring)
{
    Work const work(*this);
    for (auto td = ring.flying.rbegin(); td != ring.flying.rend(); ++td) {
        // What has landed behind one that may begin anew does so with it.
        bool const wasAsked = std::exchange((*td)->cancelled, true);
        if (!(*td)->landed && !wasAsked)
            (*td)->device->cancel(**td);
    }
}

void XhciController::cancelEndpoint(Endpoint& endpoint)
{
    for (auto& ring : endpoint.rings)
        cancelRing(ring);
}

void XhciController::cancelAll()
{
    for (auto const& slot : m_slots) {
        for (auto const& endpoint : slot->endpoints) {
            if (endpoint)
                cancelEndpoint(*endpoint);
        }
    }
}

void XhciController::cancelDevice(UsbDevice& tree)
{
    Work const work(*this);
    for (auto const& slot : m_slots) {
        for (auto const& endpoint : slot->endpoints) {
            for (std::size_t i = 0; endpoint && i < endpoint->rings.size(); ++i) {
                auto const& flying = endpoint->rings[i].flying;
                if (!flying.empty() && flying.front()->device && isIn(tree, *flying.front()->device))
                    cancelRing(endpoint->rings[i]);
            }
        }
    }
}

bool XhciController::isFlying(UsbDevice& tree) const
{
    return std::any_of(m_slots.begin(), m_slots.end(), [&](auto const& slot) {
        return std::any_of(slot->endpoints.begin(), slot->endpoints.end(), [&](auto const& endpoint) {
            return endpoint && std::any_of(endpoint->rings.begin(), endpoint->rings.end(), [&](Ring const& ring) {
                return std::any_of(ring.flying.begin(), ring.flying.end(),
                    [&](auto const& td) { return !td->landed && isIn(tree, *td->device); });
            });
        });
    });
}

}
