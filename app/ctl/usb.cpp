// USB devices: a machine's, whether it runs or not, and this host's.

#include "app/control/host_usb_json.h"
#include "app/control/own_usb_json.h"
#include "app/ctl/verbs.h"
#include "app/usb/host_usb_list.h"
#include "app/usb/usb_rule_store.h"

#include <algorithm>
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
    all.reserve(config.usbDevices.size());
    for (auto const& device : config.usbDevices)
        all.push_back({ device.id, std::string(kinds[static_cast<std::size_t>(device.kind)]), device.plugged });
    for (auto const& disk : config.disks) {
        if (vmm::isUsb(disk.bus))
            all.push_back({ disk.id, "stick " + disk.path, disk.plugged });
    }
    return all;
}

/// As usbDeviceName() has it.
std::string nameOf(Json const& device)
{
    vmm::HostUsbInfo info;
    info.manufacturer = device.value("manufacturer", "");
    info.name = device.value("name", "");
    return info.manufacturer.empty() && info.name.empty() ? device.value("id", "") : usbDeviceName(info);
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
    for (auto const& question : visitors.value("questions", Json::array())) {
        auto const& device = question["device"];
        json.push_back({ { "id", device["port"] }, { "kind", "host" }, { "plugged", false }, { "device", device },
            { "asked", question["reason"] } });
        if (!output.json)
            output.text(fmt::format("{:<16} {:<8} {} ({})", device.value("port", ""), "asked", nameOf(device),
                question.value("reason", "")));
    }
    for (auto const& one : TRY(redirectionsOf(*configured.owner))) {
        json.push_back({ { "id", one["id"] }, { "kind", one.value("listening", false) ? "listener" : "redirected" },
            { "plugged", !one.value("listening", false) }, { "redirection", one } });
        if (!output.json)
            output.text(redirectedText(one));
    }
    return json;
}

std::string machineName(std::string const& uuid, Surroundings const& around)
{
    auto const stored = around.store.load(uuid);
    return stored ? stored->config.name : uuid + ", which is no more";
}

std::string actionText(UsbRule const& rule, Surroundings const& around)
{
    switch (rule.action) {
    case UsbAction::Attach: return "always to " + machineName(rule.machine, around);
    case UsbAction::Ask: return "ask";
    case UsbAction::Never: return "never";
    }
    return {};
}

vmm::Result<Json> listHost(Surroundings const& around, Output const& output)
{
    auto const rules = UsbRuleStore(around.store.root()).read();
    if (!rules)
        output.note(fmt::format("chronoctl: no rule holds: {}", rules.error().message()));
    auto const usb = TRY(hostUsb());
    auto json = Json::array();
    for (auto const& entry : listHostUsb(*usb, rules.value_or(UsbRules {}))) {
        json.push_back(control::hostUsbEntryToJson(entry));
        if (output.json)
            continue;
        auto const& device = entry.device;
        output.text(fmt::format("{:<10} {} {:<6} {}", device.port, json.back().value("id", ""),
            json.back().value("speed", ""), usbDeviceName(device)));
        if (!device.serial.empty())
            output.text(fmt::format("{:10} serial number {}", "", device.serial));
        if (entry.holder)
            output.text(fmt::format("{:10} in the machine {}", "",
                entry.holder->name.empty() ? entry.holder->machine : entry.holder->name));
        for (auto const& use : entry.uses)
            output.text(fmt::format("{:10} {}", "", hostUseText(use)));
        if (!entry.holder && entry.uses.empty() && !device.nodes.empty())
            output.text(fmt::format("{:10} {}", "", fmt::join(device.nodes, ", ")));
        if (entry.rule)
            output.text(
                fmt::format("{:10} rule {}: {}", "", usbMatchText(entry.rule->match), actionText(*entry.rule, around)));
    }
    return json;
}

/// What is plugged into this host, and comes to that machine from now on.
vmm::Result<UsbRule> alwaysRule(std::string const& device, std::string const& machine, Surroundings const& around)
{
    auto const stored = TRY(around.store.find(machine)); // rules are of machines in the library
    auto const usb = TRY(hostUsb());
    auto const info = TRY(findHostUsb(usb->devices(), device));
    auto rule = alwaysAttach(info, stored.id);
    auto const set = [&](UsbRules& rules) { return rules.set(rule); };
    TRY(UsbRuleStore(around.store.root()).change(set));
    return rule;
}

