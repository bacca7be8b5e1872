#include "app/usb/host_usb_list.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>

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

std::vector<HostUsbEntry> listHostUsb(vmm::HostUsb const& usb, UsbRules const& rules)
{
    std::vector<HostUsbEntry> entries;
    for (auto& device : usb.devices()) {
        auto const* const rule = rules.ruleFor(device);
        auto holder = UsbClaim::holder(device.port);
        // What a machine has is nothing to the host's drivers any more.
        auto uses = holder ? std::vector<HostUse>() : usesOf(device);
        entries.push_back(
            { std::move(device), std::move(uses), std::move(holder), rule ? std::optional(*rule) : std::nullopt });
    }
    return entries;
}

}
