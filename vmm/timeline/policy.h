#pragma once

#include "vmm/base/result.h"
#include "vmm/state/options.h"

#include <cstdint>
#include <vector>

namespace vmm::timeline {

constexpr std::uint32_t longestTier = 100 * 366 * 24; // hours

/// Which of the moments that a machine has kept by itself stay for a time: the first one of each so many minutes.
struct Tier {
    std::uint32_t everyMinutes = 0; ///< 0: all of them
    std::uint32_t forHours = 1;     ///< as long as they are not older
    bool operator==(Tier const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("everyMinutes", s.everyMinutes, state::Range { 0, std::uint64_t(366) * 24 * 60 });
        v.field("forHours", s.forHours, state::Range { 1, longestTier });
    }
};

/// When a machine keeps moments by itself, how long those stay, and what all of its moments may take. What a person has
/// kept, named, noted or pinned stays until a person deletes it.
struct Policy {
    bool automatic = true;           ///< every so many minutes, where the guest was busy
    std::uint16_t everyMinutes = 10; ///< of running, between two of those
    bool beforeChange = true;        ///< before its settings are changed, or its suspended state is thrown away
    bool onClose = true;             ///< before the program ends that has the machine in memory
    /// A moment stays while one of them keeps it: all of the last hour, hourly for a day, daily for a month.
    std::vector<Tier> tiers { { 0, 1 }, { 60, 24 }, { 24 * 60, 30 * 24 } };
    std::uint64_t budget = std::uint64_t(20) << 30; ///< bytes on the disk; 0: any amount
    bool operator==(Policy const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("automatic", s.automatic);
        v.field("everyMinutes", s.everyMinutes, state::Range { 1, std::uint64_t(7) * 24 * 60 });
        v.field("beforeChange", s.beforeChange);
        v.field("onClose", s.onClose);
        v.field("tiers", s.tiers, state::Max { 16 });
        v.field("budget", s.budget);
    }
};

/// InvalidArgument where a file could not hold it: what is out of its bounds, by name.
Result<> checkPolicy(Policy const& policy);

}
