#include "vmm/block/checkpoint.h"

#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_choice.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/checkpoint_zfs.h"
#include "vmm/block/overlay_files.h"

#include <algorithm>
#include <sys/stat.h>

namespace vmm {

namespace {

Result<std::unique_ptr<BlockImage>> openAside(IoEngine& engine, std::string const& path, ImageFormat format,
    std::vector<std::string> const& backing, std::string const& snapshot = {})
{
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.format = format;
    options.lock = HostFile::Lock::No; // the running machine has it, and does not write to what is read here
    options.backing = backing;
    options.snapshot = snapshot;
    return BlockImage::open(engine, path, options);
}

Result<> reopen(CheckpointedDisk& disk)
{
    disk.image = TRY(BlockImage::open(disk.engine, disk.path, disk.options));
    return {};
}

Result<> checkFileName(std::string const& id)
{
    if (id.empty() || id.size() > 100 || id.find('/') != std::string::npos || id[0] == '.')
        return fail(ErrorCode::InvalidArgument, "\"" + id + "\" is no name for a checkpoint's file");
    return {};
}

}

Result<std::string> placeOf(std::string const& diskPath, Checkpoint const& checkpoint)
{
    TRY(checkFileName(checkpoint.id));
    if (checkpoint.place.find('/') != std::string::npos || checkpoint.place[0] == '.'
        || !checkpoint.place.ends_with("." + checkpoint.id) || checkpoint.place == nameOf(diskPath))
        return fail(ErrorCode::Corrupt, "\"" + checkpoint.place + "\" is no name of a checkpoint's file");
    return folderOf(diskPath) + checkpoint.place;
}

namespace {

std::string checkpointName(std::string const& diskPath, std::string const& id)
{
    return nameOf(diskPath) + "." + id;
}

/// With trialSuffix as long as the names of the files that are to take checkpoints' places: see OverlayFiles,
/// createImage().
constexpr std::array unfinishedSuffixes { ".trial-of-the-names-1", ".trial-of-the-names-2" };

/// Whichever way made it: a copy of a disk may have been put below an overlay since.
Result<> removeUnlessBase(std::string const& place)
{
    if (auto const above = TRY(imagesOn(place)); !above.empty())
        return fail(ErrorCode::Busy, above.front() + " stands on " + place);
    return removeFile(place);
}

/// As shareBases(), for a fork at `path` of a disk that may run and merge files meanwhile. False: the names of what is
/// below cannot hold in the fork's folder, and the image is gone again.
Result<bool> shareWithFork(std::string const& diskPath, std::string const& path, CopyProgress const& progress)
{
    constexpr unsigned tries = 3;
    Result<> shared;
    for (unsigned i = 0; i < tries; ++i) {
        shared = shareBases(path, folderOf(diskPath), folderOf(path), progress);
        if (shared)
            return true;
        if (shared.error().code != ErrorCode::NotFound)
            break;
    }
    TRY(removeFile(path));
    auto const code = shared.error().code;
    if (code == ErrorCode::AlreadyExists || code == ErrorCode::Unsupported || code == ErrorCode::NotFound)
        return false;
    return fail(shared.error());
}

Result<ImageFormat> copyForFork(BlockImage& then, std::string const& path, CopyProgress const& progress)
{
    TRY(copyImage(then, path, ImageFormat::Qcow2, progress));
    TRY(syncFolder(path));
    return ImageFormat::Qcow2;
}

class InternalMethod final : public CheckpointMethod {
public:
    Result<> probe(CheckpointedDisk& disk) override
    {
        auto const listed = disk.image->snapshots();
        if (!listed)
            return fail(listed.error());
        if (disk.image->readOnly())
            return fail(ErrorCode::Unsupported, disk.path + " is open for reading only");
        return {};
    }
    Result<Checkpoint> plan(CheckpointedDisk&, std::string const& id) override
    {
        return Checkpoint { CheckpointWay::Internal, id, {}, ImageFormat::Qcow2 };
    }
    Result<> prepare(CheckpointedDisk& disk, Checkpoint const&) override { return disk.image->prepareSnapshot(); }
    Result<> take(CheckpointedDisk& disk, Checkpoint const&, DiskSnapshot const& what) override
    {
        return disk.image->takeSnapshot(what);
    }
    Result<> seal(CheckpointedDisk&, Checkpoint const&) override { return {}; }
    Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        return disk.image->applySnapshot(checkpoint.id);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(IoEngine& engine, std::string const& diskPath,
        Checkpoint const& checkpoint, std::vector<std::string> const& backing) override
    {
        return openAside(engine, diskPath, ImageFormat::Qcow2, backing, checkpoint.id);
    }
    /// A qcow2 file cannot stand on another one's snapshot: the whole file is shared where the file system can, else
    /// what the disk held is copied.
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path,
        CopyProgress const& progress) override
    {
        auto const then = TRY(openReadOnly(disk.engine, disk.path, checkpoint, disk.options.backing));
        if (!cloneFile(disk.path, path) || !TRY(shareWithFork(disk.path, path, progress)))
            return copyForFork(*then, path, progress);
        auto const made = [&]() -> Result<> {
            ImageOptions options;
            options.format = ImageFormat::Qcow2;
            options.backing = disk.options.backing;
            auto const image = TRY(BlockImage::open(disk.engine, path, options));
            TRY(image->applySnapshot(checkpoint.id));
            auto const all = TRY(image->snapshots());
            for (std::size_t i = 0; i < all.size(); ++i) {
                if (progress && !progress(i, all.size()))
                    return fail(ErrorCode::Cancelled, "copying " + disk.path + " was cancelled");
                TRY(image->deleteSnapshot(all[i].id));
            }
            return syncFolder(path);
        }();
        if (!made) {
            ignore(removeFile(path));
            return fail(made.error());
        }
        return ImageFormat::Qcow2;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const known = TRY(disk.image->snapshots());
        bool const there = std::ranges::any_of(known, [&](auto const& one) { return one.id == checkpoint.id; });
        return there ? disk.image->deleteSnapshot(checkpoint.id) : Result<>();
    }
};

class ReflinkMethod final : public CheckpointMethod {
public:
    Result<> probe(CheckpointedDisk& disk) override
    {
        auto const trial = disk.path + std::string(trialSuffix);
        TRY(removeFile(trial));
        auto const cloned = cloneFile(disk.path, trial);
        TRY(removeFile(trial));
        return cloned;
    }
    Result<Checkpoint> plan(CheckpointedDisk& disk, std::string const& id) override
    {
        TRY(checkFileName(id));
        return Checkpoint { CheckpointWay::Reflink, id, checkpointName(disk.path, id), disk.image->info().format };
    }
    Result<> prepare(CheckpointedDisk& disk, Checkpoint const&) override { return disk.image->flushSync(); }
    Result<> take(CheckpointedDisk& disk, Checkpoint const& checkpoint, DiskSnapshot const&) override
    {
        TRY(disk.image->flushSync());
        return cloneFile(disk.path, TRY(placeOf(disk.path, checkpoint)));
    }
    Result<> seal(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        TRY(syncFile(place));
        return syncFolder(place);
    }
    Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        // What an overlay has made qcow2 stays so: see formatInPlace().
        if (checkpoint.format == ImageFormat::Raw && disk.image && disk.image->info().format == ImageFormat::Qcow2)
            return CheckpointMethod::create(CheckpointWay::Overlay)->goBack(disk, checkpoint);
        auto const fresh = disk.path + ".going-back";
        TRY(removeFile(fresh));
        TRY(cloneFile(place, fresh));
        return replaceDisk(disk, fresh, checkpoint.format);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(IoEngine& engine, std::string const& diskPath,
        Checkpoint const& checkpoint, std::vector<std::string> const& backing) override
    {
        auto const place = TRY(placeOf(diskPath, checkpoint));
        return openAside(engine, place, checkpoint.format, backing);
    }
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path,
        CopyProgress const& progress) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        TRY(copyFile(place, path, progress));
        if (checkpoint.format == ImageFormat::Qcow2 && !TRY(shareWithFork(disk.path, path, progress))) {
            auto const then = TRY(openAside(disk.engine, place, checkpoint.format, disk.options.backing));
            return copyForFork(*then, path, progress);
        }
        TRY(syncFolder(path));
        return checkpoint.format;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        return removeUnlessBase(TRY(placeOf(disk.path, checkpoint)));
    }
};

