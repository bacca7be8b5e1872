#include "vmm/machine/past_disk.h"

#include "vmm/machine/moment_disks.h"

namespace vmm {

bool hasPast(DiskConfig const& disk)
{
    return !disk.readOnly;
}

Result<std::unique_ptr<BlockImage>> openDiskAt(IoEngine& engine, timeline::Moment const& moment, DiskConfig const& disk)
{
    auto const checkpoint = TRY(checkpointOf(moment.disks, disk.id));
    return CheckpointMethod::create(checkpoint.way)->openReadOnly(engine, disk.path, checkpoint, disk.backing);
}

}
