#pragma once

#include "app/sdl/host_gamepads.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/saved_machine.h"

#include <functional>
#include <memory>
#include <string>

namespace app {

/// Where machines come from: KVM's in the programs, fakes in the tests.
struct MachineFactory {
    using Made = vmm::Result<std::unique_ptr<vmm::Machine>>;
    std::function<Made(vmm::VmConfig const&, vmm::Machine::Listener, vmm::CpuFeatures const* cpu)> create;
    std::function<Made(std::string const& directory, vmm::Machine::Listener)> restore;
    std::function<Made(std::shared_ptr<vmm::timeline::Timeline> const&, std::string const& moment,
        vmm::Machine::Listener, vmm::Machine::Leave const&)>
        goTo;
    /// Whether a guest that has had this CPU can run here.
    std::function<vmm::Result<>(vmm::CpuFeatures const&)> checkHost;
    /// The host's sound for one sound card, under a name for the host's mixer; empty: machines are silent.
    std::function<std::shared_ptr<vmm::AudioBackend>(std::string const& name)> sound {};
    /// The host's pads; null: machines get none.
    HostGamepads* gamepads = nullptr;
};

/// Machines on this host's KVM.
MachineFactory kvmMachines();

}
