#include "app/usb/usb_rules.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <tuple>

namespace app {

namespace {

constexpr std::size_t mostBytes = 1u << 20;
constexpr std::size_t longestSerial = 256, longestPort = 64, longestMachine = 64, longestName = 512;

/// A number of one to `digits` hexadecimal digits, and nothing else.
std::optional<unsigned> hexadecimal(std::string_view text, std::size_t digits)
{
    unsigned number = 0;
    auto const* const end = text.data() + text.size();
    auto const [at, error] = std::from_chars(text.data(), end, number, 16);
    if (text.empty() || text.size() > digits || error != std::errc() || at != end)
        return std::nullopt;
    return number;
}

bool isPort(std::string_view text)
{
    return text.size() <= longestPort && text.find_first_not_of("0123456789-.") == std::string_view::npos;
}

/// As it stands it can be printed to a terminal.
bool isPlainText(std::string_view text, std::size_t most)
{
    return vmm::plainUsbText(text, most) == text;
}

vmm::Result<> checkRule(UsbRule const& rule)
{
    auto const refuse = [](char const* why) { return vmm::fail(vmm::ErrorCode::InvalidArgument, why); };
    if (rule.match.product && !rule.match.vendor)
        return refuse("a product means nothing without its vendor");
    if (!isPort(rule.match.port))
        return refuse("a port is as \"1-2.3\"");
    if (!isPlainText(rule.match.serial, longestSerial) || !isPlainText(rule.machine, longestMachine)
        || !isPlainText(rule.name, longestName))
        return refuse("a serial number, a machine or a name is too long, or has characters that cannot be shown");
    if (rule.action == UsbAction::Attach && rule.machine.empty())
        return refuse("a rule that attaches a device needs a machine");
    if (rule.action != UsbAction::Attach && !rule.machine.empty())
        return refuse("only a rule that attaches a device has a machine");
    if (rule.action == UsbAction::Attach && rule.match.isEmpty())
        return refuse("no rule attaches every device of this host: say which are meant");
    return {};
}

vmm::Error noMatch(std::string_view text)
{
    return { vmm::ErrorCode::InvalidArgument,
        fmt::format(
            "\"{}\" does not say which devices are meant: VENDOR:PRODUCT or VENDOR:*, class=CLASS, port=PORT and "
            "serial=NUMBER with commas between them, the serial number last; or any",
            text),
        0 };
}

vmm::Error isThere(UsbMatch const& match)
{
    return { vmm::ErrorCode::AlreadyExists, fmt::format("there is a rule for {} already", usbMatchText(match)), 0 };
}

vmm::Error isNotThere(UsbMatch const& match)
{
    return { vmm::ErrorCode::NotFound, fmt::format("there is no rule for {}", usbMatchText(match)), 0 };
}

}

bool UsbMatch::fits(vmm::HostUsbInfo const& device) const
{
    auto const hasClass = [&](std::uint8_t wanted) {
        return device.deviceClass == wanted || std::ranges::count(device.interfaceClasses, wanted) > 0;
    };
    return (!vendor || *vendor == device.vendor) && (!product || *product == device.product)
        && (serial.empty() || serial == device.serial) && (port.empty() || port == device.port)
        && (!deviceClass || hasClass(*deviceClass));
}

unsigned UsbMatch::weight() const
{
    return unsigned(!serial.empty()) << 4 | unsigned(!port.empty()) << 3 | unsigned(product.has_value()) << 2
        | unsigned(vendor.has_value()) << 1 | unsigned(deviceClass.has_value());
}

std::string usbMatchText(UsbMatch const& match)
{
    std::vector<std::string> parts;
    if (match.vendor)
        parts.push_back(match.product ? fmt::format("{:04x}:{:04x}", *match.vendor, *match.product)
                                      : fmt::format("{:04x}:*", *match.vendor));
    if (match.deviceClass)
        parts.push_back(fmt::format("class={:02x}", *match.deviceClass));
    if (!match.port.empty())
        parts.push_back("port=" + match.port);
    if (!match.serial.empty())
        parts.push_back("serial=" + match.serial);
    return parts.empty() ? "any" : fmt::format("{}", fmt::join(parts, ","));
}

vmm::Result<UsbMatch> parseUsbMatch(std::string_view text)
{
    UsbMatch match;
    if (text == "any")
        return match;
    for (auto rest = text;;) {
        if (rest.starts_with("serial=")) {
            match.serial = rest.substr(7);
            if (match.serial.empty())
                return vmm::fail(noMatch(text));
            break;
        }
        auto const comma = rest.find(',');
        auto const part = rest.substr(0, comma);
        auto const colon = part.find(':');
        if (part.starts_with("class=") && !match.deviceClass) {
            auto const number = hexadecimal(part.substr(6), 2);
            if (!number)
                return vmm::fail(noMatch(text));
            match.deviceClass = static_cast<std::uint8_t>(*number);
        } else if (part.starts_with("port=") && match.port.empty() && part.size() > 5 && isPort(part.substr(5))) {
            match.port = part.substr(5);
        } else if (colon != std::string_view::npos && !match.vendor) {
            auto const vendor = hexadecimal(part.substr(0, colon), 4), product = hexadecimal(part.substr(colon + 1), 4);
            if (!vendor || (!product && part.substr(colon + 1) != "*"))
                return vmm::fail(noMatch(text));
            match.vendor = static_cast<std::uint16_t>(*vendor);
            if (product)
                match.product = static_cast<std::uint16_t>(*product);
        } else {
            return vmm::fail(noMatch(text));
        }
        if (comma == std::string_view::npos)
            break;
        rest.remove_prefix(comma + 1);
    }
    return match;
}

UsbRule const* UsbRules::ruleFor(vmm::HostUsbInfo const& device) const
{
    auto const standing = [](UsbRule const& rule) {
        // The more careful an action the higher, and the lower class before the higher.
        return std::tuple(rule.match.weight(), rule.action, -int(rule.match.deviceClass.value_or(0)));
    };
    UsbRule const* found = nullptr;
    for (auto const& rule : rules) {
        if (rule.match.fits(device) && (!found || standing(*found) < standing(rule)))
            found = &rule;
    }
    return found;
}

vmm::Result<> UsbRules::set(UsbRule rule)
{
    TRY(checkRule(rule));
    auto const known = std::ranges::find(rules, rule.match, &UsbRule::match);
    if (known != rules.end()) {
        *known = std::move(rule);
        return {};
    }
    if (rules.size() >= mostRules)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("there are {} rules already", mostRules));
    rules.push_back(std::move(rule));
    return {};
}

