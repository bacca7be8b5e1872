#pragma once

#include "vmm/base/result.h"
#include "vmm/state/options.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a machine is made of. Plain values with describe(), the same JSON as every state; checks itself, touches
/// nothing. Each device has an id of its own that it keeps for life: state and commands name it by that.
namespace vmm {

enum class Firmware : std::uint8_t { SeaBios, Ovmf, None };
constexpr auto stateNames(Firmware)
{
    return std::to_array<std::string_view>({ "seabios", "ovmf", "none" });
}

/// "host": all that this host's KVM can do. "baseline": the features of x86-64-v2 and no more,
/// alike on every host but for the vendor, which is the host's.
enum class CpuModel : std::uint8_t { Host, Baseline };
constexpr auto stateNames(CpuModel)
{
    return std::to_array<std::string_view>({ "host", "baseline" });
}

/// Usb: a stick that takes one command at a time, as all systems know it; Uas: one that takes many at once.
enum class DiskBus : std::uint8_t { Virtio, Ahci, Usb, Uas };
constexpr auto stateNames(DiskBus)
{
    return std::to_array<std::string_view>({ "virtio", "ahci", "usb", "uas" });
}
constexpr bool isUsb(DiskBus bus)
{
    return bus == DiskBus::Usb || bus == DiskBus::Uas;
}

/// Fixed when the disk is added, and never guessed again: a guest can write any format's header into a raw image.
enum class DiskFormat : std::uint8_t { Raw, Qcow2 };
constexpr auto stateNames(DiskFormat)
{
    return std::to_array<std::string_view>({ "raw", "qcow2" });
}

enum class UsbKind : std::uint8_t { Keyboard, Mouse, Tablet, Hub, Serial, Audio, Gamepad };
constexpr auto stateNames(UsbKind)
{
    return std::to_array<std::string_view>({ "keyboard", "mouse", "tablet", "hub", "serial", "audio", "gamepad" });
}

enum class NetworkMode : std::uint8_t { User, None };
constexpr auto stateNames(NetworkMode)
{
    return std::to_array<std::string_view>({ "user", "none" });
}

enum class Protocol : std::uint8_t { Tcp, Udp };
constexpr auto stateNames(Protocol)
{
    return std::to_array<std::string_view>({ "tcp", "udp" });
}

constexpr std::uint64_t maximumPath = 4096;
constexpr std::uint64_t maximumId = 32;
constexpr std::uint64_t maximumDevices = 255; ///< of one kind
constexpr unsigned mostUsbConnectors = 15;    ///< of a USB controller; so many a new one has
constexpr unsigned hubConnectors = 8;         ///< of a USB hub
constexpr unsigned usbTiers = 5;              ///< hubs one behind the other

/// Direct boot: a Linux bzImage or a PVH ELF, without firmware.
struct KernelConfig {
    std::string kernel, initrd, commandLine;
    bool operator==(KernelConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("kernel", s.kernel, state::Max { maximumPath });
        v.field("initrd", s.initrd, state::Max { maximumPath }, state::Optional {});
        v.field("commandLine", s.commandLine, state::Max { 65536 }, state::Optional {});
    }
};

/// Where a disk's moments are kept. Beside it: files that a fork shares. Inside it: snapshots of a qcow2 image, which
/// stays one file, and of which a fork is a copy. Automatic: beside it in the machine's own folder, inside a qcow2
/// image that lies elsewhere. What a disk has, it keeps.
enum class MomentPlace : std::uint8_t { Automatic, Beside, Inside };
constexpr auto stateNames(MomentPlace)
{
    return std::to_array<std::string_view>({ "automatic", "beside", "inside" });
}

struct DiskConfig {
    std::string id; ///< "disk0"
    std::string path;
    std::optional<DiskFormat> format; ///< unset only until the machine is made for the first time
    DiskBus bus = DiskBus::Virtio;
    bool readOnly = false;
    std::uint16_t queues = 0; ///< virtio only; 0: as many as the machine has processors
    /// Files that may lie below the image wherever they are; see ImageOptions::backing.
    std::vector<std::string> backing {};
    MomentPlace moments = MomentPlace::Automatic;
    bool plugged = true;        ///< of a stick: it is plugged in
    std::string parent {};      ///< of a stick: the controller; empty: the first with a connector that is left
    std::uint8_t connector = 0; ///< of that, from 1 on; 0: the first that is left
    bool operator==(DiskConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("path", s.path, state::Max { maximumPath });
        v.field("format", s.format, state::Optional {});
        v.field("bus", s.bus, state::Optional {});
        v.field("readOnly", s.readOnly, state::Optional {});
        v.field("queues", s.queues, state::Range { 0, 16 }, state::Optional {});
        v.field("backing", s.backing, state::Max { maximumPath }, state::Optional {});
        v.field("moments", s.moments, state::Optional {});
        v.field("plugged", s.plugged, state::Optional {});
        v.field("parent", s.parent, state::Max { maximumId }, state::Optional {});
        v.field("connector", s.connector, state::Range { 0, mostUsbConnectors }, state::Optional {});
    }
};

/// An ATAPI drive.
struct CdConfig {
    std::string id;   ///< "cd0"
    std::string path; ///< empty: no medium
    bool operator==(CdConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("path", s.path, state::Max { maximumPath }, state::Optional {});
    }
};

struct PortForward {
    Protocol protocol = Protocol::Tcp;
    std::string hostAddress = "127.0.0.1";
    std::uint16_t hostPort = 0, guestPort = 0;
    bool operator==(PortForward const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("protocol", s.protocol, state::Optional {});
        v.field("hostAddress", s.hostAddress, state::Max { 64 }, state::Optional {});
        v.field("hostPort", s.hostPort);
        v.field("guestPort", s.guestPort);
    }
};

struct NetworkConfig {
    std::string id;  ///< "net0"
    std::string mac; ///< "52:54:00:12:34:56"
    NetworkMode mode = NetworkMode::User;
    std::vector<PortForward> forwards;
    bool connected = true; ///< the cable is plugged in
    bool operator==(NetworkConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("mac", s.mac, state::Max { 17 });
        v.field("mode", s.mode, state::Optional {});
        v.field("forwards", s.forwards, state::Max { 64 }, state::Optional {});
        v.field("connected", s.connected, state::Optional {});
    }
};

/// A 16550 (COM1 …) or a virtio console port; both are byte streams with a scrollback.
struct SerialConfig {
    std::string id; ///< "serial0"
    bool virtio = false;
    bool operator==(SerialConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("virtio", s.virtio, state::Optional {});
    }
};

struct DisplayConfig {
    std::string id = "display0";
    std::uint16_t videoMemoryMiB = 16;
    bool operator==(DisplayConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId }, state::Optional {});
        v.field("videoMemoryMiB", s.videoMemoryMiB, state::Range { 1, 256 }, state::Optional {});
    }
};

