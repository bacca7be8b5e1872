#include "ui/main_window/stall_monitor.h"

#include <cstdio>

namespace ui {

StallMonitor::StallMonitor(QObject* parent) : QObject(parent)
{
    m_timer.start(1, Qt::PreciseTimer, this);
    m_since.start();
}

StallMonitor::~StallMonitor()
{
    std::fprintf(stderr, "GUI thread: longest stall %.1f ms\n", m_longest);
}

void StallMonitor::timerEvent(QTimerEvent*)
{
    auto const gap = static_cast<double>(m_since.nsecsElapsed()) / 1e6 - 1;
    m_since.start();
    if (gap <= m_longest)
        return;
    m_longest = gap;
    if (gap > 10)
        std::fprintf(stderr, "GUI thread: stall %.1f ms\n", gap);
}

}
