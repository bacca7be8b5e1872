#include "app/runner/usb_peer_address.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace app {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

std::optional<std::uint16_t> portIn(std::string_view text)
{
    std::uint16_t port = 0;
    auto const end = text.data() + text.size();
    auto const [at, error] = std::from_chars(text.data(), end, port);
    return !text.empty() && at == end && error == std::errc() ? std::optional(port) : std::nullopt;
}

vmm::Result<Addresses> lookUp(UsbPeerAddress const& address, int flags)
{
    addrinfo hints {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    auto const code = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (code == 0)
        return Addresses(found, &::freeaddrinfo);
    if (code == EAI_SYSTEM)
        return vmm::failOs("cannot look up " + address.host);
    return vmm::fail(
        vmm::ErrorCode::NotFound, fmt::format("there is no host {} ({})", address.host, ::gai_strerror(code)));
}

vmm::Result<sockaddr_un> unixAddress(std::string const& path)
{
    sockaddr_un address {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, path + " is too long for the path of a socket");
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

/// A peer that has lost its power says nothing of it; asking finds out within a minute.
void keepAlive(int socket)
{
    int const on = 1, idle = 30, interval = 10, count = 3;
    ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

vmm::Result<vmm::UniqueFd> makeSocket(int family)
{
    vmm::UniqueFd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made)
        return vmm::failOs("cannot make a socket");
    return made;
}

vmm::Result<vmm::UniqueFd> connectTo(
    sockaddr const* to, socklen_t length, UsbPeerAddress const& address, int milliseconds, int cancel)
{
    auto made = TRY(makeSocket(to->sa_family));
    if (::connect(made.get(), to, length) == 0)
        return made;
    auto const refused
        = [&](int error) { return vmm::fail(vmm::osError("cannot connect to " + address.text(), error)); };
    if (errno != EINPROGRESS)
        return refused(errno);
    std::array<pollfd, 2> polls { pollfd { made.get(), POLLOUT, 0 }, pollfd { cancel, POLLIN, 0 } };
    int const ready = ::poll(polls.data(), polls.size(), milliseconds);
    if (polls[1].revents != 0)
        return vmm::fail(vmm::ErrorCode::Cancelled, "connecting to " + address.text() + " was cancelled");
    if (ready <= 0)
        return vmm::fail(vmm::ErrorCode::TimedOut, address.text() + " does not answer");
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        return refused(error);
    return made;
}

UsbPeerAddress addressOf(sockaddr_storage const& from)
{
    std::array<char, INET6_ADDRSTRLEN> text {};
    if (from.ss_family == AF_INET) {
        auto const& four = reinterpret_cast<sockaddr_in const&>(from);
        ::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size());
        return { text.data(), ntohs(four.sin_port), {} };
    }
    auto const& six = reinterpret_cast<sockaddr_in6 const&>(from);
    ::inet_ntop(AF_INET6, &six.sin6_addr, text.data(), text.size());
    return { text.data(), ntohs(six.sin6_port), {} };
}

}

std::string UsbPeerAddress::text() const
{
    if (!path.empty())
        return path;
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

vmm::Result<UsbPeerAddress> parseUsbPeerAddress(std::string const& text)
{
    if (text.find('/') != std::string::npos)
        return UsbPeerAddress { {}, 0, text };
    UsbPeerAddress address { "127.0.0.1", 0, {} };
    auto const colon = text.rfind(':');
    auto const port = portIn(colon == std::string::npos ? text : text.substr(colon + 1));
    if (colon != std::string::npos)
        address.host = text.substr(0, colon);
    bool const isBracketed = address.host.starts_with('[') && address.host.ends_with(']');
    if (isBracketed)
        address.host = address.host.substr(1, address.host.size() - 2);
    bool const isAmbiguous = !isBracketed && address.host.find(':') != std::string::npos;
    if (!port || address.host.empty() || isAmbiguous) {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format(
                "\"{}\" is no place of a USB device: HOST:PORT, [ADDRESS]:PORT, a PORT of this host, or the path "
                "of a socket with a \"/\" in it",
                text));
    }
    address.port = *port;
    return address;
}

vmm::Result<vmm::UniqueFd> connectToUsbPeer(UsbPeerAddress const& address, int milliseconds, int cancel)
{
    if (!address.path.empty()) {
        auto const to = TRY(unixAddress(address.path));
        return connectTo(reinterpret_cast<sockaddr const*>(&to), sizeof to, address, milliseconds, cancel);
    }
    auto const found = TRY(lookUp(address, 0));
    auto outcome = vmm::Result<vmm::UniqueFd>(vmm::fail(vmm::ErrorCode::NotFound, "there is no host " + address.host));
    for (auto const* one = found.get(); one && !outcome; one = one->ai_next)
        outcome = connectTo(one->ai_addr, one->ai_addrlen, address, milliseconds, cancel);
    if (outcome)
        keepAlive(outcome->get());
    return outcome;
}

vmm::Result<UsbPeerListener> listenForUsbPeers(UsbPeerAddress const& address)
{
    constexpr int backlog = 8;
    auto const refused = [&] {
        auto error = vmm::osError("cannot listen at " + address.text());
        if (error.osError == EADDRINUSE)
            error.code = vmm::ErrorCode::Busy;
        return vmm::fail(error);
    };
    if (!address.path.empty()) {
        auto const at = TRY(unixAddress(address.path));
        auto const* const name = reinterpret_cast<sockaddr const*>(&at);
        struct stat status { };
        if (::lstat(address.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
            auto const probe = TRY(makeSocket(AF_UNIX));
            if (::connect(probe.get(), name, sizeof at) != 0 && errno == ECONNREFUSED)
                ::unlink(address.path.c_str());
        }
        auto made = TRY(makeSocket(AF_UNIX));
        // Before anybody can connect: it is this person's alone.
        if (::fchmod(made.get(), 0600) != 0 || ::bind(made.get(), name, sizeof at) != 0
            || ::listen(made.get(), backlog) != 0)
            return refused();
        return UsbPeerListener { std::move(made), address };
    }
    auto const found = TRY(lookUp(address, AI_PASSIVE));
    auto made = TRY(makeSocket(found->ai_family));
    int const on = 1;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(made.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(made.get(), backlog) != 0)
        return refused();
    sockaddr_storage bound {};
    socklen_t length = sizeof bound;
    if (::getsockname(made.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0)
        return refused();
    return UsbPeerListener { std::move(made), addressOf(bound) };
}

UsbPeerConnection receiveUsbPeer(UsbPeerListener const& listener, vmm::UniqueFd accepted, sockaddr_storage const& from)
{
    if (!listener.address.path.empty())
        return { std::move(accepted), listener.address.path };
    keepAlive(accepted.get());
    return { std::move(accepted), addressOf(from).text() };
}

}
