#pragma once

#include "tests/support/altered_moment.h"
#include "tests/support/guest_machine.h"

#include <algorithm>
#include <optional>

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
        auto const before = timeOfDay();
        auto const told = ask();
        return told && *told - wanted > before - little && *told - wanted < timeOfDay() + little;
    }
    /// How far it is ahead of the host's steady clock, as well as that can be told from out here.
    struct Lead {
        std::chrono::nanoseconds least, most;
    };
    std::optional<Lead> lead()
    {
        std::optional<Lead> best;
        for (int i = 0; i < 10; ++i) {
            auto const before = std::chrono::steady_clock::now().time_since_epoch();
            auto const told = ask();
            if (!told)
                return {};
            Lead const one { *told - std::chrono::steady_clock::now().time_since_epoch(), *told - before };
            if (!best || one.most - one.least < best->most - best->least)
                best = one;
        }
        return best;
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

    /// Since 1970.
    std::optional<std::chrono::nanoseconds> ask()
    {
        countLeaps();
        m_guest.type("serial0", "t");
        if (!m_guest.waitForWholeLine("NOTE time ", std::chrono::seconds(20)))
            return {};
        return std::chrono::nanoseconds(m_guest.lines().filter("NOTE time ").last().section(' ', -1).toLongLong());
    }

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
