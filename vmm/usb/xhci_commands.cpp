#include "vmm/base/log.h"
#include "vmm/usb/xhci_private.h"

// xHCI 1.2: 4.6.1 "Command Ring Operation" and the sections of the commands behind it, 6.2.5 "Input Context", 6.4.3
// "Command TRBs".

namespace vmm {

using namespace xhci;

/// What the driver wants a device context to be.
struct XhciController::InputContext {
    std::uint32_t drop = 0, add = 0;
    SlotContext slot;
    std::array<EndpointContext, 32> endpoints {}; // by id
};

namespace {

constexpr unsigned controlEndpoint = 1, lastEndpoint = 31;

template<typename Context>
Context contextFrom(ConstByteSpan bytes)
{
    Context context;
    for (std::size_t i = 0; i < context.word.size(); ++i)
        context.word[i] = loadLittle<std::uint32_t>(bytes.subspan(4 * i, 4));
    return context;
}

template<typename Context>
bool storeContext(GuestMemory const& ram, std::uint64_t at, Context const& context)
{
    return ram.write(at, { reinterpret_cast<std::uint8_t const*>(context.word.data()), context.word.size() * 4 });
}

/// Whether a command is about one endpoint, named in its TRB.
bool concernsEndpoint(unsigned type)
{
    return type == ResetEndpoint || type == StopEndpoint || type == SetTrDequeue;
}

bool concernsSlot(unsigned type)
{
    return concernsEndpoint(type) || type == DisableSlot || type == AddressDevice || type == ConfigureEndpoint
        || type == EvaluateContext || type == ResetDevice;
}

constexpr std::uint32_t allButControl = ~3u;

}

void XhciController::serveCommands()
{
    while (mayStart() && m_state.commandRing.active && !m_command && !eventsWait()) {
        if (m_budget == 0) {
            m_commandsQueued = true;
            return;
        }
        if (!beginCommand())
            return;
        if (m_command)
            finishCommand();
    }
}

/// 4.6.1.1 "Stopping the Command Ring".
void XhciController::stopCommandRing()
{
    constexpr auto status = std::uint32_t(Code::CommandRingStopped) << 24;
    m_stopCommands = m_abortCommand = false;
    if (std::exchange(m_state.commandRing.active, false))
        postEvent(0, m_state.commandRing.dequeue, status, CommandCompletion << 10);
}

/// Takes the next command, and stops what must not go on while it is executed.
bool XhciController::beginCommand()
{
    Trb trb;
    auto const fetched = fetch(m_state.commandRing, trb, Links::Tell);
    if (fetched.kind == Fetched::Broken)
        hostSystemError();
    if (fetched.kind != Fetched::Ready)
        return false;
    m_command = trb;
    if (auto const code = quiesceFor(trb); code != Code::Success)
        endCommand(code, trb.slot());
    return true;
}

/// False while it has to wait.
bool XhciController::finishCommand()
{
    auto const command = *m_command;
    auto slot = command.slot();
    bool const waits = m_standing != 0 && m_slots[slot - 1]->isFlying(m_standing);
    if (waits && !m_abortCommand)
        return false;
    // 4.6.1.2 "Aborting a Command".
    auto const code = waits ? Code::CommandAborted : execute(command, slot);
    endCommand(code, slot);
    return true;
}

/// 6.4.2.2 "Command Completion Event TRB".
void XhciController::endCommand(Code code, unsigned slot)
{
    auto const address = m_command->address;
    for (unsigned id = controlEndpoint; id <= lastEndpoint; ++id) { // what has waited meanwhile
        if (auto* const endpoint = findEndpoint(m_command->slot(), id); endpoint && (m_standing >> id & 1) != 0)
            queueActive(*endpoint);
    }
    m_command.reset();
    m_commandsQueued = true;
    postEvent(0, address, std::uint32_t(code) << 24, CommandCompletion << 10 | slot << 24);
}

/// Cancels what a command may not meet. An error where the command has no object.
Code XhciController::quiesceFor(Trb const& command)
{
    auto const type = command.type();
    m_standing = 0;
    if (!concernsSlot(type))
        return Code::Success;
    if (command.slot() == 0 || command.slot() > slotCount || !m_slots[command.slot() - 1]->enabled)
        return Code::SlotNotEnabled;
    if (concernsEndpoint(type) && !findEndpoint(command.slot(), command.endpoint()))
        return command.endpoint() == 0 ? Code::Trb : Code::EndpointNotEnabled;
    m_standing = endpointsOf(command);
    for (unsigned id = controlEndpoint; id <= lastEndpoint; ++id) {
        if (auto* const endpoint = findEndpoint(command.slot(), id); endpoint && (m_standing >> id & 1) != 0) {
            spend(endpoint->rings.size());
            cancelEndpoint(*endpoint);
        }
    }
    return Code::Success;
}

/// Which endpoints of its slot a command changes, a bit for each id.
std::uint32_t XhciController::endpointsOf(Trb const& command) const
{
    switch (command.type()) {
    case ResetEndpoint:
    case StopEndpoint:
    case SetTrDequeue: return 1u << command.endpoint();
    case ConfigureEndpoint: {
        InputContext input;
        if (command.has(deconfigure))
            return allButControl;
        return readInput(command.parameter, input) ? (input.drop | input.add) & allButControl : 0;
    }
    case EvaluateContext: return 0;
    default: return ~0u;
    }
}

Code XhciController::execute(Trb const& command, unsigned& slot)
{
    switch (command.type()) {
    case Link: // 6.4.4.1 "Link TRB": with an event of its own
    case NoOpCommand: slot = 0; return Code::Success;
    case EnableSlot: return enableSlot(slot);
    case GetPortBandwidth: return portBandwidth(command);
    // There is no wire on which a header could go out, or a device could negotiate: 4.6.16 "Force Header" ends well, as
    // nobody answers it.
    case ForceHeader: return Code::Success;
    case NegotiateBandwidth: return Code::Trb;
    default: break;
    }
    if (!concernsSlot(command.type()))
        return Code::Trb;
    auto& of = *m_slots[slot - 1];
    switch (command.type()) {
    case DisableSlot: return disableSlot(of);
    case AddressDevice: return addressDevice(of, command);
    case ConfigureEndpoint: return configureEndpoints(of, command);
    case EvaluateContext: return evaluateContext(of, command);
    case ResetEndpoint: return resetEndpoint(of, command);
    case StopEndpoint: return stopEndpoint(of, command);
    case SetTrDequeue: return setDequeue(of, command);
    default: return resetDevice(of);
    }
}

// Contexts

bool XhciController::readInput(std::uint64_t address, InputContext& input) const
{
    std::array<std::uint8_t, 33 * contextSize> bytes {};
    if (!services().ram.read(address & ~std::uint64_t(0xf), bytes))
        return false;
    auto const at = [&](std::size_t n) { return ConstByteSpan(bytes).subspan(n * contextSize, contextSize); };
    input.drop = loadLittle<std::uint32_t>(at(0));
    input.add = loadLittle<std::uint32_t>(at(0).subspan(4));
    input.slot = contextFrom<SlotContext>(at(1));
    for (unsigned id = controlEndpoint; id <= lastEndpoint; ++id)
        input.endpoints[id] = contextFrom<EndpointContext>(at(id + 1));
    return true;
}

/// 6.2.3.1 "Address Device Command Usage" and the two after it: what of an endpoint context can be wrong in itself.
Code XhciController::checkEndpoint(unsigned id, EndpointContext const& context) const
{
    constexpr unsigned mostStreams = 7, mostInterval = 18;
    auto const type = context.type();
    bool const isIn = id % 2 != 0, typeIsIn = type >= IsochIn;
    bool const fits
        = id == controlEndpoint ? type == Control : type != 0 && (type == Control ? isIn : isIn == typeIsIn);
    bool const isBulk = type == BulkIn || type == BulkOut;
    if (!fits || context.maxPacket() == 0 || context.interval() > mostInterval
        || context.maxStreams() > (isBulk ? mostStreams : 0))
        return Code::Parameter;
    return Code::Success;
}

void XhciController::writeSlotContext(Slot const& slot) const
{
    if (slot.contextAddress != 0 && !storeContext(services().ram, slot.contextAddress, slot.context))
        trace("xhci", "a device context outside of memory");
}

void XhciController::writeEndpointContext(Endpoint const& endpoint) const
{
    auto context = endpoint.state.context;
    if (!endpoint.hasStreams()) {
        auto const& ring = endpoint.rings.front().state;
        context.setPointer(ring.dequeue | (ring.cycle ? 1 : 0));
    }
    auto const at = endpoint.slot->contextAddress + endpoint.state.id * contextSize;
    if (!storeContext(services().ram, at, context))
        trace("xhci", "an endpoint context outside of memory");
    constexpr std::uint64_t primaryRing = 1 << 1, streamContextSize = 16;
    for (unsigned i = 1; endpoint.hasStreams() && i < endpoint.rings.size(); ++i) {
        auto const& ring = endpoint.rings[i].state;
        auto const place = (context.pointer() & ~std::uint64_t(0xf)) + i * streamContextSize;
        if (ring.known && !services().ram.store(place, ring.dequeue | primaryRing | (ring.cycle ? 1 : 0)))
            trace("xhci", "a stream context outside of memory");
    }
}

void XhciController::setEndpointState(Endpoint& endpoint, unsigned state) const
{
    endpoint.state.context.setState(state);
    writeEndpointContext(endpoint);
}

XhciController::Endpoint* XhciController::findEndpoint(unsigned slot, unsigned id) const
{
    if (slot == 0 || slot > slotCount || id == 0 || id > lastEndpoint)
        return nullptr;
    return m_slots[slot - 1]->endpoints[id].get();
}

XhciController::Endpoint& XhciController::addEndpoint(Slot& slot, unsigned id, EndpointContext const& context)
{
    removeEndpoint(slot, id);
    auto& endpoint = *(slot.endpoints[id] = std::make_unique<Endpoint>());
    endpoint.state.id = static_cast<std::uint8_t>(id);
    endpoint.state.context = context;
    endpoint.slot = &slot;
    auto const count = endpoint.hasStreams() ? 2u << context.maxStreams() : 1u;
    for (unsigned i = 0; i < count; ++i) {
        auto& ring = endpoint.rings.emplace_back();
        ring.endpoint = &endpoint;
        ring.stream = i;
    }
    spend(count);
    m_streamRings += endpoint.hasStreams() ? count : 0;
    if (!endpoint.hasStreams()) {
        auto& ring = endpoint.rings.front();
        ring.state.dequeue = context.pointer() & ~std::uint64_t(0xf);
        ring.state.cycle = (context.pointer() & 1) != 0;
        ring.state.known = true;
        ring.fetch = ring.state;
    }
    if (endpoint.isIsochronous())
        m_timed.push_back(&endpoint);
    return endpoint;
}

/// What endpoints are about to have instead of what they have, all of them or, where the device has not so many streams
/// or the controller no room for them, none. Of a device that is lost nobody says how many it has.
bool XhciController::changeStreams(Slot const& slot, InputContext const& input)
{
    auto const changes = [&](unsigned id) { return ((input.drop | input.add) >> id & 1) != 0; };
    auto const ringsBefore = [&](unsigned id) -> std::size_t {
        auto const& endpoint = slot.endpoints[id];
        return changes(id) && endpoint && endpoint->hasStreams() ? endpoint->rings.size() : 0;
    };
    auto const ringsAfter = [&](unsigned id) -> std::size_t {
        auto const streams = input.endpoints[id].maxStreams();
        return (input.add >> id & 1) != 0 && streams != 0 ? 2u << streams : 0;
    };
    auto rings = m_streamRings;
    for (unsigned id = controlEndpoint + 1; id <= lastEndpoint; ++id)
        rings = rings + ringsAfter(id) - ringsBefore(id);
    if (rings > mostStreamRings)
        return false;
    auto* const device = deviceOf(slot);
    // The first of the rings is no stream's. An endpoint that is added anew begins anew.
    auto const change = [&](unsigned id, std::size_t from, std::size_t to) {
        return (from == 0 || device->setStreams(addressOf(id), 0))
            && (to == 0 || device->setStreams(addressOf(id), static_cast<unsigned>(to) - 1));
    };
    for (unsigned id = controlEndpoint + 1; device && id <= lastEndpoint; ++id) {
        if (change(id, ringsBefore(id), ringsAfter(id)))
            continue;
        change(id, 0, ringsBefore(id));
        while (--id > controlEndpoint)
            change(id, ringsAfter(id), ringsBefore(id));
        return false;
    }
    return true;
}

/// With nothing of it in flight; what the device has for its streams stays.
void XhciController::removeEndpoint(Slot& slot, unsigned id)
{
    auto& endpoint = slot.endpoints[id];
    if (!endpoint)
        return;
    if (std::ranges::any_of(endpoint->rings, &Ring::queued))
        std::erase_if(m_queued, [&](Ring const* ring) { return ring->endpoint == endpoint.get(); });
    std::erase_if(m_later, [&](Ring const* ring) { return ring->endpoint == endpoint.get(); });
    std::erase(m_timed, endpoint.get());
    m_streamRings -= endpoint->hasStreams() ? endpoint->rings.size() : 0;
    endpoint.reset();
}

/// With nothing of it in flight.
void XhciController::dropEndpoint(Slot& slot, unsigned id)
{
    auto* const device = deviceOf(slot);
    if (device && slot.endpoints[id] && slot.endpoints[id]->hasStreams())
        device->setStreams(addressOf(id), 0);
    removeEndpoint(slot, id);
}

/// As dropEndpoint(), and its context says so: a driver that finds it running there would drop it again.
void XhciController::disableEndpoint(Slot& slot, unsigned id)
{
    if (auto* const endpoint = slot.endpoints[id].get())
        setEndpointState(*endpoint, EndpointDisabled);
    dropEndpoint(slot, id);
}

/// Nothing of it is left. Its context in memory stays as it is: the memory may be another's by now.
void XhciController::forgetSlot(Slot& slot)
{
    for (unsigned id = controlEndpoint; id <= lastEndpoint; ++id)
        dropEndpoint(slot, id);
    slot.enabled = slot.lost = false;
    slot.contextAddress = 0;
    slot.context = {};
}

// The commands

/// 4.6.3 "Enable Slot".
Code XhciController::enableSlot(unsigned& number)
{
    auto const enabled = std::min<std::size_t>(m_state.config & 0xff, slotCount);
    for (unsigned i = 0; i < enabled; ++i) {
        if (m_slots[i]->enabled)
            continue;
        m_slots[i]->enabled = true;
        number = i + 1;
        return Code::Success;
    }
    number = 0;
    return Code::NoSlots;
}

/// 4.6.4 "Disable Slot".
Code XhciController::disableSlot(Slot& slot)
{
    slot.context.setState(SlotEnabled);
    writeSlotContext(slot);
    forgetSlot(slot);
    return Code::Success;
}

/// 4.6.5 "Address Device".
Code XhciController::addressDevice(Slot& slot, Trb const& command)
{
    bool const block = command.has(blockSetAddress);
    auto const state = slot.context.state();
    if (state != SlotEnabled && (state != SlotDefault || block))
        return Code::ContextState;
    InputContext input;
    auto const output = services().ram.load<std::uint64_t>(m_state.contexts + 8 * slot.number);
    if (!output || !readInput(command.parameter, input))
        return Code::Parameter;
    auto& control = input.endpoints[controlEndpoint];
    if ((input.add & 3) != 3 || input.slot.interrupter() >= interrupterCount
        || checkEndpoint(controlEndpoint, control) != Code::Success)
        return Code::Parameter;
    auto* const device = deviceAt(input.slot.rootPort(), input.slot.route());
    if (!device)
        return Code::Transaction;
    for (auto const& other : m_slots) {
        if (other.get() != &slot && other->contextAddress != 0 && deviceOf(*other) == device)
            return Code::Trb;
    }
    slot.contextAddress = *output & ~std::uint64_t(0x3f);
    slot.lost = false;
    slot.context = input.slot;
    slot.context.setEntries(1);
    // The address is the slot's number, as good as any on a bus of our own.
    slot.context.word[3] = block ? 0 : slot.number;
    slot.context.setState(block ? SlotDefault : SlotAddressed);
    control.setState(EndpointRunning);
    auto& endpoint = addEndpoint(slot, controlEndpoint, control);
    writeSlotContext(slot);
    writeEndpointContext(endpoint);
    return Code::Success;
}

/// 4.6.6 "Configure Endpoint". One that fails has changed nothing; a driver goes on with what it had (Linux,
/// drivers/usb/host/xhci.c, xhci_reserve_host_resources()).
Code XhciController::configureEndpoints(Slot& slot, Trb const& command)
{
    auto const state = slot.context.state();
    if (state != SlotAddressed && state != SlotConfigured)
        return Code::ContextState;
    InputContext input;
    if (command.has(deconfigure)) {
        input.drop = ~0u;
    } else if (!readInput(command.parameter, input)) {
        return Code::Parameter;
    } else if ((input.add & 3) != 1 || (input.drop & 3) != 0) {
        return Code::Parameter;
    } else if (((input.drop | input.add) & allButControl & ~m_standing) != 0) {
        return Code::Parameter; // it was written to since the endpoints were stopped
    }
    auto const drops = [&](unsigned id) { return (input.drop >> id & 1) != 0; };
    auto const adds = [&](unsigned id) { return (input.add >> id & 1) != 0; };
    for (unsigned id = controlEndpoint + 1; id <= lastEndpoint; ++id) {
        if (adds(id) && checkEndpoint(id, input.endpoints[id]) != Code::Success)
            return Code::Parameter;
    }
    if (!changeStreams(slot, input))
        return Code::Resource;
    auto* const device = deviceOf(slot);
    unsigned last = controlEndpoint;
    for (unsigned id = controlEndpoint + 1; id <= lastEndpoint; ++id) {
        if (drops(id) && slot.endpoints[id]) {
            setEndpointState(*slot.endpoints[id], EndpointDisabled);
            removeEndpoint(slot, id);
        }
        if (adds(id)) {
            input.endpoints[id].setState(EndpointRunning);
            auto& endpoint = addEndpoint(slot, id, input.endpoints[id]);
            if (device)
                device->resetEndpoint(endpoint.address());
            writeEndpointContext(endpoint);
        }
        if (slot.endpoints[id])
            last = id;
    }
    slot.context.setEntries(last);
    if (!command.has(deconfigure)) {
        // Hub, number of ports and TT are told with this command.
        constexpr std::uint32_t hubBits = 3 << 25;
        slot.context.word[0] = (slot.context.word[0] & ~hubBits) | (input.slot.word[0] & hubBits);
        slot.context.word[1] = (slot.context.word[1] & 0x00ffffff) | (input.slot.word[1] & 0xff000000);
        slot.context.word[2] = (slot.context.word[2] & ~0x30000u) | (input.slot.word[2] & 0x30000);
    }
    slot.context.setState(last == controlEndpoint ? SlotAddressed : SlotConfigured);
    writeSlotContext(slot);
    return Code::Success;
}

/// 4.6.7 "Evaluate Context": of the slot the interrupter and the exit latency, of the control endpoint the packet size.
Code XhciController::evaluateContext(Slot& slot, Trb const& command)
{
    if (slot.context.state() == SlotEnabled)
        return Code::ContextState;
    InputContext input;
    if (!readInput(command.parameter, input))
        return Code::Parameter;
    auto* const control = (input.add & 2) != 0 ? slot.endpoints[controlEndpoint].get() : nullptr;
    auto context = control ? control->state.context : EndpointContext {};
    context.word[1] = (context.word[1] & 0xffff) | (input.endpoints[controlEndpoint].word[1] & 0xffff0000);
    if (((input.add & 1) != 0 && input.slot.interrupter() >= interrupterCount)
        || (control && checkEndpoint(controlEndpoint, context) != Code::Success))
        return Code::Parameter;
    if ((input.add & 1) != 0) {
        slot.context.word[1] = (slot.context.word[1] & ~0xffffu) | (input.slot.word[1] & 0xffff);
        slot.context.word[2] = (slot.context.word[2] & 0x3fffff) | (input.slot.word[2] & ~0x3fffffu);
        writeSlotContext(slot);
    }
    if (control) {
        control->state.context = context;
        writeEndpointContext(*control);
    }
    return Code::Success;
}

/// 4.6.8 "Reset Endpoint".
Code XhciController::resetEndpoint(Slot& slot, Trb const& command)
{
    auto& endpoint = *slot.endpoints[command.endpoint()];
    if (endpoint.state.context.state() != EndpointHalted)
        return Code::ContextState;
    if (!command.has(preserveTransferState)) {
        if (auto* const device = deviceOf(slot))
            device->resetEndpoint(endpoint.address());
        endpoint.rings.front().state.progress = 0; // streams have theirs until Set TR Dequeue Pointer
    }
    setEndpointState(endpoint, EndpointStopped);
    return Code::Success;
}

/// 4.6.9 "Stop Endpoint".
Code XhciController::stopEndpoint(Slot& slot, Trb const& command)
{
    auto& endpoint = *slot.endpoints[command.endpoint()];
    if (endpoint.state.context.state() != EndpointRunning)
        return Code::ContextState;
    endpoint.state.scheduled = false;
    endpoint.timeOf = endpoint.givesUpAt = 0;
    for (auto& ring : endpoint.rings) {
        if (ring.state.known)
            stoppedEvent(ring);
        ring.state.active = false;
    }
    setEndpointState(endpoint, EndpointStopped);
    return Code::Success;
}

/// 4.6.10 "Set TR Dequeue Pointer".
Code XhciController::setDequeue(Slot& slot, Trb const& command)
{
    auto& endpoint = *slot.endpoints[command.endpoint()];
    auto const state = endpoint.state.context.state();
    if (state != EndpointStopped && state != EndpointError)
        return Code::ContextState;
    auto const stream = command.status >> 16;
    if (endpoint.hasStreams() != (stream != 0))
        return Code::Trb;
    if (stream >= endpoint.rings.size())
        return Code::InvalidStreamId;
    auto& ring = endpoint.rings[stream];
    ring.state = { command.parameter & ~std::uint64_t(0xf), (command.parameter & 1) != 0, false, true, 0 };
    ring.fetch = ring.state;
    endpoint.waitingTd = 0;
    setEndpointState(endpoint, EndpointStopped);
    return Code::Success;
}

/// 4.6.11 "Reset Device".
Code XhciController::resetDevice(Slot& slot)
{
    auto const state = slot.context.state();
    if (state != SlotAddressed && state != SlotConfigured)
        return Code::ContextState;
    for (unsigned id = controlEndpoint + 1; id <= lastEndpoint; ++id)
        disableEndpoint(slot, id);
    slot.context.setEntries(1);
    slot.context.word[3] = 0;
    slot.context.setState(SlotDefault);
    slot.lost = false;
    writeSlotContext(slot);
    return Code::Success;
}

/// "Get Port Bandwidth", 6.2.6 "Port Bandwidth Context": a byte a port, in percent. Nothing is ever used up.
Code XhciController::portBandwidth(Trb const& command) const
{
    constexpr std::uint8_t periodicShare = 80;
    std::array<std::uint8_t, alignUp(2 * mostConnectors + 1, 8u)> context {};
    std::fill_n(context.begin() + 1, portCount(), periodicShare);
    auto const used = ConstByteSpan(context).first(alignUp(portCount() + 1, 8u));
    return services().ram.write(command.parameter & ~std::uint64_t(0xf), used) ? Code::Success : Code::Parameter;
}

// "xHCI Power Management": the driver has stopped all endpoints.

void XhciController::saveContexts() const
{
    for (auto const& slot : m_slots) {
        if (slot->contextAddress == 0)
            continue;
        writeSlotContext(*slot);
        for (auto const& endpoint : slot->endpoints) {
            if (endpoint)
                writeEndpointContext(*endpoint);
        }
    }
}

bool XhciController::restoreContexts()
{
    bool good = true;
    for (unsigned i = 0; i < std::min<std::size_t>(m_state.config & 0xff, slotCount); ++i) {
        auto const address = services().ram.load<std::uint64_t>(m_state.contexts + 8 * (i + 1));
        if (!address || (*address != 0 && !restoreSlot(*m_slots[i], *address & ~std::uint64_t(0x3f))))
            good = false;
    }
    return good;
}

bool XhciController::restoreSlot(Slot& slot, std::uint64_t address)
{
    std::array<std::uint8_t, 32 * contextSize> bytes {};
    if (slot.isFlying() || !services().ram.read(address, bytes))
        return false;
    bool const lost = slot.lost;
    forgetSlot(slot);
    auto const at = [&](std::size_t n) { return ConstByteSpan(bytes).subspan(n * contextSize, contextSize); };
    auto const context = contextFrom<SlotContext>(at(0));
    if (context.state() == SlotEnabled)
        return true;
    slot.enabled = true;
    slot.lost = lost;
    slot.contextAddress = address;
    slot.context = context;
    InputContext wanted;
    for (unsigned id = controlEndpoint; id <= context.entries(); ++id) {
        wanted.endpoints[id] = contextFrom<EndpointContext>(at(id));
        if (wanted.endpoints[id].state() == EndpointDisabled)
            continue;
        if (checkEndpoint(id, wanted.endpoints[id]) != Code::Success)
            return false;
        wanted.add |= 1u << id;
    }
    if (!changeStreams(slot, wanted))
        return false;
    for (unsigned id = controlEndpoint; id <= lastEndpoint; ++id) {
        if ((wanted.add >> id & 1) != 0)
            addEndpoint(slot, id, wanted.endpoints[id]);
    }
    writeSlotContext(slot);
    return true;
}

}