/// The disk's file and a new overlay of it change names in one step, so the disk stays where its machine looks for it,
/// and the file that held it until now has the checkpoint's name, under which the overlay knows it.
class OverlayMethod final : public CheckpointMethod {
public:
    Result<> probe(CheckpointedDisk& disk) override
    {
        // A file that changes names with another must be there itself.
        struct stat status { };
        if (::lstat(disk.path.c_str(), &status) != 0)
            return failOs("cannot examine " + disk.path);
        if (!S_ISREG(status.st_mode))
            return fail(ErrorCode::Unsupported,
                disk.path + (S_ISLNK(status.st_mode) ? " is a link: name the file itself" : " is no regular file"));
        auto const one = disk.path + std::string(trialSuffix) + unfinishedSuffixes[0];
        auto const other = disk.path + std::string(trialSuffix) + unfinishedSuffixes[1];
        auto const exchanged = [&]() -> Result<> {
            for (auto const& name : { one, other }) {
                TRY(removeFile(name));
                TRY(HostFile::create(name));
            }
            return exchangeFiles(one, other);
        }();
        ignore(removeFile(one));
        ignore(removeFile(other));
        return exchanged;
    }
    Result<Checkpoint> plan(CheckpointedDisk& disk, std::string const& id) override
    {
        TRY(checkFileName(id));
        auto const info = disk.image->info();
        if (info.backing.size() > OverlayFiles::mostBelow)
            return fail(ErrorCode::Busy, disk.path + " stands on too many files, until they have been merged");
        return Checkpoint { CheckpointWay::Overlay, id, checkpointName(disk.path, id), info.format };
    }
    Result<> prepareFiles(CheckpointedDisk const& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        TRY(removeFile(place));
        return createImage(place,
            { .size = disk.image->size(),
                .clusterBits = TRY(clusterBitsOn(disk.path, checkpoint.format)),
                .backingFile = checkpoint.place,
                .backingFormat = checkpoint.format,
                .permissionsOf = disk.path });
    }
    Result<> prepare(CheckpointedDisk& disk, Checkpoint const&) override { return disk.image->flushSync(); }
    Result<> take(CheckpointedDisk& disk, Checkpoint const& checkpoint, DiskSnapshot const&) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        TRY(disk.image->flushSync());
        auto file = TRY_WITHIN("the overlay was not prepared",
            HostFile::open(place, Access::ReadWrite, disk.options.cache, disk.options.lock));
        auto options = disk.options;
        options.format = ImageFormat::Qcow2;
        auto const exchange
            = [&](std::string const&, std::optional<ImageFormat>) -> Result<std::unique_ptr<BlockImage>> {
            TRY(exchangeFiles(place, disk.path));
            disk.image->becomeBacking();
            disk.image->file().renamed(place);
            return std::move(disk.image);
        };
        auto overlay = TRY(BlockImage::open(disk.engine, std::move(file), options, exchange));
        overlay->backing()->passWaitingTo(*overlay);
        overlay->file().renamed(disk.path);
        disk.image = std::move(overlay);
        disk.options.format = ImageFormat::Qcow2;
        return {};
    }
    Result<> seal(CheckpointedDisk& disk, Checkpoint const&) override { return syncFolder(disk.path); }
    Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        auto const size = TRY(openAside(disk.engine, place, checkpoint.format, disk.options.backing))->size();
        auto const clusterBits = TRY(clusterBitsOn(place, checkpoint.format));
        auto const fresh = disk.path + ".going-back";
        TRY(removeFile(fresh));
        TRY(createImage(fresh,
            { .size = size,
                .clusterBits = clusterBits,
                .backingFile = checkpoint.place,
                .backingFormat = checkpoint.format,
                .permissionsOf = existsFile(disk.path) ? disk.path : place }));
        return replaceDisk(disk, fresh, ImageFormat::Qcow2);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(IoEngine& engine, std::string const& diskPath,
        Checkpoint const& checkpoint, std::vector<std::string> const& backing) override
    {
        auto const place = TRY(placeOf(diskPath, checkpoint));
        return openAside(engine, place, checkpoint.format, backing);
    }
    /// Both stand on the same unchanging file, which has a name in either folder.
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path,
        CopyProgress const& progress) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        auto const then = TRY(openAside(disk.engine, place, checkpoint.format, disk.options.backing));
        auto const clusterBits = TRY(clusterBitsOn(place, checkpoint.format));
        TRY(createImage(path,
            { .size = then->size(),
                .clusterBits = clusterBits,
                .backingFile = checkpoint.place,
                .backingFormat = checkpoint.format,
                .permissionsOf = place }));
        if (!TRY(shareWithFork(disk.path, path, progress)))
            return copyForFork(*then, path, progress);
        TRY(syncFolder(path));
        return ImageFormat::Qcow2;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        return removeUnlessBase(TRY(placeOf(disk.path, checkpoint)));
    }
};

