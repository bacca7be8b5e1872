// A machine's USB devices, whether it runs or not.

#include "app/ctl/verbs.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::ctl {

namespace {

struct Listed {
    std::string id, kind;
    bool plugged;
};

std::vector<Listed> devicesOf(vmm::VmConfig const& config)
{
    std::vector<Listed> all;
    auto const kinds = stateNames(vmm::UsbKind {});
    for (auto const& device : config.usbDevices)
        all.push_back({ device.id, std::string(kinds[static_cast<std::size_t>(device.kind)]), device.plugged });
    for (auto const& disk : config.disks) {
        if (vmm::isUsb(disk.bus))
            all.push_back({ disk.id, "stick " + disk.path, disk.plugged });
    }
    return all;
}

vmm::Result<Json> list(std::string const& machine, Surroundings const& around, Output const& output)
{
    auto const configured = TRY(findConfigured(machine, around));
    auto json = Json::array();
    for (auto const& device : devicesOf(configured.config)) {
        json.push_back({ { "id", device.id }, { "kind", device.kind }, { "plugged", device.plugged } });
        if (!output.json)
            output.text(fmt::format("{:<16} {:<8} {}", device.id, device.plugged ? "in" : "out", device.kind));
    }
    return json;
}

}

int usb(std::string const& action, std::string const& machine, std::string const& device, Surroundings& around,
    Output const& output)
{
    if (action == "list") {
        auto const listed = list(machine, around, output);
        return listed ? output.answer({}, *listed) : output.failed(listed.error());
    }
    bool const plugged = action == "attach";
    return output.answer([&]() -> vmm::Result<> {
        auto configured = TRY(findChangeable(machine, around));
        if (!vmm::pluggedMark(configured.config, device))
            return vmm::fail(vmm::ErrorCode::NotFound,
                device.empty() ? "which USB device? \"chronoctl usb list\" tells their ids"
                               : fmt::format("{} has no USB device {}", configured.config.name, device));
        if (!configured.owner)
            return around.store.keepPlugged(configured.config.uuid, device, plugged);
        TRY(configured.owner->client.call("machine.setPlugged",
            { { "machine", configured.owner->uuid }, { "device", device }, { "plugged", plugged } }));
        return {};
    }());
}

}
