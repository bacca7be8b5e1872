#pragma once

#include "vmm/base/changed_runs.h"
#include "vmm/timeline/memory_tree.h"

namespace vmm::timeline {

/// What of a block of memory is otherwise at one moment than at another. Where one of them does not have the block, or
/// less of it, it counts as zeros there.
struct MemoryDiff {
    std::string name;
    std::uint64_t before = 0, after = 0; ///< bytes of the block; 0: there is none
    ChangedRuns changed;                 ///< whole pages
    bool operator==(MemoryDiff const&) const = default;
};

/// Compares the memory of two moments of one timeline; blocks that are alike are left out. A part of a tree that both
/// refer to is alike without being read, so that it takes as long as the changes are many. Cancelled or Corrupt.
/// Progress: bytes of memory.
Result<std::vector<MemoryDiff>> compareMemory(
    MemoryTree const& before, MemoryTree const& after, std::size_t mostRuns, Progress const& progress);

}
