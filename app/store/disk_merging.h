#pragma once

#include "app/runner/machine_runner.h"

namespace app {

/// MachineRunner::commitDisk(), which leaves alone what another machine of the library needs, or one in its trash, or
/// another disk of this one.
void commitDisk(MachineRunner& machine, std::string const& disk, unsigned files,
    vmm::OtherImages::Unreadable unreadable, MachineRunner::Completion const& done);
}
