#pragma once

#include "vmm/base/event_loop.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace app::control {

/// Threads for what waits for a machine or reads its past, one for each: there it is done one thing after the other,
/// and holds up nothing else. The server's thread only.
class MachineReaders {
public:
    using Task = std::function<void()>;
    /// What changes nothing.
    vmm::Result<> read(std::string const& machine, Task task);
    /// Whether it has to look something up before it changes the machine, such as a moment by its name.
    enum class LooksUp : bool { No, Yes };
    /// In the order of asking, whoever has asked: at once, unless this, or what was asked for before, looks something
    /// up.
    vmm::Result<> change(std::string const& machine, Task task, LooksUp looksUp);
    /// The threads of all others end with what they are at, for which nobody waits.
    void keepOnly(std::set<std::string> const& machines);

private:
    struct Reader {
        std::atomic<unsigned> changes = 0;       ///< that are still to come there
        std::unique_ptr<vmm::LoopThread> thread; ///< made when it is needed
        vmm::Result<> post(Task task);
    };
    using Readers = std::map<std::string, Reader>;
    void end(Readers::node_type reader);

    Readers m_readers; // by machine
    std::unique_ptr<vmm::LoopThread> m_ender;
};

}
