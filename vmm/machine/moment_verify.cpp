#include "vmm/machine/moment_verify.h"

#include "vmm/block/image_check.h"
#include "vmm/machine/past_disk.h"
#include "vmm/machine/saved_machine.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace vmm {

namespace {

using Mapping = BlockImage::Mapping;
using GoOn = std::function<Result<>()>;

Result<> checkPlace(Mapping const& mapping, std::uint64_t offset)
{
    if (mapping.length == 0)
        return fail(ErrorCode::Corrupt, fmt::format("nothing says where byte {} is", offset));
    // A raw file that is shorter reads as zeros.
    if (mapping.kind != Mapping::Kind::Data || mapping.image->info().format == ImageFormat::Raw)
        return {};
    auto const size = TRY(mapping.image->file().size());
    if (mapping.hostOffset >= size || mapping.length > alignUp(size, BlockImage::sectorSize) - mapping.hostOffset)
        return fail(ErrorCode::Corrupt, fmt::format("byte {} is said to be behind the end of the file", offset));
    return {};
}

Result<> checkImage(BlockImage& image, GoOn const& goOn)
{
    if (image.info().corrupt)
        return fail(ErrorCode::Corrupt, "the image is marked as corrupt");
    for (std::uint64_t at = 0; at < image.size();) {
        TRY(goOn());
        auto const mapping = TRY(image.resolve(at, image.size() - at));
        TRY(checkPlace(mapping, at));
        at += mapping.length;
    }
    return {};
}

/// Files are judged once, though many moments stand on them.
class CountedFiles {
public:
    /// All files of the chain.
    Result<> check(BlockImage const& image, GoOn const& goOn)
    {
        auto const info = image.info();
        TRY(checkFile(info, goOn));
        for (auto const& below : info.backing)
            TRY(checkFile(below, goOn));
        return {};
    }

private:
    Result<> checkFile(ImageInfo const& info, GoOn const& goOn)
    {
        if (info.format != ImageFormat::Qcow2)
            return {};
        if (auto const known = m_known.find(info.path); known != m_known.end())
            return known->second;
        auto const checked = checkCounts(info.path, goOn);
        if (!checked && checked.error().code == ErrorCode::Cancelled)
            return fail(checked.error());
        return m_known[info.path] = checked ? Result<>() : fail(checked.error());
    }

    std::map<std::string, Result<>> m_known;
};

Result<> checkDisk(timeline::Moment const& moment, DiskConfig const& disk, CountedFiles& files, GoOn const& goOn)
{
    InlineEngine engine;
    auto const check = [&]() -> Result<> {
        auto const image = TRY(openDiskAt(engine, moment, disk));
        TRY(checkImage(*image, goOn));
        return files.check(*image, goOn);
    };
    auto const first = check();
    // The machine may have put other tables or files in the place of those that were being read.
    return first || first.error().code == ErrorCode::Cancelled ? first : check();
}

}

Result<std::vector<timeline::Damage>> verifyDisks(
    timeline::Timeline const& timeline, timeline::Progress const& progress)
{
    std::vector<timeline::Damage> damaged;
    CountedFiles files;
    auto const moments = timeline.moments();
    for (std::size_t i = 0; i < moments.size(); ++i) {
        auto const& moment = moments[i];
        auto const goOn = [&]() -> Result<> {
            return timeline::goOn(progress, i, moments.size())
                ? Result<>()
                : fail(ErrorCode::Cancelled, "checking the disks' past was cancelled");
        };
        TRY(goOn());
        auto const saved = savedMachineAt(timeline, moment.id);
        if (!saved)
            continue; // Timeline::verify() says so
        for (auto const& kept : moment.disks) {
            auto const disk = std::ranges::find(saved->config.disks, kept.device, &DiskConfig::id);
            auto const checked = disk == saved->config.disks.end()
                ? fail(ErrorCode::Corrupt, "the machine had no such disk then")
                : checkDisk(moment, *disk, files, goOn);
            if (!checked && checked.error().code == ErrorCode::Cancelled)
                return fail(checked.error());
            if (!checked && !timeline.isGone(moment.id))
                damaged.push_back({ moment.id, Error(checked.error()).within(kept.device) });
        }
    }
    return damaged;
}

}
