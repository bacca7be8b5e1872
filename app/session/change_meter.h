#pragma once

#include "app/runner/machine_runner.h"
#include "app/session/gate.h"

#include <QObject>
#include <QTimer>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>

namespace app {

/// How fast a machine changes its memory, while it runs and somebody watches. GUI thread.
class ChangeMeter final : public QObject {
    Q_OBJECT
public:
    explicit ChangeMeter(std::shared_ptr<MachineRunner> runner, QObject* parent = nullptr);
    ~ChangeMeter() override;

    void setWatched(bool watched);
    void takeState(SessionState state);
    void setInterval(std::chrono::milliseconds interval) { m_timer.setInterval(interval); }

    /// Bytes a second, of the last ten seconds; nothing before the second look.
    std::optional<double> rate() const;

signals:
    void changed();

private:
    void follow();
    void look();
    void take(std::optional<double> rate);

    std::shared_ptr<MachineRunner> m_runner;
    std::shared_ptr<Gate<ChangeMeter>> m_gate = std::make_shared<Gate<ChangeMeter>>(this);
    QTimer m_timer;
    std::deque<double> m_rates; // the last one last
    bool m_isWatched = false, m_isRunning = false, m_isLooking = false;
};

}
