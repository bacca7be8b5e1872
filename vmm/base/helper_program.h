#pragma once

#include "vmm/base/result.h"

#include <spawn.h>
#include <string>
#include <sys/types.h>
#include <vector>

/// Programs of ours that run beside the one that a person has started.
namespace vmm {

/// Where the program of that name is: beside this one, or where it is installed. NotFound.
Result<std::string> findHelper(std::string const& name);

/// Whether ^C and a closed terminal reach the program too.
enum class OwnSession : std::uint8_t { No, Yes };
/// Starts a program, with nothing of ours but what `actions` gives it. Who has its id waits for it once.
Result<pid_t> spawnProgram(std::string const& program, std::vector<std::string> arguments,
    posix_spawn_file_actions_t* actions, OwnSession session = OwnSession::No);

/// Returns when it has ended, with its exit status; -1: it was killed.
int waitForProgram(pid_t process);

}
