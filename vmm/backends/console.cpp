#include "vmm/backends/console.h"

#include <algorithm>

namespace vmm {

void Console::output(ConstByteSpan data)
{
    std::lock_guard const lock(m_mutex);
    // Of more than the ring holds only the end could ever be read.
    auto const skipped = data.size() > scrollback ? data.size() - scrollback : 0;
    m_written += skipped;
    for (auto rest = data.subspan(skipped); !rest.empty();) {
        auto const at = m_written % scrollback;
        auto const length = std::min(rest.size(), scrollback - at);
        std::copy_n(rest.begin(), length, m_ring.begin() + static_cast<std::ptrdiff_t>(at));
        m_written += length;
        rest = rest.subspan(length);
    }
    for (auto const& [id, changed] : m_listeners)
        changed();
}

std::size_t Console::takeInput(ByteSpan into)
{
    std::lock_guard const lock(m_mutex);
    auto const length = std::min(into.size(), m_input.size());
    std::copy_n(m_input.begin(), length, into.begin());
    m_input.erase(m_input.begin(), m_input.begin() + static_cast<std::ptrdiff_t>(length));
    return length;
}

bool Console::hasInput() const
{
    std::lock_guard const lock(m_mutex);
    return !m_input.empty();
}

void Console::setInputReady(std::function<void()> ready)
{
    std::lock_guard const lock(m_mutex);
    m_inputReady = std::move(ready);
}

std::optional<TerminalSize> Console::size() const
{
    std::lock_guard const lock(m_mutex);
    return m_size;
}

void Console::setSizeSaid(std::function<void()> said)
{
    std::lock_guard const lock(m_mutex);
    m_sizeSaid = std::move(said);
}

void Console::setSize(TerminalSize size)
{
    std::function<void()> said;
    {
        std::lock_guard const lock(m_mutex);
        m_size = size;
        said = m_sizeSaid;
    }
    // Unlocked, for the device takes it from here.
    if (said)
        said();
}

bool Console::type(ConstByteSpan data)
{
    std::function<void()> ready;
    {
        std::lock_guard const lock(m_mutex);
        if (m_input.size() + data.size() > inputLimit)
            return false;
        if (m_input.empty() && !data.empty())
            ready = m_inputReady;
        m_input.insert(m_input.end(), data.begin(), data.end());
    }
    // Unlocked, for the device takes the bytes from here.
    if (ready)
        ready();
    return true;
}

std::uint64_t Console::readFrom(std::uint64_t position, Bytes& into) const
{
    std::lock_guard const lock(m_mutex);
    auto const oldest = m_written > scrollback ? m_written - scrollback : 0;
    position = std::clamp(position, oldest, m_written);
    while (position < m_written) {
        auto const at = position % scrollback;
        auto const length = std::min<std::uint64_t>(m_written - position, scrollback - at);
        auto const from = m_ring.begin() + static_cast<std::ptrdiff_t>(at);
        into.insert(into.end(), from, from + static_cast<std::ptrdiff_t>(length));
        position += length;
    }
    return position;
}

Console::ListenerId Console::addListener(std::function<void()> changed)
{
    std::lock_guard const lock(m_mutex);
    m_listeners.emplace(m_nextListener, std::move(changed));
    return m_nextListener++;
}

void Console::removeListener(ListenerId id)
{
    std::lock_guard const lock(m_mutex);
    m_listeners.erase(id);
}

}