/// Internal snapshots lie in the one file of the disk, which the other ways put aside or replace, so they are alone. A
/// snapshot of ZFS has a whole folder, and does not see what other checkpoints there need: alone too. An overlay and a
/// reflink go together: each leaves all other files as they are.
Result<std::vector<CheckpointWay>> suitableWays(CheckpointedDisk& disk, std::vector<CheckpointWay> const& used)
{
    using enum CheckpointWay;
    auto const isUsed = [&](CheckpointWay way) { return std::ranges::find(used, way) != used.end(); };
    auto const info = disk.image->info();
    auto const inside
        = info.snapshots == 0 ? std::vector<DiskSnapshot>() : TRY(disk.image->snapshots()); // of a moment unread, too
    if (isUsed(Internal) || std::ranges::any_of(inside, [](auto const& one) { return one.name == momentSnapshotName; }))
        return std::vector { Internal };
    if (isUsed(Zfs))
        return std::vector { Zfs };
    // Its moment may be gone, and be one of a machine that this one was forked from.
    bool const isOverlay = !info.backing.empty() && isCheckpointName(info.backing[0].path);
    if (isUsed(Overlay) || isUsed(Reflink) || isOverlay)
        return std::vector { Reflink, Overlay };
    if (disk.preferred == Internal)
        return std::vector { Internal, Reflink, Zfs, Overlay };
    // A person's own snapshots are looked for in the file where they are.
    if (disk.preferred == Overlay && inside.empty())
        return std::vector { Reflink, Zfs, Overlay, Internal };
    return std::vector { Reflink, Zfs, Internal, Overlay };
}

}

