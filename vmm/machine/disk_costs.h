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

/// What the disks of all moments take.
struct DiskCosts {
    std::map<std::string, Result<DiskCost>> moments; ///< by id, or why it is not known
    Result<std::uint64_t> total = 0;                 ///< as freedByDisks() has it; not known where one is not
};

/// Reads the tables of each disk once for each moment, and once where each file lies. Any thread; of a machine that
/// runs it is what was last written of them. Of snapshots of ZFS it is what ZFS says of them, with all else that their
/// file system holds.
Result<DiskCosts> diskCosts(
    timeline::Timeline const& timeline, VmConfig const& config, timeline::Progress const& progress = {});

/// What disks keep for moments beyond what they need as they are now: in all; for no moment any more; and what each of
/// `order` has them give back when it has gone, and those before it. What several need belongs to the last of them, or
/// to what stays. In the same way as diskCosts(), with a question to ZFS for those of `order` that go before what is
/// older. Not known where a moment's disks cannot be read, for what others need with it is not: a plan that cannot come
/// true costs moments for nothing.
Result<timeline::Freed> freedByDisks(timeline::Timeline const& timeline, VmConfig const& config,
    std::vector<std::string> const& order, timeline::Progress const& progress = {});

}
