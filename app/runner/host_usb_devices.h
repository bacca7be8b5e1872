#pragma once

#include "app/usb/host_usb_list.h"
#include "vmm/base/event_loop.h"
#include "vmm/usb/host_usb_device.h"

#include <chrono>
#include <map>

namespace app {

/// The USB devices of the host's that one machine has, by their ports. They stay while the machine in memory is
/// exchanged for that of a moment. All on the runner's loop; looking at the host and opening a device wait for it, on a
/// thread beside. Each device goes back to the host on a thread of its own: one that is silent may take a minute.
class HostUsbDevices {
public:
    /// `lost`: a device that was plugged out, or died where it is; called on the loop.
    using Lost = std::function<void(std::string const& port)>;
    /// `root`: of the library whose rules hold; empty: none do. `patience`: how long the end of this object waits for
    /// devices that go back, beside what the kernel takes for one that is just being opened.
    HostUsbDevices(vmm::EventLoop& loop, std::string root, Lost lost,
        std::chrono::milliseconds patience = std::chrono::seconds(10));
    /// What goes back for longer goes on doing so beside, and after the end of the process by the program that waits
    /// for that; nobody is told of it any more.
    ~HostUsbDevices();
    HostUsbDevices(HostUsbDevices const&) = delete;
    HostUsbDevices& operator=(HostUsbDevices const&) = delete;

    /// What is plugged into this host now, and the rules as they are now.
    struct Look {
        std::shared_ptr<vmm::HostUsb> usb;
        std::vector<HostUsbEntry> entries;
    };
    /// `before` is called first, on the thread beside. `done` is called even after this object's end.
    void look(std::function<void()> before, std::function<void(vmm::Result<Look>)> done);

    /// Whether the device may be taken, with what was found just before that. On the thread beside.
    using Allows = std::function<vmm::Result<>(HostUsbEntry const&)>;
    using Opened = std::function<void(vmm::Result<std::shared_ptr<vmm::HostUsbDevice>>)>;
    /// It is in nobody's hands yet, but claimed for `holder`: see keep(). Whoever lets go of it gives it back. `opened`
    /// is called even after this object's end.
    void open(std::string const& which, Allows allows, UsbHolder const& holder, Opened opened);
    void keep(std::shared_ptr<vmm::HostUsbDevice> device);
    /// To the host's drivers; the machine has let go of it before. `done` when they have it, and anybody may take it.
    void giveBack(std::string const& port, std::function<void()> done);
    void giveBackAll();

    std::map<std::string, std::shared_ptr<vmm::HostUsbDevice>> const& devices() const { return m_devices; }
    std::vector<vmm::HostUsbInfo> infos() const;

private:
    class Leaving;
    struct GiveBack;
    vmm::Result<> begin();
    static vmm::Result<Look> lookNow(std::string const& root);

    vmm::EventLoop& m_loop;
    std::string m_root;
    Lost m_lost;
    std::shared_ptr<Leaving> m_leaving;
    std::map<std::string, std::shared_ptr<vmm::HostUsbDevice>> m_devices;
    std::shared_ptr<int> m_self = std::make_shared<int>(); // what was posted to the loop may come after us
    std::unique_ptr<vmm::LoopThread> m_waiting;            // made when it is needed
};

}