Result<> replaceDisk(CheckpointedDisk& disk, std::string const& with, ImageFormat format)
{
    TRY(syncFile(with));
    disk.image.reset(); // first, because it may have open for writing what the new one stands on
    auto const renamed = [&]() -> Result<> {
        TRY(renameFile(with, disk.path));
        disk.options.format = format;
        return syncFolder(disk.path);
    }();
    TRY(reopen(disk));
    return renamed;
}

std::unique_ptr<CheckpointMethod> CheckpointMethod::create(CheckpointWay way)
{
    switch (way) {
    case CheckpointWay::Internal: return std::make_unique<InternalMethod>();
    case CheckpointWay::Overlay: return std::make_unique<OverlayMethod>();
    case CheckpointWay::Reflink: return std::make_unique<ReflinkMethod>();
    case CheckpointWay::Zfs: return createZfsMethod(runProgram);
    }
    return nullptr;
}

Result<std::unique_ptr<CheckpointMethod>> CheckpointMethod::choose(
    CheckpointedDisk& disk, std::vector<CheckpointWay> const& used)
{
    return chooseFrom(&create, disk, used);
}

Result<std::unique_ptr<CheckpointMethod>> chooseFrom(
    MakeMethod const& make, CheckpointedDisk& disk, std::vector<CheckpointWay> const& used)
{
    std::string reasons;
    auto code = ErrorCode::Unsupported;
    for (auto const way : TRY(suitableWays(disk, used))) {
        auto method = make(way);
        auto const open = method->probe(disk);
        if (open)
            return method;
        reasons += (reasons.empty() ? "" : "; ") + open.error().message();
        // What a person can do about a full disk, or one that fails, is not to look for another file system.
        if (auto const why = open.error().code; why == ErrorCode::NoSpace || why == ErrorCode::IoError)
            code = why;
    }
    return fail(code, reasons);
}

ImageFormat formatInPlace(std::string const& path, ImageFormat configured)
{
    // An overlay that cannot be read just now must not be taken for a raw disk, whose moment would be of other bytes
    // and whose guest would write into its tables. Opened as qcow2 it is that, or refused.
    return readFormatInPlace(path, configured).value_or(ImageFormat::Qcow2);
}

Result<> copyImage(BlockImage& image, std::string const& path, ImageFormat format, CopyProgress const& progress)
{
    constexpr std::uint64_t pieceSize = 1u << 20, granule = 64u << 10, flushEach = 64u << 20;
    TRY(createImage(path, { .format = format, .size = image.size(), .permissionsOf = image.info().path }));
    auto const copied = [&]() -> Result<> {
        ImageOptions options;
        options.format = format;
        auto const target = TRY(BlockImage::open(image.engine(), path, options));
        Bytes data(pieceSize);
        std::uint64_t unflushed = 0;
        for (std::uint64_t offset = 0; offset < image.size();) {
            if (progress && !progress(offset, image.size()))
                return fail(ErrorCode::Cancelled, "copying " + image.info().path + " was cancelled");
            auto const mapping = TRY(image.resolve(offset, image.size() - offset));
            if (mapping.kind == BlockImage::Mapping::Kind::Zero) {
                offset += mapping.length;
                continue;
            }
            auto const part = ByteSpan(data).first(std::min(pieceSize, mapping.length));
            TRY(image.readSync(offset, part));
            // Only what is not zero, in the target's own pieces.
            for (std::size_t at = 0; at < part.size(); at += granule) {
                auto const piece = part.subspan(at, std::min<std::size_t>(granule, part.size() - at));
                if (!isZero(piece))
                    TRY(target->writeSync(offset + at, piece));
            }
            offset += part.size();
            unflushed += part.size();
            if (unflushed >= flushEach) { // so that the last flush, which nobody can cancel, is short
                TRY(target->flushSync());
                unflushed = 0;
            }
        }
        return target->flushSync();
    }();
    if (!copied)
        ignore(removeFile(path));
    return copied;
}

}
