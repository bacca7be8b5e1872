#pragma once

#include "vmm/machine/disk_diff.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/timeline/memory_diff.h"
#include "vmm/timeline/timeline.h"

/// What is otherwise at one moment than at another.
namespace vmm {

struct MomentDiffOptions {
    bool memory = true, disks = true; ///< compare these too
    std::size_t mostRuns = 4096;      ///< of each block, and of each disk
    std::size_t mostFiles = 4096;     ///< of each part of a disk; 0: none are looked for
};

/// A device, a processor, or "machine" (what the state says of itself: its time, its CPU's features).
struct PartDiff {
    enum class Presence : std::uint8_t {
        Both,
        Added,   ///< The earlier moment does not have it.
        Removed, ///< The later one does not.
    };
    std::string id, kind;
    Presence presence = Presence::Both;
    std::vector<state::Difference> fields; ///< Both: those that differ
    bool operator==(PartDiff const&) const = default;
};

/// Only what differs. Values and their sizes are as the two states have them, which come from outside; nothing in here
/// is needed in order to go anywhere.
struct MomentDiff {
    std::vector<state::Difference> config;
    std::vector<PartDiff> parts;
    std::vector<timeline::MemoryDiff> memory;
    std::vector<DiskDiff> disks; ///< of those that both have, and that follow moments
    bool operator==(MomentDiff const&) const = default;
    bool isEmpty() const { return *this == MomentDiff {}; }
};

/// Compares two moments of a timeline, by id; `before` need not be the earlier one. States of older versions are
/// compared as this version understands them. Any thread; takes as long as there are changes in memory and disks.
/// Cancelled, or what is damaged by name.
Result<MomentDiff> compareMoments(timeline::Timeline const& timeline, std::string_view before, std::string_view after,
    MomentDiffOptions const& options = {}, timeline::Progress const& progress = {});

}
