#pragma once

#include "app/runner/machine_factory.h"
#include "app/store/machine_store.h"

#include <string>
#include <vector>

/// `chronoctl`: the command line. Its parts take what surrounds them as arguments, so that a test can run every verb
/// with fake machines, directories of its own and pipes.
namespace app::ctl {

struct Surroundings {
    MachineStore store { MachineStore::defaultRoot() };
    std::string runtimeDirectory;
    MachineFactory factory;
    int in = 0, out = 1, err = 2;
    std::string program = "/proc/self/exe"; ///< what is run for a machine in the background
    /// What knows which system is on a medium; without it media are still told apart.
    std::string systemsModule;
};

enum ExitCode : int {
    Done = 0, ///< `run`: the guest powered off
    Failed = 1,
    WrongUsage = 2,
    GuestCrashed = 3,     ///< `run`
    MachineSuspended = 4, ///< `run`: ended by a suspend
    MachineStopped = 5,   ///< `run`: powered off from outside, not by the guest
};

int runChronoctl(std::vector<std::string> const& arguments, Surroundings& surroundings);

}
