#include "vmm/usb/usb_hub.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/usb/empty_port.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

// USB 2.0, Table 11-17 "Hub Class Feature Selectors".
enum Feature : std::uint8_t {
    PortEnable = 1,
    PortSuspend = 2,
    PortReset = 4,
    PortPower = 8,
    ChangeConnection = 16,
    ChangeReset = 20,
    PortIndicator = 22
};
// Table 11-21 "Port Status Field, wPortStatus", Table 11-22 "Port Change Field, wPortChange".
constexpr std::uint16_t connection = 1 << 0, enable = 1 << 1, suspend = 1 << 2, resetBit = 1 << 4, power = 1 << 8,
                        lowSpeed = 1 << 9, highSpeed = 1 << 10;
enum HubRequest : std::uint8_t { GetStatus = 0, ClearFeature = 1, SetFeature = 3, GetDescriptor = 6 };
constexpr std::uint8_t hubDescriptorType = 0x29, statusEndpoint = 0x81;

UsbDescriptors descriptorsOf()
{
    constexpr std::uint8_t hubClass = 9, singleTranslator = 1, wakesUp = 1 << 5, selfPowered = 1 << 6;
    UsbDescriptors descriptors;
    descriptors.device
        = { 18, 1, 0x00, 0x02, hubClass, 0, singleTranslator, 64, 0x27, 0x06, 0x20, 0x00, 0x00, 0x00, 1, 2, 3, 1 };
    descriptors.configuration = usbConfiguration(1, wakesUp | selfPowered,
        { { 9, 4, 0, 0, 1, hubClass, 0, 0, 0 }, { 7, 5, statusEndpoint, 3, UsbHub::portCount / 8 + 1, 0, 12 } });
    descriptors.strings = { "Chronovisor", "USB Hub", "1" };
    return descriptors;
}

}

UsbHub::UsbHub(std::string const& id) : EmulatedUsbDevice(UsbSpeed::High, "hub " + id, descriptorsOf()) { }

Result<> UsbHub::plug(unsigned port, UsbDevice& device)
{
    if (port == 0 || port > portCount || m_devices[port - 1] || device.speed() == UsbSpeed::Super)
        return fail(ErrorCode::Busy, fmt::format("port {} of the USB hub does not take it", port));
    std::unique_lock<std::mutex> lock;
    if (isPlugged())
        lock = std::unique_lock(usbMutex());
    m_devices[port - 1] = &device;
    if (isPlugged())
        device.setHost(this);
    if (m_paused)
        m_ports[port - 1].device.clear(); // new, even if it is the one that was there: it has lost its power
    else
        connectThoseDue();
    return {};
}

void UsbHub::unplug(unsigned port)
{
    auto* const device = m_devices.at(port - 1);
    if (!device)
        return;
    if (isPlugged()) {
        host().drain(*device, [&] {
            device->setHost(nullptr);
            if (!m_paused && !waitsToConnect(port - 1))
                disconnect(port - 1);
            m_devices[port - 1] = nullptr;
        });
        return;
    }
    m_devices[port - 1] = nullptr;
}

void UsbHub::setHost(UsbHost* newHost)
{
    if (!newHost) {
        for (auto* device : m_devices) {
            if (device)
                device->setHost(nullptr);
        }
    }
    UsbDevice::setHost(newHost);
    m_timer = newHost ? time().makeTimer(usbMutex(), [this] { serve(); }) : nullptr;
    m_connectTimer = newHost ? time().makeTimer(usbMutex(), [this] { connectThoseDue(); }) : nullptr;
    m_notBefore = {};
    for (auto* device : m_devices) {
        if (device && newHost)
            device->setHost(this);
    }
}

void UsbHub::reset()
{
    m_standard = {};
    m_ports = {};
}

/// Ports lose their power, and so all that is on them.
void UsbHub::unconfigured()
{
    for (unsigned i = 0; i < portCount; ++i)
        disable(i);
    m_ports = {};
}

UsbDevice* UsbHub::child(unsigned port)
{
    if (port == 0 || port > portCount || (m_ports[port - 1].status & enable) == 0)
        return nullptr;
    return m_devices[port - 1];
}

