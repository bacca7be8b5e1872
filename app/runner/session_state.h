#pragma once

#include <cstdint>
#include <string_view>

namespace app {

/// Where a machine of the library is: vmm::RunState, and what lies before and after a machine in memory.
enum class SessionState : std::uint8_t {
    Off,
    Suspended, ///< Nothing is in memory; a saved state waits beside the disks, or a moment to which the next start
               ///< goes.
    Starting,  ///< Being put together.
    Restoring, ///< Being put together from its saved state.
    Running,
    Paused,
    Suspending, ///< Its state is being written; CancelJob ends it.
    Crashed,    ///< The guest cannot go on; memory is kept for a look until it is reset or powered off.
};

/// "off", "suspended" …: the word of the control protocol and of `chronoctl --json`.
std::string_view stateName(SessionState state);

/// A machine object exists: it holds memory, its disks are open, and its process owns it.
constexpr bool isInMemory(SessionState state)
{
    return state != SessionState::Off && state != SessionState::Suspended;
}

/// What a person can ask of a machine.
enum class Action : std::uint8_t {
    Start, ///< Off, Crashed: power on. Suspended: restore.
    Pause,
    Resume,
    Reset,
    PressPowerButton,
    PowerOff,
    Suspend,
    DiscardState, ///< Suspended: throw the saved state away; the machine is Off.
    CancelJob,
};

/// Whether `action` is legal in `state`; what buttons and menus ask.
bool isPossible(Action action, SessionState state);

}
