#include "vmm/machine/past_disk.h"

#include "vmm/machine/moment_disks.h"

#include <algorithm>

namespace vmm {

bool followsMoments(DiskConfig const& disk)
{
    return !disk.readOnly;
}

std::vector<std::string> backingOf(VmConfig const& config, std::string const& path)
{
    auto const known = std::ranges::find(config.disks, path, &DiskConfig::path);
    return known == config.disks.end() ? std::vector<std::string>() : known->backing;
}

Result<std::unique_ptr<BlockImage>> openDiskAt(IoEngine& engine, timeline::Moment const& moment, DiskConfig const& disk)
{
    auto const checkpoint = TRY(checkpointOf(moment.disks, disk.id));
    return CheckpointMethod::create(checkpoint.way)->openReadOnly(engine, disk.path, checkpoint, disk.backing);
}

}
