#pragma once

#include "vmm/base/result.h"

#include <functional>
#include <string>

namespace vmm {

/// Makes a directory that is not there yet (AlreadyExists), whole or not at all: `write` fills one beside it, of a name
/// that nobody else gives, DIRECTORY.UUID.part. What a process that was killed at that has left of the same directory
/// is removed first.
Result<> makeDirectory(std::string const& directory, std::function<Result<>(std::string const& fresh)> const& write);

}
