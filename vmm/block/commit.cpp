#include "vmm/block/commit.h"

#include "vmm/base/random.h"
#include "vmm/block/overlay_files.h"
#include "vmm/block/stream.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>

namespace vmm {

namespace {

constexpr std::uint64_t pieceBytes = 1 << 20, lookBytes = 1 << 30, zeroPiece = 64 << 10;

/// Nor on what is between the two, and with that on the base.
Result<> checkNobodyElse(ImageInfo const& disk, std::size_t between)
{
    auto const& base = disk.backing[between].path;
    auto const* above = &disk.path;
    for (std::size_t i = 0; i <= between; ++i) {
        auto const& below = disk.backing[i].path;
        for (auto const& image : TRY(imagesOn(below))) {
            if (!isSameFile(image, *above))
                return fail(ErrorCode::Busy, fmt::format("{} stands on {} too", image, below));
        }
        above = &below;
    }
    struct stat status { };
    if (::stat(base.c_str(), &status) != 0)
        return failOs("cannot examine " + base);
    if (status.st_nlink > 1)
        return fail(ErrorCode::Busy, fmt::format("a fork of the machine needs {} too", base));
    return {};
}

/// Whether the disk is taken for what it is when it is the file that is now `base`: see formatInPlace().
bool canTakeThePlace(ClosedDisk const& disk, ImageInfo const& top, ImageInfo const& base)
{
    if (!isCheckpointName(base.path) || !base.path.starts_with(disk.path + ".") || base.virtualSize > top.virtualSize)
        return false; // one that was smaller has been made as large
    if (base.format == disk.configured)
        return true;
    auto const prefix = nameOf(disk.path) + ".";
    auto const below = backingNameOf(base.path).value_or("");
    return base.format == ImageFormat::Qcow2 && below.starts_with(prefix) && isUuid(below.substr(prefix.size()));
}

Result<> emptyFile(ClosedDisk const& disk, ImageInfo const& top, std::size_t between)
{
    auto const fresh = disk.path + ".going-back"; // the name of what is about to take a disk's place
    TRY(removeFile(fresh));
    auto const placed = [&]() -> Result<> {
        auto const below = TRY(nameBelow(top, between));
        auto const clusterBits = TRY(clusterBitsOn(disk.path, ImageFormat::Qcow2));
        TRY(createImage(fresh,
            { .size = top.virtualSize,
                .clusterBits = clusterBits,
                .backingFile = below,
                .backingFormat = top.backing[between].format,
                .permissionsOf = disk.path }));
        TRY(syncFile(fresh));
        return renameFile(fresh, disk.path);
    }();
    if (!placed)
        ignore(removeFile(fresh));
    return placed;
}

}

Result<> writeToBase(BlockImage& disk, BlockImage& base, CopyProgress const& progress, std::size_t between)
{
    using Kind = BlockImage::Mapping::Kind;
    Bytes data(pieceBytes);
    for (std::uint64_t offset = 0; offset < disk.size();) {
        if (progress && !progress(offset, disk.size()))
            return fail(ErrorCode::Cancelled, "the disk is as it was");
        auto const own = TRY(disk.resolveWithin(between, offset, std::min(disk.size() - offset, lookBytes)));
        if (own.kind == Kind::Zero)
            TRY(base.runSync(BlockRequest::Kind::WriteZeroes, offset, own.length));
        if (own.kind == Kind::Zero || own.kind == Kind::Unallocated) {
            offset += own.length;
            continue;
        }
        auto const part = ByteSpan(data).first(std::min(own.length, pieceBytes));
        TRY(disk.readSync(offset, part));
        for (std::size_t at = 0; at < part.size(); at += zeroPiece) {
            auto const piece = part.subspan(at, std::min(zeroPiece, part.size() - at));
            if (!isZero(piece))
                TRY(base.writeSync(offset + at, piece));
            else
                TRY(base.runSync(BlockRequest::Kind::WriteZeroes, offset + at, piece.size()));
        }
        offset += part.size();
    }
    return base.flushSync();
}

Result<> commitDisk(IoEngine& engine, ClosedDisk const& disk, CopyProgress const& progress, std::size_t between)
{
    auto options = disk.options;
    options.access = Access::ReadOnly;
    auto const info = TRY(BlockImage::open(engine, disk.path, options))->info();
    if (info.format != ImageFormat::Qcow2 || filesBelow(info) <= between)
        return fail(ErrorCode::Unsupported, disk.path + " stands on no other file");
    auto const& base = info.backing[between];
    auto const* above = &info;
    for (std::size_t i = 0; i <= between; ++i) {
        auto const& below = info.backing[i];
        if (above->snapshots != 0 || below.snapshots != 0) {
            return fail(ErrorCode::Busy,
                fmt::format("{} has moments or snapshots inside, which need {} as it is",
                    above->snapshots != 0 ? above->path : below.path, base.path));
        }
        above = &below;
    }
    TRY(checkNobodyElse(info, between));
    if (base.virtualSize < info.virtualSize && base.format != ImageFormat::Raw)
        return fail(ErrorCode::Unsupported,
            fmt::format("{} is smaller than the disk; make it larger first (qemu-img resize)", base.path));
    {
        options.access = Access::ReadWrite;
        auto below = options;
        below.format = base.format;
        auto const openBase = [&]() -> Result<std::unique_ptr<BlockImage>> {
            if (base.virtualSize < info.virtualSize) {
                auto const file = TRY(HostFile::open(base.path, Access::ReadWrite, options.cache, options.lock));
                TRY(file->resize(info.virtualSize)); // zeros, as they were read there
            }
            return BlockImage::open(engine, base.path, below);
        };
        std::size_t opened = 0;
        BlockImage::OpenBacking openBelow;
        openBelow = [&](std::string const&, std::optional<ImageFormat>) -> Result<std::unique_ptr<BlockImage>> {
            if (opened == between)
                return openBase();
            auto middle = options;
            middle.access = Access::ReadOnly;
            middle.format = ImageFormat::Qcow2;
            auto const& path = info.backing[opened++].path;
            auto file = TRY(HostFile::open(path, middle.access, middle.cache, middle.lock));
            return BlockImage::open(engine, std::move(file), middle, openBelow);
        };
        auto file = TRY(HostFile::open(disk.path, Access::ReadWrite, options.cache, options.lock));
        auto const top = TRY(BlockImage::open(engine, std::move(file), options, openBelow));
        auto* lowest = top.get();
        for (std::size_t i = 0; i <= between; ++i)
            lowest = lowest->backing();
        TRY(writeToBase(*top, *lowest, progress, between));
    }
    TRY(canTakeThePlace(disk, info, base) ? renameFile(base.path, disk.path) : emptyFile(disk, info, between));
    return syncFolder(disk.path);
}

}
