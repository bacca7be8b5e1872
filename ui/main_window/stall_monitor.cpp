#include "ui/main_window/stall_monitor.h"

#include <algorithm>
#include <cstdio>

namespace ui {

namespace {

/// Milliseconds that this thread has spent ready to run and not running (Documentation/scheduler/sched-stats.rst,
/// /proc/<pid>/schedstat, the second number); 0 where the kernel does not count.
double waitedForProcessor()
{
    unsigned long long ran = 0, waited = 0;
    if (auto* file = std::fopen("/proc/thread-self/schedstat", "re")) {
        if (std::fscanf(file, "%llu %llu", &ran, &waited) != 2)
            waited = 0;
        std::fclose(file);
    }
    return static_cast<double>(waited) / 1e6;
}

}

StallMonitor::StallMonitor(QObject* parent) : QObject(parent), m_waited(waitedForProcessor())
{
    m_timer.start(1, Qt::PreciseTimer, this);
    m_sinceStart.start();
    m_since.start();
}

StallMonitor::~StallMonitor()
{
    std::fprintf(
        stderr, "GUI thread: longest stall %.1f ms, without waits for a processor %.1f ms\n", m_longest, m_longestOwn);
}

void StallMonitor::timerEvent(QTimerEvent*)
{
    auto const gap = static_cast<double>(m_since.nsecsElapsed()) / 1e6 - 1;
    auto const waited = waitedForProcessor();
    auto const own = gap - (waited - m_waited);
    m_since.start();
    m_waited = waited;
    if (gap <= m_longest && own <= m_longestOwn)
        return;
    m_longest = std::max(m_longest, gap);
    m_longestOwn = std::max(m_longestOwn, own);
    if (gap > 10)
        std::fprintf(stderr,
            "GUI thread: stall %.1f ms, without waits for a processor %.1f ms, %.1f s after the start\n", gap, own,
            static_cast<double>(m_sinceStart.elapsed()) / 1e3);
}

}
