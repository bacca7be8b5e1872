#pragma once

#include "vmm/machine/saved_machine.h"
#include "vmm/timeline/timeline.h"

#include <functional>

/// How one machine becomes two at a moment: what the second one has of its own. Its memory is Timeline::fork()'s. The
/// first machine may run meanwhile, in whatever process, as long as it keeps that moment.
namespace vmm {

/// Makes it the machine that `config` describes: the same devices, with another name, uuid, MACs, and places of files.
/// A guest that goes on from there is told nothing: it finds the new values where it looks the next time (README.md).
Result<> changeIdentity(SavedMachine& saved, VmConfig config);

/// What a disk stands on of checkpoints' files, as those of moments that its machine does not have: each under its own,
/// of which a record may have as many as a machine has disks.
Result<> appendBases(DiskConfig const& disk, std::vector<timeline::LooseDisks>& loose);

/// Makes the disks that follow moments: a new image at each one's path in `forked`, whose format is then set, with what
/// the disk of the same id in `original` held at `moment`, and holding that itself as its moment `as`. At once for
/// overlays, and where the file system shares blocks; else each disk is copied. `progress` hears from 0 to 1, and ends
/// it with false. On an error there may be images, which are the caller's to remove.
Result<timeline::ForkedDisks> forkDisks(VmConfig const& original, timeline::Moment const& moment, VmConfig& forked,
    std::string const& as, std::function<bool(double)> const& progress);

}
