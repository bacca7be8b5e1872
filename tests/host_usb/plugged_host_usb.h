#pragma once

#include "tests/host_usb/plugged_in.h"
#include "tests/support/suite.h"
#include "vmm/usb/host_usb_device.h"

#include <atomic>

namespace tests {

/// The device at a port, opened and plugged into a controller of nothing.
struct PluggedHostUsb : PluggedIn<vmm::HostUsbDevice> {
    explicit PluggedHostUsb(std::string const& port = "1-1")
    {
        for (auto const& info : usb->devices()) {
            if (info.port == port)
                device = must(vmm::HostUsbDevice::open(usb, info, [this] { ++gone; }));
        }
        if (!device)
            qFatal("nothing is at port %s", port.c_str());
        device->setHost(&host);
    }
    ~PluggedHostUsb() { end(); }

    void reset()
    {
        std::lock_guard const lock(host.usbMutex());
        device->busReset();
    }

    std::shared_ptr<vmm::HostUsb> usb = must(vmm::HostUsb::open());
    std::atomic<int> gone = 0;
};

}
