#pragma once

#include "vmm/block/image.h"
#include "vmm/config/vm_config.h"
#include "vmm/timeline/moment.h"

namespace vmm {

/// Whether a machine's moments have what that disk held.
bool followsMoments(DiskConfig const& disk);

/// The files that the disk at `path` is known to stand on.
std::vector<std::string> backingOf(VmConfig const& config, std::string const& path);

/// A disk that follows them as it was at that moment, for reading only, while the machine may go on; valid until the
/// moment is deleted.
Result<std::unique_ptr<BlockImage>> openDiskAt(
    IoEngine& engine, timeline::Moment const& moment, DiskConfig const& disk);

}
