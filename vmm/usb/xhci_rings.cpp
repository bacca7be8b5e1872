#include "vmm/base/log.h"
#include "vmm/usb/xhci_private.h"

// xHCI 1.2: 4.9 "TRB Ring", 4.11.2.2 on the TRBs of a control transfer's stages, 4.12 "Streams".

namespace vmm {

using namespace xhci;

/// The next TRB but Link TRBs, or with those of which the driver wants to hear; `position` moves on behind it. Bounded,
/// whatever the ring looks like.
XhciController::Fetched XhciController::fetch(XhciRingState& position, Trb& trb, Links links)
{
    auto const& ram = services().ram;
    for (unsigned followed = 0; followed < mostLinks; ++followed) {
        // The word with the cycle bit is read first: where that says so, the rest is there.
        auto const control = ram.load<std::uint32_t>(position.dequeue + 12);
        if (!control)
            return { Fetched::Broken };
        if (((*control & cycleBit) != 0) != position.cycle)
            return { Fetched::Empty };
        auto const parameter = ram.load<std::uint64_t>(position.dequeue);
        auto const status = ram.load<std::uint32_t>(position.dequeue + 8);
        if (!parameter || !status)
            return { Fetched::Broken };
        trb = { *parameter, *status, *control, position.dequeue };
        spend(1);
        if (trb.type() != Link) {
            position.dequeue += Trb::size;
            return { Fetched::Ready };
        }
        position.dequeue = trb.parameter & ~std::uint64_t(0xf);
        if (trb.has(toggleCycle))
            position.cycle = !position.cycle;
        if (links == Links::Tell && trb.has(interruptOnCompletion))
            return { Fetched::Ready };
    }
    trace("xhci", "Link TRBs that lead nowhere");
    return { Fetched::Broken };
}

/// A TD from where reading goes on. Of a control endpoint all three stages: a device gets a request as a whole. A Link
/// TRB with an event of its own (6.4.4.1 "Link TRB") is a part of the TD that it is in, and between two it is one: the
/// driver hears of it when the ring has passed it, whether or not something follows.
XhciController::Fetched XhciController::fetchTd(Ring& ring, Td& td)
{
    auto position = ring.fetch;
    bool const isControl = ring.endpoint->isControl();
    for (bool whole = false; !whole;) {
        Trb trb;
        if (auto const fetched = fetch(position, trb, Links::Tell); fetched.kind != Fetched::Ready)
            return fetched;
        if (td.trbs.size() == mostTrbsOfTd) {
            td.broken = Code::Trb;
            break;
        }
        td.trbs.push_back(trb);
        if (trb.type() == Link) {
            whole = td.trbs.size() == 1;
            continue;
        }
        bool const inRequest = isControl && td.trbs.front().type() == SetupStage
            && std::none_of(td.trbs.begin(), td.trbs.end(), [](Trb const& t) { return t.type() == StatusStage; });
        whole = !trb.has(chainBit) && !inRequest;
    }
    td.start = position;
    td.start.dequeue = td.trbs.front().address;
    td.start.cycle = td.trbs.front().has(cycleBit);
    td.end = position;
    return { Fetched::Ready };
}

/// Finds what there is to do in the TRBs. False where they make no sense.
bool XhciController::prepare(Td& td)
{
    auto const& endpoint = *td.ring->endpoint;
    td.endpoint = endpoint.address();
    td.kind = endpoint.isControl()                                ? UsbTransfer::Kind::Control
        : endpoint.isIsochronous()                                ? UsbTransfer::Kind::Isochronous
        : endpoint.type() == BulkIn || endpoint.type() == BulkOut ? UsbTransfer::Kind::Bulk
                                                                  : UsbTransfer::Kind::Interrupt;
    td.stream = static_cast<std::uint16_t>(td.ring->stream);
    for (auto const& trb : td.trbs) {
        switch (trb.type()) {
        case SetupStage: {
            constexpr std::uint8_t setAddress = 5;
            storeLittle(ByteSpan(td.setup), trb.parameter);
            // 4.5.4 "USB Standard Device Request to xHCI Command Mapping": that request is the controller's own.
            bool const forbidden = td.setup[0] == 0 && td.setup[1] == setAddress;
            if (!endpoint.isControl() || &trb != td.trbs.data() || !trb.has(immediateData) || trb.length() != 8
                || forbidden)
                return false;
            td.endpoint = static_cast<std::uint8_t>(endpoint.state.id / 2 | (td.setup[0] & 0x80));
            break;
        }
        case DataStage:
        case Normal:
        case Isoch:
            if (!addMemory(td, trb))
                return false;
            break;
        case StatusStage:
            if (!endpoint.isControl())
                return false;
            break;
        case EventData:
        case Link:
        case NoOp: break;
        default: return false;
        }
    }
    if (td.before > td.length)
        return false;
    // What was done of it before it was interrupted.
    for (auto skip = td.before; skip > 0;) {
        auto& first = td.memory.front();
        auto const count = std::min<std::uint64_t>(skip, first.iov_len);
        first = { static_cast<std::uint8_t*>(first.iov_base) + count, first.iov_len - count };
        if (first.iov_len == 0)
            td.memory.erase(td.memory.begin());
        skip -= count;
    }
    td.length -= td.before;
    td.buffers = td.memory;
    return true;
}

bool XhciController::addMemory(Td& td, Trb const& trb)
{
    auto const length = trb.length();
    if (length == 0)
        return true;
    std::uint8_t* memory = nullptr;
    if (trb.has(immediateData)) {
        if (td.isIn() || length > td.immediate.size() || td.length != 0)
            return false;
        storeLittle(ByteSpan(td.immediate), trb.parameter);
        memory = td.immediate.data();
    } else {
        memory = services().ram.at(trb.parameter, length);
    }
    td.length += length;
    if (!memory || td.length > mostBytesOfTd)
        return false;
    if (!td.memory.empty()) {
        auto& last = td.memory.back();
        if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == memory) {
            last.iov_len += length;
            return true;
        }
    }
    td.memory.push_back({ memory, length });
    return true;
}

/// 6.2.4.1 "Stream Context": read when the stream's first doorbell is rung.
Code XhciController::readStream(Endpoint& endpoint, unsigned stream)
{
    auto& ring = endpoint.rings[stream];
    if (ring.state.known)
        return Code::Success;
    constexpr std::uint64_t size = 16, primaryRing = 1;
    auto const array = endpoint.state.context.pointer() & ~std::uint64_t(0xf);
    auto const context = services().ram.load<std::uint64_t>(array + stream * size);
    if (!context || (*context >> 1 & 7) != primaryRing)
        return Code::InvalidStreamType;
    ring.state = { *context & ~std::uint64_t(0xf), (*context & 1) != 0, false, true, 0 };
    ring.fetch = ring.state;
    return Code::Success;
}

std::unique_ptr<XhciController::Td> XhciController::obtainTd()
{
    if (m_freeTds.empty())
        return std::make_unique<Td>();
    auto td = std::move(m_freeTds.back());
    m_freeTds.pop_back();
    auto trbs = std::move(td->trbs);
    auto memory = std::move(td->memory);
    *td = {};
    trbs.clear();
    memory.clear();
    td->trbs = std::move(trbs);
    td->memory = std::move(memory);
    return td;
}

void XhciController::giveBack(std::unique_ptr<Td> td)
{
    constexpr std::size_t kept = 64, usualTrbs = 256;
    if (m_freeTds.size() < kept && td->trbs.capacity() <= usualTrbs)
        m_freeTds.push_back(std::move(td));
}

}
