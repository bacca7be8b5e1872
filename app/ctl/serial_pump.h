#pragma once

#include "app/ctl/output.h"
#include "app/runner/links.h"
#include "vmm/base/event_loop.h"

#include <functional>
#include <memory>
#include <string>

namespace app::ctl {

/// Carries bytes between a serial port and a place on the host. Loop thread.
class SerialPump {
public:
    using Escape = std::function<void(char)>;
    /// `place`: "stdio" (a terminal becomes raw, and Ctrl-] is the escape key), "pty", or "file:PATH" (output only).
    static vmm::Result<std::unique_ptr<SerialPump>> create(vmm::EventLoop& loop, std::shared_ptr<ConsoleLink> link,
        std::string const& place, int in, int out, Escape escape);
    ~SerialPump();

    /// Of a pty: its path.
    std::string const& name() const { return m_name; }
    /// Prints what has not been printed yet.
    void flush();

private:
    SerialPump(vmm::EventLoop& loop, std::shared_ptr<ConsoleLink> link) : m_loop(loop), m_link(std::move(link)) { }
    void listen();
    void read();
    void passOn();
    void type(std::string_view typed);

    struct Wakeup {
        std::atomic<bool> isUnderWay = false;
    };

    vmm::EventLoop& m_loop;
    std::shared_ptr<ConsoleLink> m_link;
    Escape m_escape;
    std::string m_name;
    int m_in = -1, m_out = -1;
    vmm::UniqueFd m_owned, m_ownedSlave;
    std::unique_ptr<RawTerminal> m_terminal;
    std::string m_pending; // typed, and not yet taken
    vmm::EventLoop::Handle m_watch, m_retry;
    ConsoleLink::ListenerId m_listener = 0;
    Wakeup m_wakeup;
    std::uint64_t m_position = 0, m_run = 0;
    bool m_escaped = false;
};

}
