#include "app/control/control_client.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace app::control {

namespace {

constexpr std::chrono::milliseconds wantedEvery { 100 };

}

vmm::Result<ControlClient> ControlClient::connect(std::string const& path)
{
    sockaddr_un address {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} is too long for a socket", path));
    std::memcpy(address.sun_path, path.data(), path.size());
    vmm::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // Also connecting waits, once nobody has taken what waits there already (unix(7)).
    timeval const patience { hostPatience.count(), 0 };
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0
        || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return vmm::failOs(fmt::format("connecting to {}", path));
    return ControlClient(std::move(fd));
}

vmm::Result<Json> ControlClient::call(std::string const& method, Json params, std::chrono::milliseconds timeout)
{
    using Clock = std::chrono::steady_clock;
    auto const id = m_nextId++;
    auto const line
        = encode({ { "jsonrpc", "2.0" }, { "id", id }, { "method", method }, { "params", std::move(params) } });
    for (std::string_view rest = line; !rest.empty();) {
        auto const sent = ::send(m_fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return vmm::fail(vmm::ErrorCode::TimedOut, fmt::format("{} is not taken", method));
        if (sent < 0) {
            m_isUnheard = true;
            return vmm::fail(vmm::ErrorCode::Disconnected, "the process that has the machine went away");
        }
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    auto deadline = Clock::now() + timeout;
    for (;;) {
        for (auto answer = m_answers.begin(); answer != m_answers.end(); ++answer) {
            auto const member = answer->find("id");
            if (member == answer->end() || !member->is_number_unsigned() || member->get<std::uint64_t>() != id)
                continue;
            Json const mine = std::move(*answer);
            m_answers.erase(answer);
            if (auto const error = mine.find("error"); error != mine.end()) {
                m_isUnheard = error->is_object() && error->value("code", Json()) == processEnds;
                return vmm::fail(errorFromJson(*error));
            }
            return mine.contains("result") ? mine["result"] : Json();
        }
        auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0)
            return vmm::fail(vmm::ErrorCode::TimedOut, fmt::format("no answer to {}", method));
        if (m_isWanted && !m_isWanted())
            return vmm::fail(vmm::ErrorCode::Cancelled, fmt::format("{} is of no use any more", method));
        if (TRY(read(m_isWanted ? std::min(left, wantedEvery) : left)))
            deadline = Clock::now() + timeout;
    }
}

vmm::Result<> ControlClient::serve(std::chrono::milliseconds timeout)
{
    TRY(read(timeout));
    return {};
}

vmm::Result<bool> ControlClient::read(std::chrono::milliseconds timeout)
{
    pollfd wait { m_fd.get(), POLLIN, 0 };
    if (::poll(&wait, 1, static_cast<int>(timeout.count())) <= 0)
        return false;
    char buffer[65536];
    auto const got = ::recv(m_fd.get(), buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    // The kernel's word for an end that has left something unread (unix(7), "Sockets API").
    m_isUnheard = got < 0 && errno == ECONNRESET;
    if (got <= 0)
        return vmm::fail(vmm::ErrorCode::Disconnected, "the process that has the machine went away");
    std::vector<std::string> lines;
    if (!m_lines.add({ buffer, static_cast<std::size_t>(got) }, lines))
        return vmm::fail(vmm::ErrorCode::Corrupt, "an answer without an end");
    for (auto const& line : lines)
        take(line);
    return !lines.empty();
}

void ControlClient::take(std::string const& line)
{
    auto message = vmm::state::parseJson(line, answerLimit);
    if (!message || !message->is_object())
        return;
    auto const method = message->find("method");
    if (method == message->end())
        m_answers.push_back(std::move(*message));
    else if (m_handler && method->is_string())
        m_handler(method->get<std::string>(), message->value("params", Json::object()));
}

vmm::Result<ControlClient> connectToOwner(
    std::string const& directory, std::string const& machine, Idle idle, std::function<bool()> const& isWanted)
{
    std::optional<ControlClient> second;
    for (auto const& path : liveSockets(directory)) {
        if (isWanted && !isWanted())
            return vmm::fail(vmm::ErrorCode::Cancelled, "the machine's process is of no use any more");
        auto client = ControlClient::connect(path);
        if (client)
            client->whileWanted(isWanted);
        // Which is answered whatever the machines are at.
        auto const host = client ? client->call("host.describe", Json::object(), hostPatience)
                                 : vmm::Result<Json>(vmm::fail(client.error()));
        if (!host)
            continue;
        auto const machines = host->value("machines", Json::array());
        auto const its = std::find_if(machines.begin(), machines.end(),
            [&](Json const& one) { return one.value("uuid", "") == machine || one.value("name", "") == machine; });
        if (its == machines.end())
            continue;
        auto const state = its->value("state", "off");
        if (state != "off" && state != "suspended")
            return client;
        if (!second && idle == Idle::Too)
            second = std::move(*client);
    }
    if (second)
        return std::move(*second);
    return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("no process serves the machine {}", machine));
}

}
