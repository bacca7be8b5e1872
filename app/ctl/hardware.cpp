#include "app/ctl/paths.h"
#include "app/ctl/verbs.h"
#include "app/store/own_usb.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <span>
#include <unistd.h>

namespace app::ctl {

namespace {

/// "PATH,key=value,…"; as in QEMU ",," stands for a comma.
struct Described {
    std::string subject;
    std::vector<std::pair<std::string, std::string>> options;
};

Described split(std::string const& text)
{
    std::vector<std::string> parts { "" };
    for (std::size_t at = 0; at < text.size(); ++at) {
        bool const isDoubled = text.compare(at, 2, ",,") == 0;
        if (text[at] == ',' && !isDoubled)
            parts.emplace_back();
        else
            parts.back() += text[at];
        at += isDoubled;
    }
    Described result { parts.front(), {} };
    for (auto const& part : std::span(parts).subspan(1)) {
        auto const equals = part.find('=');
        result.options.emplace_back(part.substr(0, equals), equals == std::string::npos ? "" : part.substr(equals + 1));
    }
    return result;
}

auto unknown(std::string const& what, std::string const& key)
{
    return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} has no option \"{}\"", what, key));
}

/// A wrong name is said at once, not when the machine is half together.
vmm::Result<std::string> existing(std::string const& path)
{
    if (!path.empty() && ::access(path.c_str(), R_OK) != 0)
        return vmm::failOs(fmt::format("cannot read {}", path));
    return absolute(path);
}

template<typename Number>
vmm::Result<Number> number(std::string const& text)
{
    Number value {};
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc {} || end != text.data() + text.size())
        return vmm::fail(
            vmm::ErrorCode::InvalidArgument, fmt::format("\"{}\" is no number that is possible here", text));
    return value;
}

vmm::Result<vmm::DiskConfig> parseDisk(std::string const& text, vmm::DiskBus bus)
{
    auto const described = split(text);
    vmm::DiskConfig disk;
    disk.bus = bus;
    disk.path = TRY(existing(described.subject));
    for (auto const& [key, value] : described.options) {
        if (key == "bus" && value == "ahci")
            disk.bus = vmm::DiskBus::Ahci;
        else if (key == "bus" && value == "virtio")
            disk.bus = vmm::DiskBus::Virtio;
        else if (key == "bus" && value == "usb")
            disk.bus = vmm::DiskBus::Usb;
        else if (key == "bus" && value == "uas")
            disk.bus = vmm::DiskBus::Uas;
        else if (key == "format" && (value == "raw" || value == "qcow2"))
            disk.format = value == "raw" ? vmm::DiskFormat::Raw : vmm::DiskFormat::Qcow2;
        else if (key == "readonly")
            disk.readOnly = true;
        else if (key == "backing")
            disk.backing.push_back(TRY(existing(value)));
        else if (key == "moments" && (value == "inside" || value == "beside"))
            disk.moments = value == "inside" ? vmm::MomentPlace::Inside : vmm::MomentPlace::Beside;
        else if (key == "queues")
            disk.queues = TRY(number<std::uint16_t>(value));
        else
            return unknown("a disk", value.empty() ? key : key + "=" + value);
    }
    return disk;
}

vmm::Result<vmm::NetworkConfig> parseNetwork(std::string const& text, vmm::VmConfig const& config)
{
    auto const described = split(text);
    vmm::NetworkConfig network;
    network.id = freeDeviceId(config, "net");
    network.mac = vmm::makeMac();
    if (described.subject == "isolated")
        network.mode = vmm::NetworkMode::None;
    else if (described.subject != "user")
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("a network is \"user\", \"isolated\" or \"none\", and not \"{}\"", described.subject));
    for (auto const& [key, value] : described.options) {
        if (key == "forward")
            network.forwards.push_back(TRY(parseForward(value)));
        else if (key == "mac")
            network.mac = value;
        else
            return unknown("a network", key);
    }
    return network;
}

}

vmm::Result<vmm::UsbDeviceConfig> parseUsbDevice(std::string const& text)
{
    auto const described = split(text);
    auto const names = stateNames(vmm::UsbKind {});
    auto const found = std::find(names.begin(), names.end(), described.subject);
    if (found == names.end())
        return vmm::fail(
            vmm::ErrorCode::InvalidArgument, fmt::format("there is no USB device \"{}\" to be had", described.subject));
    vmm::UsbDeviceConfig device;
    device.kind = static_cast<vmm::UsbKind>(found - names.begin());
    for (auto const& [key, value] : described.options) {
        if (key != "on")
            return unknown("a USB device", key);
        device.parent = value;
    }
    return device;
}

vmm::Result<vmm::DiskConfig> parseStick(std::string const& text)
{
    auto stick = TRY(parseDisk(text, vmm::DiskBus::Usb));
    if (!vmm::isUsb(stick.bus))
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "a stick has bus=usb or bus=uas");
    return stick;
}

vmm::Result<vmm::PortForward> parseForward(std::string const& text)
{
    std::vector<std::string> parts { "" };
    for (char const c : text)
        c == ':' ? void(parts.emplace_back()) : parts.back().push_back(c);
    vmm::PortForward forward;
    if ((parts.size() != 3 && parts.size() != 4) || (parts[0] != "tcp" && parts[0] != "udp"))
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("\"{}\" is no forward; one is tcp:HOST-ADDRESS:HOST-PORT:GUEST-PORT", text));
    forward.protocol = parts[0] == "udp" ? vmm::Protocol::Udp : vmm::Protocol::Tcp;
    if (parts.size() == 4)
        forward.hostAddress = parts[1];
    forward.hostPort = TRY(number<std::uint16_t>(parts[parts.size() - 2]));
    forward.guestPort = TRY(number<std::uint16_t>(parts.back()));
    TRY(vmm::checkHostAddress(forward));
    return forward;
}

