#pragma once

#include "vmm/config/vm_config.h"
#include "vmm/timeline/timeline.h"

#include <map>

namespace vmm {

/// What a moment's disks take in their files.
struct DiskCost {
    std::uint64_t own = 0;    ///< bytes that nothing else needs: neither another moment, nor a disk as it is now
    std::uint64_t shared = 0; ///< bytes that others need too
    bool operator==(DiskCost const&) const = default;
};

/// By moment, or why it is not known. Reads the tables of each disk once for each moment, and once where each file
/// lies. Any thread; of a machine that runs it is what was last written of them. Of snapshots of ZFS it is what ZFS
/// says of them, with all else that their file system holds.
Result<std::map<std::string, Result<DiskCost>>> diskCosts(
    timeline::Timeline const& timeline, VmConfig const& config, timeline::Progress const& progress = {});

}
