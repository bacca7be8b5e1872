#include "app/control/own_usb_json.h"

#include "app/control/protocol.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::control {

namespace {

/// The value that has this name; `otherwise` where nothing is said.
template<typename Enum>
vmm::Result<Enum> named(Json const& params, char const* key, Enum otherwise)
{
    auto const given = params.find(key);
    if (given == params.end())
        return otherwise;
    auto const names = stateNames(otherwise);
    auto const found = given->is_string()
        ? std::find(names.begin(), names.end(), given->template get_ref<std::string const&>())
        : names.end();
    if (found == names.end())
        return vmm::fail(
            vmm::ErrorCode::InvalidArgument, fmt::format("\"{}\" is one of {}", key, fmt::join(names, ", ")));
    return static_cast<Enum>(found - names.begin());
}

vmm::Result<vmm::UsbAddition> stickFromJson(Json const& params)
{
    vmm::DiskConfig stick;
    stick.path = textIn(params, "path");
    stick.parent = textIn(params, "parent");
    stick.bus = TRY(named(params, "bus", vmm::DiskBus::Usb));
    if (params.contains("format"))
        stick.format = TRY(named(params, "format", vmm::DiskFormat::Raw));
    stick.readOnly = flagIn(params, "readOnly");
    stick.moments = TRY(named(params, "moments", vmm::MomentPlace::Automatic));
    if (auto const backing = params.find("backing"); backing != params.end()) {
        auto const isText = [](Json const& one) { return one.is_string(); };
        if (!backing->is_array() || !std::all_of(backing->begin(), backing->end(), isText))
            return vmm::fail(vmm::ErrorCode::InvalidArgument, "\"backing\" is a list of files");
        stick.backing = backing->get<std::vector<std::string>>();
    }
    return stick;
}

}

Json ownUsbToJson(vmm::UsbAddition const& addition)
{
    Json json;
    if (auto const* device = std::get_if<vmm::UsbDeviceConfig>(&addition)) {
        json["kind"] = stateNames(device->kind)[static_cast<std::size_t>(device->kind)];
    } else {
        auto const& stick = std::get<vmm::DiskConfig>(addition);
        json = { { "kind", "stick" }, { "path", stick.path },
            { "bus", stateNames(stick.bus)[static_cast<std::size_t>(stick.bus)] }, { "readOnly", stick.readOnly } };
        if (stick.format)
            json["format"] = stateNames(*stick.format)[static_cast<std::size_t>(*stick.format)];
        if (!stick.backing.empty())
            json["backing"] = stick.backing;
        if (stick.moments != vmm::MomentPlace::Automatic)
            json["moments"] = stateNames(stick.moments)[static_cast<std::size_t>(stick.moments)];
    }
    auto const& parent = std::visit([](auto const& one) -> std::string const& { return one.parent; }, addition);
    if (!parent.empty())
        json["parent"] = parent;
    if (!idOf(addition).empty())
        json["device"] = idOf(addition);
    return json;
}

vmm::Result<vmm::UsbAddition> ownUsbFromJson(Json const& params)
{
    if (params.value("kind", Json()) == "stick")
        return stickFromJson(params);
    if (!params.contains("kind"))
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "\"kind\" says what it is: stick, keyboard, mouse …");
    vmm::UsbDeviceConfig device;
    device.kind = TRY(named(params, "kind", vmm::UsbKind::Tablet));
    device.parent = textIn(params, "parent");
    return device;
}

}
