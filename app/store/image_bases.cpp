#include "app/store/image_bases.h"

#include "app/store/scaffold.h"
#include "vmm/machine/forked_machine.h"
#include "vmm/machine/moment_disks.h"

#include <algorithm>
#include <unistd.h>

namespace app {

using vmm::timeline::Timeline;

namespace {

vmm::Result<std::unique_ptr<Timeline>> openForWriting(std::string const& folder)
{
    return Timeline::open(TRY(vmm::timeline::openFolder(folder)), Timeline::Access::ReadWrite);
}

}

vmm::Result<> noteBases(std::string const& timelineFolder, std::vector<vmm::DiskConfig> const& disks)
{
    std::vector<vmm::timeline::LooseDisks> bases;
    for (auto const& disk : disks)
        TRY_WITHIN(disk.id, vmm::appendBases(disk, bases));
    if (bases.empty())
        return {};
    auto const timeline = TRY(openForWriting(timelineFolder));
    auto const moments = timeline->moments();
    auto const damages = timeline->damages();
    for (auto& its : bases) {
        auto const isIts = [&](std::string const& moment) { return moment == its.moment; };
        if (std::ranges::any_of(moments, isIts, &vmm::timeline::Moment::id)
            || std::ranges::any_of(damages, isIts, &vmm::timeline::Damage::moment))
            continue;
        for (auto const& known : timeline->loose()) {
            if (!isIts(known.moment))
                continue;
            for (auto const& disk : known.disks) {
                if (std::ranges::find(its.disks, disk) == its.disks.end())
                    its.disks.push_back(disk);
            }
        }
        TRY(timeline->setLoose(its));
    }
    return {};
}

vmm::Result<> removeUnneededBases(std::string const& timelineFolder, vmm::VmConfig const& config)
{
    if (::access(timelineFolder.c_str(), F_OK) != 0)
        return {};
    auto const timeline = TRY(openForWriting(timelineFolder));
    return vmm::DiskTidier(*timeline, config, {}).run();
}

}