vmm::Result<std::uint64_t> parseSize(std::string const& text)
{
    static constexpr std::string_view units = "KMGT";
    auto digits = text;
    unsigned shift = 0;
    if (!digits.empty() && units.find(digits.back()) != std::string_view::npos) {
        shift = 10 * (unsigned(units.find(digits.back())) + 1);
        digits.pop_back();
    }
    auto const value = TRY(number<std::uint64_t>(digits));
    if (value == 0 || value > (std::uint64_t(1) << 50) >> shift)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} is no size that is possible here", text));
    return value << shift;
}

namespace {

vmm::Result<> addUsb(vmm::VmConfig& config, std::string const& text)
{
    if (text == "none") {
        config.usbControllers.clear();
        config.usbDevices.clear();
        return {};
    }
    if (text == "controller") {
        config.usbControllers.push_back(newUsbController(config));
        return {};
    }
    auto device = TRY(parseUsbDevice(text));
    if (device.parent.empty())
        device.parent = freeUsbController(config);
    device.id = freeUsbDeviceId(config, device.kind);
    config.usbDevices.push_back(device);
    return {};
}

}

vmm::Result<> refuseHardware(HardwareOptions const& options, std::string_view why)
{
    std::pair<bool, std::string_view> const given[] {
        { !options.kernel.empty(), "--kernel" },
        { !options.initrd.empty(), "--initrd" },
        { !options.append.empty(), "--append" },
        { !options.disks.empty(), "--disk" },
        { !options.cds.empty(), "--cd" },
        { !options.networks.empty(), "--net" },
        { !options.usb.empty(), "--usb" },
        { options.cpus.has_value(), "--cpus" },
        { options.memory.has_value(), "--memory" },
        { !options.firmware.empty(), "--firmware" },
        { !options.consoles.empty(), "--console" },
        { options.displays.has_value(), "--displays" },
        { options.noDisplay, "--no-display" },
        { options.randomGenerators.has_value(), "--random-generators" },
        { options.noTablet, "--no-tablet" },
        { options.debugConsole, "--debug-console" },
    };
    for (auto const& [isGiven, name] : given) {
        if (isGiven)
            return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} cannot be used here: {}", name, why));
    }
    return {};
}

vmm::Result<> applyHardware(vmm::VmConfig& config, HardwareOptions const& options)
{
    if (options.cpus)
        config.cpus = static_cast<std::uint16_t>(std::min(*options.cpus, 65535u));
    if (options.memory)
        config.memoryMiB = *options.memory;
    if (!options.cpu.empty())
        config.cpuModel = options.cpu == "baseline" ? vmm::CpuModel::Baseline : vmm::CpuModel::Host;
    if (!options.firmware.empty()) {
        config.firmware = options.firmware == "ovmf" ? vmm::Firmware::Ovmf : vmm::Firmware::SeaBios;
        config.kernel.reset();
    }
    if (!options.kernel.empty()) {
        config.kernel
            = vmm::KernelConfig { TRY(existing(options.kernel)), TRY(existing(options.initrd)), options.append };
        config.firmware = vmm::Firmware::None;
    } else if (config.kernel) {
        if (!options.initrd.empty())
            config.kernel->initrd = TRY(existing(options.initrd));
        if (!options.append.empty())
            config.kernel->commandLine = options.append;
    } else if (!options.initrd.empty() || !options.append.empty()) {
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "--initrd and --append belong to a --kernel");
    }
    for (auto const& text : options.disks) {
        auto disk = TRY(parseDisk(text, vmm::DiskBus::Virtio));
        disk.id = freeDeviceId(config, "disk");
        if (vmm::isUsb(disk.bus))
            freeUsbController(config);
        config.disks.push_back(std::move(disk));
    }
    for (auto const& cd : options.cds)
        config.cds.push_back({ freeDeviceId(config, "cd"), TRY(existing(cd)) });
    for (auto const& network : options.networks) {
        if (network == "none")
            config.networks.clear();
        else
            config.networks.push_back(TRY(parseNetwork(network, config)));
    }
    for (auto const& device : options.usb)
        TRY(addUsb(config, device));
    for (auto const& kind : options.consoles) {
        if (kind == "none")
            config.serials.clear();
        else
            config.serials.push_back({ freeDeviceId(config, "serial"), kind == "virtio" });
    }
    if (options.displays) {
        config.displays.resize(std::min<std::size_t>(*options.displays, config.displays.size()));
        // More than there can be are refused with the whole.
        while (config.displays.size() < std::min(*options.displays, 255u))
            config.displays.push_back({ freeDeviceId(config, "display") });
    }
    if (options.noDisplay)
        config.displays.clear();
    if (options.randomGenerators)
        config.randomGenerators = static_cast<std::uint16_t>(std::min(*options.randomGenerators, 65535u));
    if (options.noTablet)
        config.tablet = false;
    config.debugConsole |= options.debugConsole;
    return {};
}

}
