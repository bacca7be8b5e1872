#pragma once

#include "tests/support/call_faults.h"
#include "tests/support/travelling_machine.h"

#include <unistd.h>

namespace tests {

/// What is tried while calls go wrong.
struct Tried {
    char const* name;
    vmm::Result<> (Work::*operation)();
};

/// What happened in the process where a call went wrong.
inline FaultStory strike(Place const& place, Tried const& tried, CallFault const& fault)
{
    return tellWithFaults([&]() -> QString {
        Work work(place.root);
        if (!CallFaults::begin())
            ::_exit(3);
        work.isBroken = fault.way == CallFault::Way::FromThenOn && fault.calls == CallFault::Calls::Changing;
        CallFaults::plan(fault);
        auto const outcome = (work.*tried.operation)();
        CallFaults::end();
        if (!outcome) {
            auto const said = QString::fromStdString(outcome.error().message());
            if (!CallFaults::hasStruck() || fault.way == CallFault::Way::Short)
                return said;
            // For the code there is a sentence that tells a person what to do.
            auto const code = fault.error == ENOSPC ? vmm::ErrorCode::NoSpace : vmm::ErrorCode::IoError;
            if (outcome.error().code != code || outcome.error().detail.empty())
                return "it is called something else: " + said;
        }
        if (auto const found = work.problem(outcome.has_value()); !found.isEmpty())
            return found;
        if (outcome)
            return {};
        // It goes on, and does it then.
        if (auto const again = (work.*tried.operation)(); !again)
            return QString::fromStdString("again: " + again.error().message());
        auto const found = work.problem(true);
        return found.isEmpty() ? QString() : "again: " + found;
    });
}

/// What is wrong as the next process finds it, and in the end each of the machine's moments; empty: nothing.
inline QString problemLater(StillMachine const& machine)
{
    auto const timeline = machine.open();
    machine.comeToRest(timeline);
    if (auto const found = machine.problem(timeline, {}); !found.isEmpty())
        return found;
    if (auto const found = machine.leftover(*timeline); !found.isEmpty())
        return found;
    return machine.problemOfGoing(timeline);
}

/// Tries it anew for each call that it makes, which fails once, and from then on, and if it writes or reads does half
/// of it. What was wrong first; empty: nothing. The place is as it was before then.
inline QString tryWithFaults(Place const& place, Tried const& tried, CallFault::Calls calls)
{
    using enum CallFault::Way;
    auto const before = place.root + "-before";
    putBack(place.root, before);
    unsigned at = 0;
    for (bool goesOn = true; goesOn; ++at) {
        std::vector ways { Once, FromThenOn };
        if (calls == CallFault::Calls::Reading)
            ways.push_back(Short);
        for (std::size_t i = 0; i < ways.size() && goesOn; ++i) {
            bool const isFull = calls == CallFault::Calls::Changing && (at + i) % 2 == 0;
            auto const told = strike(place, tried, { at, ways[i], isFull ? ENOSPC : EIO, calls });
            goesOn = told.hasStruck;
            if (told.wasWrite && ways.size() == 2)
                ways.insert(ways.end(), { Torn, Short });
            auto const where = QStringLiteral("call %1, way %2: ").arg(at).arg(int(ways[i]));
            if (!told.wrong.isEmpty())
                return where + told.wrong;
            if (auto const found = problemLater(place.machine); !found.isEmpty())
                return where + "later: " + found;
            putBack(before, place.root);
        }
    }
    return at > 8 ? QString() : QStringLiteral("it makes %1 calls").arg(at);
}

}
