#include "app/runner/moment_schedule.h"

#include <algorithm>
#include <utility>

namespace app {

namespace {

/// A guest that does nothing still ticks, and writes a line into its journal now and then.
constexpr int busyShare = 20;                     // of one processor's time, this part
constexpr std::uint64_t busyBytes = 1u << 20;     // of disk traffic
constexpr std::uint64_t littleTime = 100'000'000; // ns of a processor's time
constexpr std::uint64_t littleBytes = 0;

struct Work {
    std::uint64_t time, bytes;
};

Work workBetween(vmm::MachineStatistics const& before, vmm::MachineStatistics const& now)
{
    auto const since = [](std::uint64_t one, std::uint64_t other) { return other - std::min(one, other); };
    return { since(before.cpuNanoseconds, now.cpuNanoseconds),
        since(before.diskBytesRead, now.diskBytesRead) + since(before.diskBytesWritten, now.diskBytesWritten) };
}

}

MomentSchedule::MomentSchedule(vmm::EventLoop& loop, Calls calls, vmm::Nanoseconds minute)
    : m_loop(loop), m_calls(std::move(calls)), m_minute(minute)
{
}

void MomentSchedule::begin(vmm::timeline::Policy const& policy)
{
    m_policy = policy;
    if (!m_policy.automatic)
        m_timer.reset();
    else if (!m_timer)
        arm();
}

void MomentSchedule::end()
{
    m_timer.reset();
}

MomentSchedule::Mark MomentSchedule::mark()
{
    auto const now = m_calls.measure();
    auto const work = workBetween(m_last, now);
    m_busyMinutes += work.time > static_cast<std::uint64_t>(m_minute.count()) / busyShare || work.bytes > busyBytes;
    m_last = now;
    return { m_busyMinutes, now };
}

void MomentSchedule::kept(Mark const& upTo)
{
    m_kept = upTo;
    m_minutes = 0;
}

bool MomentSchedule::hasAnythingNew() const
{
    auto const work = workBetween(m_kept.figures, m_calls.measure());
    return m_busyMinutes != m_kept.busyMinutes || work.time > littleTime || work.bytes > littleBytes;
}

void MomentSchedule::arm()
{
    m_timer = m_loop.at(vmm::EventLoop::now() + m_minute, [this] { look(); });
}

void MomentSchedule::look()
{
    arm();
    mark();
    ++m_minutes;
    if (m_minutes >= m_policy.everyMinutes && m_busyMinutes != m_kept.busyMinutes)
        m_calls.keep();
}

}
