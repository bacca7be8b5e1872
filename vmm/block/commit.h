#pragma once

#include "vmm/block/checkpoint.h"

namespace vmm {

/// A disk that is open nowhere, and what its configuration says of it.
struct ClosedDisk {
    std::string path;
    ImageOptions options;                        ///< its format as it lies there
    ImageFormat configured = ImageFormat::Qcow2; ///< see formatInPlace()
};

/// What a disk's own file has, and the `between` ones below it, is written to the file below those, `base`; durable
/// after. The disk reads the same at each instant, for what changes below is what it has above.
Result<> writeToBase(BlockImage& disk, BlockImage& base, CopyProgress const& progress = {}, std::size_t between = 0);

/// Puts what a disk's own file holds into the file directly below it. A file of the disk's checkpoints then takes the
/// disk's place, so that the chain is shorter by one; any other keeps its name, and the disk's own file is empty after.
/// Busy, by name, where another image of the folder or a fork needs that file as it is; of moments and other machines
/// the caller knows. Cut off at any instant, the disk reads as before: what is below changes only where its own file
/// has everything, which goes when all of that is durable. With `between`, what so many files below it hold goes along,
/// to the one below those, and they are of no use then.
Result<> commitDisk(
    IoEngine& engine, ClosedDisk const& disk, CopyProgress const& progress = {}, std::size_t between = 0);

}
