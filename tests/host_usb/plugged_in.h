#pragma once

#include "tests/support/suite.h"
#include "tests/vmm/usb/usb_guest.h"

#include <algorithm>
#include <memory>
#include <mutex>

namespace tests {

/// A device from outside, plugged into a controller of nothing, and transfers for it. Who derives from it makes the
/// device, and ends it before what that needs.
template<typename Device>
struct PluggedIn {
    void submit(Asked& asked)
    {
        std::lock_guard const lock(host.usbMutex());
        device->submit(asked.transfer);
    }
    void cancel(Asked& asked)
    {
        std::lock_guard const lock(host.usbMutex());
        device->cancel(asked.transfer);
    }
    bool ends(Asked const& asked)
    {
        return becomes([&] {
            std::lock_guard const lock(host.usbMutex());
            return std::find(host.ended.begin(), host.ended.end(), &asked.transfer) != host.ended.end();
        });
    }
    /// Ended, with that status.
    bool run(Asked& asked, vmm::UsbStatus status = vmm::UsbStatus::Success)
    {
        submit(asked);
        return ends(asked) && asked.transfer.status == status;
    }
    void end()
    {
        device->setHost(nullptr);
        device.reset();
    }

    FakeUsbHost host;
    std::unique_ptr<Device> device;
};

}
