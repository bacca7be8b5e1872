#pragma once

#include "vmm/usb/usb_device.h"

/// What is in a control transfer's setup (USB 2.0, 9.3 "USB Device Requests"), for those who pass transfers on.
namespace vmm::usb {

// 9.4 "Standard Device Requests": bmRequestType and bRequest.
constexpr unsigned clearEndpointFeature = 0x0201, setAddress = 0x0005, setConfiguration = 0x0009, setInterface = 0x010b,
                   getDescriptor = 0x8006, getConfiguration = 0x8008, getInterface = 0x810a;

inline unsigned requestOf(UsbTransfer const& transfer)
{
    return unsigned(transfer.setup[0]) << 8 | transfer.setup[1];
}

/// wLength
inline std::uint16_t controlLength(UsbTransfer const& transfer)
{
    return loadLittle<std::uint16_t>(ConstByteSpan(transfer.setup).subspan(6, 2));
}

/// `data` is what a device of the host's or of another computer's has answered. Nobody tells us when such a device
/// would wake the guest up, so it does not offer that (9.6.3 "Configuration": bmAttributes): a guest that believed it
/// would put a keyboard to sleep and wait for its keys.
inline void hideRemoteWakeup(UsbTransfer const& transfer, ByteSpan data)
{
    constexpr unsigned configuration = 2, otherSpeedConfiguration = 7; // 9.4, table 9-5 "Descriptor Types"
    constexpr std::size_t attributes = 7;
    constexpr unsigned remoteWakeup = 1 << 5;
    auto const type = transfer.value() >> 8;
    if (requestOf(transfer) == getDescriptor && (type == configuration || type == otherSpeedConfiguration)
        && data.size() > attributes)
        data[attributes] = static_cast<std::uint8_t>(data[attributes] & ~remoteWakeup);
}

/// An endpoint's address as a number below 32: those for OUT, then those for IN.
constexpr unsigned indexOf(std::uint8_t endpoint)
{
    return (endpoint & 0xfu) | (endpoint & 0x80u) >> 3;
}

constexpr std::uint8_t endpointOf(unsigned index)
{
    return static_cast<std::uint8_t>((index & 0xf) | (index & 0x10) << 3);
}

}
