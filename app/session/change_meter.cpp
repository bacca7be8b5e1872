#include "app/session/change_meter.h"

#include <numeric>
#include <utility>

namespace app {

namespace {

constexpr std::chrono::milliseconds interval { 2000 };
constexpr std::size_t kept = 5; // the mean of them: each is of a sample, and a guest works in fits and starts

}

ChangeMeter::ChangeMeter(std::shared_ptr<MachineRunner> runner, QObject* parent)
    : QObject(parent), m_runner(std::move(runner)), m_isRunning(m_runner->state() == SessionState::Running)
{
    m_timer.setInterval(interval);
    connect(&m_timer, &QTimer::timeout, this, &ChangeMeter::look);
}

ChangeMeter::~ChangeMeter()
{
    m_gate->close();
}

void ChangeMeter::setWatched(bool watched)
{
    m_isWatched = watched;
    follow();
}

void ChangeMeter::takeState(SessionState state)
{
    m_isRunning = state == SessionState::Running;
    follow();
}

/// What was measured is of a time that is over as soon as nobody looks.
void ChangeMeter::follow()
{
    bool const measures = m_isWatched && m_isRunning;
    if (measures == m_timer.isActive())
        return;
    measures ? m_timer.start() : m_timer.stop();
    bool const was = !std::exchange(m_rates, {}).empty();
    if (measures)
        look();
    if (was)
        emit changed();
}

std::optional<double> ChangeMeter::rate() const
{
    if (m_rates.empty())
        return std::nullopt;
    return std::accumulate(m_rates.begin(), m_rates.end(), 0.0) / static_cast<double>(m_rates.size());
}

void ChangeMeter::look()
{
    if (std::exchange(m_isLooking, true))
        return;
    m_runner->measureChange([gate = m_gate](std::optional<double> rate) {
        Gate<ChangeMeter>::post(gate, [rate](ChangeMeter& meter) { meter.take(rate); });
    });
}

void ChangeMeter::take(std::optional<double> rate)
{
    m_isLooking = false;
    if (!rate || !m_timer.isActive())
        return;
    m_rates.push_back(*rate);
    if (m_rates.size() > kept)
        m_rates.pop_front();
    emit changed();
}

}

#include "moc_change_meter.cpp"
