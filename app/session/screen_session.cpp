#include "app/session/screen_session.h"

#include <algorithm>
#include <pthread.h>

namespace app {

namespace {

constexpr std::chrono::milliseconds thumbnailInterval { 500 };
/// How far apart looks at a picture that does not change come to lie.
constexpr std::chrono::milliseconds idleInterval { 100 };

/// Adds `added` to sorted, disjoint ranges and joins what touches.
void joinRows(std::vector<vmm::RowRange>& ranges, std::vector<vmm::RowRange> const& added)
{
    ranges.insert(ranges.end(), added.begin(), added.end());
    std::sort(
        ranges.begin(), ranges.end(), [](auto const& left, auto const& right) { return left.first < right.first; });
    std::size_t kept = 0;
    for (auto const& range : ranges) {
        if (kept > 0 && range.first <= ranges[kept - 1].last)
            ranges[kept - 1].last = std::max(ranges[kept - 1].last, range.last);
        else
            ranges[kept++] = range;
    }
    ranges.resize(kept);
}

}

ScreenSession::ScreenSession(QString id, std::shared_ptr<ScreenLink> link, QObject* parent)
    : QObject(parent), m_id(std::move(id)), m_link(std::move(link))
{
}

ScreenSession::~ScreenSession()
{
    {
        std::lock_guard const lock(m_mutex);
        m_stop = true;
    }
    m_wake.notify_all();
    if (m_thread.joinable())
        m_thread.join();
}

ScreenSession::Viewer::Viewer(ScreenSession& screen) : m_screen(&screen)
{
    {
        std::lock_guard const lock(m_screen->m_mutex);
        ++m_screen->m_viewers;
    }
    m_screen->work();
}

ScreenSession::Viewer::~Viewer()
{
    if (!m_screen)
        return;
    std::lock_guard const lock(m_screen->m_mutex);
    --m_screen->m_viewers;
}

void ScreenSession::setInterval(std::chrono::microseconds interval)
{
    std::lock_guard const lock(m_mutex);
    m_interval = std::max(interval, std::chrono::microseconds(16666));
}

void ScreenSession::hurry()
{
    {
        std::lock_guard const lock(m_mutex);
        m_hurry = true;
    }
    m_wake.notify_all();
}

ScreenSession::Picture::Picture(ScreenSession& screen) : m_screen(screen), m_lock(screen.m_mutex) { }

std::vector<vmm::RowRange> ScreenSession::Picture::takeChanges()
{
    return std::exchange(m_screen.m_changes, {});
}

QSize ScreenSession::size() const
{
    std::lock_guard const lock(m_mutex);
    return { static_cast<int>(m_front.width), static_cast<int>(m_front.height) };
}

app::Picture ScreenSession::screenshot() const
{
    // With a frame of its own: whether somebody looks or not, it is the picture of this moment.
    if (m_link->isAttached()) {
        vmm::Frame frame;
        m_link->refresh(frame);
        m_link->forget(frame);
        if (!frame.pixels.empty())
            return pictureOf(frame);
    }
    std::lock_guard const lock(m_mutex);
    return pictureOf(m_front);
}

void ScreenSession::setThumbnails(bool on, QSize within)
{
    {
        std::lock_guard const lock(m_mutex);
        m_thumbnails = on;
        m_thumbnailWithin = within;
    }
    if (on)
        work();
}

app::Picture ScreenSession::thumbnail() const
{
    std::lock_guard const lock(m_mutex);
    return m_thumbnail;
}

/// Makes the thread, or wakes it.
void ScreenSession::work()
{
    if (!m_thread.joinable()) {
        m_thread = std::thread([this] { follow(); });
        ::pthread_setname_np(m_thread.native_handle(), "screen");
    }
    hurry();
}

/// The thread: refreshes a frame of its own without any lock, then copies the changed rows to what the GUI sees.
void ScreenSession::follow()
{
    using Clock = std::chrono::steady_clock;
    vmm::Frame frame;
    auto nextThumbnail = Clock::now();
    bool isThumbnailStale = true;
    Clock::duration pace = m_interval;
    std::unique_lock lock(m_mutex);
    while (!m_stop) {
        if (m_viewers == 0 && !m_thumbnails) {
            m_wake.wait(lock, [this] { return m_stop || m_viewers > 0 || m_thumbnails; });
            continue;
        }
        m_hurry = false;
        auto const began = Clock::now();
        lock.unlock();
        auto const changed = m_link->refresh(frame);
        lock.lock();

        if (!changed.empty()) {
            bool const isResized = frame.width != m_front.width || frame.height != m_front.height;
            if (isResized) {
                m_front = frame;
                m_changes = { { 0, frame.height } };
            } else {
                for (auto const& range : changed) {
                    auto const from = std::size_t(range.first) * frame.width;
                    auto const to = std::size_t(range.last) * frame.width;
                    std::copy(frame.pixels.begin() + std::ptrdiff_t(from), frame.pixels.begin() + std::ptrdiff_t(to),
                        m_front.pixels.begin() + std::ptrdiff_t(from));
                }
                joinRows(m_changes, changed);
            }
            isThumbnailStale = true;
            tell(isResized);
        }
        if (m_thumbnails && isThumbnailStale && began >= nextThumbnail && !frame.pixels.empty()) {
            auto const within = m_thumbnailWithin;
            lock.unlock();
            auto made = scaledDown(frame, unsigned(within.width()), unsigned(within.height()));
            lock.lock();
            m_thumbnail = std::move(made);
            isThumbnailStale = false;
            nextThumbnail = began + thumbnailInterval;
            QMetaObject::invokeMethod(this, &ScreenSession::thumbnailChanged, Qt::QueuedConnection);
        }

        // At the display's pace while things move; half as often after each look that found nothing.
        pace = changed.empty() ? std::min<Clock::duration>(pace * 2, idleInterval) : Clock::duration(m_interval);
        if (m_viewers == 0)
            pace = thumbnailInterval;
        m_wake.wait_until(lock, began + pace, [this] { return m_stop || m_hurry; });
        if (m_hurry)
            pace = m_interval;
        // Never faster than the display, however often somebody hurries us.
        if (!m_stop && m_hurry)
            m_wake.wait_until(lock, began + m_interval, [this] { return m_stop; });
    }
    lock.unlock();
    m_link->forget(frame);
}

/// With the mutex held, on the thread.
void ScreenSession::tell(bool isResized)
{
    if (isResized) {
        QMetaObject::invokeMethod(
            this, [this] { emit sizeChanged(size()); }, Qt::QueuedConnection);
    }
    if (m_signalUnderway)
        return;
    m_signalUnderway = true;
    QMetaObject::invokeMethod(
        this,
        [this] {
            {
                std::lock_guard const lock(m_mutex);
                m_signalUnderway = false;
            }
            emit frameChanged();
        },
        Qt::QueuedConnection);
}

}

#include "moc_screen_session.cpp"
