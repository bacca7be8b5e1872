#include "vmm/machine/first_touches.h"

#include <algorithm>

namespace vmm {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds quiet = 200ms, quietAtLast = 3s;
constexpr std::size_t mostNoted = 16384;

}

void FirstTouches::touched(Piece piece)
{
    std::lock_guard const lock(m_mutex);
    m_lastTouch = Clock::now();
    if (m_noting && m_pieces.size() < mostNoted)
        m_pieces.push_back(piece);
}

void FirstTouches::failed(Error error)
{
    std::lock_guard const lock(m_mutex);
    if (!m_failure)
        m_failure = std::move(error);
    m_changed.notify_all();
}

std::optional<Error> FirstTouches::failure() const
{
    std::lock_guard const lock(m_mutex);
    return m_failure;
}

void FirstTouches::waitUntilSettled()
{
    auto const began = Clock::now(), last = began + quietAtLast;
    std::unique_lock lock(m_mutex);
    m_lastTouch = began; // whoever waits gives the guest that time, too
    while (!m_hurried && !m_failure) {
        auto const next = std::min(last, m_lastTouch + quiet);
        if (Clock::now() >= next)
            return;
        m_changed.wait_until(lock, next);
    }
}

void FirstTouches::hurry()
{
    std::lock_guard const lock(m_mutex);
    m_hurried = true;
    m_changed.notify_all();
}

void FirstTouches::waitForHurry()
{
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return m_hurried || m_failure; });
}

std::vector<FirstTouches::Piece> FirstTouches::take()
{
    std::lock_guard const lock(m_mutex);
    m_noting = false;
    return std::exchange(m_pieces, {});
}

}