vmm::Result<> UsbRules::add(UsbRule rule)
{
    if (std::ranges::count(rules, rule.match, &UsbRule::match) > 0)
        return vmm::fail(isThere(rule.match));
    return set(std::move(rule));
}

vmm::Result<> UsbRules::setMatch(UsbMatch const& from, UsbMatch const& to)
{
    auto const known = std::ranges::find(rules, from, &UsbRule::match);
    if (known == rules.end())
        return vmm::fail(isNotThere(from));
    if (to != from && std::ranges::count(rules, to, &UsbRule::match) > 0)
        return vmm::fail(isThere(to));
    auto rule = *known;
    rule.match = to;
    if (to.vendor != from.vendor || to.product != from.product)
        rule.name.clear();
    TRY(checkRule(rule));
    *known = std::move(rule);
    return {};
}

vmm::Result<> UsbRules::remove(UsbMatch const& match)
{
    if (std::erase_if(rules, [&](UsbRule const& rule) { return rule.match == match; }) == 0)
        return vmm::fail(isNotThere(match));
    return {};
}

UsbRestore UsbRules::restoreOf(std::string_view machine) const
{
    auto const found = std::ranges::find(machines, machine, &Machine::machine);
    return found == machines.end() ? UsbRestore::Attach : found->restore;
}

void UsbRules::setRestore(std::string const& machine, UsbRestore restore)
{
    std::erase_if(machines, [&](Machine const& one) { return one.machine == machine; });
    if (restore != UsbRestore::Attach)
        machines.push_back({ machine, restore });
}

void UsbRules::check(vmm::state::Reader& reader) const
{
    for (std::size_t i = 0; i < rules.size(); ++i) {
        auto const checked = checkRule(rules[i]);
        reader.require(
            checked.has_value(), checked ? std::string() : fmt::format("rules[{}]: {}", i, checked.error().detail));
        auto const isSame = [&](UsbRule const& other) { return other.match == rules[i].match; };
        reader.require(std::none_of(rules.begin(), rules.begin() + std::ptrdiff_t(i), isSame),
            fmt::format("rules[{}] is for the same devices as one before it", i));
    }
}

std::string usbRulesToText(UsbRules const& rules)
{
    return vmm::state::toText(vmm::state::save(rules).toJson()) + "\n";
}

vmm::Result<UsbRules> usbRulesFromText(std::string_view text)
{
    auto const json = TRY(vmm::state::parseJson(text, mostBytes));
    return vmm::state::load<UsbRules>(TRY(vmm::Section::fromJson(json)));
}

UsbRule alwaysAttach(vmm::HostUsbInfo const& device, std::string machine)
{
    UsbRule rule;
    rule.match.vendor = device.vendor;
    rule.match.product = device.product;
    rule.match.serial = device.serial;
    rule.action = UsbAction::Attach;
    rule.machine = std::move(machine);
    rule.name = usbDeviceName(device);
    return rule;
}

std::string usbDeviceName(vmm::HostUsbInfo const& device)
{
    auto const &maker = device.manufacturer, &name = device.name;
    if (maker.empty() && name.empty())
        return fmt::format("{:04x}:{:04x}", device.vendor, device.product);
    // Many say their maker in both.
    return maker.empty() || name.starts_with(maker) ? name : name.empty() ? maker : maker + " " + name;
}

}
