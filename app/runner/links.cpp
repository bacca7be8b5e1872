#include "app/runner/links.h"

#include <algorithm>
#include <utility>

namespace app {

std::uint64_t ConsoleLink::readFrom(std::uint64_t position, vmm::Bytes& into, std::uint64_t& run) const
{
    std::lock_guard const lock(m_mutex);
    if (run != m_run) {
        run = m_run;
        position = 0;
    }
    if (m_console != nullptr)
        return m_console->readFrom(position, into);
    auto const end = m_keptFrom + m_kept.size();
    position = std::clamp(position, m_keptFrom, end);
    into.insert(into.end(), m_kept.begin() + static_cast<std::ptrdiff_t>(position - m_keptFrom), m_kept.end());
    return end;
}

vmm::Bytes ConsoleLink::past() const
{
    std::lock_guard const lock(m_mutex);
    return m_past;
}

std::optional<RunOrigin> ConsoleLink::origin() const
{
    std::lock_guard const lock(m_mutex);
    return m_origin;
}

void ConsoleLink::setPast(vmm::Bytes past)
{
    {
        std::lock_guard const lock(m_mutex);
        ++m_run;
        m_kept = {};
        m_keptFrom = 0;
        m_past = std::move(past);
        m_hasNewPast = true;
        m_origin.reset();
    }
    tell();
}

bool ConsoleLink::type(vmm::ConstByteSpan data)
{
    std::lock_guard const lock(m_mutex);
    return m_console != nullptr && m_console->type(data);
}

void ConsoleLink::setSize(vmm::TerminalSize size)
{
    std::lock_guard const lock(m_mutex);
    m_size = size;
    if (m_console != nullptr)
        m_console->setSize(size);
}

ConsoleLink::ListenerId ConsoleLink::addListener(std::function<void()> changed)
{
    std::lock_guard const lock(m_listenersMutex);
    m_listeners.emplace(m_nextListener, std::move(changed));
    return m_nextListener++;
}

void ConsoleLink::removeListener(ListenerId id)
{
    std::lock_guard const lock(m_listenersMutex);
    m_listeners.erase(id);
}

void ConsoleLink::attach(vmm::Console& console, std::optional<RunOrigin> const& origin)
{
    {
        std::lock_guard const lock(m_mutex);
        if (!std::exchange(m_hasNewPast, false) || origin) {
            ++m_run;
            m_past = {};
            m_origin = origin;
        }
        m_kept = {};
        m_console = &console;
        if (m_size)
            console.setSize(*m_size);
    }
    // Not under m_mutex: the console calls tell() under its own lock, and readFrom() takes the two the other way.
    m_consoleListener = console.addListener([this] { tell(); });
    tell();
}

void ConsoleLink::detach()
{
    vmm::Console* console = nullptr;
    {
        std::lock_guard const lock(m_mutex);
        if (m_console == nullptr)
            return;
        console = std::exchange(m_console, nullptr);
        auto const end = console->readFrom(0, m_kept);
        m_kept.shrink_to_fit();
        m_keptFrom = end - m_kept.size();
    }
    console->removeListener(m_consoleListener);
    tell();
}

void ConsoleLink::tell()
{
    std::lock_guard const lock(m_listenersMutex);
    for (auto const& [id, changed] : m_listeners)
        changed();
}

std::vector<vmm::RowRange> ScreenLink::refresh(vmm::Frame& frame)
{
    std::lock_guard const lock(m_mutex);
    return m_screen != nullptr ? m_screen->refresh(frame) : std::vector<vmm::RowRange> {};
}

void ScreenLink::forget(vmm::Frame const& frame)
{
    std::lock_guard const lock(m_mutex);
    if (m_screen != nullptr)
        m_screen->forget(frame);
}

bool ScreenLink::isAttached() const
{
    std::lock_guard const lock(m_mutex);
    return m_screen != nullptr;
}

void ScreenLink::attach(vmm::Screen& screen)
{
    std::lock_guard const lock(m_mutex);
    m_screen = &screen;
}

void ScreenLink::detach()
{
    std::lock_guard const lock(m_mutex);
    m_screen = nullptr;
}

}
