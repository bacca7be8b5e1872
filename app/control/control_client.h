#pragma once

#include "app/control/protocol.h"
#include "vmm/base/unique_fd.h"

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

namespace app::control {

/// For how long a process is asked what it has. One that is stopped never answers.
constexpr std::chrono::seconds hostPatience { 5 };

/// The other end of a ControlServer. Blocking, one thread.
class ControlClient {
public:
    static vmm::Result<ControlClient> connect(std::string const& path);

    /// The result of `method`. Notifications that come meanwhile are for the handler, and each shows that there is
    /// life: the time begins anew. Disconnected, TimedOut, or the server's own error.
    vmm::Result<Json> call(std::string const& method, Json params = Json::object(),
        std::chrono::milliseconds timeout = std::chrono::hours(1));

    /// After a call() that ended with Disconnected: the process has certainly not begun it.
    bool isUnheard() const { return m_isUnheard; }
    /// call() gives up with Cancelled once this does not hold any more; it is asked ten times a second.
    void whileWanted(std::function<bool()> isWanted) { m_isWanted = std::move(isWanted); }
    /// Called with method and params, from within call() and serve().
    void onNotification(std::function<void(std::string const&, Json const&)> handler)
    {
        m_handler = std::move(handler);
    }
    /// Takes what has come; waits up to `timeout` for something.
    vmm::Result<> serve(std::chrono::milliseconds timeout);
    int fd() const { return m_fd.get(); }

private:
    explicit ControlClient(vmm::UniqueFd fd) : m_fd(std::move(fd)) { }
    /// Whether a message has come.
    vmm::Result<bool> read(std::chrono::milliseconds timeout);
    void take(std::string const& line);

    vmm::UniqueFd m_fd;
    LineBuffer m_lines { answerLimit };
    std::uint64_t m_nextId = 1;
    std::vector<Json> m_answers;
    bool m_isUnheard = false;
    std::function<bool()> m_isWanted;
    std::function<void(std::string const&, Json const&)> m_handler;
};

/// Processes that serve a machine and do not have it in memory, as a desktop does with all of its library.
enum class Idle : bool { LeftOut, Too };
/// A client of the process that serves `machine`: of the one that has it in memory, where there are several. `isWanted`
/// as ControlClient::whileWanted(), which it stays.
vmm::Result<ControlClient> connectToOwner(std::string const& directory, std::string const& machine,
    Idle idle = Idle::Too, std::function<bool()> const& isWanted = {});

}
