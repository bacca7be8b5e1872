// USB devices: a machine's, whether it runs or not, and this host's.

#include "app/control/host_usb_json.h"
#include "app/ctl/verbs.h"
#include "app/runner/host_usb_devices.h"

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

std::string nameOf(Json const& device)
{
    auto const maker = device.value("manufacturer", ""), name = device.value("name", "");
    if (maker.empty() && name.empty())
        return "a device without a name";
    return maker.empty() || name.empty() ? maker + name : maker + " " + name;
}

vmm::Result<Json> redirectionsOf(Owner& owner)
{
    return TRY(owner.client.call("machine.redirectedUsb", { { "machine", owner.uuid } }))["redirected"];
}

vmm::Result<Json> list(std::string const& machine, Surroundings const& around, Output const& output)
{
    auto configured = TRY(findConfigured(machine, around));
    auto json = Json::array();
    for (auto const& device : devicesOf(configured.config)) {
        json.push_back({ { "id", device.id }, { "kind", device.kind }, { "plugged", device.plugged } });
        if (!output.json)
            output.text(fmt::format("{:<16} {:<8} {}", device.id, device.plugged ? "in" : "out", device.kind));
    }
    if (!configured.owner)
        return json;
    auto const visitors
        = TRY(configured.owner->client.call("machine.hostUsb", { { "machine", configured.owner->uuid } }));
    for (auto const& device : visitors["devices"]) {
        json.push_back({ { "id", device["port"] }, { "kind", "host" }, { "plugged", true }, { "device", device } });
        if (!output.json)
            output.text(fmt::format("{:<16} {:<8} {}", device.value("port", ""), "in", nameOf(device)));
    }
    for (auto const& one : TRY(redirectionsOf(*configured.owner))) {
        json.push_back({ { "id", one["id"] }, { "kind", one.value("listening", false) ? "listener" : "redirected" },
            { "plugged", !one.value("listening", false) }, { "redirection", one } });
        if (!output.json)
            output.text(redirectedText(one));
    }
    return json;
}

vmm::Result<Json> listHost(Output const& output)
{
    auto const usb = TRY(hostUsb());
    auto json = Json::array();
    for (auto const& device : usb->devices()) {
        json.push_back(control::hostUsbToJson(device));
        if (output.json)
            continue;
        auto const uses
            = device.nodes.empty() ? std::string() : fmt::format(" (used as {})", fmt::join(device.nodes, ", "));
        output.text(fmt::format("{:<10} {} {:<6} {}{}", device.port, json.back().value("id", ""),
            json.back().value("speed", ""), nameOf(json.back()), uses));
    }
    return json;
}

/// Of the configuration, whether it runs or not; what the configuration does not know is one of the host's.
vmm::Result<> change(bool attach, std::string const& machine, std::string const& device, Surroundings& around)
{
    if (machine.empty() || device.empty())
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            "say which machine and which USB device; \"chronoctl usb list\" tells those of this host, with a machine "
            "its own");
    auto configured = TRY(findChangeable(machine, around));
    if (vmm::pluggedMark(configured.config, device)) {
        if (!configured.owner)
            return around.store.keepPlugged(configured.config.uuid, device, attach);
        TRY(configured.owner->client.call("machine.setPlugged",
            { { "machine", configured.owner->uuid }, { "device", device }, { "plugged", attach } }));
        return {};
    }
    if (!configured.owner) {
        return vmm::fail(vmm::ErrorCode::NotNow,
            fmt::format("{} has no USB device {} of its own, and one of the host's can be attached while it runs",
                configured.config.name, device));
    }
    if (!attach) {
        for (auto const& one : TRY(redirectionsOf(*configured.owner))) {
            if (one.value("id", "") != device)
                continue;
            TRY(configured.owner->client.call(
                "machine.endUsbRedirection", { { "machine", configured.owner->uuid }, { "id", device } }));
            return {};
        }
    }
    TRY(configured.owner->client.call(attach ? "machine.attachUsb" : "machine.detachUsb",
        { { "machine", configured.owner->uuid }, { "device", device } }));
    return {};
}

}

int usb(std::string const& action, std::string const& machine, std::string const& device, Surroundings& around,
    Output const& output)
{
    if (action == "list") {
        auto const listed = machine.empty() ? listHost(output) : list(machine, around, output);
        return listed ? output.answer({}, *listed) : output.failed(listed.error());
    }
    return output.answer(change(action == "attach", machine, device, around));
}

}
