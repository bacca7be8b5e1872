#pragma once

#include "vmm/base/unique_fd.h"

#include <filesystem>
#include <functional>
#include <string>

namespace vmm {

/// Makes a directory that is not there yet (AlreadyExists), whole or not at all: `write` fills one beside it, of a name
/// that nobody else gives, DIRECTORY.UUID.part. What a process that was killed at that has left of the same directory
/// is removed first.
Result<> makeDirectory(std::string const& directory, std::function<Result<>(std::string const& fresh)> const& write);

/// "/a/b/" is /a/b.
std::filesystem::path withoutSlash(std::string const& directory);
/// Held by whoever makes, renames or mends directories beside this one, so that nobody meets what another is still
/// doing. Where the file system has no locks everybody goes on without.
Result<UniqueFd> lockParent(std::filesystem::path const& directory);

}
