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
/// As commitDisk(), up to `files` times, of a machine that is off and in no process's memory. Busy, by name, where a
/// moment or one of `others` needs the file that would change, or may need it and cannot be read. `past`: its moments;
/// null: it has none.
Result<> commitStillDisk(VmConfig const& config, std::string const& disk, unsigned files,
    timeline::Timeline const* past, OtherImages const& others, ChainProgress const& progress);
}
