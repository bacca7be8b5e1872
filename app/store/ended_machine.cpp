#include "app/store/ended_machine.h"

#include "app/store/scaffold.h"
#include "vmm/base/log.h"
#include "vmm/machine/disk_chains.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/timeline/timeline.h"

#include <algorithm>
#include <unistd.h>

namespace app {

namespace {

using vmm::timeline::MomentDisk;
using vmm::timeline::Timeline;

void tell(vmm::VmConfig const& removed, std::string const& problem)
{
    vmm::log(vmm::LogLevel::Warning, "store", "the moments of the removed machine {}: {}", removed.uuid, problem);
}

/// The moments of a machine that ends, and what its disks keep for them.
class EndingMoments {
public:
    EndingMoments(Timeline& timeline, std::string const& directory, vmm::VmConfig const& config,
        OtherNeeds const& others, std::function<bool(double)> const& progress)
        : m_timeline(timeline), m_directory(directory), m_config(config), m_others(others), m_progress(progress)
    {
    }

    bool doSomething() const
    {
        auto const does = [&](auto const& all) {
            return std::ranges::any_of(all, [&](auto const& one) {
                return std::ranges::any_of(one.disks, [&](auto const& kept) { return staysBehind(kept); });
            });
        };
        return does(m_timeline.moments()) || does(m_timeline.loose());
    }

    vmm::Result<bool> end() const
    {
        TRY(m_timeline.setGoingTo({}));
        for (auto const& moment : m_timeline.moments())
            TRY(m_timeline.purge(moment.id));
        for (auto const& damage : m_timeline.damages())
            TRY(m_timeline.purge(damage.moment));
        tidy();
        vmm::Result<bool> outcome(true);
        auto const count = static_cast<double>(m_config.disks.size());
        double number = 0;
        for (auto const& disk : m_config.disks) {
            auto merged = merge(disk, [&](double part) { return m_progress((number + part) / count); });
            ++number;
            if (outcome && (!merged || !*merged))
                outcome = std::move(merged);
        }
        tidy();
        if (outcome && !m_progress(1))
            outcome = vmm::fail(vmm::ErrorCode::Cancelled, "emptying the trash was cancelled");
        auto const left = m_timeline.loose();
        if (!outcome || !*outcome) // memory is of no use for that
            vmm::ignore(m_timeline.sweep([&](std::uint64_t, std::uint64_t) { return m_progress(0); }));
        else if (!left.empty())
            tell(m_config, left.front().disks.front().path + " keeps something for nobody now");
        return outcome;
    }

private:
    bool staysBehind(MomentDisk const& kept) const
    {
        return !isWithin(kept.path, m_directory) || kept.checkpoint.way == vmm::CheckpointWay::Zfs;
    }

    void tidy() const
    {
        vmm::DiskTidier::How how;
        how.isOthers
            = [&](MomentDisk const& kept) { return !staysBehind(kept) || m_others.hasMoment(kept.checkpoint.id); };
        how.goOn = [&] { return m_progress(0); };
        if (auto const tidied = vmm::DiskTidier(m_timeline, m_config, std::move(how)).run(); !tidied)
            tell(m_config, tidied.error().message());
    }

    vmm::Result<bool> merge(vmm::DiskConfig const& disk, std::function<bool(double)> const& progress) const
    {
        if (disk.readOnly || isWithin(disk.path, m_directory) || !vmm::existsFile(disk.path))
            return true;
        std::vector<std::string> checkpoints;
        for (auto const& loose : m_timeline.loose()) {
            for (auto const& kept : loose.disks) {
                bool const isFile = kept.checkpoint.way == vmm::CheckpointWay::Overlay
                    || kept.checkpoint.way == vmm::CheckpointWay::Reflink;
                if (isFile && kept.path == disk.path)
                    checkpoints.push_back(vmm::folderOf(disk.path) + kept.checkpoint.place);
            }
        }
        if (checkpoints.empty())
            return true;
        if (m_others.hasDisk(disk.path))
            return false;
        auto const merged = vmm::mergeCheckpoints(disk, checkpoints, progress);
        if (merged)
            return true;
        using enum vmm::ErrorCode;
        if (auto const code = merged.error().code; code != NotFound && code != Corrupt)
            return vmm::fail(vmm::Error(merged.error()).within(disk.path));
        tell(m_config, merged.error().message());
        return true;
    }

    Timeline& m_timeline;
    std::string const& m_directory;
    vmm::VmConfig const& m_config;
    OtherNeeds const& m_others;
    std::function<bool(double)> const& m_progress;
};

}

vmm::Result<bool> endMoments(std::string const& directory, vmm::VmConfig const& config, OtherNeeds const& others,
    std::function<bool(double)> const& progress)
{
    auto const path = directory + "/timeline";
    if (::access(path.c_str(), F_OK) != 0)
        return true;
    auto const opened = [&]() -> vmm::Result<std::unique_ptr<Timeline>> {
        return Timeline::open(TRY(vmm::timeline::openFolder(path)), Timeline::Access::ReadWrite);
    }();
    if (!opened) {
        tell(config, opened.error().message());
        return true;
    }
    EndingMoments const moments(**opened, directory, config, others, progress);
    return moments.doSomething() ? moments.end() : vmm::Result<bool>(true);
}

}
