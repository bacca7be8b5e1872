#include "app/control/host_usb_json.h"

#include "vmm/state/section.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::control {

nlohmann::ordered_json hostUsbToJson(vmm::HostUsbInfo const& device)
{
    auto const speeds = stateNames(device.speed);
    return { { "port", device.port }, { "id", fmt::format("{:04x}:{:04x}", device.vendor, device.product) },
        { "manufacturer", device.manufacturer }, { "name", device.name }, { "serial", device.serial },
        { "speed", std::string(speeds[static_cast<std::size_t>(device.speed)]) }, { "node", device.node() },
        { "uses", device.nodes } };
}

}
