#pragma once

#include "vmm/base/error.h"
#include "vmm/memory/saved_memory.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace vmm {

/// What a machine touches of its memory while that is still coming back: noted, so that it can come first the next
/// time, and watched, so that the rest does not come in the way of a guest that needs something now. Any thread.
class FirstTouches {
public:
    using Piece = SavedMemory::Piece;

    void touched(Piece piece);
    /// What was touched cannot be had: the first such error.
    void failed(Error error);
    std::optional<Error> failure() const;

    /// Until nothing new was touched for a while, a page could not be had, or somebody is in a hurry.
    void waitUntilSettled();
    void hurry();
    /// Until somebody is in a hurry, or a page could not be had.
    void waitForHurry();

    /// What was touched so far, the first first; nothing is noted from then on.
    std::vector<Piece> take();

private:
    using Clock = std::chrono::steady_clock;

    mutable std::mutex m_mutex;
    std::condition_variable m_changed;
    bool m_noting = true, m_hurried = false;
    std::optional<Error> m_failure;
    Clock::time_point m_lastTouch = Clock::now();
    std::vector<Piece> m_pieces;
};

}
