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
#include "vmm/machine/saved_machine.h"
#include "vmm/state/reader.h"
#include "vmm/virtio/block_device.h"
#include "vmm/virtio/console_port.h"
#include "vmm/virtio/network_card.h"
#include "vmm/virtio/random_generator.h"
#include "vmm/virtio/tablet.h"

#include <fmt/format.h>
#include <optional>

/// All kinds of state that a machine can have, so that a file is understood as a whole before anything is made of it.
namespace vmm {

namespace {

/// Whether the section is one of these; then it is checked.
template<typename... States>
std::optional<Result<>> checkAsOneOf(Section const& section)
{
    std::optional<Result<>> outcome;
    auto const attempt = [&]<typename State>() {
        if (section.kind() != State::kind)
            return false;
        auto const loaded = state::load<State>(section);
        outcome = loaded ? Result<> {} : Result<>(fail(loaded.error()));
        return true;
    };
    static_cast<void>((attempt.template operator()<States>() || ...));
    return outcome;
}

}

Result<> checkPart(SavedPart const& part)
{
    auto const outcome
        = checkAsOneOf<AhciController::State, FwCfg::State, I8042::State, Ich9Lpc::State, IsaDebugConsole::State,
            IsaDebugExit::State, KvmClock::State, KvmInterruptChips::State, KvmPit::State, PciBus::State,
            PflashCfi::State, PvPanic::State, Q35Host::State, RtcMc146818::State, Uart16550::State, UserNetwork::State,
            VcpuState, Vga::State, VmGenerationId::State, virtio::BlockDevice::State, virtio::ConsolePort::State,
            virtio::NetworkCard::State, virtio::RandomGenerator::State, virtio::Tablet::State>(part.section);
    if (!outcome) {
        return fail(ErrorCode::Corrupt,
            fmt::format("{}: this program knows no device of the kind \"{}\"", part.id, part.section.kind()));
    }
    return *outcome ? Result<> {} : Result<>(fail(Error(outcome->error()).within(part.id)));
}

}
