#include "vmm/machine/past_disk.h"

#include "vmm/block/checkpoint.h"

namespace vmm {

bool hasPast(DiskConfig const& disk)
{
    return !disk.readOnly;
}

Result<std::unique_ptr<BlockImage>> openDiskAt(IoEngine& engine, timeline::Moment const& moment, DiskConfig const& disk)
{
    Checkpoint const checkpoint { CheckpointWay::Internal, moment.id, {}, ImageFormat::Qcow2 };
    return CheckpointMethod::create(checkpoint.way)->openReadOnly(engine, disk.path, checkpoint);
}

}
