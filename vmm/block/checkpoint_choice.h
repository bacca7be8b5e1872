#pragma once

#include "vmm/block/checkpoint.h"

namespace vmm {

/// CheckpointMethod::choose() where `make` makes the ways.
using MakeMethod = std::function<std::unique_ptr<CheckpointMethod>(CheckpointWay way)>;
Result<std::unique_ptr<CheckpointMethod>> chooseFrom(
    MakeMethod const& make, CheckpointedDisk& disk, std::vector<CheckpointWay> const& used);

}
