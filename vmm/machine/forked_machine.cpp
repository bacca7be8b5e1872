#include "vmm/machine/forked_machine.h"

#include "vmm/block/checkpoint.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/virtio/network_card.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

/// What `original` held at the moment, in a new image.
Result<ImageFormat> forkDisk(DiskConfig const& original, std::string const& moment, std::string const& path)
{
    InlineEngine engine;
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.lock = HostFile::Lock::No; // the machine that runs on has it
    options.format = ImageFormat::Qcow2;
    options.backing = original.backing;
    CheckpointedDisk disk { engine, original.path, options, TRY(BlockImage::open(engine, original.path, options)) };
    Checkpoint const checkpoint { CheckpointWay::Internal, moment, {}, ImageFormat::Qcow2 };
    return CheckpointMethod::create(checkpoint.way)->fork(disk, checkpoint, path);
}

/// What the new image holds is its own moment.
Result<> keep(std::string const& path, ImageFormat format, std::string const& moment, std::uint64_t time)
{
    InlineEngine engine;
    ImageOptions options;
    options.format = format;
    auto const image = TRY(BlockImage::open(engine, path, options));
    DiskSnapshot snapshot;
    snapshot.id = moment;
    snapshot.name = "Chronovisor";
    snapshot.time = time;
    return image->takeSnapshot(snapshot);
}

}

Result<> changeIdentity(SavedMachine& saved, VmConfig config)
{
    TRY(checkConfig(config));
    for (auto const& network : config.networks) {
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

bool followsMoments(DiskConfig const& disk)
{
    return !disk.readOnly;
}

Result<> forkDisks(VmConfig const& original, timeline::Moment const& moment, VmConfig& forked, std::string const& as,
    std::function<bool(double)> const& progress)
{
    double done = 0;
    for (auto& disk : forked.disks) {
        if (!progress(done++ / static_cast<double>(forked.disks.size())))
            return fail(ErrorCode::Cancelled, "copying the disks was cancelled");
        auto const from = std::find_if(original.disks.begin(), original.disks.end(),
            [&](auto const& candidate) { return candidate.id == disk.id; });
        if (!followsMoments(disk) || from == original.disks.end())
            continue;
        auto const format = TRY_WITHIN(disk.id, forkDisk(*from, moment.id, disk.path));
        TRY_WITHIN(disk.id, keep(disk.path, format, as, moment.time));
        disk.format = format == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
        disk.backing.clear();
    }
    return {};
}

}