/// An xHCI controller.
struct UsbControllerConfig {
    std::string id;              ///< "usb0"
    std::uint8_t connectors = 8; ///< places to plug something in; as many as all had that do not say so
    bool operator==(UsbControllerConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("connectors", s.connectors, state::Range { 1, mostUsbConnectors }, state::Optional {});
    }
};

/// A device that is emulated. It keeps its connector while it is not plugged in. Sticks are `disks`; they take the
/// connectors that are left. A serial port has a console, as those in `serials` have.
struct UsbDeviceConfig {
    std::string id; ///< "keyboard0"
    UsbKind kind = UsbKind::Tablet;
    std::string parent; ///< the controller, or a hub further up in the list; empty: the first controller
    bool plugged = true;
    std::uint8_t connector = 0; ///< of that, from 1 on; 0: the first that is left
    bool operator==(UsbDeviceConfig const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("kind", s.kind);
        v.field("parent", s.parent, state::Max { maximumId }, state::Optional {});
        v.field("plugged", s.plugged, state::Optional {});
        v.field("connector", s.connector, state::Range { 0, mostUsbConnectors }, state::Optional {});
    }
};

struct VmConfig {
    static constexpr std::string_view kind = "machine";
    static constexpr unsigned version = 1;

    std::string uuid; ///< RFC 4122, lower case
    std::string name;
    std::string notes;
    std::string system; ///< libosinfo's id, "http://debian.org/debian/12"; empty: unknown
    std::uint16_t cpus = 1;
    std::uint32_t memoryMiB = 1024;
    CpuModel cpuModel = CpuModel::Host;
    Firmware firmware = Firmware::SeaBios;
    std::string firmwareVariables;      ///< the machine's own copy of OVMF's variables
    std::vector<std::string> bootOrder; ///< device ids; empty: disks, then CDs
    std::optional<KernelConfig> kernel;
    std::vector<DiskConfig> disks;
    std::vector<CdConfig> cds;
    std::vector<NetworkConfig> networks;
    std::vector<SerialConfig> serials;
    std::vector<DisplayConfig> displays;
    std::vector<UsbControllerConfig> usbControllers;
    std::vector<UsbDeviceConfig> usbDevices;
    std::uint16_t randomGenerators = 1; ///< virtio-rng devices
    bool tablet = true;                 ///< absolute pointer
    bool debugConsole = false;          ///< isa-debug ports, for test guests and firmware logs
    bool operator==(VmConfig const&) const = default;

