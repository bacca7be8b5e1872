#pragma once

#include "vmm/base/changed_runs.h"
#include "vmm/block/image_diff.h"
#include "vmm/filesystems/file_tree.h"

namespace vmm {

/// What is otherwise among the files of a part of a disk.
struct PartitionDiff {
    unsigned number = 0; ///< as the guest counts; 0: the whole disk
    std::uint64_t offset = 0;
    FileChanges changes;
    std::string problem; ///< why its files cannot be told; empty: they can
    bool operator==(PartitionDiff const&) const = default;
};

struct DiskDiff {
    std::string id;
    std::uint64_t before = 0, after = 0; ///< bytes
    ChangedRuns changed;
    std::vector<PartitionDiff> files; ///< of those parts that changed and have a file system that is known (ext2, 3, 4)
    std::string problem;              ///< why it cannot be compared; empty: it can
    bool operator==(DiskDiff const&) const = default;
};

/// Compares two images, and the files of those parts of them that differ; 0 files: none are looked for. Only Cancelled
/// is an error of its own.
Result<DiskDiff> compareDisks(std::string id, BlockImage& before, BlockImage& after, std::size_t mostRuns,
    std::size_t mostFiles, ImageDiffProgress const& progress);

}
