#pragma once

#include "vmm/usb/emulated_usb_device.h"

#include <deque>

namespace vmm {

/// A high speed hub (Universal Serial Bus Specification, Rev. 2.0, 11.23 "Descriptors", 11.24 "Requests"): to the
/// devices on it a host, which passes on what is not its own business. Left out: transaction translators (a transfer
/// of a slower device is none the slower here), over-current, indicators, test modes.
///
/// Threads: as UsbDevice.
class UsbHub final : public EmulatedUsbDevice, public UsbHost {
public:
    static constexpr unsigned portCount = 8;

    struct Port {
        std::uint16_t status = 0, change = 0; ///< [wPortStatus, wPortChange]
        std::string device;                   ///< what is connected, as UsbDevice::identity() has it
        std::uint64_t emptyUntil = 0;         ///< guest time in nanoseconds: nothing appears before
        bool operator==(Port const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("status", s.status);
            v.field("change", s.change);
            v.field("device", s.device, state::Max { 128 });
            v.field("emptyUntil", s.emptyUntil, state::Since { 2 });
        }
    };
    struct State {
        static constexpr std::string_view kind = "usb-hub";
        static constexpr unsigned version = 2; // 2: ports that stay empty
        UsbStandardState standard;
        std::array<Port, portCount> ports {};
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("ports", s.ports);
        }
    };

    explicit UsbHub(std::string const& id);

    /// The device, which outlives its being plugged in, appears at a port (from 1 on), as on XhciController::plug()
    /// where another one was just pulled out there. Without the lock.
    Result<> plug(unsigned port, UsbDevice& device);
    /// Returns when nothing of the device is in flight.
    void unplug(unsigned port);

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;

    void setHost(UsbHost* host) override;
    void setSuspended(bool suspended) override;
    void cancel(UsbTransfer& transfer) override;
    UsbDevice* child(unsigned port) override;
    void addVisitors(std::vector<std::string>& identities) const override;

    std::mutex& usbMutex() const override { return host().usbMutex(); }
    GuestTime& time() override { return host().time(); }
    std::uint64_t microframe() const override { return host().microframe(); }
    void completed(UsbTransfer& transfer) override { host().completed(transfer); }
    void wake(UsbDevice& device) override;
    void removed(UsbDevice& device) override { host().removed(device); }
    void drain(UsbDevice& device, std::function<void()> const& then) override { host().drain(device, then); }

private:
    void unconfigured() override;
    void data(UsbTransfer& transfer) override;
    void request(UsbTransfer& transfer) override;
    bool setFeature(unsigned port, unsigned feature);
    bool clearFeature(unsigned port, unsigned feature);
    void connect(unsigned port);
    void disconnect(unsigned port);
    bool waitsToConnect(unsigned port) const;
    void connectThoseDue();
    void disable(unsigned port);
    void change(unsigned port, std::uint16_t bits);
    void serve();

    std::array<Port, portCount> m_ports {};
    std::array<UsbDevice*, portCount> m_devices {};
    std::deque<UsbTransfer*> m_waiting;
    std::unique_ptr<Timer> m_timer;        // the next report
    std::unique_ptr<Timer> m_connectTimer; // the next port that has been empty for long enough
    Nanoseconds m_notBefore { 0 };
    bool m_paused = false;
};

}