    static void describe(auto& v, auto& s)
    {
        v.field("uuid", s.uuid, state::Max { 36 });
        v.field("name", s.name, state::Max { 256 });
        v.field("notes", s.notes, state::Max { 65536 }, state::Optional {});
        v.field("system", s.system, state::Max { 256 }, state::Optional {});
        v.field("cpus", s.cpus, state::Range { 1, 16 });
        v.field("memoryMiB", s.memoryMiB, state::Range { 1, 1u << 20 });
        v.field("cpuModel", s.cpuModel, state::Optional {});
        v.field("firmware", s.firmware, state::Optional {});
        v.field("firmwareVariables", s.firmwareVariables, state::Max { maximumPath }, state::Optional {});
        v.field("bootOrder", s.bootOrder, state::Max { 64 }, state::Optional {});
        v.field("kernel", s.kernel, state::Optional {});
        v.field("disks", s.disks, state::Max { maximumDevices }, state::Optional {});
        v.field("cds", s.cds, state::Max { maximumDevices }, state::Optional {});
        v.field("networks", s.networks, state::Max { maximumDevices }, state::Optional {});
        v.field("serials", s.serials, state::Max { maximumDevices }, state::Optional {});
        v.field("displays", s.displays, state::Max { 4 }, state::Optional {});
        v.field("usbControllers", s.usbControllers, state::Max { 16 }, state::Optional {});
        v.field("usbDevices", s.usbDevices, state::Max { maximumDevices }, state::Optional {});
        v.field("randomGenerators", s.randomGenerators, state::Range { 0, maximumDevices }, state::Optional {});
        v.field("tablet", s.tablet, state::Optional {});
        v.field("debugConsole", s.debugConsole, state::Optional {});
    }
};

/// Whether it is an IPv4 address. Asked of what a person sets, and not by checkConfig(): a machine that has had another
/// one for long can be read, and mended.
Result<> checkHostAddress(PortForward const& forward);

/// What is wrong with it in itself: ids that occur twice, a MAC that is none, a boot order that names nobody, firmware
/// and kernel that exclude each other. Whether files exist is found out when they are opened.
Result<> checkConfig(VmConfig const& config);

/// The serial ports that a terminal can be opened on, in the order in which they are shown.
std::vector<std::string> consoleIds(VmConfig const& config);

/// The mark of the USB device or stick, which says whether it is plugged in; null: there is none of that id.
bool* pluggedMark(VmConfig& config, std::string_view id);

/// The configuration as a file's text, and back.
std::string configToText(VmConfig const& config);
Result<VmConfig> configFromText(std::string_view text);

/// A random MAC in the locally administered range 52:54:00.
std::string makeMac();
Result<std::array<std::uint8_t, 6>> parseMac(std::string_view text);

}