void UsbHub::addVisitors(std::vector<std::string>& identities) const
{
    for (auto const* device : m_devices) {
        if (!device)
            continue;
        if (device->isVisitor())
            identities.emplace_back(device->identity());
        device->addVisitors(identities);
    }
}

void UsbHub::setSuspended(bool suspended)
{
    EmulatedUsbDevice::setSuspended(suspended);
    for (unsigned i = 0; i < portCount; ++i) {
        if (auto* const device = child(i + 1); device && (m_ports[i].status & suspend) == 0)
            device->setSuspended(suspended);
    }
}

/// A port that sleeps by itself resumes by itself; where the hub sleeps, it asks on.
void UsbHub::wake(UsbDevice& device)
{
    for (unsigned i = 0; i < portCount; ++i) {
        if (m_devices[i] != &device || (m_ports[i].status & suspend) == 0)
            continue;
        m_ports[i].status &= static_cast<std::uint16_t>(~suspend);
        if (!m_standard.suspended)
            device.setSuspended(false);
        change(i, suspend);
    }
    wakeHost();
}

void UsbHub::request(UsbTransfer& transfer)
{
    auto const port = transfer.index() & 0xffu;
    auto const feature = transfer.value();
    bool const ofPort = port >= 1 && port <= portCount;
    switch (transfer.setup[0] << 8 | transfer.setup[1]) {
    case 0xa000 | GetDescriptor: {
        Bytes const descriptor { 9 + 2 * (portCount / 8), hubDescriptorType, portCount, 0x00, 0x00, 10, 0, 0, 0, 0xff,
            0xff };
        return answer(transfer, descriptor);
    }
    case 0xa000 | GetStatus: {
        std::uint8_t const nothing[4] {};
        return answer(transfer, nothing);
    }
    case 0xa300 | GetStatus: {
        if (!ofPort)
            break;
        std::array<std::uint8_t, 4> status {};
        storeLittle(ByteSpan(status).first(2), m_ports[port - 1].status);
        storeLittle(ByteSpan(status).subspan(2), m_ports[port - 1].change);
        return answer(transfer, status);
    }
    case 0x2300 | SetFeature:
        if (ofPort && setFeature(port - 1, feature))
            return complete(transfer, UsbStatus::Success);
        break;
    case 0x2300 | ClearFeature:
        if (ofPort && clearFeature(port - 1, feature))
            return complete(transfer, UsbStatus::Success);
        break;
    case 0x2000 | SetFeature:
    case 0x2000 | ClearFeature: // local power and over-current, which are always well
    case 0x2308:                // 11.24.2.3 "Clear TT Buffer" and its kind: there is none
    case 0x2309:
    case 0x230b: return complete(transfer, UsbStatus::Success, transfer.length);
    default: break;
    }
    complete(transfer, UsbStatus::Stall);
}

bool UsbHub::setFeature(unsigned index, unsigned feature)
{
    auto& port = m_ports[index];
    auto* const device = m_devices[index];
    switch (feature) {
    case PortPower:
        if ((port.status & power) == 0) {
            port.status |= power;
            connect(index);
        }
        return true;
    case PortReset:
        if ((port.status & connection) == 0 || !device)
            return true;
        disable(index);
        device->busReset();
        port.status |= enable;
        port.status &= static_cast<std::uint16_t>(~suspend);
        change(index, resetBit);
        return true;
    case PortSuspend:
        if (auto* const on = child(index + 1)) {
            port.status |= suspend;
            on->setSuspended(true);
        }
        return true;
    case PortIndicator: return true;
    default: return false;
    }
}

bool UsbHub::clearFeature(unsigned index, unsigned feature)
{
    auto& port = m_ports[index];
    switch (feature) {
    case PortEnable: disable(index); return true;
    case PortSuspend:
        if ((port.status & suspend) != 0) {
            port.status &= static_cast<std::uint16_t>(~suspend);
            if (auto* const device = child(index + 1))
                device->setSuspended(false);
            change(index, suspend);
        }
        return true;
    case PortPower:
        disable(index);
        port = {};
        return true;
    case PortIndicator: return true;
    default:
        if (feature < ChangeConnection || feature > ChangeReset)
            return false;
        port.change &= static_cast<std::uint16_t>(~(1u << (feature - ChangeConnection)));
        if (feature == ChangeConnection) {
            port.emptyUntil = std::min(port.emptyUntil, usb::fromNow(time(), usb::leastEmpty));
            connectThoseDue();
        }
        return true;
    }
}

