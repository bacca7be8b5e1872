#pragma once

#include <QBasicTimer>
#include <QElapsedTimer>
#include <QObject>

namespace ui {

/// Measures how long the GUI thread is ever away from its events: a timer of one millisecond whose late ticks are the
/// stalls. Made when the environment says CHRONOVISOR_STALLS; the longest gap so far goes to standard error whenever it
/// grows, and at the end.
class StallMonitor final : public QObject {
    Q_OBJECT
public:
    explicit StallMonitor(QObject* parent = nullptr);
    ~StallMonitor() override;

    static bool isWanted() { return qEnvironmentVariableIsSet("CHRONOVISOR_STALLS"); }
    double longestMilliseconds() const { return m_longest; }

protected:
    void timerEvent(QTimerEvent* event) override;

private:
    QBasicTimer m_timer;
    QElapsedTimer m_since;
    double m_longest = 0;
};

}
