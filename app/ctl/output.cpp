#include "app/ctl/output.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

namespace app::ctl {

void writeAll(int fd, std::string_view data)
{
    while (!data.empty()) {
        auto const written = ::write(fd, data.data(), data.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN) {
            // A terminal that another program has made non-blocking.
            pollfd wait { fd, POLLOUT, 0 };
            ::poll(&wait, 1, 1000);
            continue;
        }
        if (written < 0)
            return; // nobody listens any more
        data.remove_prefix(static_cast<std::size_t>(written));
    }
}

std::string sizeText(std::uint64_t bytes)
{
    constexpr std::uint64_t mib = 1u << 20, gib = 1u << 30;
    return bytes < 10 * mib ? fmt::format("{} KiB", bytes >> 10)
        : bytes < 10 * gib  ? fmt::format("{} MiB", bytes >> 20)
                            : fmt::format("{} GiB", bytes >> 30);
}

void Output::text(std::string_view line) const
{
    writeAll(out, std::string(line) + "\n");
}

void Output::value(Json const& value) const
{
    writeAll(out, vmm::state::toText(value) + "\n");
}

void Output::note(std::string_view line) const
{
    writeAll(err, std::string(line) + "\n");
}

int Output::failed(vmm::Error const& error) const
{
    if (json) {
        Json const description { { "code", std::string(vmm::errorCodeName(error.code)) },
            { "message", error.message() } };
        // An argument that is repeated in it need not be UTF-8.
        writeAll(err, vmm::state::toText(Json { { "error", description } }, -1) + "\n");
    } else {
        note(fmt::format("chronoctl: {}", error.message()));
    }
    return Failed;
}

int Output::answer(vmm::Result<> const& outcome, Json const& told) const
{
    if (outcome && json)
        value(told);
    return finish(outcome);
}

struct RawTerminal::Saved {
    termios before {};
};

RawTerminal::RawTerminal(int fd) : m_fd(fd), m_saved(std::make_unique<Saved>())
{
    if (::tcgetattr(fd, &m_saved->before) != 0)
        return;
    m_isTerminal = true;
    auto raw = m_saved->before;
    ::cfmakeraw(&raw);
    ::tcsetattr(fd, TCSADRAIN, &raw);
}

RawTerminal::~RawTerminal()
{
    if (m_isTerminal)
        ::tcsetattr(m_fd, TCSADRAIN, &m_saved->before);
}

namespace {

constexpr std::array endingSignals { SIGINT, SIGTERM, SIGHUP };
std::atomic<bool> isInterrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free); // a signal's handler sets it

}

struct Interruption::Saved {
    std::array<struct sigaction, endingSignals.size()> endings {};
    struct sigaction pipe { };
};

Interruption::Interruption() : m_saved(std::make_unique<Saved>())
{
    isInterrupted = false;
    struct sigaction noting { };
    noting.sa_handler = [](int) { isInterrupted = true; };
    noting.sa_flags = static_cast<int>(SA_RESETHAND);
    for (std::size_t i = 0; i < endingSignals.size(); ++i) {
        ::sigaction(endingSignals[i], &noting, &m_saved->endings[i]);
        if (m_saved->endings[i].sa_handler == SIG_IGN) // nohup, or the background of a shell
            ::sigaction(endingSignals[i], &m_saved->endings[i], nullptr);
    }
    struct sigaction ignoring { };
    ignoring.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignoring, &m_saved->pipe);
}

Interruption::~Interruption()
{
    for (std::size_t i = 0; i < endingSignals.size(); ++i)
        ::sigaction(endingSignals[i], &m_saved->endings[i], nullptr);
    ::sigaction(SIGPIPE, &m_saved->pipe, nullptr);
}

bool Interruption::hasCome() const
{
    return isInterrupted;
}

TerminalSizes::TerminalSizes(int terminal) : m_terminal(terminal)
{
    sigset_t wanted;
    ::sigemptyset(&wanted);
    ::sigaddset(&wanted, SIGWINCH);
    ::pthread_sigmask(SIG_BLOCK, &wanted, &m_before);
    m_fd.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
}

TerminalSizes::~TerminalSizes()
{
    ::pthread_sigmask(SIG_SETMASK, &m_before, nullptr);
}

std::optional<vmm::TerminalSize> TerminalSizes::take()
{
    signalfd_siginfo information {};
    while (::read(m_fd.get(), &information, sizeof information) == sizeof information) { }
    winsize size {};
    if (::ioctl(m_terminal, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return std::nullopt;
    return vmm::TerminalSize { size.ws_col, size.ws_row };
}

}