/// Of the configuration, whether it runs or not; what the configuration does not know is one of the host's.
vmm::Result<> change(UsbOptions const& options, Surroundings& around, Output const& output)
{
    auto const &machine = options.machine, &device = options.device;
    bool const attach = options.action == "attach";
    auto configured = TRY(options.always ? findConfigured(machine, around) : findChangeable(machine, around));
    if (vmm::pluggedMark(configured.config, device)) {
        if (options.always || options.force)
            return vmm::fail(vmm::ErrorCode::InvalidArgument,
                fmt::format("{} is the machine's own; --always and --force are for devices of the host's", device));
        if (!configured.owner)
            return around.store.keepPlugged(configured.config.uuid, device, attach);
        TRY(configured.owner->client.call("machine.setPlugged",
            { { "machine", configured.owner->uuid }, { "device", device }, { "plugged", attach } }));
        return {};
    }
    if (!configured.isInMemory && !attach) {
        return vmm::fail(vmm::ErrorCode::NotNow,
            fmt::format("{} has no USB device {} of its own, and none of the host's while it is off",
                configured.config.name, device));
    }
    if (!configured.isInMemory && !options.always) {
        return vmm::fail(vmm::ErrorCode::NotNow,
            fmt::format("{} has no USB device {} of its own, and one of the host's can be attached while it runs; "
                        "with --always it comes when the machine does",
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
    if (configured.isInMemory) {
        auto const done = configured.owner->client.call(attach ? "machine.attachUsb" : "machine.detachUsb",
            { { "machine", configured.owner->uuid }, { "device", device }, { "really", options.force } });
        // It has it already: what is new is that it shall come again.
        if (!done && (!options.always || done.error().code != vmm::ErrorCode::AlreadyExists))
            return vmm::fail(done.error());
    }
    if (options.always) {
        auto const rule = TRY(alwaysRule(device, machine, around));
        output.note(
            fmt::format("chronoctl: from now on {} comes to {} by itself; \"chronoctl usb rule remove {}\" ends "
                        "that",
                rule.name, configured.config.name, usbMatchText(rule.match)));
    }
    return {};
}

/// One more of the machine's own, whether it runs or not; its id.
vmm::Result<Json> add(UsbOptions const& options, Surroundings& around, Output const& output)
{
    vmm::UsbAddition addition;
    if (options.stick.empty())
        addition = TRY(parseUsbDevice(options.device));
    else
        addition = TRY(parseStick(options.stick));
    auto configured = TRY(findChangeable(options.machine, around));
    std::string id;
    if (configured.owner) {
        auto params = control::ownUsbToJson(addition);
        params["machine"] = configured.owner->uuid;
        id = TRY(configured.owner->client.call("machine.addUsb", std::move(params))).value("device", "");
    } else {
        TRY(changeHere(options.machine, around, [&](MachineRunner& runner, auto const& done) {
            runner.addUsb(addition, [&id, done](vmm::Result<std::string> const& added) {
                id = added.value_or("");
                done(added ? vmm::Result<>() : vmm::fail(added.error()));
            });
        }));
    }
    if (!output.json)
        output.text(id);
    return Json { { "device", id } };
}

vmm::Result<> remove(UsbOptions const& options, Surroundings& around)
{
    auto configured = TRY(findChangeable(options.machine, around));
    if (!vmm::pluggedMark(configured.config, options.device)) {
        return vmm::fail(vmm::ErrorCode::NotFound,
            fmt::format("{} has no USB device {} of its own; \"chronoctl usb detach\" takes one of the host's away",
                configured.config.name, options.device));
    }
    if (configured.owner) {
        TRY(configured.owner->client.call(
            "machine.removeUsb", { { "machine", configured.owner->uuid }, { "device", options.device } }));
        return {};
    }
    return changeHere(options.machine, around,
        [&](MachineRunner& runner, auto const& done) { runner.removeUsb(options.device, done); });
}

vmm::Result<Json> listRules(Surroundings const& around, Output const& output)
{
    auto json = Json::array();
    for (auto const& rule : TRY(UsbRuleStore(around.store.root()).read()).rules) {
        json.push_back(control::usbRuleToJson(rule));
        if (!output.json)
            output.text(fmt::format("{:<28} {:<24} {}", usbMatchText(rule.match), actionText(rule, around), rule.name));
    }
    return json;
}

vmm::Result<> addRule(UsbOptions const& options, Surroundings const& around)
{
    UsbRule rule;
    rule.match = TRY(parseUsbMatch(options.device));
    rule.action = options.asks ? UsbAction::Ask : options.never ? UsbAction::Never : UsbAction::Attach;
    if (!options.attachTo.empty())
        rule.machine = TRY(around.store.find(options.attachTo)).id;
    // What it is called is only known while it is plugged in.
    if (auto const usb = hostUsb(); usb && rule.match.product) {
        auto const devices = (*usb)->devices();
        auto const meant = std::ranges::find_if(devices, [&](auto const& device) { return rule.match.fits(device); });
        if (meant != devices.end())
            rule.name = usbDeviceName(*meant);
    }
    TRY(UsbRuleStore(around.store.root()).change([&](UsbRules& rules) { return rules.set(rule); }));
    return {};
}

vmm::Result<> removeRule(std::string const& match, Surroundings const& around)
{
    auto const meant = TRY(parseUsbMatch(match));
    TRY(UsbRuleStore(around.store.root()).change([&](UsbRules& rules) { return rules.remove(meant); }));
    return {};
}

int rule(UsbOptions const& options, Surroundings& around, Output const& output)
{
    auto const& action = options.machine;
    if (action == "list") {
        auto const listed = listRules(around, output);
        return listed ? output.answer({}, *listed) : output.failed(listed.error());
    }
    return output.answer(action == "add" ? addRule(options, around) : removeRule(options.device, around));
}

/// What becomes of the host's devices when the machine comes back.
vmm::Result<Json> restorePolicy(UsbOptions const& options, Surroundings& around, Output const& output)
{
    auto const machine = TRY(around.store.find(options.machine)).id;
    UsbRuleStore const store(around.store.root());
    auto const names = stateNames(UsbRestore {});
    auto rules = TRY(store.read());
    if (!options.device.empty()) {
        auto const found = std::ranges::find(names, options.device);
        if (found == names.end())
            return vmm::fail(vmm::ErrorCode::InvalidArgument, "it is attach, leave or ask");
        rules = TRY(store.change([&](UsbRules& changed) {
            changed.setRestore(machine, static_cast<UsbRestore>(found - names.begin()));
            return vmm::Result<>();
        }));
    }
    std::string const policy(names[static_cast<std::size_t>(rules.restoreOf(machine))]);
    if (!output.json && options.device.empty())
        output.text(policy);
    return Json { { "restore", policy } };
}

std::string fateText(Json const& fate)
{
    auto const name = fate.value("name", "");
    auto const from = fate.value("from", ""), port = fate.value("port", "");
    auto const where = !port.empty() ? "port " + port : "of " + (from.empty() ? "another computer" : from);
    auto const what = fmt::format("{} ({})", name.empty() ? fate.value("id", "") : name, where);
    auto const outcome = fate.value("outcome", "");
    if (outcome == "plugged-anew")
        return fmt::format("{} is pulled out and plugged in again", what);
    if (outcome == "asked")
        return fmt::format("{} is unplugged; whether it comes back is asked", what);
    auto const* const why = outcome != "not-here" ? ""
        : !port.empty()                           ? ", and not to be had on this host now"
                                                  : ", and has to be passed on anew";
    return fmt::format("{} is unplugged{}", what, why);
}

vmm::Result<Json> foreseen(
    std::string const& machine, std::string const& moment, Surroundings& around, Output const& output)
{
    auto params = Json::object();
    if (!moment.empty())
        params["moment"] = moment;
    auto const answer = TRY(callOnMachine(machine, "moment.foreseeUsb", std::move(params), around, output));
    return answer.value("devices", Json::array());
}

}

Json noteUsbFates(std::string const& machine, std::string const& moment, Surroundings& around, Output const& output)
{
    auto fates = foreseen(machine, moment, around, output).value_or(Json::array());
    for (auto const& fate : fates) {
        if (!output.json)
            output.note(fmt::format("chronoctl: {}", fateText(fate)));
    }
    return fates;
}

int usb(UsbOptions const& options, Surroundings& around, Output const& output)
{
    auto const answer
        = [&](vmm::Result<Json> const& told) { return told ? output.answer({}, *told) : output.failed(told.error()); };
    if (options.action == "list")
        return answer(options.machine.empty() ? listHost(around, output) : list(options.machine, around, output));
    if (options.action == "add")
        return answer(add(options, around, output));
    if (options.action == "remove")
        return output.answer(remove(options, around));
    if (options.action == "rule")
        return rule(options, around, output);
    if (options.action == "restore")
        return answer(restorePolicy(options, around, output));
    if (options.action == "foresee") {
        auto const fates = foreseen(options.machine, options.device, around, output);
        for (auto const& fate : fates.value_or(Json::array())) {
            if (!output.json)
                output.text(fateText(fate));
        }
        return answer(fates);
    }
    return output.answer(change(options, around, output));
}

}
