#pragma once

#include "vmm/base/unique_fd.h"

#include <optional>
#include <string>
#include <sys/types.h>

namespace app {

/// An exclusive lock on a file, with our pid in it, for as long as the object lives (or the process).
class MachineLock {
public:
    /// Busy, with the pid in the detail, when another has it.
    static vmm::Result<MachineLock> take(std::string const& path);
    /// Who has it; nobody when it is free. Waits an instant for who has just taken it to say so.
    static std::optional<pid_t> owner(std::string const& path);
    ~MachineLock();
    MachineLock(MachineLock&&) = default;
    MachineLock& operator=(MachineLock&&) = default;

private:
    explicit MachineLock(vmm::UniqueFd fd) : m_fd(std::move(fd)) { }
    vmm::UniqueFd m_fd;
};

}
