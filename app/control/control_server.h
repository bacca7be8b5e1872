#pragma once

#include "app/control/protocol.h"
#include "app/runner/machine_runner.h"
#include "vmm/base/event_loop.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace app::control {

/// Of a process that ends with its machine only what is in memory is anybody's business: it begins nothing else.
enum class Serves : bool { All, InMemory };

/// Serves the machines of this process on a UNIX socket, on a thread of its own; what waits for a machine, or reads its
/// past, has another one for each. Only processes of the same user are heard. README.md has the methods.
class ControlServer {
public:
    /// The socket is `directory`/PID.sock; `program` is how this process calls itself to others.
    static vmm::Result<std::unique_ptr<ControlServer>> start(
        std::string const& directory, std::string program, Serves what = Serves::All);
    ~ControlServer();

    std::string const& path() const { return m_path; }
    /// The machines that are served from now on. Any thread.
    void setRunners(std::vector<std::shared_ptr<MachineRunner>> runners);
    /// Nobody new is heard from now on, and nothing new is begun: who asks gets Disconnected. `done` is called once all
    /// who wait for an answer have it, on the server's thread, which hears nobody any more then. Who takes nothing of
    /// what it is told for `patience` is let go. Once.
    void finish(std::function<void()> done, vmm::Nanoseconds patience = std::chrono::seconds(5));

private:
    struct Private;
    ControlServer() = default;
    std::string m_path;
    std::unique_ptr<Private> m_private;
};

}
