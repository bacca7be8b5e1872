#pragma once

#include "vmm/block/checkpoint_files.h"
#include "vmm/block/image.h"
#include "vmm/state/options.h"

#include <array>
#include <string_view>

namespace vmm {

/// How a disk keeps what it held at a moment.
enum class CheckpointWay : std::uint8_t {
    Internal, ///< an internal snapshot of its qcow2 image
    Overlay,  ///< its file becomes the unchanging base of a new qcow2 file
    Reflink,  ///< a second file that shares its blocks, where the file system does that (btrfs, XFS)
    Zfs,      ///< a snapshot of the ZFS volume or file system that holds it
};

constexpr auto stateNames(CheckpointWay)
{
    return std::to_array<std::string_view>({ "internal", "overlay", "reflink", "zfs" });
}

constexpr auto stateNames(ImageFormat)
{
    return std::to_array<std::string_view>({ "raw", "qcow2" });
}

/// What a moment's record remembers of one disk: enough to go back to it.
struct Checkpoint {
    static constexpr std::string_view kind = "disk-checkpoint";
    static constexpr unsigned version = 1;
    CheckpointWay way = CheckpointWay::Internal;
    std::string id;    ///< the moment's
    std::string place; ///< Overlay, Reflink: a file's name beside the disk; Zfs: "pool/name@snapshot"
    ImageFormat format = ImageFormat::Raw; ///< of what is there
    bool operator==(Checkpoint const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("way", s.way);
        v.field("id", s.id, state::Max { 127 });
        v.field("place", s.place, state::Max { 4096 });
        v.field("format", s.format);
    }
};

/// A disk that its machine uses. Overlay, and all but Internal when they go back, put another image in the place of
/// `image`: whoever has a pointer to the old one asks again. What was submitted while it was held waits in the new one.
struct CheckpointedDisk {
    IoEngine& engine;
    std::string path;                       ///< of the top file; stays what it is
    ImageOptions options;                   ///< as it was opened; Overlay makes the format qcow2
    std::unique_ptr<BlockImage> image;      ///< empty where a going back has failed so that nothing could be opened
    std::optional<CheckpointWay> preferred; ///< where that is open to it, and nothing else keeps it already
};

/// One of the ways. Everything on the disk's thread, but for prepareFiles(), seal() and, where the way is not Internal,
/// remove(), which may be called on any. While a take or a going back runs nobody submits, or the image is held. What
/// fails has changed nothing. After a crash there is the old or the new state of the disk; a checkpoint that no record
/// names is removed with remove().
class CheckpointMethod {
public:
    CheckpointMethod() = default;
    CheckpointMethod(CheckpointMethod const&) = delete;
    CheckpointMethod& operator=(CheckpointMethod const&) = delete;
    virtual ~CheckpointMethod() = default;

    /// Unsupported or PermissionDenied, with the reason, where that way is not open to the disk.
    virtual Result<> probe(CheckpointedDisk& disk) = 0;
    /// What take() will keep under that id (file-name safe: a UUID), so that it can be remembered before there is
    /// anything of it. Does nothing. Busy where the disk stands on too many files (Overlay): OverlayFiles::shorten().
    virtual Result<Checkpoint> plan(CheckpointedDisk& disk, std::string const& id) = 0;
    /// Makes what take() needs beside the disk, and waits for the host to have it.
    virtual Result<> prepareFiles(CheckpointedDisk const&, Checkpoint const&) { return {}; }
    /// Does ahead, after that, what else can be done before the instant. Changes nothing that a guest sees.
    virtual Result<> prepare(CheckpointedDisk& disk, Checkpoint const& checkpoint) = 0;
    /// Keeps what the disk holds now. `what`: the same id, and times.
    virtual Result<> take(CheckpointedDisk& disk, Checkpoint const& checkpoint, DiskSnapshot const& what) = 0;
    /// After it the checkpoint is durable.
    virtual Result<> seal(CheckpointedDisk& disk, Checkpoint const& checkpoint) = 0;
    /// The disk becomes what it was; the machine stands still. What it was until now is gone, checkpoints stay.
    virtual Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) = 0;
    /// As it was then, while the machine may go on; valid until the checkpoint is removed. `engine` may be another one;
    /// `backing` as in ImageOptions.
    virtual Result<std::unique_ptr<BlockImage>> openReadOnly(IoEngine& engine, std::string const& diskPath,
        Checkpoint const& checkpoint, std::vector<std::string> const& backing = {})
        = 0;
    /// A new image at `path` with what the disk was, sharing its space where that is possible; the disk goes on, and
    /// need not be open here. From then on neither harms the other, whatever becomes of its folder. Returns the format.
    virtual Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path,
        CopyProgress const& progress = {})
        = 0;
    /// In any order; fine where there is nothing of it. Busy where another image still stands on it (Overlay):
    /// OverlayFiles::freeBases() goes on from there.
    virtual Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) = 0;

    static std::unique_ptr<CheckpointMethod> create(CheckpointWay way);
    /// The way that suits the disk best: a reflink or ZFS, where it lies on what can do that; else what is preferred;
    /// else internal for qcow2, an overlay for raw (whose file it is, the caller knows). Internal, where that is
    /// preferred, before all. `used`: the ways of the checkpoints that it has; what would harm those is not chosen.
    static Result<std::unique_ptr<CheckpointMethod>> choose(
        CheckpointedDisk& disk, std::vector<CheckpointWay> const& used);
};

/// Of an overlay or a reflink: its file, which is beside the disk and called after the checkpoint; a record from
/// elsewhere does not lead anywhere else. What precedes the id may be another disk's name: that of a fork's original.
Result<std::string> placeOf(std::string const& diskPath, Checkpoint const& checkpoint);

/// The name that internal snapshots of moments have, for people.
constexpr std::string_view momentSnapshotName = "Chronovisor";

/// What a raw disk is now: an overlay has made it qcow2 without being able to change, in the same step, whatever says
/// that it is raw. A guest cannot make its raw disk look so, for an overlay stands on a file whose name nobody can
/// guess. One that the host cannot read just now is qcow2 where checkpoints' files are beside it, or may be: that is
/// right or, with what most guests have on a raw disk, refused. isOverlayInPlace() returns the error instead.
ImageFormat formatInPlace(std::string const& path, ImageFormat configured);

/// A new file of that format with what `image` reads as. What is nowhere in it is not read.
Result<> copyImage(BlockImage& image, std::string const& path, ImageFormat format, CopyProgress const& progress = {});

/// Puts the whole file `with` durably in the place of the disk's own, and opens it.
Result<> replaceDisk(CheckpointedDisk& disk, std::string const& with, ImageFormat format);

}
