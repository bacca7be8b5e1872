#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <optional>
#include <string>
#include <vector>

namespace vmm {

/// Where the memory of a machine comes from that was saved. One thread at a time.
class SavedMemory {
public:
    struct Block {
        std::string name;
        std::uint64_t size; ///< bytes
    };
    /// A file that shows a block, for mapping.
    struct Place {
        int fd;
        std::uint64_t offset; ///< bytes, a multiple of 4096
    };

    virtual ~SavedMemory() = default;
    virtual std::vector<Block> const& blocks() const = 0;
    /// Offsets and sizes here are multiples of 2 MiB, or end with the block. False: there are only zeros.
    virtual bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const = 0;
    /// Compared with its checksums: Corrupt where it is not what was saved.
    virtual Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const = 0;
    /// Nothing: the block is nowhere as it is.
    virtual std::optional<Place> file(std::size_t block) const = 0;
};

}
