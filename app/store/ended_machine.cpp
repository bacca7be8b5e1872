#include "app/store/ended_machine.h"

#include "app/store/scaffold.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/timeline/timeline.h"

#include <algorithm>
#include <unistd.h>

namespace app {

using vmm::timeline::MomentDisk;
using vmm::timeline::Timeline;

vmm::Result<> endMoments(std::string const& directory, vmm::VmConfig const& config,
    std::function<bool(std::string const& moment)> const& isNeeded)
{
    auto const path = directory + "/timeline";
    if (::access(path.c_str(), F_OK) != 0)
        return {};
    auto folder = TRY(vmm::timeline::openFolder(path));
    auto const timeline = TRY(Timeline::open(std::move(folder), Timeline::Access::ReadWrite));
    auto const staysBehind = [&](MomentDisk const& kept) {
        return !isWithin(kept.path, directory) || kept.checkpoint.way == vmm::CheckpointWay::Zfs;
    };
    auto const doesSomething = [&](auto const& all) {
        return std::ranges::any_of(all, [&](auto const& one) { return std::ranges::any_of(one.disks, staysBehind); });
    };
    if (!doesSomething(timeline->moments()) && !doesSomething(timeline->loose()))
        return {};
    TRY(timeline->setGoingTo({}));
    for (auto const& moment : timeline->moments())
        TRY(timeline->purge(moment.id));
    for (auto const& damage : timeline->damages())
        TRY(timeline->purge(damage.moment));
    vmm::DiskTidier::How how;
    how.forget = [&](MomentDisk const& kept, std::vector<std::string> const& backing) {
        return staysBehind(kept) && !isNeeded(kept.checkpoint.id) ? vmm::forgetAside(kept, backing) : vmm::Result<>();
    };
    TRY(vmm::DiskTidier(*timeline, config, std::move(how)).run());
    if (auto const left = timeline->loose(); !left.empty())
        return vmm::fail(vmm::ErrorCode::NotFound, left.front().disks.front().path + " keeps something for nobody now");
    return {};
}

}