void UsbHub::connect(unsigned index)
{
    auto& port = m_ports[index];
    auto const* const device = m_devices[index];
    if (!device || (port.status & power) == 0)
        return;
    port.device = device->identity();
    port.status = power | connection;
    if (device->speed() == UsbSpeed::Low)
        port.status |= lowSpeed;
    else if (device->speed() == UsbSpeed::High)
        port.status |= highSpeed;
    change(index, connection);
}

void UsbHub::disconnect(unsigned index)
{
    auto& port = m_ports[index];
    bool const was = (port.status & connection) != 0;
    disable(index);
    port.status &= power;
    port.device.clear();
    port.emptyUntil = isPlugged() ? usb::fromNow(time(), isConfigured() ? usb::mostEmpty : usb::leastEmpty) : 0;
    if (was)
        change(index, connection);
}

bool UsbHub::waitsToConnect(unsigned index) const
{
    auto const status = m_ports[index].status;
    return m_devices[index] && (status & power) != 0 && (status & connection) == 0;
}

void UsbHub::connectThoseDue()
{
    if (m_paused || !isPlugged())
        return;
    std::optional<std::uint64_t> next;
    for (unsigned i = 0; i < portCount; ++i) {
        if (!waitsToConnect(i))
            continue;
        auto const until = m_ports[i].emptyUntil;
        if (usb::hasCome(time(), until, usb::mostEmpty))
            connect(i);
        else
            next = std::min(until, next.value_or(until));
    }
    if (next)
        m_connectTimer->arm(Nanoseconds(static_cast<std::int64_t>(*next)));
    else
        m_connectTimer->cancel();
}

/// Transfers to what is on the port end.
void UsbHub::disable(unsigned index)
{
    auto* const device = child(index + 1);
    if (device && isPlugged())
        host().removed(*device);
    m_ports[index].status &= static_cast<std::uint16_t>(~(enable | suspend));
}

void UsbHub::change(unsigned index, std::uint16_t bits)
{
    m_ports[index].change |= bits;
    if (isPlugged())
        wakeHost();
    serve();
}

/// 11.12.4 "Hub and Port Change Information": a bit for each port, bit 0 for the hub.
void UsbHub::serve()
{
    std::uint16_t changed = 0;
    for (unsigned i = 0; i < portCount; ++i)
        changed = static_cast<std::uint16_t>(changed | (m_ports[i].change != 0 ? 2u << i : 0));
    if (changed == 0 || m_waiting.empty())
        return;
    // It goes on being reported until the driver has seen to it, so not faster than a wire would.
    constexpr std::chrono::milliseconds period { 32 };
    auto const now = time().now();
    if (now < m_notBefore)
        return m_timer->arm(m_notBefore);
    m_notBefore = now + period;
    auto& transfer = *m_waiting.front();
    m_waiting.pop_front();
    complete(transfer, UsbStatus::Success, transfer.copyIn(bytesOf(changed)));
}

void UsbHub::data(UsbTransfer& transfer)
{
    if (transfer.endpoint != statusEndpoint)
        return complete(transfer, UsbStatus::Stall);
    m_waiting.push_back(&transfer);
    serve();
}

void UsbHub::cancel(UsbTransfer& transfer)
{
    if (std::erase(m_waiting, &transfer) != 0)
        complete(transfer, UsbStatus::Cancelled);
}

void UsbHub::pause()
{
    m_paused = true;
}

/// As the controller's root ports do: what is plugged in may be another thing than the guest knows of.
void UsbHub::resume()
{
    std::unique_lock<std::mutex> lock;
    if (isPlugged())
        lock = std::unique_lock(usbMutex());
    m_paused = false;
    for (unsigned i = 0; i < portCount; ++i) {
        bool const known = (m_ports[i].status & connection) != 0;
        auto const* const device = m_devices[i];
        if (known && device && m_ports[i].device == device->identity())
            continue;
        if (known)
            disconnect(i);
    }
    connectThoseDue();
}

Section UsbHub::save() const
{
    return state::save(State { m_standard, m_ports });
}

Result<> UsbHub::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    m_standard = saved.standard;
    m_ports = saved.ports;
    return {};
}

}
