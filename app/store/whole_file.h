#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <string>

namespace app {

/// Yes: on the disk when it returns, so that it survives a power cut.
enum class Durable : bool { No, Yes };

/// Replaces (or makes) `path` whole: who reads it sees the old contents or the new ones, whenever we are killed.
vmm::Result<> writeWholeFile(std::string const& path, vmm::ConstByteSpan data, Durable durable = Durable::Yes);

/// What was made, renamed and removed in `path` is on the disk when it returns (nothing where the file system cannot).
vmm::Result<> syncDirectory(std::string const& path);

/// The whole of a file of up to `limit` bytes; InvalidArgument when it is larger or not a regular file.
vmm::Result<std::string> readWholeFile(std::string const& path, std::uint64_t limit);

}
