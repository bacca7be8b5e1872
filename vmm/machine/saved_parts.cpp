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
#include "vmm/machine/file_schemas.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/reader.h"
#include "vmm/state/schema.h"
#include "vmm/state/writer.h"
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
#include <nlohmann/json.hpp>

/// All kinds of state that a machine can have, so that a file is understood as a whole before anything is made of it.
namespace vmm {

namespace {

template<typename... States>
struct Kinds {
    /// Calls `visit` with each.
    static void visitAll(auto const& visit) { (visit.template operator()<States>(), ...); }
    /// Calls `visit` with the State of that kind; false: there is none.
    static bool visit(std::string_view kind, auto const& visit)
    {
        auto const attempt = [&]<typename State>() {
            if (kind != State::kind)
                return false;
            visit.template operator()<State>();
            return true;
        };
        return (attempt.template operator()<States>() || ...);
    }
};

using AllKinds = Kinds<AhciController::State, FwCfg::State, I8042::State, Ich9Lpc::State, IsaDebugConsole::State,
    IsaDebugExit::State, KvmClock::State, KvmInterruptChips::State, KvmPit::State, PciBus::State, PflashCfi::State,
    PvPanic::State, Q35Host::State, RtcMc146818::State, Uart16550::State, UasStorage::State, UsbAudio::State,
    UsbGamepad::State, UsbHub::State, UsbKeyboard::State, UsbPointer::State, UsbSerial::State, UsbStorage::State,
    UserNetwork::State, VcpuState, Vga::State, VmGenerationId::State, virtio::BlockDevice::State,
    virtio::ConsolePort::State, virtio::NetworkCard::State, virtio::RandomGenerator::State, virtio::Tablet::State,
    XhciController::State>;

}

Result<Section> currentSection(SavedPart const& part)
{
    Result<Section> current = fail(ErrorCode::Corrupt,
        fmt::format("{}: this program knows no device of the kind \"{}\"", part.id, part.section.kind()));
    AllKinds::visit(part.section.kind(), [&]<typename State>() {
        auto const loaded = state::load<State>(part.section);
        current = loaded ? Result<Section>(state::save(*loaded)) : fail(Error(loaded.error()).within(part.id));
    });
    return current;
}

Json partSchemas()
{
    auto schemas = Json::array();
    AllKinds::visitAll([&]<typename State>() {
        for (unsigned version = 1; version <= State::version; ++version)
            schemas.push_back(state::sectionSchema<State>(version));
    });
    return schemas;
}

std::string partSchemaText(std::string_view kind)
{
    std::string text;
    AllKinds::visit(kind, [&]<typename State>() { text = state::schemaText<State>(); });
    return text;
}

Result<> checkPart(SavedPart const& part)
{
    auto const current = currentSection(part);
    return current ? Result<> {} : fail(current.error());
}

}
