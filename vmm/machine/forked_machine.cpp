#include "vmm/machine/forked_machine.h"

#include "vmm/block/overlay_files.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/past_disk.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/virtio/network_card.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

/// What the new image holds is its own moment.
Result<timeline::MomentDisk> keep(DiskConfig& disk, std::string const& moment, CopyProgress const& progress)
{
    InlineEngine engine;
    auto const preferred = preferredWay(disk).value_or(CheckpointWay::Overlay); // it is the fork's own
    CheckpointedDisk file { engine, disk.path, imageOptions(disk), nullptr, preferred };
    file.image = TRY(BlockImage::open(engine, file.path, file.options));
    auto const method = TRY(CheckpointMethod::choose(file, {}));
    auto const checkpoint = TRY(planStill(*method, file, moment, progress));
    TRY(method->prepareFiles(file, checkpoint));
    TRY(method->prepare(file, checkpoint));
    TRY(method->take(file, checkpoint, snapshotNow(moment, 0)));
    TRY(method->seal(file, checkpoint));
    disk.format = file.options.format == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
    return timeline::MomentDisk { disk.id, disk.path, checkpoint };
}

}

Result<> appendBases(DiskConfig const& disk, std::vector<timeline::LooseDisks>& loose)
{
    if (disk.format != DiskFormat::Qcow2)
        return {};
    for (auto const& base : TRY(basesOf(disk.path, folderOf(disk.path)))) {
        if (!isCheckpointName(base.name))
            break;
        auto const id = base.name.substr(base.name.rfind('.') + 1);
        auto its = std::ranges::find(loose, id, &timeline::LooseDisks::moment);
        if (its == loose.end())
            its = loose.insert(its, { id, {} });
        its->disks.push_back({ disk.id, disk.path, { CheckpointWay::Overlay, id, base.name, base.format } });
    }
    return {};
}

Result<> changeIdentity(SavedMachine& saved, VmConfig config)
{
    TRY(checkConfig(config));
    for (auto const& network : config.networks) {
        if (saved.parts.empty())
            break; // it was off: no device has a state
        auto const part = std::find_if(
            saved.parts.begin(), saved.parts.end(), [&](auto const& candidate) { return candidate.id == network.id; });
        if (part == saved.parts.end())
            return fail(ErrorCode::Corrupt, fmt::format("the state lacks {}", network.id));
        auto card = TRY_WITHIN(network.id, state::load<virtio::NetworkCard::State>(part->section));
        card.mac = TRY(parseMac(network.mac));
        part->section = state::save(card);
    }
    saved.config = std::move(config);
    return {};
}

Result<timeline::ForkedDisks> forkDisks(VmConfig const& original, timeline::Moment const& moment, VmConfig& forked,
    std::string const& as, std::function<bool(double)> const& progress)
{
    InlineEngine engine;
    timeline::ForkedDisks made;
    auto const share = 1 / static_cast<double>(std::max<std::size_t>(1, forked.disks.size()));
    double done = 0, told = 0; // each file that is copied or merged begins anew
    for (auto& disk : forked.disks) {
        auto const goOn = [&](std::uint64_t part, std::uint64_t whole) {
            auto const ofDisk = static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(1, whole));
            told = std::max(told, done + share * ofDisk);
            return progress(told);
        };
        if (!goOn(0, 1))
            return fail(ErrorCode::Cancelled, "copying the disks was cancelled");
        auto const from = std::find_if(original.disks.begin(), original.disks.end(),
            [&](auto const& candidate) { return candidate.id == disk.id; });
        if (followsMoments(disk) && from != original.disks.end()) {
            auto const checkpoint = TRY_WITHIN(disk.id, checkpointOf(moment.disks, disk.id));
            CheckpointedDisk its { engine, from->path, imageOptions(*from), nullptr };
            auto const method = CheckpointMethod::create(checkpoint.way);
            auto const format = TRY_WITHIN(disk.id, method->fork(its, checkpoint, disk.path, goOn));
            disk.format = format == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
            TRY_WITHIN(disk.id, appendBases(disk, made.loose));
            made.kept.push_back(TRY_WITHIN(disk.id, keep(disk, as, goOn)));
            if (!goOn(1, 1))
                return fail(ErrorCode::Cancelled, "copying the disks was cancelled");
        }
        done += share;
    }
    return made;
}

}
