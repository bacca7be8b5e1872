#include "vmm/machine/machine.h"
#include "vmm/machine/pc_board_disk.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <mutex>

/// The disks' part in moments: internal snapshots of qcow2 images.
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

Result<bool> has(BlockImage& image, std::string const& moment)
{
    auto const snapshots = TRY(image.snapshots());
    return std::any_of(snapshots.begin(), snapshots.end(), [&](auto const& one) { return one.id == moment; });
}

Result<> forget(BlockImage& image, std::string const& moment)
{
    return TRY(has(image, moment)) ? image.deleteSnapshot(moment) : Result<>();
}

}

std::vector<PcBoard::Disk*> PcBoard::followingDisks() const
{
    std::vector<Disk*> disks;
    for (auto const& disk : m_disks) {
        if (!disk->drive && disk->image && !disk->image->readOnly())
            disks.push_back(disk.get());
    }
    return disks;
}

Result<> PcBoard::onEachDisk(std::function<Result<>(Disk&)> const& what) const
{
    for (auto* disk : followingDisks()) {
        Result<> outcome;
        disk->thread->loop().call([&] { outcome = what(*disk); });
        if (!outcome)
            return fail(Error(outcome.error()).within(disk->id));
    }
    return {};
}

Result<> PcBoard::checkDisksFollow() const
{
    return onEachDisk([](Disk& disk) -> Result<> {
        if (disk.image->info().format == ImageFormat::Qcow2)
            return {};
        return fail(ErrorCode::Unsupported,
            "a raw image cannot keep what it held; convert it: qemu-img convert -O qcow2, and choose the new file");
    });
}

Result<> PcBoard::prepareDisks()
{
    return onEachDisk([](Disk& disk) { return disk.image->prepareSnapshot(); });
}

void PcBoard::keepDisks(std::string const& moment, std::uint64_t guestTime, DisksKept done)
{
    auto const disks = followingDisks();
    if (disks.empty())
        return done({});
    timespec now {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    DiskSnapshot snapshot;
    snapshot.id = moment;
    snapshot.name = "Chronovisor";
    snapshot.time = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
    snapshot.guestTime = guestTime;
    auto const together = std::make_shared<Together>();
    together->left = disks.size();
    together->done = [this, moment, done = std::move(done)](Result<> const& outcome) {
        if (!outcome) // on a disk's thread, which must not wait for the others
            m_loop.post([this, moment] { ignore(forgetDisks(moment)); });
        done(outcome);
    };
    for (auto* disk : disks) {
        disk->image->hold();
        disk->thread->loop().post([disk, snapshot, together] {
            auto const taken = disk->image->takeSnapshot(snapshot);
            disk->image->letGo();
            together->ended(disk->id, taken);
        });
    }
}

Result<> PcBoard::checkDisksHave(std::string const& moment) const
{
    return onEachDisk([&](Disk& disk) -> Result<> {
        if (TRY(has(*disk.image, moment)))
            return {};
        return fail(ErrorCode::NotFound, "the image does not have what it held at that moment");
    });
}

Result<> PcBoard::takeDisksTo(std::string const& moment)
{
    return onEachDisk([&](Disk& disk) { return disk.image->applySnapshot(moment); });
}

Result<> PcBoard::forgetDisks(std::string const& moment)
{
    return onEachDisk([&](Disk& disk) { return forget(*disk.image, moment); });
}

Result<> Machine::forgetMoment(VmConfig const& config, std::string const& moment)
{
    auto const thread = TRY(LoopThread::start("forget"));
    Result<> outcome;
    thread->loop().call([&] {
        outcome = [&]() -> Result<> {
            auto const engine = TRY(IoEngine::create(thread->loop()));
            for (auto const& disk : config.disks) {
                if (disk.readOnly || disk.format != DiskFormat::Qcow2)
                    continue;
                auto const image
                    = TRY_WITHIN(disk.id, BlockImage::open(*engine, disk.path, { .format = ImageFormat::Qcow2 }));
                TRY_WITHIN(disk.id, forget(*image, moment));
            }
            return {};
        }();
    });
    return outcome;
}

}
