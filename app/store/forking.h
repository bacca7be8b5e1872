#pragma once

#include "app/store/machine_store.h"

namespace app {

/// What a machine is forked at.
struct ForkPoint {
    std::string moment; ///< its id; empty: the present, which is kept first
    std::string keptAs; ///< the present's name then
};

/// Makes a machine of its own, called `name`, of a moment of `machine`, while that goes on: its job "fork". `done` is
/// called on any thread, as those of MachineRunner are. It also ends when `isWanted` does not hold any more.
void forkMachine(MachineRunner& machine, ForkPoint const& point, std::string const& name,
    std::function<void(vmm::Result<StoredMachine>)> done, std::function<bool()> const& isWanted = {});

}
