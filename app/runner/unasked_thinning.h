#pragma once

#include "vmm/base/event_loop.h"

#include <atomic>

namespace app {

/// When the timeline of a machine in memory is thinned out without being asked: one time after the other. On the
/// runner's loop, and until end(), after which it can begin anew.
class UnaskedThinning {
public:
    /// `stop` is true when it shall not go on. `ended` is called on the loop.
    using Thin = std::function<void(std::shared_ptr<std::atomic<bool> const> stop, std::function<void()> ended)>;
    UnaskedThinning(std::function<vmm::EventLoop&()> loop, vmm::Nanoseconds minute, Thin thin)
        : m_loop(std::move(loop)), m_minute(minute), m_thin(std::move(thin))
    {
    }

    /// In a minute.
    void soon();
    /// Where it is under way, once more after that: there may be more than it knows.
    void now();
    /// The machine ends, and what is under way does not go on.
    void end();

private:
    std::function<vmm::EventLoop&()> const m_loop;
    vmm::Nanoseconds const m_minute;
    Thin const m_thin;
    vmm::EventLoop::Handle m_timer;
    std::shared_ptr<std::atomic<bool>> m_stop; // while it is under way
    bool m_again = false;
};

}
