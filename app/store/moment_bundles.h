#pragma once

#include "app/store/machine_store.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/timeline/timeline.h"

namespace app {

/// Writes a moment (its id) as a bundle (bundle.h), with all that its machine reads, to a descriptor, a pipe's too. The
/// machine goes on. What is in the bundle lies in the store for as long as it is being written; a moment that is
/// deleted before it lies there whole is NotFound, and nothing is written.
vmm::Result<> exportBundle(MachineStore const& store, std::shared_ptr<vmm::timeline::Timeline const> const& timeline,
    std::string const& moment, int descriptor, MachineStore::Progress const& progress = {});

/// The same to a new file, which is there whole or not at all. AlreadyExists where there is one of that name.
vmm::Result<> exportBundleFile(MachineStore const& store,
    std::shared_ptr<vmm::timeline::Timeline const> const& timeline, std::string const& moment, std::string const& path,
    MachineStore::Progress const& progress = {});

/// Makes a machine from a bundle: it is suspended at that moment, or off if it was then. It is the machine that it was,
/// with its uuid and MACs; where the store has that one already, another. `name` may be empty. `checkHost` says whether
/// this host can run it (vmm::checkHost), before anything is written. Nothing in a bundle is trusted; where it is
/// refused nothing is left.
vmm::Result<StoredMachine> importBundle(MachineStore& store, int descriptor, std::string const& name,
    std::function<vmm::Result<>(vmm::CpuFeatures const&)> const& checkHost,
    MachineStore::Progress const& progress = {});

/// The same of what lies there: a bundle's file, a directory in the exported form with all its files
/// (vmm/machine/moment_export.h), or the "state.json" in one. The directory stays as it is.
vmm::Result<StoredMachine> importFrom(MachineStore& store, std::string const& path, std::string const& name,
    std::function<vmm::Result<>(vmm::CpuFeatures const&)> const& checkHost,
    MachineStore::Progress const& progress = {});

}
