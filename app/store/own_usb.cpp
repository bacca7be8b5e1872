#include "app/store/own_usb.h"

#include "app/store/machine_store.h"

#include <algorithm>
#include <fmt/format.h>

namespace app {

std::string freeUsbDeviceId(vmm::VmConfig const& config, vmm::UsbKind kind)
{
    return freeDeviceId(config, fmt::format("usb-{}-", stateNames(kind)[static_cast<std::size_t>(kind)]));
}

vmm::Result<> adoptUsb(vmm::VmConfig& config, vmm::UsbAddition addition)
{
    if (vmm::pluggedMark(config, idOf(addition)) != nullptr)
        return {};
    // As it is in a machine that runs, or else where it can be had.
    if (vmm::addUsb(config, addition))
        return {};
    auto next = config;
    std::visit(
        [&](auto& device) {
            bool const isOnHub = std::ranges::any_of(
                config.usbDevices, [&](auto const& one) { return !device.parent.empty() && one.id == device.parent; });
            if (!isOnHub)
                device.parent = freeUsbController(next);
            device.connector = 0;
        },
        addition);
    TRY(vmm::addUsb(next, addition));
    config = std::move(next);
    return {};
}

}
