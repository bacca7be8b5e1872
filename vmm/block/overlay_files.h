#pragma once

#include "vmm/block/checkpoint.h"

#include <map>
#include <set>

/// The files that overlays stand on: a tree in the folder of a disk, at whose leaves are disks. All but the disks hold
/// still, and one that two folders share (by hard links: a fork) is never written to. So what changes about them
/// changes by a new file in the place of an old one, in one step; whoever has the old one open goes on with that.
namespace vmm {

namespace qcow2 {
struct Header;
}

/// Of all files of a folder that are whole, by their paths.
using ImageHeaders = std::map<std::string, Result<qcow2::Header>>;

/// As its header has it; empty: it is no qcow2 image, or has none.
Result<std::string> backingNameOf(std::string const& path);
/// Whether it is an overlay that a moment of this very disk has made; see formatInPlace().
Result<bool> isOverlayInPlace(std::string const& path);
/// As formatInPlace(); but where the host cannot read that just now it is the error, for whoever writes down or tells
/// what the disk is.
Result<ImageFormat> readFormatInPlace(std::string const& path, ImageFormat configured);
/// How an image that is to stand on `image.backing[index]` directly names it: as the names from file to file on the way
/// there do, relative where all of them are. A name that is enough in its own folder has none before it.
Result<std::string> nameBelow(ImageInfo const& image, std::size_t index);
/// Whether a file's name is one that a checkpoint gives: it ends in the checkpoint's UUID.
bool isCheckpointName(std::string const& path);
/// The clusters of an image that is to stand on this one: as small, so that a write copies, and a discard leaves, no
/// more than there; between 4 and 64 KiB, for they cost tables, or copies.
Result<unsigned> clusterBitsOn(std::string const& path, ImageFormat format);
/// A file that is below others for its name alone: nothing is in it.
bool isEmptyBase(ImageInfo const& below);
Result<> makeEmptyBase(std::string const& path);
/// Whether the disk was raw once, and what remembers that may still say so (formatInPlace()): its checkpoints' files
/// end in one that is raw, its first or an empty one.
bool wasRaw(std::string const& disk, ImageInfo const& image);
/// Whoever tries out how a disk could keep moments makes files whose names begin with the disk's and this, which ends
/// as a checkpoint's does, and removes them.
constexpr std::string_view trialSuffix = ".00000000-0000-0000-0000-000000000000";
/// The images of the same folder that stand on this file.
Result<std::vector<std::string>> imagesOn(std::string const& path);
/// What the checkpoints of a disk have put beside it.
Result<std::vector<std::string>> checkpointFilesOf(std::string const& disk);

/// The files below one disk. What they read is not changed, and the disk's own file is not written to: it and they may
/// be in use meanwhile. Cut off at any instant, nothing is lost, and the next try removes what is half made.
class OverlayFiles {
public:
    /// `allowed`: as ImageOptions::backing.
    OverlayFiles(IoEngine& engine, std::string diskPath, std::vector<std::string> allowed, CopyProgress progress = {})
        : m_engine(engine), m_disk(std::move(diskPath)), m_allowed(std::move(allowed)), m_progress(std::move(progress))
    {
    }

    /// What was half made beside the disk, by somebody who was cut off: while nobody makes anything there.
    Result<> removeUnfinished() const;

    enum class MayMerge : std::uint8_t { No, Yes };
    static constexpr std::uint64_t mostCopied = 1u << 30; ///< when a base goes
    /// Frees of checkpoints' files beside the disk, which no moment needs, what nobody else needs: a whole file where
    /// nothing stands on it, or after all that does has taken in what it holds; else the blocks that everybody above
    /// has in a file of his own. For one that goes no more than `most` bytes are copied: some seconds, once. The first
    /// error, after all that could be done. `raw`: the files of which a record says that they are, whatever a guest has
    /// written into them.
    Result<> freeBases(std::vector<std::string> const& places, MayMerge merge, std::uint64_t most = mostCopied,
        std::set<std::string> const& raw = {});
    /// On no more files a disk may stand that is to be kept: its own becomes one of them.
    static constexpr std::size_t mostBelow = BlockImage::maximumDepth - 2;
    /// Before the disk stands on more files than can be opened: the nearest that can be replaced is made to do without
    /// those below it, but for the lowest ones, one less than half of `most`, where what is large usually lies. True:
    /// it was.
    Result<bool> shorten(std::size_t most = 32);
    /// Puts in the place of `path` (no disk, but what others stand on) a file that reads the same and does without the
    /// `layers` files below it. Of a disk that was raw it still ends in a raw one.
    Result<> mergeBelow(std::string const& path, std::size_t layers);

private:
    Result<> tell(std::uint64_t done, std::uint64_t total) const;
    Result<std::unique_ptr<BlockImage>> open(
        std::string const& path, ImageFormat format, HostFile::Lock lock = HostFile::Lock::No) const;
    Result<> copyLayers(BlockImage& from, std::size_t layers, BlockImage& to) const;
    Result<> removeUnneeded(std::vector<std::string> const& places, ImageHeaders& headers) const;
    Result<> mergeRuns(std::vector<std::string> const& places, ImageHeaders const& headers, std::uint64_t most);
    Result<> freeCoveredBlocks(std::string const& place, std::vector<std::string> const& above) const;

    IoEngine& m_engine;
    std::string const m_disk;
    std::vector<std::string> const m_allowed;
    CopyProgress const m_progress;
};

/// What an image stands on in a folder, nearest first, each of the format that the one above says: what is in a raw one
/// is a guest's, and says nothing.
struct Base {
    std::string name;
    ImageFormat format;
};
Result<std::vector<Base>> basesOf(std::string const& image, std::string const& folder);

/// Makes the names that an image has for what is below it hold in another folder too, all the way down: by hard links,
/// or copies where the two are on different file systems. The files are in the folder `from`, wherever the image is.
/// AlreadyExists where such a name is another file's, Unsupported where one leads out of the folder and elsewhere from
/// there, NotFound where files were merged meanwhile, which the next try knows. On an error nothing of it is there.
Result<> shareBases(
    std::string const& image, std::string const& from, std::string const& to, CopyProgress const& progress = {});

/// After files below a disk were replaced: it reads the new ones, from the first one on. On the disk's thread.
Result<> openBelowAgain(CheckpointedDisk& disk);

}
