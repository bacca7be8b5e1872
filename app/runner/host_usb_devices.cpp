#include "app/runner/host_usb_devices.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace app {

vmm::Result<std::shared_ptr<vmm::HostUsb>> hostUsb()
{
    static std::mutex mutex;
    static std::weak_ptr<vmm::HostUsb> known;
    std::lock_guard const lock(mutex);
    auto usb = known.lock();
    if (!usb)
        known = usb = TRY(vmm::HostUsb::open());
    return usb;
}

vmm::Result<vmm::HostUsbInfo> findHostUsb(std::vector<vmm::HostUsbInfo> const& devices, std::string const& which)
{
    std::vector<vmm::HostUsbInfo> meant;
    std::copy_if(devices.begin(), devices.end(), std::back_inserter(meant), [&](vmm::HostUsbInfo const& device) {
        return device.port == which || fmt::format("{:04x}:{:04x}", device.vendor, device.product) == which
            || (!device.serial.empty() && device.serial == which);
    });
    if (meant.empty()) {
        return vmm::fail(vmm::ErrorCode::NotFound,
            fmt::format(
                "no USB device \"{}\" is plugged into this host; \"chronoctl usb list\" tells which are", which));
    }
    if (meant.size() > 1) {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("there are {} USB devices \"{}\"; say the port of one, as {}", meant.size(), which,
                meant.front().port));
    }
    return meant.front();
}

void HostUsbDevices::open(std::string const& which, Opened opened)
{
    if (!m_waiting) {
        auto thread = vmm::LoopThread::start("usb devices");
        if (!thread)
            return opened(vmm::fail(thread.error()));
        m_waiting = std::move(*thread);
    }
    std::set<std::string> taken;
    for (auto const& [port, device] : m_devices)
        taken.insert(port);
    auto const open = [this, loop = &m_loop, waiting = std::weak_ptr(m_waiting), self = std::weak_ptr(m_self), which,
                          taken]() -> vmm::Result<std::shared_ptr<vmm::HostUsbDevice>> {
        auto usb = TRY(hostUsb());
        auto const info = TRY(findHostUsb(usb->devices(), which));
        if (taken.contains(info.port))
            return vmm::fail(vmm::ErrorCode::AlreadyExists, "the machine has the USB device of port " + info.port);
        auto const gone = [this, loop, self, port = info.port] {
            loop->post([this, self, port] {
                if (!self.expired())
                    m_lost(port);
            });
        };
        auto device = TRY(vmm::HostUsbDevice::open(std::move(usb), info, gone));
        // Whoever lets go of it last does not wait until the host has it back.
        return std::shared_ptr<vmm::HostUsbDevice>(device.release(), [waiting](vmm::HostUsbDevice* last) {
            std::shared_ptr<vmm::HostUsbDevice> own(last);
            if (auto const thread = waiting.lock())
                thread->loop().post([own] {});
        });
    };
    m_waiting->loop().post([loop = &m_loop, open, opened = std::move(opened)] {
        loop->post([opened, device = open()] { opened(device); });
    });
}

void HostUsbDevices::keep(std::shared_ptr<vmm::HostUsbDevice> device)
{
    auto const port = device->info().port;
    m_devices[port] = std::move(device);
}

void HostUsbDevices::giveBack(std::string const& port)
{
    m_devices.erase(port);
}

void HostUsbDevices::giveBackAll()
{
    m_devices.clear();
}

}
