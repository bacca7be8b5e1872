#include "vmm/block/checkpoint.h"

#include "vmm/base/log.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/checkpoint_zfs.h"
#include "vmm/block/qcow2_format.h"

#include <algorithm>
#include <dirent.h>

namespace vmm {

namespace {

Result<std::unique_ptr<BlockImage>> openAside(
    IoEngine& engine, std::string const& path, ImageFormat format, std::string const& snapshot = {})
{
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.format = format;
    options.lock = HostFile::Lock::No; // the running machine has it, and does not write to what is read here
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

/// The checkpoint's file is beside the disk; a record from elsewhere does not lead anywhere else.
Result<std::string> placeOf(std::string const& diskPath, Checkpoint const& checkpoint)
{
    TRY(checkFileName(checkpoint.id));
    if (checkpoint.place.empty() || checkpoint.place.find('/') != std::string::npos || checkpoint.place[0] == '.'
        || checkpoint.place == nameOf(diskPath))
        return fail(ErrorCode::Corrupt, "\"" + checkpoint.place + "\" is no name of a checkpoint's file");
    return folderOf(diskPath) + checkpoint.place;
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
    Result<> prepare(CheckpointedDisk& disk, std::string const&) override { return disk.image->prepareSnapshot(); }
    Result<Checkpoint> take(CheckpointedDisk& disk, DiskSnapshot const& what) override
    {
        TRY(disk.image->takeSnapshot(what));
        return Checkpoint { CheckpointWay::Internal, what.id, {}, ImageFormat::Qcow2 };
    }
    Result<> seal(CheckpointedDisk&, Checkpoint const&) override { return {}; }
    Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        return disk.image->applySnapshot(checkpoint.id);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(
        IoEngine& engine, std::string const& diskPath, Checkpoint const& checkpoint) override
    {
        return openAside(engine, diskPath, ImageFormat::Qcow2, checkpoint.id);
    }
    /// A qcow2 file cannot stand on another one's snapshot: the whole file is shared where the file system can, else
    /// what the disk held is copied.
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path) override
    {
        auto const then = TRY(openReadOnly(disk.engine, disk.path, checkpoint));
        bool const alone = disk.image->info().backing.empty();
        if (alone && cloneFile(disk.path, path)) {
            auto const made = [&]() -> Result<> {
                auto const image = TRY(BlockImage::open(disk.engine, path, {}));
                TRY(image->applySnapshot(checkpoint.id));
                for (auto const& other : TRY(image->snapshots()))
                    TRY(image->deleteSnapshot(other.id));
                return syncFolder(path);
            }();
            if (!made) {
                ignore(removeFile(path));
                return fail(made.error());
            }
            return ImageFormat::Qcow2;
        }
        TRY(copyImage(*then, path, ImageFormat::Qcow2));
        return ImageFormat::Qcow2;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        return disk.image->deleteSnapshot(checkpoint.id);
    }
};

class ReflinkMethod final : public CheckpointMethod {
public:
    Result<> probe(CheckpointedDisk& disk) override
    {
        auto const trial = disk.path + ".reflink-trial";
        TRY(removeFile(trial));
        auto const cloned = cloneFile(disk.path, trial);
        TRY(removeFile(trial));
        return cloned;
    }
    Result<> prepare(CheckpointedDisk& disk, std::string const&) override { return disk.image->flushSync(); }
    Result<Checkpoint> take(CheckpointedDisk& disk, DiskSnapshot const& what) override
    {
        TRY(checkFileName(what.id));
        TRY(disk.image->flushSync());
        auto const place = disk.path + "." + what.id;
        TRY(cloneFile(disk.path, place));
        return Checkpoint { CheckpointWay::Reflink, what.id, nameOf(place), disk.image->info().format };
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
        auto const fresh = disk.path + ".going-back";
        TRY(removeFile(fresh));
        TRY(cloneFile(place, fresh));
        return replaceDisk(disk, fresh, checkpoint.format);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(
        IoEngine& engine, std::string const& diskPath, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(diskPath, checkpoint));
        return openAside(engine, place, checkpoint.format);
    }
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        auto const image = TRY(openAside(disk.engine, place, checkpoint.format));
        if (!image->info().backing.empty() && folderOf(path) != folderOf(disk.path)) {
            TRY(copyImage(*image, path, ImageFormat::Qcow2)); // its backing file is named relative to it
            return ImageFormat::Qcow2;
        }
        TRY(cloneFile(place, path));
        TRY(syncFile(path));
        TRY(syncFolder(path));
        return checkpoint.format;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        return removeFile(place);
    }
};

/// The disk's file and a new overlay of it change names in one step, so the disk stays where its machine looks for it,
/// and the file that held it until now has the checkpoint's name, under which the overlay knows it.
class OverlayMethod final : public CheckpointMethod {
public:
    Result<> probe(CheckpointedDisk& disk) override
    {
        if (disk.image->info().backing.size() + 2 > BlockImage::maximumDepth)
            return fail(ErrorCode::Unsupported, disk.path + ": the chain of images is too long for one more");
        auto const one = disk.path + ".trial-1", other = disk.path + ".trial-2";
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
    Result<> prepare(CheckpointedDisk& disk, std::string const& id) override
    {
        TRY(checkFileName(id));
        auto const info = disk.image->info();
        auto const place = disk.path + "." + id;
        TRY(removeFile(place));
        TRY(createImage(
            place, { .size = info.virtualSize, .backingFile = nameOf(place), .backingFormat = info.format }));
        return disk.image->flushSync();
    }
    Result<Checkpoint> take(CheckpointedDisk& disk, DiskSnapshot const& what) override
    {
        TRY(checkFileName(what.id));
        auto const place = disk.path + "." + what.id;
        auto const format = disk.image->info().format;
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
        return Checkpoint { CheckpointWay::Overlay, what.id, nameOf(place), format };
    }
    Result<> seal(CheckpointedDisk& disk, Checkpoint const&) override { return syncFolder(disk.path); }
    Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        auto const size = TRY(openAside(disk.engine, place, checkpoint.format))->size();
        auto const fresh = disk.path + ".going-back";
        TRY(removeFile(fresh));
        TRY(createImage(fresh, { .size = size, .backingFile = checkpoint.place, .backingFormat = checkpoint.format }));
        return replaceDisk(disk, fresh, ImageFormat::Qcow2);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(
        IoEngine& engine, std::string const& diskPath, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(diskPath, checkpoint));
        return openAside(engine, place, checkpoint.format);
    }
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        auto const size = TRY(openAside(disk.engine, place, checkpoint.format))->size();
        TRY(createImage(path, { .size = size, .backingFile = place, .backingFormat = checkpoint.format }));
        return ImageFormat::Qcow2;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const place = TRY(placeOf(disk.path, checkpoint));
        for (auto const& name : TRY(filesOf(disk.path))) {
            auto const other = folderOf(disk.path) + name;
            auto const base = other == place ? std::string() : TRY(backingOf(other));
            if (base == checkpoint.place || base == place)
                return fail(ErrorCode::Busy, other + " stands on " + place);
        }
        return removeFile(place);
    }

private:
    /// The disk's own file and those of its checkpoints.
    static Result<std::vector<std::string>> filesOf(std::string const& path)
    {
        std::unique_ptr<DIR, int (*)(DIR*)> const folder(::opendir(folderOf(path).c_str()), ::closedir);
        if (!folder)
            return failOs("cannot read " + folderOf(path));
        std::vector<std::string> names;
        while (auto const* const entry = ::readdir(folder.get())) {
            if (std::string const name = entry->d_name; name.starts_with(nameOf(path)))
                names.push_back(name);
        }
        return names;
    }

