#pragma once

#include "vmm/bus/interrupts.h"

#include <deque>
#include <mutex>

namespace vmm {

/// Several sources on one level-triggered wire: it is high while any of them is. Any thread.
class SharedLine {
public:
    explicit SharedLine(IrqLine& output) : m_output(output) { }
    SharedLine(SharedLine const&) = delete;
    SharedLine& operator=(SharedLine const&) = delete;

    /// A new source, low at first. Lives as long as the shared line.
    IrqLine& addSource()
    {
        std::lock_guard const lock(m_mutex);
        return m_sources.emplace_back(*this);
    }

private:
    struct Source final : IrqLine {
        explicit Source(SharedLine& owner) : line(owner) { }
        void set(bool level) override { line.change(*this, level); }
        SharedLine& line;
        bool high = false;
    };

    // The output is set under the lock, so that it sees the changes in their order.
    void change(Source& source, bool level)
    {
        std::lock_guard const lock(m_mutex);
        if (source.high == level)
            return;
        source.high = level;
        auto const before = m_high;
        m_high += level ? 1 : -1;
        if ((before > 0) != (m_high > 0))
            m_output.set(level);
    }

    IrqLine& m_output;
    std::mutex m_mutex;
    std::deque<Source> m_sources; // stay where they are
    int m_high = 0;
};

}
