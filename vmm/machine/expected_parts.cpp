#include "vmm/machine/expected_parts.h"

#include "vmm/backends/user_network.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/devices/ahci_controller.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/i8042.h"
#include "vmm/devices/ich9_lpc.h"
#include "vmm/devices/isa_debug.h"
#include "vmm/devices/pflash_cfi.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/q35_host.h"
#include "vmm/devices/rtc_mc146818.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/devices/vga.h"
#include "vmm/devices/vm_generation_id.h"
#include "vmm/kvm/chips.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/usb/hid_device.h"
#include "vmm/usb/uas_storage.h"
#include "vmm/usb/usb_audio.h"
#include "vmm/usb/usb_gamepad.h"
#include "vmm/usb/usb_hub.h"
#include "vmm/usb/usb_serial.h"
#include "vmm/usb/usb_storage.h"
#include "vmm/usb/xhci_controller.h"
#include "vmm/virtio/block_device.h"
#include "vmm/virtio/console_port.h"
#include "vmm/virtio/network_card.h"
#include "vmm/virtio/random_generator.h"
#include "vmm/virtio/tablet.h"

#include <fmt/format.h>

namespace vmm {

namespace {

std::string_view kindOf(UsbKind device)
{
    switch (device) {
    case UsbKind::Keyboard: return UsbKeyboard::State::kind;
    case UsbKind::Mouse:
    case UsbKind::Tablet: return UsbPointer::State::kind;
    case UsbKind::Hub: return UsbHub::State::kind;
    case UsbKind::Serial: return UsbSerial::State::kind;
    case UsbKind::Audio: return UsbAudio::State::kind;
    case UsbKind::Gamepad: return UsbGamepad::State::kind;
    }
    return {};
}

}

std::map<std::string, std::string_view, std::less<>> expectedParts(VmConfig const& config)
{
    std::map<std::string, std::string_view, std::less<>> parts {
        { "lpc", Ich9Lpc::State::kind },
        { "pci", PciBus::State::kind },
        { "host-bridge", Q35Host::State::kind },
        { "i8042", I8042::State::kind },
        { "rtc", RtcMc146818::State::kind },
        { "generation-id", VmGenerationId::State::kind },
        { "pvpanic", PvPanic::State::kind },
        { "fw-cfg", FwCfg::State::kind },
        { "interrupt-chips", KvmInterruptChips::State::kind },
        { "pit", KvmPit::State::kind },
        { "kvm-clock", KvmClock::State::kind },
    };
    for (unsigned i = 0; i < config.cpus; ++i)
        parts[fmt::format("vcpu{}", i)] = VcpuState::kind;
    if (config.firmware == Firmware::Ovmf)
        parts["firmware-flash"] = PflashCfi::State::kind;
    if (config.debugConsole) {
        parts["debug-console"] = IsaDebugConsole::State::kind;
        parts["debug-exit"] = IsaDebugExit::State::kind;
    }
    for (auto const& serial : config.serials)
        parts[serial.id] = serial.virtio ? virtio::ConsolePort::State::kind : Uart16550::State::kind;
    for (auto const& display : config.displays)
        parts[display.id] = Vga::State::kind;
    for (auto const& network : config.networks) {
        if (network.mode == NetworkMode::User)
            parts[network.id + "-user"] = UserNetwork::State::kind;
        parts[network.id] = virtio::NetworkCard::State::kind;
    }
    auto sataDevices = config.cds.size();
    for (auto const& disk : config.disks) {
        switch (disk.bus) {
        case DiskBus::Virtio: parts[disk.id] = virtio::BlockDevice::State::kind; break;
        case DiskBus::Ahci: ++sataDevices; break; // its state is its controller's
        case DiskBus::Usb: parts[disk.id] = UsbStorage::State::kind; break;
        case DiskBus::Uas: parts[disk.id] = UasStorage::State::kind; break;
        }
    }
    for (std::size_t i = 0; i * AhciController::maximumPorts < sataDevices; ++i)
        parts[fmt::format("sata{}", i)] = AhciController::State::kind;
    for (auto const& controller : config.usbControllers)
        parts[controller.id] = XhciController::State::kind;
    for (auto const& device : config.usbDevices)
        parts[device.id] = kindOf(device.kind);
    for (unsigned i = 0; i < config.randomGenerators; ++i)
        parts[fmt::format("rng{}", i)] = virtio::RandomGenerator::State::kind;
    if (config.tablet)
        parts["tablet"] = virtio::Tablet::State::kind;
    return parts;
}

Result<> checkParts(SavedMachine const& saved)
{
    auto missing = expectedParts(saved.config);
    for (auto const& part : saved.parts) {
        auto const expected = missing.find(part.id);
        if (expected == missing.end())
            return fail(ErrorCode::Corrupt, fmt::format("the state has a part \"{}\" that we do not know", part.id));
        if (part.section.kind() != expected->second) {
            return fail(ErrorCode::Corrupt,
                fmt::format(
                    "the state of {} is that of a {}, not of a {}", part.id, part.section.kind(), expected->second));
        }
        missing.erase(expected);
    }
    if (!missing.empty())
        return fail(ErrorCode::Corrupt, fmt::format("the state lacks {}", missing.begin()->first));
    if (saved.header.cpu.entries.empty())
        return fail(ErrorCode::Corrupt, "the state does not say which processor its guest was given");
    return {};
}

}
