#pragma once

#include "vmm/usb/usb_device.h"

#include <string>
#include <vector>

namespace vmm {

/// What a device says of itself (USB 2.0, 9.6 "Standard USB Descriptor Definitions"), ready to be sent.
struct UsbDescriptors {
    Bytes device;
    Bytes configuration;              ///< the only one, with its interfaces and endpoints
    std::vector<std::string> strings; ///< from index 1 on; ASCII
    Bytes capabilities;               ///< BOS; empty: none
};

/// What every emulated device has to remember (USB 2.0, 9.1 "USB Device States").
struct UsbStandardState {
    std::uint8_t configuration = 0;
    std::array<std::uint8_t, 8> alternates {}; ///< setting of each interface
    std::uint32_t halted = 0;                  ///< endpoints: OUT 0 to 15, IN 16 to 31
    bool remoteWakeup = false;                 ///< allowed by the host
    bool suspended = false;
    bool operator==(UsbStandardState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("configuration", s.configuration, state::Range { 0, 1 });
        v.field("alternates", s.alternates);
        v.field("halted", s.halted);
        v.field("remoteWakeup", s.remoteWakeup);
        v.field("suspended", s.suspended);
    }
};

/// A device of our own: answers the standard requests (USB 2.0, 9.4 "Standard Device Requests"), and leaves the rest to
/// what it is.
class EmulatedUsbDevice : public UsbDevice {
public:
    UsbSpeed speed() const final { return m_speed; }
    std::string_view identity() const final { return m_identity; }
    void busReset() final;
    void submit(UsbTransfer& transfer) final;
    void resetEndpoint(std::uint8_t) override { }
    void setSuspended(bool suspended) override { m_standard.suspended = suspended; }

protected:
    /// `identity`: what it is and its id in the machine.
    EmulatedUsbDevice(UsbSpeed speed, std::string identity, UsbDescriptors descriptors);

    // To be implemented by what the device is.

    /// Power or a reset of the bus: no transfer is waiting any more.
    virtual void unconfigured() = 0;
    /// A transfer of an endpoint that is not halted, while the device is configured.
    virtual void data(UsbTransfer& transfer) = 0;
    /// A request of a class or vendor. To be completed.
    virtual void request(UsbTransfer& transfer) { complete(transfer, UsbStatus::Stall); }
    /// A descriptor of an interface (HID's); empty: none.
    virtual ConstByteSpan interfaceDescriptor(unsigned type, unsigned interface) const;
    /// CLEAR_FEATURE(ENDPOINT_HALT).
    virtual void haltCleared(std::uint8_t endpoint) { (void)endpoint; }
    /// False: there is no such setting.
    virtual bool setAlternate(unsigned interface, unsigned setting) { return (void)interface, setting == 0; }

    /// Sends as much of `data` as was asked for.
    void answer(UsbTransfer& transfer, ConstByteSpan data) const;
    void halt(std::uint8_t endpoint) { m_standard.halted |= bitOf(endpoint); }
    bool isConfigured() const { return m_standard.configuration != 0; }
    /// Wakes the guest where it has allowed that. True when the device sleeps.
    bool wakeHost();

    UsbStandardState m_standard;

private:
    static std::uint32_t bitOf(std::uint8_t endpoint) { return 1u << ((endpoint & 0xf) | ((endpoint & 0x80) >> 3)); }
    void standardRequest(UsbTransfer& transfer);
    bool changeFeature(UsbTransfer const& transfer, bool set);
    void sendDescriptor(UsbTransfer& transfer);
    void sendString(UsbTransfer& transfer, unsigned index);

    UsbSpeed const m_speed;
    std::string const m_identity;
    UsbDescriptors const m_descriptors;
};

/// A configuration descriptor and all that belongs to it, from the parts: fills in the total length.
Bytes usbConfiguration(unsigned interfaces, std::uint8_t attributes, std::initializer_list<Bytes> parts);

}
