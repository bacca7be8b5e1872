#pragma once

#include "vmm/block/checkpoint.h"

#include <map>

namespace vmm {

/// Runs a program found by PATH and returns what it wrote to its output; an error has what it said.
using RunProgram = std::function<Result<std::string>(std::vector<std::string> const& arguments)>;
Result<std::string> runProgram(std::vector<std::string> const& arguments);

/// zfs(8), "DESCRIPTION": what a name is made of; nothing that could be an option.
Result<> checkZfsName(std::string const& name);

/// Snapshots of the volume that is the disk (/dev/zvol/…), or of the file system that it is a file of, by zfs(8). An
/// ordinary user needs rights to it: zfs allow. Going back to an earlier snapshot than the last copies it over the
/// disk, because a rollback would destroy the later ones; a fork is a copy too, except of a volume.
std::unique_ptr<CheckpointMethod> createZfsMethod(RunProgram run);

/// What a snapshot takes in its pool, as ZFS counts it: compressed, and with all else that its file system holds.
struct ZfsSpace {
    std::uint64_t used = 0;       ///< bytes that come back when it alone is destroyed
    std::uint64_t referenced = 0; ///< bytes that can be read in it
    bool operator==(ZfsSpace const&) const = default;
};
/// Of all snapshots of what holds the disk, by their names ("pool/name@snapshot"). Looking needs no rights.
Result<std::map<std::string, ZfsSpace>> zfsSpaces(std::string const& diskPath, RunProgram run);

}
