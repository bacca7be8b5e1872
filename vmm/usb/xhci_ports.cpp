#include "vmm/usb/xhci_private.h"

// xHCI 1.2: 4.19 "Root Hub", 5.4.8 "Port Status and Control Register (PORTSC)".

namespace vmm {

using namespace xhci;

namespace {

/// 7.2.2.1.1 "Default Speed ID Mapping".
std::uint8_t speedId(UsbSpeed speed)
{
    switch (speed) {
    case UsbSpeed::Full: return 1;
    case UsbSpeed::Low: return 2;
    case UsbSpeed::High: return 3;
    case UsbSpeed::Super: return 4;
    }
    return 0;
}

}

/// Whether the device is `tree`, or hangs on a hub in it.
bool XhciController::isIn(UsbDevice& tree, UsbDevice const& device)
{
    constexpr unsigned mostPorts = 15;
    if (&tree == &device)
        return true;
    for (unsigned port = 1; port <= mostPorts; ++port) {
        if (auto* const child = tree.child(port); child && isIn(*child, device))
            return true;
    }
    return false;
}

std::uint32_t XhciController::readPort(unsigned index, unsigned offset) const
{
    auto const& port = m_state.ports[index];
    switch (offset) {
    case 0x0: return port.status | port::power | std::uint32_t(port.link) << 5 | std::uint32_t(port.speed) << 10;
    case 0x4: return port.power;
    default: return 0;
    }
}

void XhciController::writePort(unsigned index, unsigned offset, std::uint32_t value)
{
    if (offset == 0x0)
        writePortStatus(index, value);
    else if (offset == 0x4)
        m_state.ports[index].power = value & (isUsb3(index) ? 0x1ffff : 0xf000fff8);
}

void XhciController::writePortStatus(unsigned index, std::uint32_t value)
{
    auto& port = m_state.ports[index];
    port.status &= ~(value & port::changes);
    if ((value & port::connectChange) != 0)
        port.emptyUntil = std::min(port.emptyUntil, usb::fromNow(m_time, usb::leastEmpty));
    port.status = (port.status & ~(port::wakeBits | port::indicators)) | (value & (port::wakeBits | port::indicators));
    if ((value & port::warmReset) != 0 && isUsb3(index))
        return resetPort(index, true);
    if ((value & port::reset) != 0)
        return resetPort(index, false);
    if ((value & port::enabled) != 0) { // written to disable
        disablePort(index);
        port.link = isUsb3(index) ? port::Disabled : port::Polling;
    }
    if ((value & port::linkStrobe) != 0)
        writeLink(index, value >> 5 & 0xf);
}

void XhciController::disablePort(unsigned index)
{
    m_state.ports[index].status &= ~port::enabled;
    loseAddressesAt(index);
    if (m_devices[index])
        cancelDevice(*m_devices[index]);
}

/// 4.19.1 "Root Hub Port State Machines": a reset takes no time.
void XhciController::resetPort(unsigned index, bool warm)
{
    auto& port = m_state.ports[index];
    auto* const device = m_devices[index];
    if (!device || (port.status & port::connected) == 0)
        return;
    loseAddressesAt(index);
    cancelDevice(*device);
    device->busReset();
    port.status |= port::enabled;
    port.link = port::U0;
    notePortChange(index, port::resetChange | (warm ? port::warmResetChange : 0));
}

void XhciController::writeLink(unsigned index, unsigned link)
{
    auto& port = m_state.ports[index];
    auto* const device = m_devices[index];
    switch (link) {
    case port::U3:
        if ((port.status & port::enabled) == 0)
            return;
        port.link = port::U3;
        if (device)
            device->setSuspended(true);
        return;
    case port::Resume:
        if (!isUsb3(index) && port.link == port::U3)
            port.link = port::Resume; // until the driver writes U0
        return;
    case port::U0: {
        bool const slept = port.link == port::U3 || port.link == port::Resume;
        if ((port.status & port::enabled) == 0 || !slept)
            return;
        port.link = port::U0;
        if (device)
            device->setSuspended(false);
        notePortChange(index, port::linkChange);
        return;
    }
    case port::RxDetect:
        if (isUsb3(index) && port.link == port::Disabled)
            connectPort(index);
        return;
    case port::Disabled:
        if (isUsb3(index)) {
            disablePort(index);
            port.link = port::Disabled;
        }
        return;
    default: return;
    }
}

void XhciController::notePortChange(unsigned index, std::uint32_t change)
{
    auto& port = m_state.ports[index];
    bool const told = (port.status & port::changes) != 0;
    port.status |= change;
    if (!told)
        announcePort(index);
}

/// 6.4.2.3 "Port Status Change Event TRB".
void XhciController::announcePort(unsigned index)
{
    m_state.status |= portChange;
    if (isRunning())
        postEvent(0, std::uint64_t(index + 1) << 24, std::uint32_t(Code::Success) << 24, PortStatusChange << 10);
}

/// A USB 3 link trains by itself; a USB 2 port waits to be reset.
void XhciController::connectPort(unsigned index)
{
    auto& port = m_state.ports[index];
    auto* const device = m_devices[index];
    if (!device) {
        port.link = port::RxDetect;
        return;
    }
    port.device = device->identity();
    port.behind.clear(); // known when it is saved
    port.speed = speedId(device->speed());
    port.status = (port.status & ~port::enabled) | port::connected;
    port.link = port::Polling;
    device->busReset();
    if (isUsb3(index)) {
        port.status |= port::enabled;
        port.link = port::U0;
    }
    notePortChange(index, port::connectChange);
}

void XhciController::disconnectPort(unsigned index)
{
    auto& port = m_state.ports[index];
    port.device.clear();
    port.behind.clear();
    port.speed = 0;
    port.link = port::RxDetect;
    port.status &= ~(port::connected | port::enabled);
    port.emptyUntil = usb::fromNow(m_time, isRunning() ? usb::mostEmpty : usb::leastEmpty);
    for (auto const& slot : m_slots)
        slot->lost |= slot->context.rootPort() == index + 1;
    notePortChange(index, port::connectChange);
}

bool XhciController::waitsToConnect(unsigned index) const
{
    return m_devices[index] && (m_state.ports[index].status & port::connected) == 0;
}

void XhciController::connectThoseDue()
{
    for (unsigned i = 0; i < portCount(); ++i) {
        if (waitsToConnect(i) && usb::hasCome(m_time, m_state.ports[i].emptyUntil, usb::mostEmpty))
            connectPort(i);
    }
}

void XhciController::resetPorts()
{
    for (unsigned i = 0; i < portCount(); ++i)
        connectPort(i);
}

/// What is plugged in is not what the guest knows of: after a restore, or a change while the machine stood still.
void XhciController::reconcilePorts()
{
    for (unsigned i = 0; i < portCount(); ++i) {
        auto const& port = m_state.ports[i];
        bool const known = (port.status & port::connected) != 0;
        auto* const device = m_devices[i];
        if (known == (device != nullptr) && (!device || port.device == device->identity()))
            continue;
        if (known)
            disconnectPort(i);
    }
    connectThoseDue();
}

// Devices

UsbDevice* XhciController::deviceAt(unsigned rootPort, std::uint32_t route) const
{
    if (rootPort == 0 || rootPort > portCount() || (m_state.ports[rootPort - 1].status & port::enabled) == 0)
        return nullptr;
    auto* device = m_devices[rootPort - 1];
    // 6.2.2: a route string has a hub's port in each four bits, the nearest in the lowest.
    for (; device && device != m_leaving && route != 0; route >>= 4)
        device = (route & 0xf) != 0 ? device->child(route & 0xf) : nullptr;
    return device != m_leaving ? device : nullptr;
}

UsbDevice* XhciController::deviceOf(Slot const& slot) const
{
    return slot.lost ? nullptr : deviceAt(slot.context.rootPort(), slot.context.route());
}

/// What hangs there is reset, or will be before it is enabled again: it answers to the default address alone, until
/// Address Device (or Reset Device, for a slot that goes back to that address) makes it a slot's again.
void XhciController::loseAddressesAt(unsigned index)
{
    for (auto const& slot : m_slots)
        slot->lost |= slot->context.rootPort() == index + 1 && slot->hasAddress();
}

/// The same of a hub's port, called while the device can still be found.
void XhciController::loseAddressesIn(UsbDevice& tree)
{
    for (auto const& slot : m_slots) {
        auto const* const device = deviceOf(*slot);
        slot->lost |= device && isIn(tree, *device) && slot->hasAddress();
    }
}

/// xHCI, "Root Hub Port State Machines", state Resume: the driver ends it by writing U0.
void XhciController::wake(UsbDevice& device)
{
    Work const work(*this);
    for (unsigned i = 0; i < portCount(); ++i) {
        auto& port = m_state.ports[i];
        if (!m_devices[i] || port.link != port::U3 || !isIn(*m_devices[i], device))
            continue;
        port.link = port::Resume;
        notePortChange(i, port::linkChange);
    }
}

void XhciController::removed(UsbDevice& device)
{
    Work const work(*this);
    loseAddressesIn(device);
    cancelDevice(device);
}

}
