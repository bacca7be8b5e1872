#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/usb/host_usb_device.h"

#include <map>

namespace app {

/// This host's USB, one for the process, for as long as somebody has it. Any thread.
vmm::Result<std::shared_ptr<vmm::HostUsb>> hostUsb();

/// Of the devices that are plugged in the one that a person means: by its port ("1-2.3"), its numbers ("0951:1666"), or
/// its serial number. InvalidArgument where several are meant.
vmm::Result<vmm::HostUsbInfo> findHostUsb(std::vector<vmm::HostUsbInfo> const& devices, std::string const& which);

/// The USB devices of the host's that one machine has, by their ports. They stay while the machine in memory is
/// exchanged for that of a moment. All on the runner's loop; opening a device and giving it back wait for it, on a
/// thread beside.
class HostUsbDevices {
public:
    /// `lost`: a device that was plugged out, called on the loop.
    using Lost = std::function<void(std::string const& port)>;
    HostUsbDevices(vmm::EventLoop& loop, Lost lost) : m_loop(loop), m_lost(std::move(lost)) { }

    using Opened = std::function<void(vmm::Result<std::shared_ptr<vmm::HostUsbDevice>>)>;
    /// It is in nobody's hands yet: see keep(). Whoever lets go of it gives it back. `opened` is called even after this
    /// object's end.
    void open(std::string const& which, Opened opened);
    void keep(std::shared_ptr<vmm::HostUsbDevice> device);
    /// To the host's drivers, when the machine has let go of it too.
    void giveBack(std::string const& port);
    void giveBackAll();

    std::map<std::string, std::shared_ptr<vmm::HostUsbDevice>> const& devices() const { return m_devices; }

private:
    vmm::EventLoop& m_loop;
    Lost m_lost;
    std::map<std::string, std::shared_ptr<vmm::HostUsbDevice>> m_devices;
    std::shared_ptr<int> m_self = std::make_shared<int>(); // what was posted to the loop may come after us
    std::shared_ptr<vmm::LoopThread> m_waiting;            // made when it is needed
};

}
