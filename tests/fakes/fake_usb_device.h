#pragma once

#include "vmm/usb/usb_device.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace tests {

/// A USB device of which a test is the firmware: transfers wait in `waiting` until the test ends them. Control
/// transfers end at once, with `controlStatus`, and IN data are `controlData`.
class FakeUsbDevice final : public vmm::UsbDevice {
public:
    explicit FakeUsbDevice(vmm::UsbSpeed usbSpeed = vmm::UsbSpeed::High, std::string name = "fake")
        : m_speed(usbSpeed), m_name(std::move(name))
    {
    }

    vmm::UsbSpeed speed() const override { return m_speed; }
    std::string_view identity() const override { return m_name; }
    void busReset() override { ++resets; }
    void submit(vmm::UsbTransfer& transfer) override
    {
        if (transfer.kind == vmm::UsbTransfer::Kind::Control && !keepsControl) {
            setups.push_back(transfer.setup);
            auto const count = transfer.isIn() ? transfer.copyIn(controlData) : transfer.length;
            return complete(transfer, controlStatus, controlStatus == vmm::UsbStatus::Success ? count : 0);
        }
        waiting.push_back(&transfer);
    }
    void cancel(vmm::UsbTransfer& transfer) override
    {
        ++cancels;
        if (cancelsLater)
            return;
        std::erase(waiting, &transfer);
        complete(transfer, vmm::UsbStatus::Cancelled, cancelledAfter);
    }
    unsigned isochronousLead() const override { return lead; }
    bool isVisitor() const override { return visits; }
    void resetEndpoint(std::uint8_t endpoint) override { endpointResets.push_back(endpoint); }
    bool setStreams(std::uint8_t endpoint, unsigned count) override
    {
        if (count > mostStreams)
            return false;
        streams = streamsOf[endpoint] = count;
        return true;
    }
    void setSuspended(bool now) override { suspended = now; }

    void reset() override { }
    vmm::Section save() const override { return {}; }
    vmm::Result<> load(vmm::Section const&) override { return {}; }

    /// Ends the oldest waiting transfer, as the device's own thread would.
    void end(vmm::UsbStatus status = vmm::UsbStatus::Success, std::uint64_t transferred = 0)
    {
        std::lock_guard const lock(host().usbMutex());
        auto* const transfer = waiting.front();
        waiting.erase(waiting.begin());
        complete(*transfer, status, transferred);
    }
    void send(vmm::Bytes const& data)
    {
        auto const count = waiting.front()->copyIn(data);
        end(vmm::UsbStatus::Success, count);
    }

    std::vector<vmm::UsbTransfer*> waiting;
    std::vector<std::array<std::uint8_t, 8>> setups;
    vmm::Bytes controlData = vmm::Bytes(8, 0x5a);
    vmm::UsbStatus controlStatus = vmm::UsbStatus::Success;
    bool keepsControl = false, cancelsLater = false, suspended = false;
    std::uint64_t cancelledAfter = 0;
    bool visits = false; ///< is no part of the machine
    unsigned lead = 0, streams = 0, mostStreams = ~0u;
    std::map<std::uint8_t, unsigned> streamsOf; // by endpoint
    int resets = 0, cancels = 0;
    std::vector<std::uint8_t> endpointResets;

private:
    vmm::UsbSpeed const m_speed;
    std::string const m_name;
};

}
