#pragma once

#include "vmm/bus/guest_time.h"

#include <chrono>
#include <cstdint>

/// When something may appear on a port, of the controller or of a hub, from which something has just gone.
namespace vmm::usb {

/// How long a port is seen empty when what was on it is exchanged within no time, by a restore or by us: from when the
/// driver has taken note of it, which clears the change bit. A driver that is late, and finds the port connected, would
/// take the new device for the one that it knows. Less than the 100 ms of a connection's debouncing (USB 2.0, "Connect
/// and Disconnect Signaling") would not do.
constexpr std::chrono::milliseconds leastEmpty { 300 };
/// And where the driver never takes note of it.
constexpr std::chrono::seconds mostEmpty { 10 };

/// Nanoseconds of the guest's.
inline std::uint64_t fromNow(GuestTime& clock, std::chrono::nanoseconds time)
{
    return static_cast<std::uint64_t>((clock.now() + time).count());
}

/// Whether a time of a state has come. What is further away than it was ever set is a state's that somebody has made
/// up: nothing waits for that.
inline bool hasCome(GuestTime& clock, std::uint64_t time, std::chrono::nanoseconds longest)
{
    auto const now = fromNow(clock, {});
    return time <= now || time - now > static_cast<std::uint64_t>(longest.count());
}

}
