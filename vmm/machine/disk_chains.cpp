#include "vmm/machine/disk_chains.h"

#include "vmm/block/commit.h"
#include "vmm/block/overlay_files.h"
#include "vmm/block/stream.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/saved_machine.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>

namespace vmm {

namespace {

ImageOptions optionsNow(DiskConfig const& disk)
{
    auto its = disk;
    its.format = formatNow(disk);
    return imageOptions(its);
}

Result<std::unique_ptr<BlockImage>> openToLook(IoEngine& engine, std::string const& path, ImageOptions options)
{
    options.access = Access::ReadOnly;
    options.lock = HostFile::Lock::No;
    return BlockImage::open(engine, path, options);
}

Result<ImageInfo> look(IoEngine& engine, std::string const& path, ImageOptions const& options)
{
    return TRY(openToLook(engine, path, options))->info();
}

Result<DiskConfig const*> writableDisk(VmConfig const& config, std::string const& id)
{
    auto const found = std::ranges::find(config.disks, id, &DiskConfig::id);
    if (found == config.disks.end() || found->readOnly)
        return fail(ErrorCode::NotFound, fmt::format("there is no disk {} that the guest writes to", id));
    return &*found;
}

std::string nameOfMoment(timeline::Moment const& moment)
{
    return moment.name.empty() ? "the moment " + moment.id.substr(0, 8) : fmt::format("the moment \"{}\"", moment.name);
}

/// Not of the images that stand on it by name: commitDisk() looks for those.
Result<> checkNoMomentNeeds(timeline::Timeline const& past, DiskConfig const& disk, std::string const& base)
{
    auto const needs = [&](timeline::Moment const& moment) {
        return fail(ErrorCode::Busy, fmt::format("{} needs {} as it is", nameOfMoment(moment), base));
    };
    for (auto const& moment : past.moments()) {
        for (auto const& its : moment.disks) {
            if (its.path != disk.path)
                continue;
            using enum CheckpointWay;
            bool const isInside = its.checkpoint.way == Internal || its.checkpoint.way == Zfs;
            if (isInside || isSameFile(folderOf(disk.path) + its.checkpoint.place, base))
                return needs(moment);
        }
        if (isCheckpointName(base))
            continue; // which a moment's state does not name
        auto const saved = TRY_WITHIN(nameOfMoment(moment), savedMachineAt(past, moment.id));
        if (std::ranges::any_of(saved.header.files, [&](auto const& file) { return isSameFile(file.path, base); }))
            return needs(moment);
    }
    // What cannot be read may need it.
    if (!past.damages().empty())
        return fail(ErrorCode::Corrupt, "a moment of the machine cannot be read, and may need " + base);
    return {};
}

/// Whether an image that cannot be read can stand on `base`. What is opened below one lies in its own folder, or its
/// configuration names it, or it lies in the folder of one of those.
bool mayStandOn(DiskConfig const& disk, std::string const& path, std::string const& base)
{
    namespace fs = std::filesystem;
    std::error_code error;
    if (disk.format == DiskFormat::Raw && path == disk.path && !isCheckpointName(base))
        return false;
    if (std::ranges::any_of(disk.backing, [&](auto const& below) { return isSameFile(below, base); }))
        return true;
    auto const folder = fs::canonical(base, error).parent_path();
    auto const mayBeIn = [&](std::string const& image) {
        auto const canonical = fs::weakly_canonical(image, error);
        return error || canonical.parent_path() == folder;
    };
    if (std::ranges::any_of(disk.backing, mayBeIn))
        return true;
    // What is gone from a folder that can be looked into stands on nothing.
    bool const isGone = fs::symlink_status(path, error).type() == fs::file_type::not_found;
    return !isGone && mayBeIn(path);
}

Result<> checkNoOtherNeeds(IoEngine& engine, OtherImages const& others, std::string const& base)
{
    bool const asks = others.unreadable == OtherImages::Unreadable::Refuse;
    // A checkpoint's file is named by nobody but the disk that it was.
    if (asks && !others.unknown.empty() && !isCheckpointName(base)) {
        return fail(ErrorCode::Busy,
            fmt::format("{} cannot be read and may need {} as it is: mend or remove it, or say that it does not matter "
                        "(chronoctl: --force)",
                others.unknown.front(), base));
    }
    for (auto const& [whose, disk] : others.images) {
        auto const needs
            = [&, &whose = whose] { return fail(ErrorCode::Busy, fmt::format("{} needs {} as it is", whose, base)); };
        auto const check
            = [&, &whose = whose, &disk = disk](std::string const& path, ImageOptions const& options) -> Result<> {
            if (isSameFile(path, base))
                return needs();
            auto const info = look(engine, path, options);
            if (info) {
                bool const stands = std::ranges::any_of(
                    info->backing, [&](auto const& below) { return isSameFile(below.path, base); });
                return stands ? needs() : Result<>();
            }
            if (!asks || !mayStandOn(disk, path, base))
                return {};
            return fail(ErrorCode::Busy,
                fmt::format("{} of {} cannot be read ({}) and may need {} as it is: make it readable, or say that it "
                            "does not matter (chronoctl: --force)",
                    path, whose, info.error().message(), base));
        };
        auto options = optionsNow(disk);
        TRY(check(disk.path, options));
        // Its moments may need what it does not stand on any more. Where its folder cannot be read, it has been told.
        options.format.reset();
        for (auto const& kept : checkpointFilesOf(disk.path).value_or(std::vector<std::string>()))
            TRY(check(kept, options));
    }
    return {};
}

/// A fork goes on with the file that there is.
Result<> takeFromForks(std::string const& path, CopyProgress const& progress)
{
    struct stat status { };
    if (::stat(path.c_str(), &status) != 0)
        return failOs("cannot examine " + path);
    if (status.st_nlink == 1)
        return {};
    auto const own = path + ".merging"; // which OverlayFiles removes where it is left
    TRY(removeFile(own));
    auto const taken = [&]() -> Result<> {
        TRY(copyFile(path, own, progress));
        return renameFile(own, path);
    }();
    if (!taken) {
        ignore(removeFile(own));
        return taken;
    }
    return syncFolder(path);
}

/// See streamDisk().
Result<> leaveEmptyBase(IoEngine& engine, DiskConfig const& disk)
{
    auto const info = TRY(look(engine, disk.path, optionsNow(disk)));
    if (info.backing.size() != 1 || !isEmptyBase(info.backing[0]))
        return {};
    {
        auto const image = TRY(BlockImage::open(engine, disk.path, optionsNow(disk)));
        auto stream = TRY(ImageStream::begin(*image));
        while (TRY(stream.step())) { }
    }
    auto const& empty = info.backing[0].path;
    return TRY(imagesOn(empty)).empty() ? removeFile(empty) : Result<>();
}

}

std::vector<DiskChain> diskChains(VmConfig const& config)
{
    InlineEngine engine;
    std::vector<DiskChain> chains;
    for (auto const& disk : config.disks)
        chains.push_back({ disk.id, look(engine, disk.path, optionsNow(disk)) });
    return chains;
}

Result<> streamStillDisk(
    VmConfig const& config, std::string const& disk, std::string const& onto, ChainProgress const& progress)
{
    auto const& its = *TRY(writableDisk(config, disk));
    InlineEngine engine;
    CheckpointedDisk open { engine, its.path, optionsNow(its), nullptr };
    open.image = TRY_WITHIN(disk, BlockImage::open(engine, open.path, open.options));
    auto stream = TRY_WITHIN(disk, streamDisk(open, onto));
    auto const size = static_cast<double>(open.image->size());
    while (TRY_WITHIN(disk, stream.step())) {
        if (progress && !progress(static_cast<double>(stream.position()) / size))
            return fail(ErrorCode::Cancelled, disk + ": what was copied so far stays");
    }
    return {};
}

Result<> checkNobodyNeeds(
    DiskConfig const& disk, std::string const& base, timeline::Timeline const* past, OtherImages const& others)
{
    InlineEngine engine;
    if (past)
        TRY(checkNoMomentNeeds(*past, disk, base));
    return checkNoOtherNeeds(engine, others, base);
}

Result<> growStillDisk(VmConfig const& config, std::string const& disk, std::uint64_t bytes)
{
    auto const& its = *TRY(writableDisk(config, disk));
    InlineEngine engine;
    auto const image = TRY_WITHIN(disk, BlockImage::open(engine, its.path, optionsNow(its)));
    TRY_WITHIN(disk, image->grow(bytes));
    return {};
}

Result<> checkGrowth(VmConfig const& config, std::string const& disk, std::uint64_t bytes)
{
    auto const& its = *TRY(writableDisk(config, disk));
    InlineEngine engine;
    auto const image = TRY_WITHIN(disk, openToLook(engine, its.path, optionsNow(its)));
    TRY_WITHIN(disk, image->checkGrowth(bytes));
    return {};
}

Result<> commitStillDisk(VmConfig const& config, std::string const& disk, unsigned files,
    timeline::Timeline const* past, OtherImages const& others, ChainProgress const& progress)
{
    auto const& its = *TRY(writableDisk(config, disk));
    InlineEngine engine;
    for (unsigned done = 0; done < files; ++done) {
        auto const options = optionsNow(its);
        auto const before = TRY_WITHIN(disk, look(engine, its.path, options));
        if (filesBelow(before) == 0 && done > 0)
            return {};
        if (filesBelow(before) > 0)
            TRY_WITHIN(disk, checkNobodyNeeds(its, before.backing[0].path, past, others));
        ClosedDisk const closed { its.path, options,
            its.format == DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2 };
        auto const tell = [&](std::uint64_t part, std::uint64_t all) {
            return !progress
                || progress((done + static_cast<double>(part) / static_cast<double>(all)) / static_cast<double>(files));
        };
        TRY_WITHIN(disk, commitDisk(engine, closed, tell));
        if (TRY_WITHIN(disk, look(engine, its.path, optionsNow(its))).backing.size() == before.backing.size())
            return {}; // the file below has kept its name, and what is below that its own
    }
    return {};
}

Result<> mergeCheckpoints(
    DiskConfig const& disk, std::vector<std::string> const& checkpoints, ChainProgress const& progress)
{
    InlineEngine engine;
    auto const options = optionsNow(disk);
    auto const below = TRY(look(engine, disk.path, options)).backing;
    auto const kept = std::ranges::find_if_not(below, [&](ImageInfo const& file) {
        return isCheckpointName(file.path) // whatever a record says
            && std::ranges::any_of(checkpoints, [&](auto const& path) { return isSameFile(file.path, path); });
    });
    if (kept != below.begin()) {
        auto const& lowest = *(kept - 1);
        auto const tell = [&](std::uint64_t done, std::uint64_t all) {
            return !progress || progress(static_cast<double>(done) / static_cast<double>(all));
        };
        TRY(takeFromForks(lowest.path, tell));
        ClosedDisk const closed { disk.path, options, lowest.format };
        TRY(commitDisk(engine, closed, tell, static_cast<std::size_t>(kept - below.begin()) - 1));
        if (existsFile(lowest.path))
            return fail(ErrorCode::Unsupported, fmt::format("{} cannot take the place of {}", lowest.path, disk.path));
    }
    return leaveEmptyBase(engine, disk);
}

}
