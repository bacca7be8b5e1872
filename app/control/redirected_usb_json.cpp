#include "app/control/redirected_usb_json.h"

#include "vmm/state/section.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::control {

nlohmann::ordered_json redirectedUsbToJson(RedirectedUsb const& redirected)
{
    nlohmann::ordered_json json { { "id", redirected.id }, { "address", redirected.address },
        { "listening", redirected.isListening } };
    if (redirected.isListening)
        return json;
    auto const& device = redirected.device;
    auto const speeds = stateNames(device.speed);
    json["listener"] = redirected.listener;
    json["device"] = { { "id", fmt::format("{:04x}:{:04x}", device.vendor, device.product) },
        { "speed", std::string(speeds[static_cast<std::size_t>(device.speed)]) }, { "class", device.deviceClass },
        { "program", device.program } };
    return json;
}

nlohmann::ordered_json redirectedUsbToJson(std::vector<RedirectedUsb> const& redirected)
{
    auto all = nlohmann::ordered_json::array();
    for (auto const& one : redirected)
        all.push_back(redirectedUsbToJson(one));
    return all;
}

}
