#pragma once

#include "tests/fakes/manual_loop.h"
#include "tests/vmm/usb/redir_peer.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/usb/usb_redir_device.h"

#include <algorithm>
#include <memory>

namespace tests {

/// A device whose other end is a test, and a controller of nothing.
struct RedirBench {
    explicit RedirBench(std::uint32_t capabilities = RedirPeer::allCapabilities) : peer(capabilities)
    {
        device = std::make_unique<vmm::UsbRedirDevice>(loop, std::move(peer.theirs), "desk:4000",
            vmm::UsbRedirDevice::Events {
                [this] { ++offers; }, [this](vmm::Error const& why) { gone.push_back(why); } });
        peer.addEndpoint(0x02, usb_redir_type_bulk, 512);
        peer.addEndpoint(0x81, usb_redir_type_bulk, 512);
        peer.addEndpoint(0x83, usb_redir_type_interrupt, 8);
        peer.addEndpoint(0x03, usb_redir_type_interrupt, 8);
        peer.addEndpoint(0x84, usb_redir_type_iso, 192);
        peer.addEndpoint(0x04, usb_redir_type_iso, 192, 4);
    }
    ~RedirBench()
    {
        if (device && device->isPlugged())
            device->setHost(nullptr);
    }
    /// Until nothing moves any more.
    void settle()
    {
        for (int round = 0; round < 40; ++round) {
            loop.turn();
            peer.pump();
        }
    }
    RedirBench& plug()
    {
        settle(); // both hellos
        peer.offer();
        settle();
        if (offers != 1)
            qFatal("it is not offered");
        device->setHost(&host);
        settle();
        peer.heard();
        return *this;
    }
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
    bool ended(Asked const& asked) const
    {
        return std::find(host.ended.begin(), host.ended.end(), &asked.transfer) != host.ended.end();
    }
    /// What the other side hears of it.
    std::string ask(Asked& asked)
    {
        submit(asked);
        settle();
        return peer.heard();
    }
    void chooseSetting()
    {
        Asked setting(vmm::UsbTransfer::Kind::Control, 0, {}, { 1, 11, 2, 0, 3, 0, 0, 0 });
        ask(setting);
        peer.setting(3, 2);
        settle();
    }
    std::string why() const { return gone.empty() ? "" : gone.back().detail; }

    ManualLoop loop;
    RedirPeer peer;
    FakeUsbHost host;
    int offers = 0;
    std::vector<vmm::Error> gone;
    std::unique_ptr<vmm::UsbRedirDevice> device;
};

}
