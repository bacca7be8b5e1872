#include "vmm/machine/moment_disks.h"

#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/base/time_of_day.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/past_disk.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>

namespace vmm {

ImageOptions imageOptions(DiskConfig const& config)
{
    ImageOptions options;
    options.access = config.readOnly ? Access::ReadOnly : Access::ReadWrite;
    if (config.format)
        options.format = *config.format == DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2;
    options.backing = config.backing;
    return options;
}

std::optional<CheckpointWay> preferredWay(DiskConfig const& config)
{
    switch (config.moments) {
    case MomentPlace::Automatic: return std::nullopt;
    case MomentPlace::Beside: return CheckpointWay::Overlay;
    case MomentPlace::Inside: return CheckpointWay::Internal;
    }
    return std::nullopt;
}

std::optional<DiskFormat> formatNow(DiskConfig const& config)
{
    bool const isOverlay
        = config.format == DiskFormat::Raw && formatInPlace(config.path, ImageFormat::Raw) == ImageFormat::Qcow2;
    return isOverlay ? DiskFormat::Qcow2 : config.format;
}

Result<std::optional<DiskFormat>> readFormatNow(DiskConfig const& config)
{
    if (config.format != DiskFormat::Raw)
        return config.format;
    auto const format = TRY_WITHIN(config.id, readFormatInPlace(config.path, ImageFormat::Raw));
    return format == ImageFormat::Qcow2 ? DiskFormat::Qcow2 : DiskFormat::Raw;
}

Result<std::unique_ptr<CheckpointMethod>> chooseMethod(CheckpointedDisk& disk, timeline::Timeline const& timeline)
{
    if (!disk.preferred && isSameFile(folderOf(disk.path), folderOf(timeline.path())))
        disk.preferred = CheckpointWay::Overlay;
    std::vector<CheckpointWay> used;
    for (auto const& moment : timeline.moments()) {
        for (auto const& its : moment.disks) {
            if (its.path == disk.path)
                used.push_back(its.checkpoint.way);
        }
    }
    return CheckpointMethod::choose(disk, used);
}

Result<Checkpoint> planStill(
    CheckpointMethod& method, CheckpointedDisk& disk, std::string const& moment, CopyProgress const& progress)
{
    auto planned = method.plan(disk, moment);
    if (planned || planned.error().code != ErrorCode::Busy)
        return planned;
    TRY(OverlayFiles(disk.engine, disk.path, disk.options.backing, progress).shorten(OverlayFiles::mostBelow));
    TRY(openBelowAgain(disk));
    return method.plan(disk, moment);
}

DiskSnapshot snapshotNow(std::string const& moment, std::uint64_t guestTime)
{
    DiskSnapshot snapshot;
    snapshot.id = moment;
    snapshot.name = momentSnapshotName;
    snapshot.time = timeOfDay();
    snapshot.guestTime = guestTime;
    return snapshot;
}

Result<Checkpoint> checkpointOf(std::vector<timeline::MomentDisk> const& disks, std::string const& device)
{
    auto const found = std::ranges::find_if(disks, [&](auto const& disk) { return disk.device == device; });
    if (found == disks.end())
        return fail(ErrorCode::NotFound, "the moment does not have what the disk held then");
    return found->checkpoint;
}

Result<> checkHas(CheckpointedDisk& disk, Checkpoint const& checkpoint)
{
    auto const method = CheckpointMethod::create(checkpoint.way);
    auto const then = method->openReadOnly(disk.engine, disk.path, checkpoint, disk.options.backing);
    return then ? Result<>() : fail(Error(then.error()).within("what the disk held at that moment"));
}

Result<> forgetAside(timeline::MomentDisk const& kept, std::vector<std::string> const& backing)
{
    InlineEngine engine;
    CheckpointedDisk disk { engine, kept.path, {}, nullptr };
    if (kept.checkpoint.way == CheckpointWay::Internal) {
        disk.options.format = ImageFormat::Qcow2;
        disk.options.backing = backing;
        disk.image = TRY(BlockImage::open(engine, disk.path, disk.options));
    }
    TRY(CheckpointMethod::create(kept.checkpoint.way)->remove(disk, kept.checkpoint));
    while (disk.image && disk.image->workWhenIdle()) { }
    return {};
}

namespace {

/// What a stream has put below a disk for its name alone, and nobody stands on any more: the disk went to a moment, or
/// the stream ended before the disk knew of it.
Result<> removeEmptyBases(timeline::Timeline const& timeline, std::string const& disk)
{
    auto const isKept = [](auto const& all, std::string const& name) {
        return std::ranges::any_of(all, [&](auto const& one) {
            return std::ranges::any_of(one.disks, [&](auto const& its) { return its.checkpoint.place == name; });
        });
    };
    for (auto const& path : TRY(checkpointFilesOf(disk))) {
        struct stat status { };
        bool const isEmpty
            = ::stat(path.c_str(), &status) == 0 && status.st_size == BlockImage::sectorSize && status.st_blocks == 0;
        if (!isEmpty || isKept(timeline.moments(), nameOf(path)) || isKept(timeline.loose(), nameOf(path)))
            continue;
        if (TRY(imagesOn(path)).empty())
            TRY(removeFile(path));
    }
    return {};
}

}

Result<> DiskTidier::run()
{
    Result<> outcome;
    auto const note = [&](std::string const& disk, Error const& error) {
        if (error.code != ErrorCode::Cancelled)
            log(LogLevel::Warning, "machine", "{}: {}", disk, error.message());
        if (outcome)
            outcome = fail(Error(error).within(disk));
    };
    auto const before = m_timeline.loose();
    auto left = before;
    Files files;
    for (auto& loose : left) {
        std::erase_if(loose.disks, [&](timeline::MomentDisk const& disk) {
            auto const gone = m_how.goOn() ? letGo(disk, files) : Result<bool>(false);
            if (!gone)
                note(disk.device, gone.error());
            return gone && *gone;
        });
    }
    for (auto const& [path, places] : files) {
        if (!m_how.goOn())
            break;
        auto const raw = rawFilesOf(path);
        if (auto const freed = filesOf(path).freeBases(places, m_how.merge, OverlayFiles::mostCopied, raw); !freed)
            note(nameOf(path), freed.error());
    }
    std::vector<timeline::LooseDisks> changed;
    for (std::size_t i = 0; i < left.size(); ++i) {
        std::erase_if(left[i].disks, [&](auto const& disk) {
            auto const found = files.find(disk.path);
            auto const place = folderOf(disk.path) + disk.checkpoint.place;
            return found != files.end() && std::ranges::count(found->second, place) != 0 && !existsFile(place);
        });
        if (left[i] != before[i])
            changed.push_back(left[i]);
    }
    if (auto const noted = m_timeline.setLoose(changed); !noted)
        note("the timeline", noted.error());
    if (m_how.merge == OverlayFiles::MayMerge::Yes && m_how.goOn()) {
        for (auto const& disk : m_config.disks) {
            if (disk.readOnly || formatNow(disk) == DiskFormat::Raw)
                continue; // whatever its guest has written there
            if (!backingNameOf(disk.path).value_or("").starts_with(nameOf(disk.path) + "."))
                continue;
            auto const shortened = filesOf(disk.path).shorten();
            if (!shortened)
                note(disk.id, shortened.error());
            else if (*shortened)
                files.try_emplace(disk.path);
        }
        auto const removeNobodys = [&](std::string const& path) -> Result<> {
            TRY(filesOf(path).removeUnfinished());
            // What cannot be read may need any of the others.
            return m_timeline.damages().empty() ? removeEmptyBases(m_timeline, path) : Result<>();
        };
        for (auto const& disk : m_config.disks) {
            if (auto const removed = disk.readOnly ? Result<>() : removeNobodys(disk.path); !removed)
                note(disk.id, removed.error());
        }
    }
    for (auto const& [path, places] : files) {
        if (auto const reopened = m_how.belowChanged(path); !reopened)
            note(nameOf(path), reopened.error());
    }
    return outcome;
}

Result<bool> DiskTidier::letGo(timeline::MomentDisk const& disk, Files& files)
{
    if (!isUuid(disk.checkpoint.id)) // no moment has made that
        return fail(ErrorCode::Corrupt, fmt::format("\"{}\" is nothing that it keeps", disk.checkpoint.id));
    if (!existsFile(folderOf(disk.path)))
        return false; // it may come back
    if (m_how.isOthers(disk))
        return true;
    if (disk.checkpoint.way == CheckpointWay::Overlay || disk.checkpoint.way == CheckpointWay::Reflink) {
        files[disk.path].push_back(TRY(placeOf(disk.path, disk.checkpoint)));
        return false;
    }
    if (!existsFile(disk.path) && disk.checkpoint.way == CheckpointWay::Internal)
        return true; // it went, with all that was in it
    TRY(m_how.forget(disk, backingOf(m_config, disk.path)));
    return true;
}

OverlayFiles DiskTidier::filesOf(std::string const& path)
{
    return OverlayFiles(
        m_engine, path, backingOf(m_config, path), [this](std::uint64_t, std::uint64_t) { return m_how.goOn(); });
}

/// As the records say. The disk's own file is raw where its configuration says so and no overlay has taken its place.
std::set<std::string> DiskTidier::rawFilesOf(std::string const& path) const
{
    std::set<std::string> raw;
    bool isRaw = m_timeline.damages().empty() && std::ranges::any_of(m_config.disks, [&](auto const& disk) {
        return disk.path == path && disk.format == DiskFormat::Raw;
    });
    auto const look = [&](auto const& all) {
        for (auto const& one : all) {
            for (auto const& [device, of, kept] : one.disks) {
                if (of != path)
                    continue;
                isRaw = isRaw && kept.format == ImageFormat::Raw && kept.way == CheckpointWay::Reflink;
                if (kept.format == ImageFormat::Raw)
                    raw.insert(folderOf(path) + kept.place);
            }
        }
    };
    look(m_timeline.moments());
    look(m_timeline.loose());
    if (isRaw)
        raw.insert(path);
    return raw;
}

}
