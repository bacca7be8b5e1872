#include "vmm/base/log.h"
#include "vmm/usb/xhci_private.h"

// xHCI 1.2, chapter 5 "Register Interface".

namespace vmm {

using namespace xhci;

namespace {

// 5.3 "Host Controller Capability Registers".
constexpr std::uint32_t capabilityLength = operationalBase | 0x0110u << 16;
constexpr std::uint32_t structure1 = XhciController::slotCount | XhciController::interrupterCount << 8;
constexpr std::uint32_t structure2 = 4 << 4; // 16 event ring segments, no scratchpad
// 64-bit addresses, no secondary streams, short packets told when stopped, contiguous frame ids, 256 streams.
constexpr std::uint32_t capabilities1 = 1 << 0 | 1 << 7 | 1 << 9 | 1 << 11 | 7 << 12;

// 7.2 "xHCI Supported Protocol Capability".
constexpr std::uint32_t protocol(unsigned major, bool last)
{
    return 2 | (last ? 0u : 4u << 8) | major << 24;
}
/// The words of the capabilities: first the USB 2 ports, then as many USB 3 ports.
constexpr std::array<std::uint32_t, 8> extendedOf(std::uint32_t connectors)
{
    constexpr std::uint32_t name = 0x20425355; // "USB "
    return { protocol(2, false), name, 1 | connectors << 8, 0, protocol(3, true), name,
        (connectors + 1) | connectors << 8, 0 };
}
/// Where they are: behind the ports, and as long as these leave room where they were from the beginning, for a guest
/// that is restored knows it.
constexpr unsigned extendedBaseOf(unsigned connectors)
{
    constexpr unsigned before = 0x600, later = 0x800;
    return portBase + 0x10 * 2 * connectors <= before ? before : later;
}
static_assert(portBase + 0x10 * 2 * XhciController::mostConnectors <= extendedBaseOf(XhciController::mostConnectors));

constexpr std::uint32_t commandWritable = interruptEnable | systemErrorEnable | wrapEnable | stopU3;

void setLow(std::uint64_t& address, std::uint32_t value)
{
    address = (address & 0xffffffff'00000000) | value;
}

void setHigh(std::uint64_t& address, std::uint32_t value)
{
    address = (address & 0xffffffff) | std::uint64_t(value) << 32;
}

}

void XhciController::readBar(unsigned, std::uint64_t offset, ByteSpan data)
{
    for (std::size_t done = 0; done < data.size();) {
        auto const at = static_cast<unsigned>(offset + done);
        auto const value = readRegister(at & ~3u);
        auto const skip = at % 4;
        auto const count = std::min<std::size_t>(4 - skip, data.size() - done);
        storeLittle(data.subspan(done, count), value >> 8 * skip);
        done += count;
    }
}

void XhciController::writeBar(unsigned, std::uint64_t offset, ConstByteSpan data)
{
    if (offset % 4 != 0 || data.size() % 4 != 0)
        return trace("xhci", "{} bytes written at {:#x}", data.size(), offset);
    Work const work(*this);
    for (std::size_t done = 0; done < data.size(); done += 4)
        writeRegister(static_cast<unsigned>(offset + done), loadLittle<std::uint32_t>(data.subspan(done, 4)));
}

std::uint32_t XhciController::readRegister(unsigned offset) const
{
    if (offset < operationalBase)
        return readCapability(offset);
    if (offset < portBase)
        return readOperational(offset - operationalBase);
    if (offset < portBase + 0x10 * portCount())
        return readPort((offset - portBase) / 0x10, offset % 0x10);
    auto const extended = extendedOf(m_connectors);
    auto const extendedBase = extendedBaseOf(m_connectors);
    if (offset >= extendedBase && offset < extendedBase + 4 * extended.size())
        return extended[(offset - extendedBase) / 4];
    if (offset >= runtimeBase && offset < interrupterBase + 0x20 * interrupterCount)
        return readRuntime(offset);
    return 0; // doorbells too
}

std::uint32_t XhciController::readCapability(unsigned offset) const
{
    switch (offset) {
    case 0x00: return capabilityLength;
    case 0x04: return structure1 | portCount() << 24;
    case 0x08: return structure2;
    case 0x10: return capabilities1 | extendedBaseOf(m_connectors) / 4 << 16;
    case 0x14: return doorbellBase;
    case 0x18: return runtimeBase;
    default: return 0;
    }
}

std::uint32_t XhciController::readOperational(unsigned offset) const
{
    switch (offset) {
    case 0x00: return m_state.command | (m_resetting ? hostReset : 0);
    case 0x04: return m_state.status | (m_resetting ? notReady : 0);
    case 0x08: return 1; // pages of 4 KiB
    case 0x14: return m_state.notifications;
    case 0x18: return m_state.commandRing.active ? commandRunning : 0; // 5.4.5: the pointer reads as zero
    case 0x30: return static_cast<std::uint32_t>(m_state.contexts);
    case 0x34: return static_cast<std::uint32_t>(m_state.contexts >> 32);
    case 0x38: return m_state.config;
    default: return 0;
    }
}

std::uint32_t XhciController::readRuntime(unsigned offset) const
{
    if (offset < interrupterBase)
        return offset == runtimeBase ? static_cast<std::uint32_t>(microframe() & 0x3fff) : 0;
    auto const& interrupter = m_state.interrupters[(offset - interrupterBase) / 0x20];
    switch (offset % 0x20) {
    case 0x00: return interrupter.management;
    case 0x04: return interrupter.interval;
    case 0x08: return interrupter.tableSize;
    case 0x10: return static_cast<std::uint32_t>(interrupter.table);
    case 0x14: return static_cast<std::uint32_t>(interrupter.table >> 32);
    case 0x18: return static_cast<std::uint32_t>(interrupter.dequeue);
    case 0x1c: return static_cast<std::uint32_t>(interrupter.dequeue >> 32);
    default: return 0;
    }
}

void XhciController::writeRegister(unsigned offset, std::uint32_t value)
{
    if (m_resetting)
        return;
    if (offset >= operationalBase && offset < portBase)
        writeOperational(offset - operationalBase, value);
    else if (offset >= portBase && offset < portBase + 0x10 * portCount())
        writePort((offset - portBase) / 0x10, offset % 0x10, value);
    else if (offset >= interrupterBase && offset < interrupterBase + 0x20 * interrupterCount)
        writeRuntime(offset, value);
    else if (offset >= doorbellBase && offset <= doorbellBase + 4 * slotCount)
        ringDoorbell((offset - doorbellBase) / 4, value);
}

void XhciController::writeOperational(unsigned offset, std::uint32_t value)
{
    constexpr std::uint32_t clearable = systemError | eventInterrupt | portChange | stateError;
    switch (offset) {
    case 0x00: return writeCommand(value);
    case 0x04: m_state.status &= ~(value & clearable); return;
    case 0x14: m_state.notifications = value & 0xffff; return;
    case 0x18:
    case 0x1c: return writeCommandRing(offset, value);
    case 0x30: return setLow(m_state.contexts, value & ~0x3fu);
    case 0x34: return setHigh(m_state.contexts, value);
    case 0x38: m_state.config = value & 0x3ff; return;
    default: return;
    }
}

void XhciController::writeCommand(std::uint32_t value)
{
    if ((value & hostReset) != 0) {
        // What devices still have in flight is waited for, with HCRST and CNR set.
        m_resetting = true;
        m_state.commandRing.active = false;
        m_command.reset();
        cancelAll();
        return;
    }
    bool const was = isRunning(), wanted = (value & runStop) != 0;
    if (was && !wanted) {
        m_state.frame = microframe();
        m_state.commandRing.active = false;
    }
    m_state.command = (value & commandWritable) | (was && wanted ? runStop : 0);
    if (was && !wanted)
        cancelAll(); // USBSTS.HCH follows when nothing is in flight
    else if (!was && wanted)
        start();
    if (isRunning() || (m_state.status & halted) == 0)
        return;
    // "xHCI Power Management": what is in no register is written to, and read from, the contexts in memory.
    if ((value & saveState) != 0)
        saveContexts();
    if ((value & restoreState) != 0 && !restoreContexts())
        m_state.status |= stateError;
}

/// 5.4.5: the pointer can be written while the ring does not run.
void XhciController::writeCommandRing(unsigned offset, std::uint32_t value)
{
    auto& ring = m_state.commandRing;
    if (offset == 0x1c) {
        if (!ring.active)
            setHigh(ring.dequeue, value);
        return;
    }
    if (!ring.active) {
        setLow(ring.dequeue, value & ~0x3fu);
        ring.cycle = (value & cycleBit) != 0;
        return;
    }
    // At the end of the access, of which the pointer's other half is a part.
    m_stopCommands |= (value & (commandStop | commandAbort)) != 0;
    m_abortCommand |= (value & commandAbort) != 0;
}

void XhciController::writeRuntime(unsigned offset, std::uint32_t value)
{
    auto const index = (offset - interrupterBase) / 0x20;
    auto& interrupter = m_state.interrupters[index];
    switch (offset % 0x20) {
    case 0x00:
        if ((value & interruptPending) != 0)
            interrupter.management &= ~interruptPending;
        interrupter.management = (interrupter.management & interruptPending) | (value & interrupterEnable);
        return;
    case 0x04: interrupter.interval = value & 0xffff; return;
    case 0x08: interrupter.tableSize = value & 0xffff; return;
    case 0x10: setLow(interrupter.table, value & ~0x3fu); return readSegments(interrupter);
    case 0x14: setHigh(interrupter.table, value); return readSegments(interrupter);
    case 0x18:
        // The busy flag is cleared by writing it, the other bits are the driver's.
        setLow(interrupter.dequeue, (value & ~handlerBusy) | (interrupter.dequeue & ~value & handlerBusy));
        break;
    case 0x1c: setHigh(interrupter.dequeue, value); break;
    default: return;
    }
    if (interrupter.segments.empty())
        return;
    bool const waited = !interrupter.waiting.empty();
    flushEvents(index);
    if (waited && interrupter.waiting.empty())
        queueAll();
    // What came while the handler was busy: there is an interrupt for it unless the driver has seen it.
    interrupter.wanted |= (value & handlerBusy) != 0 && offset % 0x20 == 0x18;
}

void XhciController::ringDoorbell(unsigned slot, std::uint32_t value)
{
    auto const target = value & 0xff, stream = value >> 16;
    if (!isRunning())
        return;
    if (slot == 0) {
        if (target == 0) {
            m_state.commandRing.active = true;
            m_commandsQueued = true;
        }
        return;
    }
    auto* const endpoint = findEndpoint(slot, target);
    if (!endpoint)
        return trace("xhci", "a doorbell of slot {}, endpoint {}", slot, target);
    auto const state = endpoint->state.context.state();
    if (state != EndpointRunning && state != EndpointStopped)
        return;
    if (endpoint->hasStreams() != (stream != 0) || stream >= endpoint->rings.size()
        || (stream != 0 && readStream(*endpoint, stream) != Code::Success))
        return trace("xhci", "a doorbell for stream {}", stream);
    auto& ring = endpoint->rings[stream];
    ring.state.active = true;
    if (state == EndpointStopped) {
        // Whatever was known of the other streams stays: their doorbells were rung before.
        setEndpointState(*endpoint, EndpointRunning);
    }
    queue(ring);
}

}
