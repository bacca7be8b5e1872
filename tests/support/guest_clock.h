#pragma once

#include "tests/support/altered_moment.h"
#include "tests/support/guest_machine.h"

#include <algorithm>

namespace tests {

/// The clocks of the guest tests/guests/kvmclock.c, beside the host's.
class GuestClock {
public:
    explicit GuestClock(GuestMachine& guest) : m_guest(guest) { }

    /// The guest reads its clocks from here on.
    bool isReady() { return m_guest.waitForWholeLine("NOTE ready", std::chrono::seconds(20)); }

    /// What the guest takes for the time of day is so far ahead of the host's, which is read before and after.
    bool isAheadBy(std::chrono::nanoseconds wanted)
    {
        using namespace std::chrono_literals;
        constexpr auto little = 1s; // on a host that tells its two clocks one after the other
        countLeaps();
        auto const before = timeOfDay();
        m_guest.type("serial0", "t");
        if (!m_guest.waitForWholeLine("NOTE time ", 20s))
            return false;
        auto const told = m_guest.lines().filter("NOTE time ").last().section(' ', -1).toLongLong();
        auto const then = std::chrono::nanoseconds(told) - wanted;
        return then > before - little && then < timeOfDay() + little;
    }
    /// How often its clock has gone on by half an hour or more between two looks.
    unsigned leaps()
    {
        countLeaps();
        return m_leaps;
    }
    /// No clock has gone back. Ends the guest.
    bool neverWentBack()
    {
        m_guest.type("serial0", "q");
        return m_guest.waitForWholeLine("DONE 1 0 0", std::chrono::seconds(20));
    }

    /// In a machine's state: as if it had been saved so much earlier.
    static void setBack(vmm::Json& state, std::chrono::nanoseconds howMuch)
    {
        auto& then = partOf(state, "kvm-clock")["state"]["realTime"]["u64"];
        then = std::to_string(std::stoll(then.get<std::string>()) - howMuch.count());
    }

private:
    static std::chrono::nanoseconds timeOfDay() { return std::chrono::system_clock::now().time_since_epoch(); }

    void countLeaps()
    {
        constexpr int halfAnHour = 1800; // s
        for (auto const& line : m_guest.lines().filter("NOTE jump "))
            m_leaps += line.section(' ', -1).toInt() >= halfAnHour ? 1 : 0;
        m_guest.clearLines();
    }

    GuestMachine& m_guest;
    unsigned m_leaps = 0;
};

}
