#pragma once

#include <chrono>
#include <cstdint>

namespace vmm {

/// ns since 1970 (UTC).
inline std::uint64_t timeOfDay()
{
    std::chrono::nanoseconds const now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(now.count());
}

}
