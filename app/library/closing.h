#pragma once

#include "app/runner/machine_runner.h"

#include <QObject>
#include <QTimer>
#include <vector>

namespace app {

/// Ends the machines that it is given, and no other: suspends them, or has their guests shut down, each after it was
/// kept as a moment, where the policy of its timeline wants that. What is under way in one (it starts, is restored or
/// suspended) is waited for, and where that led decides. GUI thread only. When it is destroyed it asks nothing more of
/// any machine.
class Closing final : public QObject {
    Q_OBJECT
public:
    enum class Way { Suspend, ShutDown };

    /// Way::ShutDown: machines that have not after `seconds` are powered off.
    Closing(std::vector<std::shared_ptr<MachineRunner>> const& runners, Way way, int seconds = 0,
        QObject* parent = nullptr);
    ~Closing() override;

    /// finished() never comes; a suspend that this began is given up, and so is a moment.
    void cancel();

signals:
    /// Way::ShutDown: how long the guests still have, each second.
    void secondsLeft(int seconds);
    /// Each has ended, or could not: the first error (those stay as they were).
    void finished(vmm::Result<> outcome);

private:
    struct Step;
    void look();
    void advance(Step& step, bool isOverdue);

    Way m_way;
    int m_ticksLeft;
    std::vector<Step> m_steps;
    vmm::Result<> m_outcome;
    QTimer m_timer;
};

}
