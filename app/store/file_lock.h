#pragma once

#include "vmm/base/unique_fd.h"

#include <string>

namespace app {

/// An exclusive lock on an open file, for as long as that is open. Of the open file description (fcntl(2), "Open file
/// description locks"): it holds against this process too, and no close of another descriptor of the file lets it go.
/// False: another has it. `path` is for the error.
vmm::Result<bool> tryLockFile(int fd, std::string const& path);

/// Locks PATH.lock, made where there is none, as long as the result lives: for who reads, changes and writes PATH.
/// Waits for others, who do the same; Busy where one takes too long.
vmm::Result<vmm::UniqueFd> lockForChange(std::string const& path);

/// Whether another has it.
bool isFileLocked(int fd);

}
