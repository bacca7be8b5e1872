#pragma once

#include "vmm/base/result.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace vmm {

/// A piece of a file that takes room.
struct FileExtent {
    std::uint64_t offset = 0; ///< in the file
    std::uint64_t length = 0;
    /// Where on its file system it is: two files share what lies at one place. Nothing where the file system does not
    /// tell, has not chosen a place yet, or has stored the piece as something else than its bytes (compressed).
    std::optional<std::uint64_t> place;
    bool isShared = false; ///< another file has it too, or this one elsewhere (reflinks)
    bool operator==(FileExtent const&) const = default;
};

/// By their offsets; holes are between them. What was written and not flushed has no place, and nothing is flushed for
/// it. Where the file system has no map of files (tmpfs), the pieces are those that seeking for data finds.
Result<std::vector<FileExtent>> fileExtents(int file);

}