    static Result<std::string> backingOf(std::string const& path)
    {
        auto const file = TRY(HostFile::open(path, Access::ReadOnly, CacheMode::Writeback, HostFile::Lock::No));
        auto const format = detectFormat(*file);
        if (!format || *format != ImageFormat::Qcow2)
            return std::string();
        auto const size = TRY(file->size());
        auto const header = TRY(qcow2::Header::read(*file, size));
        return header.backingFile;
    }
};

}

Result<> replaceDisk(CheckpointedDisk& disk, std::string const& with, ImageFormat format)
{
    TRY(syncFile(with));
    disk.image.reset(); // first, because it may have open for writing what the new one stands on
    auto const renamed = [&]() -> Result<> {
        TRY(renameFile(with, disk.path));
        return syncFolder(disk.path);
    }();
    if (renamed)
        disk.options.format = format;
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

Result<std::unique_ptr<CheckpointMethod>> CheckpointMethod::choose(CheckpointedDisk& disk)
{
    std::string reasons;
    for (auto const way : { CheckpointWay::Internal, CheckpointWay::Reflink, CheckpointWay::Overlay }) {
        auto method = create(way);
        auto const open = method->probe(disk);
        if (open)
            return method;
        reasons += (reasons.empty() ? "" : "; ") + open.error().message();
    }
    return fail(ErrorCode::Unsupported, reasons);
}

Result<> copyImage(BlockImage& image, std::string const& path, ImageFormat format)
{
    TRY(createImage(path, { .format = format, .size = image.size() }));
    auto const copied = [&]() -> Result<> {
        ImageOptions options;
        options.format = format;
        auto const target = TRY(BlockImage::open(image.engine(), path, options));
        Bytes data(1 << 20);
        for (std::uint64_t offset = 0; offset < image.size();) {
            ByteSpan const part(data.data(), std::min<std::uint64_t>(data.size(), image.size() - offset));
            TRY(image.readSync(offset, part));
            // Only what is not zero, in the target's own pieces.
            for (std::size_t at = 0; at < part.size(); at += 64 << 10) {
                auto const piece = part.subspan(at, std::min<std::size_t>(64 << 10, part.size() - at));
                if (std::ranges::any_of(piece, [](std::uint8_t byte) { return byte != 0; }))
                    TRY(target->writeSync(offset + at, piece));
            }
            offset += part.size();
        }
        return target->flushSync();
    }();
    if (!copied)
        ignore(removeFile(path));
    return copied;
}

}
