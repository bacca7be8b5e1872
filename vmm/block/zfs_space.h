#pragma once

#include "vmm/block/checkpoint_zfs.h"

namespace vmm {

/// Of one volume or file system: bytes that come back when the snapshots of each of these are destroyed, beyond what
/// came back with those before. What is not there any more gives nothing. Two questions to zfs(8) for all together,
/// and one each time that snapshots go which have an older one before them, whatever the number of them; none of them
/// needs rights. Cancelled where `mayGoOn` says no.
Result<std::vector<std::uint64_t>> zfsReclaimed(std::string const& dataset,
    std::vector<std::vector<std::string>> const& inOrder, RunProgram const& run,
    std::function<bool()> const& mayGoOn = {});

}
