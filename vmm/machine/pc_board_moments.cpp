#include "vmm/devices/ahci_controller.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/pc_board_disk.h"
#include "vmm/usb/usb_disk.h"

#include <algorithm>
#include <memory>
#include <mutex>

/// The disks' part in moments.
namespace vmm {

namespace {

/// What several disks do at once: the last to end tells the outcome.
struct Together {
    std::mutex mutex;
    std::size_t left;
    Result<> outcome;
    std::function<void(Result<>)> done;

    void ended(std::string const& disk, Result<> const& one)
    {
        std::unique_lock lock(mutex);
        if (!one && outcome)
            outcome = fail(Error(one.error()).within(disk));
        if (--left > 0)
            return;
        lock.unlock();
        done(outcome);
    }
};

}

std::vector<PcBoard::Disk*> PcBoard::followingDisks() const
{
    std::vector<Disk*> disks;
    for (auto const& disk : m_disks) {
        if (!disk->drive && disk->file->image && !disk->file->image->readOnly())
            disks.push_back(disk.get());
    }
    return disks;
}

Result<> PcBoard::onDisk(Disk& disk, std::function<Result<>()> const& what) const
{
    Result<> outcome;
    disk.thread->loop().call([&] {
        auto const* const before = disk.file->image.get();
        outcome = what();
        imageChanged(disk, before);
    });
    return outcome ? Result<>() : fail(Error(outcome.error()).within(disk.id));
}

void PcBoard::imageChanged(Disk& disk, BlockImage const* before) const
{
    auto* const image = disk.file->image.get();
    if (image == before || image == nullptr)
        return;
    if (disk.device)
        disk.device->setImage(*image);
    else if (disk.stick)
        disk.stick->setImage(*image);
    else
        disk.controller->replaceImage(disk.port, *before, *image);
}

void PcBoard::workWhenIdle(Disk& disk) const
{
    constexpr Nanoseconds pause = std::chrono::milliseconds(20);
    disk.idleWork = disk.thread->loop().at(EventLoop::now() + pause, [this, &disk] {
        if (disk.file->image && disk.file->image->workWhenIdle())
            workWhenIdle(disk);
    });
}

Result<std::vector<timeline::MomentDisk>> PcBoard::planDisks(
    std::string const& moment, timeline::Timeline const& timeline, CopyProgress const& progress)
{
    InlineEngine engine;
    std::vector<timeline::MomentDisk> planned;
    for (auto* disk : followingDisks()) {
        auto& file = *disk->file;
        auto const plan = [&]() -> Result<> {
            if (!disk->method)
                disk->method = TRY(chooseMethod(file, timeline));
            planned.push_back({ disk->id, file.path, TRY(disk->method->plan(file, moment)) });
            return {};
        };
        auto outcome = onDisk(*disk, plan);
        if (!outcome && outcome.error().code == ErrorCode::Busy) { // the guest has the disk meanwhile
            OverlayFiles files(engine, file.path, file.options.backing, progress);
            TRY_WITHIN(disk->id, files.shorten(OverlayFiles::mostBelow));
            TRY(onDisk(*disk, [&] { return vmm::openBelowAgain(file); }));
            outcome = onDisk(*disk, plan);
        }
        TRY(outcome);
    }
    return planned;
}

void PcBoard::keepDisks(std::vector<timeline::MomentDisk> const& kept, std::uint64_t guestTime, DisksKept done)
{
    if (kept.empty())
        return done({});
    auto const together = std::make_shared<Together>();
    together->left = kept.size();
    together->done = std::move(done);
    for (auto const& one : kept) {
        auto& disk = **std::ranges::find_if(m_disks, [&](auto const& its) { return its->id == one.device; });
        disk.file->image->hold();
        disk.thread->loop().post(
            [this, &disk, checkpoint = one.checkpoint, what = snapshotNow(one.checkpoint.id, guestTime), together] {
                auto const* const before = disk.file->image.get();
                auto const taken = disk.method->take(*disk.file, checkpoint, what);
                imageChanged(disk, before);
                disk.file->image->letGo();
                together->ended(disk.id, taken);
            });
    }
}

Result<> PcBoard::onDisksOf(std::vector<timeline::MomentDisk> const& kept,
    std::function<Result<>(CheckpointedDisk&, Checkpoint const&)> const& what) const
{
    for (auto* disk : followingDisks()) {
        auto const its = [&]() -> Result<> { return what(*disk->file, TRY(checkpointOf(kept, disk->id))); };
        TRY(onDisk(*disk, its));
    }
    return {};
}

Result<> PcBoard::besideDisksOf(std::vector<timeline::MomentDisk> const& kept,
    std::function<Result<>(CheckpointedDisk&, Checkpoint const&)> const& what) const
{
    for (auto* disk : followingDisks()) {
        auto const checkpoint = TRY_WITHIN(disk->id, checkpointOf(kept, disk->id));
        TRY_WITHIN(disk->id, what(*disk->file, checkpoint));
    }
    return {};
}

Result<> PcBoard::prepareDisks(std::vector<timeline::MomentDisk> const& planned)
{
    TRY(besideDisksOf(planned, [](CheckpointedDisk& disk, Checkpoint const& checkpoint) {
        return CheckpointMethod::create(checkpoint.way)->prepareFiles(disk, checkpoint);
    }));
    return onDisksOf(planned, [](CheckpointedDisk& disk, Checkpoint const& checkpoint) {
        return CheckpointMethod::create(checkpoint.way)->prepare(disk, checkpoint);
    });
}

Result<> PcBoard::sealDisks(std::vector<timeline::MomentDisk> const& kept)
{
    return besideDisksOf(kept, [](CheckpointedDisk& disk, Checkpoint const& checkpoint) {
        return CheckpointMethod::create(checkpoint.way)->seal(disk, checkpoint);
    });
}

Result<> PcBoard::checkDisksHave(std::vector<timeline::MomentDisk> const& kept) const
{
    return onDisksOf(kept, &checkHas);
}

Result<> PcBoard::takeDisksTo(std::vector<timeline::MomentDisk> const& kept)
{
    TRY(onDisksOf(kept, [](CheckpointedDisk& disk, Checkpoint const& checkpoint) {
        return CheckpointMethod::create(checkpoint.way)->goBack(disk, checkpoint);
    }));
    for (auto* disk : followingDisks())
        disk->thread->loop().call([&] { workWhenIdle(*disk); });
    return {};
}

PcBoard::Disk* PcBoard::diskAt(std::string const& path) const
{
    for (auto* disk : followingDisks()) {
        if (disk->file->path == path)
            return disk;
    }
    return nullptr;
}

std::optional<Result<>> PcBoard::forgetDisk(timeline::MomentDisk const& kept)
{
    auto* const disk = kept.checkpoint.way == CheckpointWay::Internal ? diskAt(kept.path) : nullptr;
    if (disk == nullptr)
        return std::nullopt; // files, which its thread need not wait for
    return onDisk(*disk, [&]() -> Result<> {
        TRY(CheckpointMethod::create(kept.checkpoint.way)->remove(*disk->file, kept.checkpoint));
        workWhenIdle(*disk);
        return {};
    });
}

Result<> PcBoard::openBelowAgain(std::string const& path)
{
    auto* const disk = diskAt(path);
    return disk ? onDisk(*disk, [&] { return vmm::openBelowAgain(*disk->file); }) : Result<>();
}

}
