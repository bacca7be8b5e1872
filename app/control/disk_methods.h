#pragma once

#include "app/control/protocol.h"
#include "app/runner/machine_runner.h"

#include <functional>

namespace app::control {

/// The methods "disk.…" of the control socket, as callMomentMethod() has those of moments.
///
/// method | parameters | result
/// ------ | ---------- | ------
/// list   | | disks: each id, and path, format, bytes, allocatedBytes, below; or error
///        | | below: the files that it stands on, the nearest first, each path, format, bytes, allocatedBytes
/// stream | disk; onto: the file below it that it goes on standing on, without which it stands on none | nothing
/// commit | disk; files: how many times down the chain, without which once; force: other images that cannot be read do
///        | not matter | nothing
/// cancel | disk: whose stream or commit ends, and nothing else | nothing
///
/// stream and commit take long: machine.progress tells of them; machine.cancel ends them, and all else that the machine
/// is at. commit is for a machine that is off.
bool callDiskMethod(MachineRunner& machine, std::string const& method, Json const& params,
    std::function<void(vmm::Result<Json>)> const& reply);

}
