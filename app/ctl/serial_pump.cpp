#include "app/ctl/serial_pump.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

namespace app::ctl {

namespace {

constexpr char escapeKey = 0x1d; // Ctrl-]

}

vmm::Result<std::unique_ptr<SerialPump>> SerialPump::create(
    vmm::EventLoop& loop, std::shared_ptr<ConsoleLink> link, std::string const& place, int in, int out, Escape escape)
{
    std::unique_ptr<SerialPump> pump(new SerialPump(loop, std::move(link)));
    if (place == "stdio") {
        pump->m_in = in;
        pump->m_out = out;
        pump->m_terminal = std::make_unique<RawTerminal>(in);
        if (pump->m_terminal->isTerminal())
            pump->m_escape = std::move(escape);
    } else if (place == "pty") {
        pump->m_owned.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
        char name[128];
        if (!pump->m_owned || ::grantpt(pump->m_owned.get()) != 0 || ::unlockpt(pump->m_owned.get()) != 0
            || ::ptsname_r(pump->m_owned.get(), name, sizeof name) != 0)
            return vmm::failOs("making a pseudo terminal");
        // Kept open, or reading fails for as long as nobody else has it open.
        pump->m_ownedSlave = TRY(vmm::openFile(name, O_RDWR | O_NOCTTY));
        termios raw {};
        ::tcgetattr(pump->m_ownedSlave.get(), &raw);
        ::cfmakeraw(&raw);
        ::tcsetattr(pump->m_ownedSlave.get(), TCSANOW, &raw);
        pump->m_name = name;
        pump->m_in = pump->m_out = pump->m_owned.get();
    } else if (place.starts_with("file:")) {
        pump->m_owned = TRY(vmm::openFile(place.substr(5), O_WRONLY | O_CREAT | O_TRUNC));
        pump->m_out = pump->m_owned.get();
    } else {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("a serial port goes to stdio, pty, file:PATH or none, and not to \"{}\"", place));
    }
    auto* self = pump.get();
    pump->listen();
    pump->m_listener = pump->m_link->addListener([self] {
        if (!self->m_wakeup.isUnderWay.exchange(true))
            self->m_loop.post([self] {
                self->m_wakeup.isUnderWay = false;
                self->flush();
            });
    });
    return pump;
}

SerialPump::~SerialPump()
{
    m_link->removeListener(m_listener);
}

void SerialPump::flush()
{
    vmm::Bytes bytes;
    m_position = m_link->readFrom(m_position, bytes, m_run);
    std::string_view const text(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    // Of a pty that nobody reads the rest is dropped, as a cable would.
    if (m_name.empty())
        writeAll(m_out, text);
    else if (::write(m_out, text.data(), text.size()) < 0 && errno != EAGAIN)
        m_watch.reset();
}

void SerialPump::listen()
{
    if (m_in < 0)
        return;
    // What epoll does not know (a file, /dev/null) is read at once.
    m_watch = m_loop.watch(m_in, EPOLLIN, [this](std::uint32_t) { read(); });
    if (!m_watch)
        m_retry = m_loop.at(vmm::EventLoop::now(), [this] { read(); });
}

void SerialPump::read()
{
    char buffer[4096];
    auto const got = ::read(m_in, buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    m_watch.reset();
    if (got <= 0)
        return; // the end of what will be typed is not the end of the machine
    type({ buffer, static_cast<std::size_t>(got) });
    passOn();
}

/// Reads on when the guest has taken all, and not before: there may be no machine yet, or one that does not listen.
void SerialPump::passOn()
{
    using namespace std::chrono_literals;
    if (m_pending.empty() || m_link->type(vmm::bytesOf(m_pending))) {
        m_pending.clear();
        listen();
    } else {
        m_retry = m_loop.at(vmm::EventLoop::now() + 20ms, [this] { passOn(); });
    }
}

void SerialPump::type(std::string_view typed)
{
    for (char const c : typed) {
        if (m_escape && std::exchange(m_escaped, false)) {
            if (c == escapeKey)
                m_pending.push_back(c);
            else
                m_escape(c);
        } else if (m_escape && c == escapeKey) {
            m_escaped = true;
        } else {
            m_pending.push_back(c);
        }
    }
}

}
