#pragma once

#include "vmm/block/image.h"
#include "vmm/config/vm_config.h"
#include "vmm/timeline/moment.h"

namespace vmm {

/// Whether moments have what that disk held.
bool hasPast(DiskConfig const& disk);

/// A disk that has a past as it was at that moment, for reading only, while the machine may go on; valid until the
/// moment is deleted.
Result<std::unique_ptr<BlockImage>> openDiskAt(
    IoEngine& engine, timeline::Moment const& moment, DiskConfig const& disk);

}
