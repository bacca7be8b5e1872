#include "vmm/usb/emulated_usb_device.h"

#include <algorithm>

namespace vmm {

namespace {

// USB 2.0, Table 9-4 "Standard Request Codes"; USB 3.0, Table 9-4, for the last two.
enum Request : std::uint8_t {
    GetStatus = 0,
    ClearFeature = 1,
    SetFeature = 3,
    SetAddress = 5,
    GetDescriptor = 6,
    GetConfiguration = 8,
    SetConfiguration = 9,
    GetInterface = 10,
    SetInterface = 11,
    SetSel = 48,
    SetIsochDelay = 49
};
enum DescriptorType : std::uint8_t {
    DeviceDescriptor = 1,
    ConfigurationDescriptor = 2,
    StringDescriptor = 3,
    QualifierDescriptor = 6,
    OtherSpeedDescriptor = 7,
    CapabilitiesDescriptor = 15
};
enum Recipient : std::uint8_t { ToDevice = 0, ToInterface = 1, ToEndpoint = 2 };
constexpr std::uint8_t typeMask = 0x60, recipientMask = 0x1f, selfPowered = 1 << 6;
// Table 9-6 "Standard Feature Selectors"; the last two of USB 3.0.
constexpr std::uint16_t endpointHalt = 0, remoteWakeup = 1, functionSuspend = 0, u1Enable = 48, u2Enable = 49;

}

EmulatedUsbDevice::EmulatedUsbDevice(UsbSpeed speed, std::string identity, UsbDescriptors descriptors)
    : m_speed(speed), m_identity(std::move(identity)), m_descriptors(std::move(descriptors))
{
}

void EmulatedUsbDevice::busReset()
{
    m_standard = {};
    unconfigured();
}

ConstByteSpan EmulatedUsbDevice::interfaceDescriptor(unsigned, unsigned) const
{
    return {};
}

void EmulatedUsbDevice::submit(UsbTransfer& transfer)
{
    if (transfer.kind != UsbTransfer::Kind::Control) {
        if (!isConfigured() || (m_standard.halted & bitOf(transfer.endpoint)) != 0)
            return complete(transfer, UsbStatus::Stall);
        return data(transfer);
    }
    if ((transfer.endpoint & 0xf) != 0)
        return complete(transfer, UsbStatus::Stall);
    if ((transfer.setup[0] & typeMask) == 0)
        standardRequest(transfer);
    else
        request(transfer);
}

void EmulatedUsbDevice::answer(UsbTransfer& transfer, ConstByteSpan data) const
{
    auto const asked = loadLittle<std::uint16_t>(ConstByteSpan(transfer.setup).subspan(6, 2));
    auto const sent = transfer.copyIn(data.first(std::min<std::size_t>(data.size(), asked)));
    complete(transfer, UsbStatus::Success, sent);
}

bool EmulatedUsbDevice::wakeHost()
{
    if (!m_standard.suspended)
        return false;
    if (m_standard.remoteWakeup && isPlugged())
        host().wake(*this);
    return true;
}

void EmulatedUsbDevice::standardRequest(UsbTransfer& transfer)
{
    auto const recipient = transfer.setup[0] & recipientMask;
    auto const index = transfer.index(), value = transfer.value();
    auto const one = [&](std::uint8_t byte) { answer(transfer, { &byte, 1 }); };
    bool good = true;
    switch (transfer.setup[1]) {
    case GetStatus: {
        std::uint8_t status[2] {};
        if (recipient == ToDevice)
            status[0] = static_cast<std::uint8_t>(
                ((m_descriptors.configuration[7] & selfPowered) != 0 ? 1 : 0) | (m_standard.remoteWakeup ? 2 : 0));
        else if (recipient == ToEndpoint)
            status[0] = (m_standard.halted & bitOf(static_cast<std::uint8_t>(index))) != 0 ? 1 : 0;
        return answer(transfer, status);
    }
    case ClearFeature: good = changeFeature(transfer, false); break;
    case SetFeature: good = changeFeature(transfer, true); break;
    case GetDescriptor: return sendDescriptor(transfer);
    case GetConfiguration: return one(m_standard.configuration);
    case SetConfiguration:
        good = value <= 1;
        if (good) {
            m_standard.configuration = static_cast<std::uint8_t>(value);
            m_standard.alternates = {};
            m_standard.halted = 0;
            unconfigured();
        }
        break;
    case GetInterface:
        good = index < m_standard.alternates.size();
        if (good)
            return one(m_standard.alternates[index]);
        break;
    case SetInterface:
        good = isConfigured() && index < m_standard.alternates.size() && setAlternate(index, value);
        if (good)
            m_standard.alternates[index] = static_cast<std::uint8_t>(value);
        break;
    case SetSel:
    case SetIsochDelay: good = m_speed == UsbSpeed::Super; break;
    default: good = false; break; // SET_ADDRESS is the controller's own
    }
    complete(transfer, good ? UsbStatus::Success : UsbStatus::Stall, good ? transfer.length : 0);
}

bool EmulatedUsbDevice::changeFeature(UsbTransfer const& transfer, bool set)
{
    auto const value = transfer.value();
    switch (transfer.setup[0] & recipientMask) {
    case ToDevice:
        if (value == remoteWakeup) {
            m_standard.remoteWakeup = set;
            return true;
        }
        return m_speed == UsbSpeed::Super && (value == u1Enable || value == u2Enable);
    case ToInterface: return m_speed == UsbSpeed::Super && value == functionSuspend;
    case ToEndpoint: {
        auto const endpoint = static_cast<std::uint8_t>(transfer.index());
        if (value != endpointHalt)
            return false;
        if (set)
            halt(endpoint);
        else
            m_standard.halted &= ~bitOf(endpoint);
        if (!set)
            haltCleared(endpoint);
        return true;
    }
    default: return false;
    }
}

void EmulatedUsbDevice::sendDescriptor(UsbTransfer& transfer)
{
    auto const type = transfer.value() >> 8, which = transfer.value() & 0xff;
    ConstByteSpan found;
    if ((transfer.setup[0] & recipientMask) == ToInterface)
        found = interfaceDescriptor(type, transfer.index());
    else if (type == DeviceDescriptor)
        found = m_descriptors.device;
    else if (type == ConfigurationDescriptor && which == 0)
        found = m_descriptors.configuration;
    else if (type == StringDescriptor)
        return sendString(transfer, which);
    else if (type == CapabilitiesDescriptor)
        found = m_descriptors.capabilities;
    // No qualifier, and so no other speed: the device runs at one only.
    if (found.empty())
        return complete(transfer, UsbStatus::Stall);
    answer(transfer, found);
}

void EmulatedUsbDevice::sendString(UsbTransfer& transfer, unsigned index)
{
    Bytes bytes { 4, StringDescriptor, 0x09, 0x04 }; // the languages: English (United States)
    if (index > m_descriptors.strings.size())
        return complete(transfer, UsbStatus::Stall);
    if (index != 0) {
        auto const& text = m_descriptors.strings[index - 1];
        bytes = { static_cast<std::uint8_t>(2 + 2 * std::min<std::size_t>(text.size(), 126)), StringDescriptor };
        for (std::size_t i = 0; i < text.size() && i < 126; ++i)
            bytes.insert(bytes.end(), { static_cast<std::uint8_t>(text[i]), 0 });
    }
    answer(transfer, bytes);
}

Bytes usbConfiguration(unsigned interfaces, std::uint8_t attributes, std::initializer_list<Bytes> parts)
{
    constexpr std::uint8_t alwaysSet = 0x80, milliamperes2 = 50;
    Bytes bytes { 9, ConfigurationDescriptor, 0, 0, static_cast<std::uint8_t>(interfaces), 1, 0,
        static_cast<std::uint8_t>(alwaysSet | attributes), milliamperes2 };
    for (auto const& part : parts)
        bytes.insert(bytes.end(), part.begin(), part.end());
    storeLittle(ByteSpan(bytes).subspan(2, 2), static_cast<std::uint16_t>(bytes.size()));
    return bytes;
}

}
