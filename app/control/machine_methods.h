#pragma once

#include "app/control/protocol.h"
#include "app/runner/machine_runner.h"

#include <functional>
#include <memory>
#include <string>

namespace app::control {

/// uuid, name, state, reason, cpus, memoryMiB.
Json machineToJson(MachineRunner const& runner);
/// The serial port that "console" names, the first one without; `id` is what was looked for. Null: there is none.
std::shared_ptr<ConsoleLink> consoleIn(MachineRunner const& machine, Json const& params, std::string& id);

/// The methods "machine.…" of the control socket, and those "console.…" that need no connection of their own; README.md
/// has all of them. `reply` is called once, on any thread. False: there is no such method.
bool callMachineMethod(MachineRunner& machine, std::string const& method, Json const& params,
    std::function<void(vmm::Result<Json>)> const& reply);
bool isMachineMethod(std::string const& method);

}
