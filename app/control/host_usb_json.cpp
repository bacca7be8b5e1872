#include "app/control/host_usb_json.h"

#include "vmm/state/section.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::control {

using vmm::Json;

namespace {

std::string numbers(std::uint16_t vendor, std::uint16_t product)
{
    return fmt::format("{:04x}:{:04x}", vendor, product);
}

Json usesToJson(std::vector<HostUse> const& uses)
{
    static constexpr std::array kinds { "keyboard", "pointer", "mounted", "disk", "network", "port" };
    auto json = Json::array();
    for (auto const& use : uses)
        json.push_back({ { "kind", kinds[static_cast<std::size_t>(use.kind)] }, { "what", use.what },
            { "only", use.isOnly }, { "text", hostUseText(use) } });
    return json;
}

}

Json hostUsbToJson(vmm::HostUsbInfo const& device)
{
    auto const speeds = stateNames(device.speed);
    return { { "port", device.port }, { "id", numbers(device.vendor, device.product) },
        { "manufacturer", device.manufacturer }, { "name", device.name }, { "serial", device.serial },
        { "speed", std::string(speeds[static_cast<std::size_t>(device.speed)]) }, { "node", device.node() },
        { "uses", device.nodes } };
}

Json hostUsbEntryToJson(HostUsbEntry const& entry)
{
    auto json = hostUsbToJson(entry.device);
    json["host"] = usesToJson(entry.uses);
    if (entry.holder)
        json["holder"] = { { "machine", entry.holder->machine }, { "name", entry.holder->name },
            { "pid", entry.holder->process } };
    if (entry.rule)
        json["rule"] = usbRuleToJson(*entry.rule);
    return json;
}

Json usbRuleToJson(UsbRule const& rule)
{
    Json json { { "match", usbMatchText(rule.match) },
        { "action", std::string(stateNames(rule.action)[static_cast<std::size_t>(rule.action)]) } };
    if (!rule.machine.empty())
        json["machine"] = rule.machine;
    if (!rule.name.empty())
        json["name"] = rule.name;
    return json;
}

Json usbQuestionsToJson(std::vector<UsbQuestion> const& questions)
{
    static constexpr std::array reasons { "plugged-in", "restored", "used-by-host" };
    auto json = Json::array();
    for (auto const& question : questions)
        json.push_back({ { "device", hostUsbToJson(question.device) },
            { "reason", reasons[static_cast<std::size_t>(question.reason)] }, { "host", usesToJson(question.uses) } });
    return json;
}

Json usbFatesToJson(std::vector<UsbFate> const& fates)
{
    static constexpr std::array outcomes { "plugged-anew", "unplugged", "asked", "not-here" };
    auto json = Json::array();
    for (auto const& fate : fates)
        json.push_back({ { "id", numbers(fate.vendor, fate.product) }, { "name", fate.name }, { "serial", fate.serial },
            { "port", fate.port }, { "from", fate.from }, { "attached", fate.isAttached },
            { "outcome", outcomes[static_cast<std::size_t>(fate.outcome)] } });
    return json;
}

}
