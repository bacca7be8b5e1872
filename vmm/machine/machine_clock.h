#pragma once

#include "vmm/bus/guest_time.h"

#include <map>

namespace vmm {

/// Guest time over the machine's loop: runs while the machine runs. start(), stop() and set() belong to the machine's
/// thread; timers may be armed from any.
class MachineClock final : public GuestTime {
public:
    explicit MachineClock(EventLoop& loop) : m_loop(loop) { }
    ~MachineClock() override;

    Nanoseconds now() const override;
    Nanoseconds timeOfDay() const override;
    std::unique_ptr<Timer> makeTimer(std::mutex& mutex, std::function<void()> due) override;

    void start();
    void stop();
    /// Only while it stands still: it was not stopped, and is only started again.
    void catchUp();
    /// Only while it stands still.
    void set(Nanoseconds now);

private:
    class ClockTimer;
    struct Armed {
        ClockTimer* timer = nullptr;
        std::uint64_t round = 0; // of serve(), in which it was armed
    };
    using Timers = std::multimap<Nanoseconds, Armed>;

    void arm(ClockTimer& timer, Nanoseconds deadline);
    void cancel(ClockTimer& timer);
    void schedule();
    void serve();
    Timers::iterator nextDue(Nanoseconds present);
    Nanoseconds nowLocked() const;

    EventLoop& m_loop;
    mutable std::mutex m_mutex;
    bool m_running = false;
    Nanoseconds m_stoppedAt { 0 };
    Nanoseconds m_offset { 0 }; // host time at guest time 0, while it runs
    Timers m_armed;
    std::uint64_t m_round = 0;
    EventLoop::Handle m_wakeUp; // loop thread
};

}
