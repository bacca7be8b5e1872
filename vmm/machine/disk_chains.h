#pragma once

#include "vmm/block/image.h"
#include "vmm/config/vm_config.h"
#include "vmm/timeline/timeline.h"

#include <functional>

/// The files that a machine's disks stand on. See command::StreamDisk for a machine that is in memory.
namespace vmm {

struct DiskChain {
    std::string disk;        ///< its id
    Result<ImageInfo> image; ///< with the files below it
};
/// Reads headers only, whoever has the disks open.
std::vector<DiskChain> diskChains(VmConfig const& config);

using ChainProgress = std::function<bool(double)>; ///< 0 to 1; false cancels

/// command::StreamDisk for a machine that is off and in no process's memory.
Result<> streamStillDisk(
    VmConfig const& config, std::string const& disk, std::string const& onto, ChainProgress const& progress);

/// Makes a disk of a machine that is off, and in no process's memory, larger: see BlockImage::grow().
Result<> growStillDisk(VmConfig const& config, std::string const& disk, std::uint64_t bytes);
/// What is known to speak against that. Reads headers only.
Result<> checkGrowth(VmConfig const& config, std::string const& disk, std::uint64_t bytes);

/// What may stand on what another disk stands on.
struct OtherImages {
    struct Image {
        std::string whose; ///< for people: "the machine web"
        DiskConfig disk;
    };
    std::vector<Image> images;
    std::vector<std::string> unknown; ///< whose images nobody knows, for people
    /// Of what cannot be read nobody knows what it stands on.
    enum class Unreadable : std::uint8_t { Refuse, Ignore } unreadable = Unreadable::Refuse;
};
/// Whether nobody but the disk needs `base`, the file below it, as it is. Busy, by name, where a moment or one of
/// `others` does, or may and cannot be read; of what stands on it by name in its folder commitDisk() knows. `past`: the
/// machine's moments; null: it has none.
Result<> checkNobodyNeeds(
    DiskConfig const& disk, std::string const& base, timeline::Timeline const* past, OtherImages const& others);

/// As commitDisk(), up to `files` times, of a machine that is off and in no process's memory. See
/// checkNobodyNeeds(), and command::CommitDisk for one that is in memory.
Result<> commitStillDisk(VmConfig const& config, std::string const& disk, unsigned files,
    timeline::Timeline const* past, OtherImages const& others, ChainProgress const& progress);

/// Makes one file of a disk, which no process has in memory, and of those of `checkpoints` (paths) that it stands on
/// before all else; none of them is needed by anybody, but for a fork, which has what it shares for itself then. The
/// lowest becomes the disk, so that what is written is no more than what the others hold; those are left to a
/// DiskTidier. What is below that stays. Cut off or failed, the disk reads as before, and the next try goes on.
Result<> mergeCheckpoints(
    DiskConfig const& disk, std::vector<std::string> const& checkpoints, ChainProgress const& progress);
}
