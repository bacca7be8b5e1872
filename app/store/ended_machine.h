#pragma once

#include "vmm/base/result.h"
#include "vmm/config/vm_config.h"

#include <functional>
#include <string>

namespace app {

/// What else may need what a machine leaves behind: a copy of it that was made by hand, or one with its disk.
struct OtherNeeds {
    std::function<bool(std::string const& moment)> hasMoment; ///< of that id
    std::function<bool(std::string const& path)> hasDisk;
};

/// Lets disks go of what they keep for the moments of a machine that is about to end, where that does not go with its
/// directory: what lies elsewhere, and snapshots of ZFS. It has no moments then, and a disk image that lies elsewhere
/// is one file with what its moments have put beside it. `progress` hears how far all such images are, from 0 to 1, and
/// 0 where it is only asked; false gives up. On an error the directory is needed for the next try: that knows which
/// files those are. False: it is needed until another machine has let go of the image. What cannot be reached, or read
/// by anybody, is no error, but logged.
vmm::Result<bool> endMoments(std::string const& directory, vmm::VmConfig const& config, OtherNeeds const& others,
    std::function<bool(double)> const& progress);

}
