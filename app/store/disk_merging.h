#pragma once

#include "app/runner/machine_runner.h"

namespace app {

/// MachineRunner::commitDisk(), which leaves alone what another machine of the library needs, or another disk of this
/// one.
void commitDisk(MachineRunner& machine, std::string const& disk, unsigned files, MachineRunner::Completion const& done);

}
