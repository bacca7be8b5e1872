#include "vmm/machine/machine_clock.h"

#include "vmm/base/time_of_day.h"

#include <algorithm>

namespace vmm {

class MachineClock::ClockTimer final : public Timer {
public:
    ClockTimer(MachineClock& owner, std::mutex& lock, std::function<void()> callback)
        : clock(owner), mutex(lock), due(std::move(callback))
    {
    }
    ~ClockTimer() override { clock.cancel(*this); }
    void arm(Nanoseconds deadline) override { clock.arm(*this, deadline); }
    void cancel() override { clock.cancel(*this); }

    MachineClock& clock;
    std::mutex& mutex;
    std::function<void()> due;
};

MachineClock::~MachineClock() = default;

Nanoseconds MachineClock::nowLocked() const
{
    return m_running ? EventLoop::now() - m_offset : m_stoppedAt;
}

Nanoseconds MachineClock::now() const
{
    std::lock_guard const lock(m_mutex);
    return nowLocked();
}

Nanoseconds MachineClock::timeOfDay() const
{
    return Nanoseconds(vmm::timeOfDay());
}

std::unique_ptr<Timer> MachineClock::makeTimer(std::mutex& mutex, std::function<void()> due)
{
    return std::make_unique<ClockTimer>(*this, mutex, std::move(due));
}

void MachineClock::start()
{
    {
        std::lock_guard const lock(m_mutex);
        if (m_running)
            return;
        m_offset = EventLoop::now() - m_stoppedAt;
        m_running = true;
    }
    schedule();
}

void MachineClock::stop()
{
    std::lock_guard const lock(m_mutex);
    m_stoppedAt = nowLocked();
    m_running = false;
    m_wakeUp.reset();
}

void MachineClock::catchUp()
{
    std::lock_guard const lock(m_mutex);
    if (!m_running)
        m_stoppedAt = EventLoop::now() - m_offset;
}

void MachineClock::set(Nanoseconds now)
{
    std::lock_guard const lock(m_mutex);
    if (!m_running)
        m_stoppedAt = now;
}

void MachineClock::arm(ClockTimer& timer, Nanoseconds deadline)
{
    bool earliest = false;
    {
        std::lock_guard const lock(m_mutex);
        std::erase_if(m_armed, [&](auto const& entry) { return entry.second.timer == &timer; });
        auto const place = m_armed.emplace(deadline, Armed { &timer, m_round });
        earliest = m_running && place == m_armed.begin();
    }
    if (!earliest)
        return;
    if (m_loop.isLoopThread())
        schedule();
    else
        m_loop.post([this] { schedule(); });
}

void MachineClock::cancel(ClockTimer& timer)
{
    std::lock_guard const lock(m_mutex);
    std::erase_if(m_armed, [&](auto const& entry) { return entry.second.timer == &timer; });
}

void MachineClock::schedule()
{
    std::lock_guard const lock(m_mutex);
    constexpr auto latest = Nanoseconds::max() / 2; // a century and a half: room for the host's time
    m_wakeUp.reset();
    if (m_running && !m_armed.empty())
        m_wakeUp = m_loop.at(std::min(m_armed.begin()->first, latest) + m_offset, [this] { serve(); });
}

/// With m_mutex held: the first that has come and was armed before this round.
MachineClock::Timers::iterator MachineClock::nextDue(Nanoseconds present)
{
    auto const end = m_running ? m_armed.upper_bound(present) : m_armed.begin();
    auto const found
        = std::find_if(m_armed.begin(), end, [this](auto const& entry) { return entry.second.round != m_round; });
    return found != end ? found : m_armed.end();
}

/// Timers that are armed meanwhile, though it be in the past, wait for the next round.
void MachineClock::serve()
{
    Nanoseconds present {};
    {
        std::lock_guard const lock(m_mutex);
        present = nowLocked();
        ++m_round;
    }
    for (;;) {
        ClockTimer* timer = nullptr;
        Nanoseconds deadline {};
        {
            std::lock_guard const lock(m_mutex);
            auto const next = nextDue(present);
            if (next == m_armed.end())
                break;
            deadline = next->first;
            timer = next->second.timer;
        }
        // The device's lock comes first, as it does where a device arms or cancels; only then is it sure that nobody
        // cancels between the look and the call.
        std::lock_guard const device(timer->mutex);
        {
            std::lock_guard const lock(m_mutex);
            auto const still = nextDue(present);
            if (still == m_armed.end() || still->second.timer != timer || still->first != deadline)
                continue;
            m_armed.erase(still);
        }
        timer->due();
    }
    schedule();
}

}
