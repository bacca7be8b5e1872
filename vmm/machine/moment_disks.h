#pragma once

#include "vmm/block/overlay_files.h"
#include "vmm/config/vm_config.h"
#include "vmm/timeline/timeline.h"

/// What moments want of disks, one disk at a time, wherever it is open: in a machine, or for this alone.
namespace vmm {

ImageOptions imageOptions(DiskConfig const& config);

std::optional<CheckpointWay> preferredWay(DiskConfig const& config);

/// What lies there now; see formatInPlace().
std::optional<DiskFormat> formatNow(DiskConfig const& config);
/// The same for whoever writes it down or tells it; see readFormatInPlace().
Result<std::optional<DiskFormat>> readFormatNow(DiskConfig const& config);

/// How the disk follows, of whose moments some may be in the timeline. One that lies with that is the machine's own and
/// prefers overlays, which forks share on any file system; a person's file elsewhere stays one file where it can.
Result<std::unique_ptr<CheckpointMethod>> chooseMethod(CheckpointedDisk& disk, timeline::Timeline const& timeline);

/// CheckpointMethod::plan(), where nobody else uses the disk: if it stands on too many files, some are merged first.
Result<Checkpoint> planStill(
    CheckpointMethod& method, CheckpointedDisk& disk, std::string const& moment, CopyProgress const& progress);

/// What an internal snapshot says of itself.
DiskSnapshot snapshotNow(std::string const& moment, std::uint64_t guestTime);

/// What a moment has of the disk; NotFound where it has nothing.
Result<Checkpoint> checkpointOf(std::vector<timeline::MomentDisk> const& disks, std::string const& device);

/// Whether what the disk kept is there, and can be read.
Result<> checkHas(CheckpointedDisk& disk, Checkpoint const& checkpoint);

/// As CheckpointMethod::remove(), for a disk that is open nowhere. `backing`: as in ImageOptions.
Result<> forgetAside(timeline::MomentDisk const& kept, std::vector<std::string> const& backing);

/// Lets disks go of what no moment of a timeline needs, as far as others do not stand on it.
class DiskTidier {
public:
    struct How {
        OverlayFiles::MayMerge merge = OverlayFiles::MayMerge::No;
        /// What a disk is said to keep, and somebody else answers for: it is forgotten, and left alone.
        std::function<bool(timeline::MomentDisk const&)> isOthers = [](timeline::MomentDisk const&) { return false; };
        /// One disk's own part, as CheckpointMethod::remove(). Not of files, which go together.
        std::function<Result<>(timeline::MomentDisk const&, std::vector<std::string> const& backing)> forget
            = &forgetAside;
        /// What is below a disk may have been replaced by what reads the same.
        std::function<Result<>(std::string const& path)> belowChanged = [](std::string const&) { return Result<>(); };
        std::function<bool()> goOn = [] { return true; };
    };
    DiskTidier(timeline::Timeline& timeline, VmConfig const& config, How how)
        : m_timeline(timeline), m_config(config), m_how(std::move(how))
    {
    }

    /// The first error, after all that could be done.
    Result<> run();

private:
    /// Of files it notes the place only, by the disk.
    using Files = std::map<std::string, std::vector<std::string>>;
    Result<bool> letGo(timeline::MomentDisk const& disk, Files& files);
    OverlayFiles filesOf(std::string const& path);
    std::set<std::string> rawFilesOf(std::string const& path) const;

    timeline::Timeline& m_timeline;
    VmConfig const& m_config;
    How const m_how;
    InlineEngine m_engine;
};

}
