#include "vmm/usb/usb_return.h"

#include "vmm/base/helper_program.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <iterator>
#include <sys/socket.h>

namespace vmm {

namespace {

/// Whether there was anything, before the other end was closed.
bool hears(UniqueFd const& pipe)
{
    char word = 0;
    ssize_t got = -1;
    while ((got = ::recv(pipe.get(), &word, 1, 0)) < 0 && errno == EINTR) { }
    return got == 1;
}

}

Result<std::unique_ptr<UsbReturn>> UsbReturn::watch(HostUsbInfo const& device, int configuration)
{
    auto const program = TRY(findHelper("chronovisor-usb-return"));
    std::array<int, 2> ends {};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return failOs("cannot make a connection");
    UniqueFd ours(ends[0]);
    // Out of the way of the number that it gets there.
    UniqueFd const theirs(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3));
    ::close(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    auto const process = spawnProgram(program,
        { program, device.port, fmt::format("{}", device.bus), fmt::format("{}", device.address),
            fmt::format("{}", configuration) },
        &actions, OwnSession::Yes);
    ::posix_spawn_file_actions_destroy(&actions);
    return std::unique_ptr<UsbReturn>(new UsbReturn(device.port, std::move(ours), TRY(process)));
}

bool UsbReturn::giveBack(std::vector<int> const& interfaces, std::function<void()> const& letGo)
{
    constexpr char giveItBack = 'g';
    if (::send(m_pipe.get(), &giveItBack, 1, MSG_NOSIGNAL) != 1 || !hears(m_pipe))
        return false;
    letGo();
    // At once, and with how many they are: without them each that has no driver would get one.
    std::vector<std::uint8_t> numbers { static_cast<std::uint8_t>(interfaces.size()) };
    std::ranges::transform(
        interfaces, std::back_inserter(numbers), [](int number) { return static_cast<std::uint8_t>(number); });
    (void)::send(m_pipe.get(), numbers.data(), numbers.size(), MSG_NOSIGNAL);
    ::shutdown(m_pipe.get(), SHUT_WR);
    m_givesBack = true;
    return true;
}

UsbReturn::~UsbReturn()
{
    constexpr char allIsWell = 'w';
    (void)::send(m_pipe.get(), &allIsWell, 1, MSG_NOSIGNAL);
    m_pipe.reset();
    if (waitForProgram(m_process) != 0 && m_givesBack)
        log(LogLevel::Warning, "usb", "{} may have no driver of this host's until it is plugged in again", m_port);
}

}
