#pragma once

#include "vmm/base/result.h"

#include <string>

namespace app {

/// An exclusive lock on an open file, for as long as that is open. Of the open file description (fcntl(2), "Open file
/// description locks"): it holds against this process too, and no close of another descriptor of the file lets it go.
/// False: another has it. `path` is for the error.
vmm::Result<bool> tryLockFile(int fd, std::string const& path);

/// Whether another has it.
bool isFileLocked(int fd);

}
