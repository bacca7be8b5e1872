#pragma once

#include "vmm/base/result.h"
#include "vmm/config/vm_config.h"

#include <functional>
#include <string>

namespace app {

/// Lets disks go of what they keep for the moments of a machine that is about to end, where that does not go with its
/// directory: what lies elsewhere, and snapshots of ZFS. It has no moments then. `isNeeded`: whether another machine
/// (a copy that was made by hand) has a moment of that id. The first error, after all that could be done.
vmm::Result<> endMoments(std::string const& directory, vmm::VmConfig const& config,
    std::function<bool(std::string const& moment)> const& isNeeded);

}
