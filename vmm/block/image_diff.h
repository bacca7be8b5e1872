#pragma once

#include "vmm/base/changed_runs.h"
#include "vmm/block/image.h"

#include <functional>

namespace vmm {

/// The bytes that are done; false cancels.
using ImageDiffProgress = std::function<bool(std::uint64_t done)>;

/// Where two images differ, to 4 KiB. What lies at one place of one file is alike without being read, as snapshots of
/// an image and what stands on one base share nearly all. What one of them is shorter counts as zeros. Both of one
/// engine that nobody else waits for.
Result<ChangedRuns> compareImages(
    BlockImage& before, BlockImage& after, std::size_t mostRuns, ImageDiffProgress const& progress);

}
