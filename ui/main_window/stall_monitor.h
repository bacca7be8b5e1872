#pragma once

#include <QBasicTimer>
#include <QElapsedTimer>
#include <QObject>

namespace ui {

/// Measures how long the GUI thread is ever away from its events: a timer of one millisecond whose late ticks are the
/// stalls. Made when the environment says CHRONOVISOR_STALLS; the longest gap so far goes to standard error whenever it
/// grows, and at the end, with what remains of it when the time is taken off in which the thread only waited for a
/// processor: on a busy host that is not ours.
class StallMonitor final : public QObject {
    Q_OBJECT
public:
    explicit StallMonitor(QObject* parent = nullptr);
    ~StallMonitor() override;

    static bool isWanted() { return qEnvironmentVariableIsSet("CHRONOVISOR_STALLS"); }
    double longestMilliseconds() const { return m_longest; }
    double longestOwnMilliseconds() const { return m_longestOwn; } ///< without waits for a processor

protected:
    void timerEvent(QTimerEvent* event) override;

private:
    QBasicTimer m_timer;
    QElapsedTimer m_since, m_sinceStart;
    double m_waited = 0; // milliseconds for a processor, ever
    double m_longest = 0, m_longestOwn = 0;
};

}
