#include "vmm/usb/xhci_controller.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/usb/xhci_private.h"

#include <bit>
#include <cassert>
#include <fmt/format.h>

namespace vmm {

using namespace xhci;

XhciController::XhciController(PciServices const& services, GuestTime& time, unsigned connectors)
    : PciFunction(services,
        { .vendor = 0x1b36, .device = 0x000d, .classCode = 0x0c0330, .revision = 1, .hasInterruptPin = true }),
      m_connectors(connectors),
      m_time(time),
      m_timer(time.makeTimer(mutex(), [this] { timeHasCome(); })),
      m_goOn(time.makeTimer(mutex(), [this] { Work const work(*this); })),
      m_devices(2 * connectors)
{
    assert(connectors >= 1 && connectors <= mostConnectors);
    addBar(0, BarKind::Memory64, barSize);
    addMsix(2, interrupterCount);
    // 5.2.3 "Serial Bus Release Number Register (SBRN)", 5.2.4 "Frame Length Adjustment Register (FLADJ)".
    constexpr std::array<std::uint8_t, 2> release { 0x30, 0x20 }, writable { 0x00, 0x3f };
    addRegisters(0x60, release, writable);
    for (unsigned i = 0; i < slotCount; ++i)
        m_slots.push_back(std::make_unique<Slot>(Slot { .number = i + 1 }));
    resetChip();
}

XhciController::~XhciController()
{
    XhciController::pause();
    std::lock_guard const lock(mutex()); // a device that stays may be here with a thread of its own
    for (auto* device : m_devices) {
        if (device)
            device->setHost(nullptr);
    }
}

Result<> XhciController::plug(unsigned connector, UsbDevice& device)
{
    std::lock_guard const lock(mutex());
    auto const port = portOf(connector, device);
    if (connector >= m_connectors || m_devices[port])
        return vmm::fail(ErrorCode::Busy, fmt::format("there is no free USB connector {}", connector));
    Work const work(*this);
    m_devices[port] = &device;
    device.setHost(this);
    if (m_paused)
        m_state.ports[port].device.clear(); // new, even if it is the one that was there: it has lost its power
    else
        connectThoseDue();
    return {};
}

void XhciController::unplug(unsigned connector)
{
    std::unique_lock lock(mutex());
    for (auto const port : { connector, connector + m_connectors }) {
        if (m_devices[port])
            unplugPort(lock, port);
    }
}

void XhciController::unplug(UsbDevice& device)
{
    std::unique_lock lock(mutex());
    if (auto const found = std::ranges::find(m_devices, &device); found != m_devices.end())
        unplugPort(lock, static_cast<unsigned>(found - m_devices.begin()));
}

void XhciController::unplugPort(std::unique_lock<std::mutex>& lock, unsigned port)
{
    auto* const device = m_devices[port];
    {
        Work const work(*this);
        bool const wasSeen = !waitsToConnect(port);
        m_devices[port] = nullptr;
        cancelDevice(*device);
        if (!m_paused && wasSeen)
            disconnectPort(port);
    }
    m_idle.wait(lock, [&] { return !isFlying(*device); });
    device->setHost(nullptr);
}

void XhciController::drain(UsbDevice& device, std::function<void()> const& then)
{
    std::unique_lock lock(mutex());
    {
        Work const work(*this);
        loseAddressesIn(device);
        m_leaving = &device;
        cancelDevice(device);
    }
    m_idle.wait(lock, [&] { return !isFlying(device); });
    then();
    m_leaving = nullptr;
}

std::optional<unsigned> XhciController::freeConnector() const
{
    std::lock_guard const lock(mutex());
    for (unsigned i = 0; i < m_connectors; ++i) {
        if (!m_devices[i] && !m_devices[i + m_connectors])
            return i;
    }
    return std::nullopt;
}

// What happens at the end of everything

void XhciController::finishWork()
{
    for (;;) {
        if (m_command && finishCommand())
            continue;
        if (m_stopCommands && !m_command) {
            stopCommandRing();
        } else if (m_commandsQueued && m_budget != 0) {
            m_commandsQueued = false;
            serveCommands();
        } else if (!m_queued.empty()) {
            // What has landed is always taken in; new work is begun only as long as the budget lasts.
            auto& ring = *m_queued.front();
            m_queued.pop_front();
            ring.queued = false;
            retire(ring);
            if (m_budget != 0)
                serve(ring);
            else
                m_later.push_back(&ring);
        } else {
            break;
        }
    }
    for (auto* ring : std::exchange(m_later, {}))
        queue(*ring);
    if (m_inFlight == 0)
        allLanded();
    // A little later, so that others on the machine's thread have their turn.
    constexpr std::chrono::microseconds breath { 20 };
    if (!m_queued.empty() || m_commandsQueued)
        m_goOn->arm(m_time.now() + breath);
    updateInterrupts();
    schedule();
    m_idle.notify_all();
}

void XhciController::allLanded()
{
    if (m_resetting) {
        m_resetting = false;
        resetChip();
    } else if (!isRunning()) {
        m_state.status |= halted;
    }
}

void XhciController::schedule()
{
    std::optional<Nanoseconds> next;
    auto const consider = [&](Nanoseconds when) { next = next ? std::min(*next, when) : when; };
    auto const timeOf = [&](std::uint64_t frame) {
        return Nanoseconds(static_cast<std::int64_t>(m_state.frameBase))
            + static_cast<std::int64_t>(frame) * microframeTime;
    };
    if (isRunning() && !m_paused) {
        if ((m_state.command & wrapEnable) != 0)
            consider(timeOf(m_state.nextWrap));
        for (auto const* endpoint : m_timed) {
            if (endpoint->timeOf != 0)
                consider(timeOf(endpoint->timeOf));
        }
    }
    for (unsigned port = 0; port < portCount() && !m_paused; ++port) {
        if (waitsToConnect(port))
            consider(Nanoseconds(static_cast<std::int64_t>(m_state.ports[port].emptyUntil)));
    }
    for (auto const& interrupter : m_state.interrupters) {
        if (interrupter.wanted && (interrupter.dequeue & handlerBusy) == 0)
            consider(Nanoseconds(static_cast<std::int64_t>(interrupter.quietUntil)));
    }
    if (next == m_armed)
        return;
    m_armed = next;
    if (next)
        m_timer->arm(*next);
    else
        m_timer->cancel();
}

void XhciController::timeHasCome()
{
    Work const work(*this);
    m_armed.reset();
    if (!m_paused)
        connectThoseDue();
    auto const now = microframe();
    for (auto* endpoint : m_timed) {
        if (endpoint->timeOf == 0 || endpoint->timeOf > now)
            continue;
        endpoint->timeOf = 0;
        for (auto& ring : endpoint->rings)
            queue(ring);
    }
    std::erase_if(m_timed, [](Endpoint const* one) { return one->timeOf == 0 && !one->isIsochronous(); });
    // 4.14.2 "Periodic Transfer Ring Scheduling": MFINDEX has 14 bits.
    constexpr std::uint64_t wrap = 0x4000;
    if (isRunning() && now >= m_state.nextWrap) {
        m_state.nextWrap = alignDown(now, wrap) + wrap;
        if ((m_state.command & wrapEnable) != 0)
            postEvent(0, 0, std::uint32_t(Code::Success) << 24, MfindexWrap << 10);
    }
}

std::uint64_t XhciController::microframe() const
{
    if (!isRunning())
        return m_state.frame;
    auto const passed = m_time.now().count() - static_cast<std::int64_t>(m_state.frameBase);
    return static_cast<std::uint64_t>(std::max<std::int64_t>(passed, 0) / microframeTime.count());
}

// Starting and stopping

void XhciController::queueAll()
{
    for (auto const& slot : m_slots) {
        for (auto const& endpoint : slot->endpoints) {
            if (endpoint)
                queueActive(*endpoint);
        }
    }
    m_commandsQueued = true;
}

void XhciController::queueActive(Endpoint& endpoint)
{
    for (auto& ring : endpoint.rings) {
        if (ring.state.active)
            queue(ring);
    }
}

void XhciController::start()
{
    auto const passed = static_cast<std::int64_t>(m_state.frame) * microframeTime.count();
    m_state.frameBase = static_cast<std::uint64_t>(m_time.now().count() - passed);
    m_state.command |= runStop;
    m_state.status &= ~halted;
    for (unsigned port = 0; port < portCount(); ++port) {
        if ((m_state.ports[port].status & port::changes) != 0)
            announcePort(port);
    }
    queueAll();
}

/// 4.10.2.6 "Host System Error": it stands still until it is reset.
void XhciController::hostSystemError()
{
    trace("xhci", "its memory is none");
    m_state.frame = microframe();
    m_state.command &= ~runStop;
    m_state.status |= systemError;
    m_state.commandRing.active = false;
    cancelAll();
}

void XhciController::resetChip()
{
    for (auto& slot : m_slots)
        forgetSlot(*slot);
    m_state = {};
    m_state.interrupters.resize(interrupterCount);
    m_state.ports.resize(portCount());
    m_command.reset();
    m_abortCommand = m_stopCommands = m_commandsQueued = false;
    m_queued.clear();
    m_later.clear();
    resetPorts();
}

void XhciController::reset()
{
    resetPci();
    m_resetting = false;
    resetChip();
    updateInterrupts();
    schedule();
}

void XhciController::pause()
{
    std::unique_lock lock(mutex());
    {
        Work const work(*this);
        m_paused = true;
        cancelAll();
    }
    m_idle.wait(lock, [this] { return m_inFlight == 0; });
}

void XhciController::resume()
{
    std::lock_guard const lock(mutex());
    Work const work(*this);
    m_paused = false;
    m_armed.reset();
    reconcilePorts();
    queueAll();
}

void XhciController::configWritten(unsigned offset, unsigned size)
{
    constexpr unsigned commandRegister = 4;
    if (offset >= commandRegister + 2 || offset + size <= commandRegister)
        return;
    Work const work(*this);
    queueAll();
}

// State

Section XhciController::save() const
{
    auto state = m_state;
    state.pci = pciState();
    for (unsigned i = 0; i < portCount(); ++i) {
        if (auto const* const device = m_devices[i]) {
            state.ports[i].behind.clear();
            device->addVisitors(state.ports[i].behind);
        }
    }
    for (auto const& slot : m_slots) {
        auto& saved = state.deviceSlots.emplace_back(
            XhciSlotState { slot->enabled, slot->contextAddress, slot->lost, slot->context, {} });
        for (auto const& endpoint : slot->endpoints) {
            if (!endpoint)
                continue;
            auto& into = saved.endpoints.emplace_back(endpoint->state);
            for (auto const& ring : endpoint->rings)
                into.rings.push_back(ring.state);
        }
    }
    return state::save(state);
}

Result<> XhciController::checkSlot(XhciSlotState const& saved) const
{
    auto const corrupt = [](std::string what) { return vmm::fail(ErrorCode::Corrupt, std::move(what)); };
    unsigned last = 0;
    for (auto const& endpoint : saved.endpoints) {
        if (endpoint.id <= last || !saved.enabled)
            return corrupt(fmt::format("endpoint {} is not in its place", endpoint.id));
        last = endpoint.id;
        auto const streams = endpoint.context.maxStreams();
        if (checkEndpoint(endpoint.id, endpoint.context) != Code::Success
            || endpoint.rings.size() != (streams == 0 ? 1u : 2u << streams))
            return corrupt(fmt::format("endpoint {} with {} rings", endpoint.id, endpoint.rings.size()));
        if (endpoint.nextFrame > mostMicroframes)
            return corrupt(fmt::format("endpoint {} waits for microframe {}", endpoint.id, endpoint.nextFrame));
    }
    return {};
}

Result<> XhciController::checkState(State const& saved) const
{
    auto const corrupt = [](std::string what) { return vmm::fail(ErrorCode::Corrupt, std::move(what)); };
    if (saved.interrupters.size() != interrupterCount || saved.ports.size() != portCount()
        || saved.deviceSlots.size() != slotCount)
        return corrupt("a USB controller of another size");
    auto const base = saved.frameBase / static_cast<std::uint64_t>(microframeTime.count());
    if (std::max({ base, saved.frame, saved.nextWrap }) > mostMicroframes)
        return corrupt("a USB controller with microframes that no machine gets to");
    for (auto const& interrupter : saved.interrupters) {
        bool const inside = interrupter.segments.empty()
            || (interrupter.segment < interrupter.segments.size()
                && interrupter.place < interrupter.segments[interrupter.segment].size);
        if (!inside)
            return corrupt("an event ring that is continued outside of itself");
    }
    std::size_t streamRings = 0;
    for (auto const& slot : saved.deviceSlots) {
        TRY(checkSlot(slot));
        for (auto const& endpoint : slot.endpoints)
            streamRings += endpoint.context.maxStreams() != 0 ? endpoint.rings.size() : 0;
    }
    if (streamRings > mostStreamRings)
        return corrupt(fmt::format("a USB controller with {} rings of streams", streamRings));
    return {};
}

void XhciController::takeSlots(std::vector<XhciSlotState> const& saved)
{
    for (unsigned i = 0; i < slotCount; ++i) {
        auto& slot = *m_slots[i];
        forgetSlot(slot);
        slot.enabled = saved[i].enabled;
        slot.contextAddress = saved[i].contextAddress;
        slot.lost = saved[i].lost;
        slot.context = saved[i].context;
        for (auto const& from : saved[i].endpoints) {
            auto& endpoint = addEndpoint(slot, from.id, from.context);
            endpoint.state = from;
            endpoint.state.rings.clear();
            for (std::size_t n = 0; n < from.rings.size(); ++n)
                endpoint.rings[n].state = endpoint.rings[n].fetch = from.rings[n];
        }
    }
}

Result<> XhciController::load(Section const& section)
{
    auto saved = TRY(state::load<State>(section));
    TRY(checkPci(saved.pci));
    TRY(checkState(saved));
    takeSlots(saved.deviceSlots);
    loadPci(saved.pci);
    saved.deviceSlots.clear();
    saved.pci = {};
    m_state = std::move(saved);
    m_command.reset();
    m_queued.clear();
    m_later.clear();
    m_abortCommand = m_stopCommands = m_commandsQueued = m_resetting = false;
    m_armed.reset();
    return {};
}

}
