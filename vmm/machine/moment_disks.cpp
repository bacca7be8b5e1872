#include "vmm/machine/moment_disks.h"

#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"

#include <algorithm>
#include <ctime>
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

Result<std::unique_ptr<CheckpointMethod>> chooseMethod(
    CheckpointedDisk& disk, std::vector<timeline::Moment> const& moments)
{
    std::vector<CheckpointWay> used;
    for (auto const& moment : moments) {
        for (auto const& its : moment.disks) {
            if (its.path == disk.path)
                used.push_back(its.checkpoint.way);
        }
    }
    return CheckpointMethod::choose(disk, used);
}

DiskSnapshot snapshotNow(std::string const& moment, std::uint64_t guestTime)
{
    timespec now {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    DiskSnapshot snapshot;
    snapshot.id = moment;
    snapshot.name = momentSnapshotName;
    snapshot.time = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
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
        log(LogLevel::Warning, "machine", "{}: {}", disk, error.message());
        if (outcome)
            outcome = fail(Error(error).within(disk));
    };
    for (auto const& loose : m_timeline.loose()) {
        timeline::LooseDisks left { loose.moment, {} };
        for (auto const& disk : loose.disks) {
            auto const gone = !m_how.goOn() ? Result<bool>(false) : letGo(disk);
            if (!gone)
                note(disk.device, gone.error());
            if (!gone || !*gone)
                left.disks.push_back(disk);
        }
        if (left != loose)
            TRY(m_timeline.setLoose(left));
    }
    if (m_how.merge == OverlayFiles::MayMerge::Yes && m_how.goOn()) {
        if (auto const shortened = shortenChains(); !shortened)
            note("disks", shortened.error());
        // What cannot be read may need any of them.
        for (auto const& disk : m_timeline.damages().empty() ? m_config.disks : std::vector<DiskConfig>()) {
            if (auto const removed = disk.readOnly ? Result<>() : removeEmptyBases(m_timeline, disk.path); !removed)
                note(disk.id, removed.error());
        }
    }
    return outcome;
}

Result<bool> DiskTidier::letGo(timeline::MomentDisk const& disk)
{
    if (!isUuid(disk.checkpoint.id)) // no moment has made that
        return fail(ErrorCode::Corrupt, fmt::format("\"{}\" is nothing that it keeps", disk.checkpoint.id));
    if (!existsFile(folderOf(disk.path)))
        return false; // it may come back
    if (!existsFile(disk.path) && disk.checkpoint.way == CheckpointWay::Internal)
        return true; // it went, with all that was in it
    auto const forgotten = m_how.forget(disk, backingOf(disk.path));
    if (forgotten || forgotten.error().code != ErrorCode::Busy || disk.checkpoint.place.empty())
        return forgotten ? Result<bool>(true) : fail(forgotten.error());
    // Others stand on it.
    auto const place = folderOf(disk.path) + disk.checkpoint.place;
    bool const gone = TRY(filesOf(disk.path).freeBase(place, m_how.merge));
    if (gone)
        TRY(m_how.belowChanged(disk.path));
    return gone;
}

Result<> DiskTidier::shortenChains()
{
    for (auto const& disk : m_config.disks) {
        if (disk.readOnly || !backingNameOf(disk.path).value_or("").starts_with(nameOf(disk.path) + "."))
            continue;
        if (TRY_WITHIN(disk.id, filesOf(disk.path).shorten()))
            TRY_WITHIN(disk.id, m_how.belowChanged(disk.path));
    }
    return {};
}

OverlayFiles DiskTidier::filesOf(std::string const& path)
{
    return OverlayFiles(m_engine, path, backingOf(path), [this](std::uint64_t, std::uint64_t) { return m_how.goOn(); });
}

std::vector<std::string> DiskTidier::backingOf(std::string const& path) const
{
    auto const known = std::ranges::find_if(m_config.disks, [&](auto const& disk) { return disk.path == path; });
    return known == m_config.disks.end() ? std::vector<std::string>() : known->backing;
}

}
