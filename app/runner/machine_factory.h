#pragma once

#include "vmm/machine/machine.h"
#include "vmm/machine/saved_machine.h"

#include <functional>
#include <memory>
#include <string>

namespace app {

/// Where machines come from: KVM's in the programs, fakes in the tests.
struct MachineFactory {
    using Made = vmm::Result<std::unique_ptr<vmm::Machine>>;
    std::function<Made(vmm::VmConfig const&, vmm::Machine::Listener)> create;
    std::function<Made(std::string const& directory, vmm::Machine::Listener)> restore;
    std::function<Made(
        std::shared_ptr<vmm::timeline::Timeline> const&, std::string const& moment, vmm::Machine::Listener)>
        goTo;
    /// Whether a machine that was saved elsewhere can run here.
    std::function<vmm::Result<>(vmm::SavedMachine const&)> checkHost;
};

/// Machines on this host's KVM.
MachineFactory kvmMachines();

}
