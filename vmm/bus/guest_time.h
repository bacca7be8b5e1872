#pragma once

#include "vmm/base/event_loop.h"

#include <functional>
#include <memory>
#include <mutex>

namespace vmm {

/// A deadline in guest time. Its calls are made with the lock held that was given at its making.
class Timer {
public:
    virtual ~Timer() = default;
    /// Replaces an earlier deadline. One that has passed comes up at once.
    virtual void arm(Nanoseconds deadline) = 0;
    virtual void cancel() = 0;
};

/// The machine's clock: monotonic, from 0 at its power-on, and standing still while the machine is paused or saved. The
/// instant of a moment is no pause: it goes on behind that.
class GuestTime {
public:
    virtual ~GuestTime() = default;
    virtual Nanoseconds now() const = 0;

    /// The time of day (UTC, since 1970) as the machine's RTC should show it.
    virtual Nanoseconds timeOfDay() const = 0;

    /// `due` runs on the machine's thread with `mutex` held, never after cancel() returned to a caller that holds it.
    virtual std::unique_ptr<Timer> makeTimer(std::mutex& mutex, std::function<void()> due) = 0;
};

}
