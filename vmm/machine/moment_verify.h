#pragma once

#include "vmm/timeline/timeline.h"

namespace vmm {

/// The other half of Timeline::verify(): whether what disks have kept for each moment is there, opens, and names only
/// what lies in its files, and whether each qcow2 file below it counts its clusters right (checkCounts()), where nobody
/// writes to that now. What a disk held has no hash, so its bytes are not read. Any thread, the machine may go on. Not
/// damaged: a moment that is purged meanwhile.
Result<std::vector<timeline::Damage>> verifyDisks(
    timeline::Timeline const& timeline, timeline::Progress const& progress = {});

}
