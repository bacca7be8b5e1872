#include "app/runner/session_state.h"

#include <array>

namespace app {

std::string_view stateName(SessionState state)
{
    static constexpr std::array<std::string_view, 8> names { "off", "suspended", "starting", "restoring", "running",
        "paused", "suspending", "crashed" };
    return names[static_cast<std::size_t>(state)];
}

bool isPossible(Action action, SessionState state)
{
    using enum SessionState;
    switch (action) {
    case Action::Start: return state == Off || state == Suspended || state == Crashed;
    case Action::Pause: return state == Running;
    case Action::Resume: return state == Paused;
    case Action::Reset: return state == Running || state == Paused || state == Crashed;
    case Action::PressPowerButton: return state == Running;
    case Action::PowerOff: return state == Running || state == Paused || state == Crashed;
    case Action::Suspend: return state == Running || state == Paused;
    case Action::DiscardState: return state == Suspended;
    case Action::CancelJob: return state == Suspending;
    }
    return false;
}

}
