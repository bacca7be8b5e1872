#include "app/library/closing.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace app {

namespace {

constexpr int ticksPerSecond = 10;

/// One thing asked of a machine. Answered on the runner's thread, looked at on ours.
struct Order {
    std::mutex mutex;
    std::optional<vmm::Result<>> answer;
};

}

/// One machine.
struct Closing::Step {
    std::shared_ptr<MachineRunner> runner;
    std::shared_ptr<Order> order = {};   // the last one given
    bool isSuspend = false;              // …is that
    std::shared_ptr<Order> keeping = {}; // that of a moment, once it was given
    bool isResumed = false, isButtonPressed = false;
    bool isOver = false;

    std::optional<vmm::Result<>> answer() const
    {
        std::lock_guard const guard(order->mutex);
        return order->answer;
    }

    bool isKeeping() const { return keeping && keeping == order && !answer(); }

    /// The completion to give it with, which keeps the answer.
    MachineRunner::Completion giveOrder()
    {
        order = std::make_shared<Order>();
        return [given = order](vmm::Result<> outcome) {
            std::lock_guard const guard(given->mutex);
            given->answer = std::move(outcome);
        };
    }
};

Closing::Closing(std::vector<std::shared_ptr<MachineRunner>> const& runners, Way way, int seconds, QObject* parent)
    : QObject(parent), m_way(way), m_ticksLeft(seconds * ticksPerSecond)
{
    for (auto const& runner : runners)
        m_steps.push_back({ runner });
    connect(&m_timer, &QTimer::timeout, this, &Closing::look);
    m_timer.start(1000 / ticksPerSecond);
    look();
}

Closing::~Closing() = default;

void Closing::look()
{
    // A guest has its time from when it hears of it.
    if (std::none_of(m_steps.begin(), m_steps.end(), [](Step const& step) { return step.isKeeping(); }))
        --m_ticksLeft;
    if (m_way == Way::ShutDown && m_ticksLeft >= 0 && m_ticksLeft % ticksPerSecond == 0)
        emit secondsLeft(m_ticksLeft / ticksPerSecond);
    bool const isOverdue = m_way == Way::ShutDown && m_ticksLeft < 0;
    for (auto& step : m_steps)
        advance(step, isOverdue);
    if (!std::all_of(m_steps.begin(), m_steps.end(), [](Step const& step) { return step.isOver; }))
        return;
    m_timer.stop();
    // By way of the event loop: who listens may destroy us, and has not connected yet when there was nothing to do.
    QMetaObject::invokeMethod(
        this, [this] { emit finished(m_outcome); }, Qt::QueuedConnection);
}

void Closing::advance(Step& step, bool isOverdue)
{
    if (step.isOver)
        return;
    auto const answer = step.order ? step.answer() : std::nullopt;
    if (step.order && !answer && !(step.isKeeping() && !isInMemory(step.runner->state())))
        return;
    if (answer && !*answer && step.isSuspend && isInMemory(step.runner->state())) {
        step.isOver = true;
        if (m_outcome)
            m_outcome = *answer;
        return;
    }
    switch (step.runner->state()) {
    case SessionState::Off:
    case SessionState::Suspended: step.isOver = true; return;
    case SessionState::Starting:
    case SessionState::Restoring:
    case SessionState::Suspending: return;
    // Cannot be saved, and has nothing worth saving.
    case SessionState::Crashed: return step.runner->powerOff(step.giveOrder());
    case SessionState::Running:
    case SessionState::Paused: break;
    }
    if (!step.keeping) {
        auto const kept = step.giveOrder();
        step.keeping = step.order;
        return step.runner->keepUnasked(vmm::timeline::Reason::OnClose, kept);
    }
    if (m_way == Way::Suspend) {
        step.isSuspend = true;
        step.runner->suspend(step.giveOrder());
    } else if (isOverdue) {
        step.runner->powerOff(step.giveOrder());
    } else if (step.runner->state() == SessionState::Paused) {
        // A guest that stands still hears no button.
        if (!std::exchange(step.isResumed, true))
            step.runner->resume(step.giveOrder());
    } else if (!step.isButtonPressed) {
        step.isButtonPressed = true;
        step.runner->pressPowerButton(step.giveOrder());
    }
}

void Closing::cancel()
{
    m_timer.stop();
    for (auto& step : m_steps) {
        if (step.isSuspend && !step.answer())
            step.runner->cancelNamed("suspend");
        else if (step.isKeeping())
            step.runner->cancelKeeping();
    }
}

}

#include "moc_closing.cpp"
