#include "vmm/config/vm_config.h"

#include "vmm/base/random.h"
#include "vmm/config/usb_config.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

namespace vmm {

namespace {

bool isId(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Result<VmConfig> readText(std::string_view text)
{
    auto const json = TRY(state::parseJson(text, 4u << 20));
    return state::load<VmConfig>(TRY(Section::fromJson(json)));
}

/// Ids of all devices by kind; every id is unique in the machine, whatever its kind.
Result<std::set<std::string>> collectIds(VmConfig const& config)
{
    std::set<std::string> ids;
    Result<> outcome;
    auto const take = [&](auto const& devices) {
        for (auto const& device : devices) {
            if (!outcome)
                return;
            if (!isId(device.id))
                outcome = fail(ErrorCode::InvalidArgument, fmt::format("\"{}\" is no device id", device.id));
            else if (!ids.insert(device.id).second)
                outcome = fail(ErrorCode::InvalidArgument, fmt::format("two devices are called {}", device.id));
        }
    };
    take(config.disks);
    take(config.cds);
    take(config.networks);
    take(config.serials);
    take(config.displays);
    take(config.usbControllers);
    take(config.usbDevices);
    TRY(outcome);
    return ids;
}

}

Result<> checkHostAddress(PortForward const& forward)
{
    in_addr address {};
    if (!forward.hostAddress.empty() && ::inet_pton(AF_INET, forward.hostAddress.c_str(), &address) != 1) {
        return fail(ErrorCode::InvalidArgument,
            fmt::format("host port {} is forwarded from \"{}\", which is no IPv4 address", forward.hostPort,
                forward.hostAddress));
    }
    return {};
}

Result<> checkConfig(VmConfig const& config)
{
    // What could not be read back from a file would be a machine that cannot come back. So each field is within its
    // bounds from here on.
    auto const readable = readText(configToText(config));
    if (!readable)
        return fail(ErrorCode::InvalidArgument, readable.error().message());
    if (*readable != config)
        return fail(ErrorCode::InvalidArgument, "a name or a path is not UTF-8");
    if (!isUuid(config.uuid))
        return fail(ErrorCode::InvalidArgument, fmt::format("\"{}\" is no UUID", config.uuid));
    if (config.name.empty())
        return fail(ErrorCode::InvalidArgument, "the machine has no name");
    if (config.kernel && config.kernel->kernel.empty())
        return fail(ErrorCode::InvalidArgument, "direct boot without a kernel");
    if (config.kernel && config.firmware != Firmware::None)
        return fail(ErrorCode::InvalidArgument, "a kernel is booted directly or by firmware, not both");
    if (!config.kernel && config.firmware == Firmware::None)
        return fail(ErrorCode::InvalidArgument, "neither firmware nor a kernel to boot");
    auto const ids = TRY(collectIds(config));
    for (auto const& id : config.bootOrder) {
        if (!ids.contains(id))
            return fail(ErrorCode::InvalidArgument, fmt::format("the boot order names {}, which is not there", id));
    }
    for (auto const& disk : config.disks) {
        if (disk.path.empty())
            return fail(ErrorCode::InvalidArgument, fmt::format("{} has no image", disk.id));
    }
    auto const ports = std::count_if(
        config.serials.begin(), config.serials.end(), [](SerialConfig const& serial) { return !serial.virtio; });
    if (ports > 4)
        return fail(ErrorCode::InvalidArgument, "a PC has room for four 16550 ports; more can be virtio consoles");
    TRY(usbConnectorsOf(config));
    std::set<std::tuple<Protocol, std::string, std::uint16_t>> hostPorts;
    for (auto const& network : config.networks) {
        TRY_WITHIN(network.id, parseMac(network.mac));
        for (auto const& forward : network.forwards) {
            if (forward.hostPort == 0 || forward.guestPort == 0)
                return fail(ErrorCode::InvalidArgument, fmt::format("{} forwards port 0", network.id));
            if (!hostPorts.emplace(forward.protocol, forward.hostAddress, forward.hostPort).second) {
                return fail(
                    ErrorCode::InvalidArgument, fmt::format("host port {} is forwarded twice", forward.hostPort));
            }
        }
    }
    return {};
}

std::vector<std::string> consoleIds(VmConfig const& config)
{
    std::vector<std::string> ids;
    for (auto const& serial : config.serials)
        ids.push_back(serial.id);
    for (auto const& device : config.usbDevices) {
        if (device.kind == UsbKind::Serial)
            ids.push_back(device.id);
    }
    return ids;
}

bool* pluggedMark(VmConfig& config, std::string_view id)
{
    for (auto& device : config.usbDevices) {
        if (device.id == id)
            return &device.plugged;
    }
    for (auto& disk : config.disks) {
        if (disk.id == id && isUsb(disk.bus))
            return &disk.plugged;
    }
    return nullptr;
}

std::string configToText(VmConfig const& config)
{
    return state::toText(state::save(config).toJson()) + "\n";
}

Result<VmConfig> configFromText(std::string_view text)
{
    auto config = TRY(readText(text));
    TRY(checkConfig(config));
    return config;
}

std::string makeMac()
{
    std::array<std::uint8_t, 3> bytes {};
    fillRandom(bytes);
    return fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2]);
}

Result<std::array<std::uint8_t, 6>> parseMac(std::string_view text)
{
    std::array<std::uint8_t, 6> mac {};
    auto const digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0'
            : c >= 'a' && c <= 'f'  ? c - 'a' + 10
            : c >= 'A' && c <= 'F'  ? c - 'A' + 10
                                    : -1;
    };
    bool good = text.size() == 17;
    for (std::size_t i = 0; good && i < 6; ++i) {
        int const high = digit(text[i * 3]), low = digit(text[i * 3 + 1]);
        good = high >= 0 && low >= 0 && (i == 5 || text[i * 3 + 2] == ':');
        mac[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    if (!good || (mac[0] & 1) != 0)
        return fail(ErrorCode::InvalidArgument, fmt::format("\"{}\" is no station's MAC address", text));
    return mac;
}

}
