#include "vmm/devices/ahci_controller.h"

#include "vmm/devices/ahci_port.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>

namespace vmm {

using namespace ahci;

namespace {

constexpr unsigned barIndex = 5, barSize = 0x1000, portBase = 0x100, portSize = 0x80;

// 3.1 "Generic Host Control".
enum Register : unsigned {
    Capabilities = 0x00,
    GlobalControl = 0x04,
    InterruptStatus = 0x08,
    PortsImplemented = 0x0c,
    Version = 0x10
};
constexpr std::uint32_t hbaReset = 1u << 0, hbaInterrupts = 1u << 1, hbaAhci = 1u << 31;
// 64-bit addresses, queueing, command list override, 6 Gb/s, AHCI only, 32 slots.
constexpr std::uint32_t capabilities = 1u << 31 | 1u << 30 | 1u << 24 | 3u << 20 | 1u << 18 | 31u << 8;
constexpr std::uint32_t revision = 0x00010301;

// 3.3 "Port Registers".
enum PortRegister : unsigned {
    CommandList = 0x00,
    CommandListHigh = 0x04,
    FisBase = 0x08,
    FisBaseHigh = 0x0c,
    PortInterruptStatus = 0x10,
    PortInterruptEnable = 0x14,
    CommandStatus = 0x18,
    TaskFile = 0x20,
    Signature = 0x24,
    SataStatus = 0x28,
    SataControl = 0x2c,
    SataError = 0x30,
    SataActive = 0x34,
    CommandIssue = 0x38
};
constexpr std::uint32_t detectMask = 0xf, detectReset = 1, detectOff = 4;
constexpr std::uint32_t linkAt6Gbps = 0x133;
constexpr std::uint32_t controlWritable = 0xfff;

std::uint32_t allInterrupts(AhciPortState const& state)
{
    return state.interrupts | ((state.errors & exchanged) != 0 ? connectInterrupt : 0)
        | ((state.errors & phyChanged) != 0 ? phyInterrupt : 0);
}

void setLow(std::uint64_t& address, std::uint32_t value)
{
    address = (address & 0xffffffff'00000000) | value;
}

void setHigh(std::uint64_t& address, std::uint32_t value)
{
    address = (address & 0xffffffff) | std::uint64_t(value) << 32;
}

}

AhciController::AhciController(
    PciServices const& services, std::vector<std::unique_ptr<SataDevice>> devices, HostError hostError)
    : PciFunction(services,
        { .vendor = 0x8086, .device = 0x2922, .classCode = 0x010601, .revision = 2, .hasInterruptPin = true }),
      m_hostError(std::move(hostError))
{
    assert(!devices.empty() && devices.size() <= maximumPorts);
    addBar(barIndex, BarKind::Memory32, barSize);
    // PCI Local Bus Specification, Rev. 3.0, 6.8.1 "MSI Capability Structure": one message, a 64-bit address.
    constexpr std::uint8_t msiId = 5;
    constexpr std::array<std::uint8_t, 12> body { 0x80 },
        writable { 1, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    m_msiCapability = addCapability(msiId, body, writable);
    for (auto& device : devices) {
        auto& port = *m_ports.emplace_back(std::make_unique<Port>());
        port.index = static_cast<unsigned>(m_ports.size() - 1);
        port.device = std::move(device);
    }
    reset();
}

AhciController::~AhciController()
{
    AhciController::pause(); // images still hold what is in flight
}

void AhciController::reset()
{
    m_interruptsEnabled = false;
    m_interrupts = 0;
    resetPci();
    updateMsi();
    for (auto& port : m_ports) {
        port->kept = 0;
        port->errorReported = false;
        port->state = {};
        port->device->powerOn();
        linkUp(*port);
    }
    updateInterrupt();
}

void AhciController::pause()
{
    std::unique_lock lock(mutex());
    m_paused = true;
    m_idle.wait(lock, [this] { return m_inFlight == 0; });
}

void AhciController::resume()
{
    std::lock_guard const lock(mutex());
    m_paused = false;
    for (auto& port : m_ports) {
        port->kept = 0;
        port->errorReported = false;
        serve(*port);
    }
    updateInterrupt();
}

void AhciController::changeDevice(unsigned port, std::function<void()> const& change)
{
    std::unique_lock lock(mutex());
    change();
    auto& its = *m_ports[port];
    its.awaited |= its.flying; // a guest may always have something new in flight
    m_idle.wait(lock, [&] { return its.awaited == 0; });
}

void AhciController::replaceImage(unsigned port, BlockImage const& old, BlockImage& image)
{
    std::lock_guard const lock(mutex());
    m_ports[port]->device->replaceImage(image);
    for (auto const& slot : m_ports[port]->slots) {
        if (slot && slot->image == &old)
            slot->image = &image;
    }
}

Section AhciController::save() const
{
    State state { pciState(), m_interruptsEnabled, m_interrupts, {} };
    for (auto const& port : m_ports) {
        state.ports.push_back(port->state);
        state.ports.back().device = port->device->state();
    }
    return state::save(state);
}

Result<> AhciController::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    TRY(checkPci(saved.pci));
    if (saved.ports.size() != m_ports.size())
        return fail(ErrorCode::Corrupt,
            fmt::format("{} SATA ports, and this controller has {}", saved.ports.size(), m_ports.size()));
    for (auto const& port : m_ports) {
        auto const what = fmt::format("port {}", port->index);
        auto const& state = saved.ports[port->index];
        TRY_WITHIN(what, port->device->check(state.device));
        if ((state.command & ~(commandWritable | currentSlot)) != 0)
            return fail(ErrorCode::Corrupt, fmt::format("{}: command register {:#x}", what, state.command));
    }
    m_interruptsEnabled = saved.interruptsEnabled;
    m_interrupts = saved.interrupts;
    for (auto& port : m_ports) {
        port->state = saved.ports[port->index];
        port->device->load(port->state.device);
        port->state.device = {};
        port->kept = 0;
        port->errorReported = false;
    }
    loadPci(saved.pci);
    updateMsi();
    m_wereEnabled = m_interruptsEnabled;
    updateInterrupt();
    return {};
}

// Registers

void AhciController::readBar(unsigned, std::uint64_t offset, ByteSpan data)
{
    while (!data.empty()) {
        auto const into = offset % 4;
        auto const count = std::min<std::size_t>(data.size(), 4 - into);
        auto const value = readRegister(static_cast<unsigned>(offset - into));
        std::copy_n(bytesOf(value).begin() + static_cast<std::ptrdiff_t>(into), count, data.begin());
        data = data.subspan(count);
        offset += count;
    }
}

/// A part of a register is written as if its other bytes were written with what they hold, or with zeros where ones do
/// something.
void AhciController::writeBar(unsigned, std::uint64_t offset, ConstByteSpan data)
{
    while (!data.empty()) {
        auto const into = offset % 4;
        auto const count = std::min<std::size_t>(data.size(), 4 - into);
        auto const place = static_cast<unsigned>(offset - into);
        auto const inPort = place >= portBase ? (place - portBase) % portSize : 0u;
        bool const onesAct = place == InterruptStatus || inPort == PortInterruptStatus || inPort >= SataError;
        std::uint32_t value = count == 4 || onesAct ? 0 : readRegister(place);
        std::copy_n(data.begin(), count, writableBytesOf(value).begin() + static_cast<std::ptrdiff_t>(into));
        writeRegister(place, value);
        data = data.subspan(count);
        offset += count;
    }
    updateInterrupt();
}

void AhciController::configWritten(unsigned, unsigned)
{
    updateMsi();
    // The driver may have allowed the controller to access memory.
    for (auto& port : m_ports) {
        deliverSignature(*port);
        serve(*port);
    }
    updateInterrupt();
}

std::uint32_t AhciController::readRegister(unsigned offset) const
{
    if (offset >= portBase) {
        auto const port = (offset - portBase) / portSize;
        return port < m_ports.size() ? readPort(*m_ports[port], (offset - portBase) % portSize) : 0;
    }
    auto const ports = static_cast<std::uint32_t>(m_ports.size());
    switch (offset) {
    case Capabilities: return capabilities | (ports - 1);
    case GlobalControl: return hbaAhci | (m_interruptsEnabled ? hbaInterrupts : 0) | (m_resetting ? hbaReset : 0);
    case InterruptStatus: return m_interrupts;
    case PortsImplemented: return (1u << ports) - 1;
    case Version: return revision;
    default: return 0;
    }
}

std::uint32_t AhciController::readPort(Port const& port, unsigned offset) const
{
    auto const& state = port.state;
    switch (offset) {
    case CommandList: return static_cast<std::uint32_t>(state.commandList);
    case CommandListHigh: return static_cast<std::uint32_t>(state.commandList >> 32);
    case FisBase: return static_cast<std::uint32_t>(state.receivedFis);
    case FisBaseHigh: return static_cast<std::uint32_t>(state.receivedFis >> 32);
    case PortInterruptStatus: return allInterrupts(state);
    case PortInterruptEnable: return state.interruptEnable;
    case CommandStatus:
        return state.command | spinUp | powerOn | ((state.command & receiveEnable) != 0 ? receiveRunning : 0)
            | ((state.command & start) != 0 || port.stopping ? listRunning : 0);
    case TaskFile: return state.taskFile;
    case Signature: return state.signature;
    case SataStatus:
        if (state.linked)
            return linkAt6Gbps;
        return (state.control & detectMask) == detectOff ? detectOff : 0;
    case SataControl: return state.control;
    case SataError: return state.errors;
    case SataActive: return state.active;
    case CommandIssue: return state.issued;
    default: return 0;
    }
}

void AhciController::writeRegister(unsigned offset, std::uint32_t value)
{
    if (offset >= portBase) {
        if (auto const port = (offset - portBase) / portSize; port < m_ports.size())
            writePort(*m_ports[port], (offset - portBase) % portSize, value);
        return;
    }
    if (offset == InterruptStatus) {
        m_interrupts &= ~value;
    } else if (offset == GlobalControl) {
        if ((value & hbaReset) != 0)
            return resetHba();
        m_interruptsEnabled = (value & hbaInterrupts) != 0;
    }
}

void AhciController::writePort(Port& port, unsigned offset, std::uint32_t value)
{
    constexpr std::uint32_t listAlignment = 1024, fisAlignment = 256;
    auto& state = port.state;
    switch (offset) {
    case CommandList: setLow(state.commandList, alignDown(value, listAlignment)); break;
    case CommandListHigh: setHigh(state.commandList, value); break;
    case FisBase: setLow(state.receivedFis, alignDown(value, fisAlignment)); break;
    case FisBaseHigh: setHigh(state.receivedFis, value); break;
    case PortInterruptStatus: state.interrupts &= ~value; break;
    case PortInterruptEnable: state.interruptEnable = value & interruptBits; break;
    case CommandStatus: writeCommand(port, value); break;
    case SataControl: writeControl(port, value); break;
    case SataError: state.errors &= ~value; break;
    case SataActive:
        if ((state.command & start) != 0)
            state.active |= value;
        break;
    case CommandIssue:
        if ((state.command & start) != 0)
            state.issued |= value;
        serve(port);
        break;
    default: break;
    }
}

void AhciController::writeCommand(Port& port, std::uint32_t value)
{
    auto& state = port.state;
    auto const before = state.command;
    state.command = (before & currentSlot) | (value & commandWritable);
    if ((value & listOverride) != 0)
        state.taskFile &= static_cast<std::uint16_t>(~(SataRegisters::busy | SataRegisters::wantsData));
    if ((before & start) != 0 && (value & start) == 0) {
        // 3.3.7: the list is forgotten; CR says when what was begun has ended.
        abandon(port);
        state.issued = state.active = state.accepted = 0;
        state.halted = false;
        state.command &= ~currentSlot;
    }
    deliverSignature(port);
    serve(port);
}

/// 10.4.2 "Port Reset".
void AhciController::writeControl(Port& port, std::uint32_t value)
{
    auto& state = port.state;
    state.control = value & controlWritable;
    auto const detect = value & detectMask;
    if (detect == detectReset || detect == detectOff) {
        linkDown(port);
        port.wantsLink = false;
    } else if (!state.linked) {
        if (port.stopping)
            port.wantsLink = true;
        else
            linkUp(port);
    }
}

// Life of a port

/// 10.4.3 "HBA Reset": all but where the structures are.
void AhciController::resetHba()
{
    m_interruptsEnabled = false;
    m_interrupts = 0;
    m_resetting = false;
    for (auto& port : m_ports) {
        linkDown(*port);
        auto const list = port->state.commandList, fis = port->state.receivedFis;
        port->state = {};
        port->state.commandList = list;
        port->state.receivedFis = fis;
        port->wantsLink = port->stopping;
        m_resetting |= port->stopping;
        if (!port->stopping)
            linkUp(*port);
    }
}

/// What is in flight goes on to its end, and nobody hears of it.
void AhciController::abandon(Port& port)
{
    for (unsigned i = 0; i < slotCount; ++i) {
        if ((port.flying >> i & 1) != 0)
            port.slots[i]->abandoned = true;
    }
    port.stopping = port.flying != 0;
    port.kept = 0;
}

void AhciController::linkDown(Port& port)
{
    abandon(port);
    auto& state = port.state;
    state.issued = state.active = state.accepted = 0;
    state.linked = state.halted = state.inSoftReset = state.signatureWaits = false;
    state.taskFile = AhciPortState {}.taskFile;
    state.signature = AhciPortState {}.signature;
}

void AhciController::linkUp(Port& port)
{
    port.wantsLink = false;
    port.state.linked = true;
    port.state.errors |= exchanged | phyChanged;
    sendSignature(port);
}

/// The device has been reset, and says what it is.
void AhciController::sendSignature(Port& port)
{
    port.device->reset();
    port.state.signature = port.device->signature();
    constexpr std::uint16_t passed = 1 << 8;
    port.state.taskFile = static_cast<std::uint16_t>(port.device->statusAfterReset() | passed);
    port.state.signatureWaits = true;
    deliverSignature(port);
}

void AhciController::landed(Port& port, std::uint32_t bit)
{
    port.flying &= ~bit;
    port.awaited &= ~bit;
    --m_inFlight;
    if (port.flying == 0) {
        port.stopping = false;
        if (port.wantsLink)
            linkUp(port);
        m_resetting
            = m_resetting && std::any_of(m_ports.begin(), m_ports.end(), [](auto const& p) { return p->stopping; });
    }
    m_idle.notify_all();
}

void AhciController::updateMsi()
{
    auto const capability = ConstByteSpan(config()).subspan(m_msiCapability, 14);
    m_message.reset();
    if ((capability[2] & 1) != 0)
        m_message
            = { loadLittle<std::uint64_t>(capability.subspan(4)), loadLittle<std::uint16_t>(capability.subspan(12)) };
}

/// 3.1.3 "IS": a bit stays until it is cleared, and comes back while the port still asks. INTA# follows the bits; a
/// message goes when one appears, and when a port has a new reason though its bit was not cleared yet.
void AhciController::updateInterrupt()
{
    auto const before = m_wereEnabled ? m_interrupts : 0;
    bool news = false;
    for (auto const& port : m_ports) {
        auto const asks = allInterrupts(port->state) & port->state.interruptEnable;
        news |= (asks & ~std::exchange(port->asked, asks)) != 0;
        if (asks != 0)
            m_interrupts |= 1u << port->index;
    }
    m_wereEnabled = m_interruptsEnabled;
    setInterrupt(m_interruptsEnabled && m_interrupts != 0 && !m_message);
    if (m_message && m_interruptsEnabled && (news || (m_interrupts & ~before) != 0) && isBusMaster())
        services().msi.send(*m_message);
}

}
