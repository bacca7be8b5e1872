#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vmm {

/// Where the memory of a machine comes from that was saved. Any thread.
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
    /// A part of a block; whole pages.
    struct Piece {
        std::size_t block;
        std::uint64_t offset, size; ///< bytes
        auto operator<=>(Piece const&) const = default;
    };
    /// Hears of what is read from a file that makeFiles() made. Any thread.
    struct Listener {
        std::function<void(Piece)> touched;
        std::function<void(Error)> failed; ///< it cannot be had: who touched it has met an error
    };

    virtual ~SavedMemory() = default;
    virtual std::vector<Block> const& blocks() const = 0;
    /// Offsets and sizes here are multiples of 2 MiB, or end with the block. False: there are only zeros.
    virtual bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const = 0;
    /// Compared with its checksums: Corrupt where it is not what was saved.
    virtual Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const = 0;
    /// Nothing: the block is nowhere as it is.
    virtual std::optional<Place> file(std::size_t block) const = 0;
    /// Has file() give something for each block. Once; the listener must live as long as this does.
    virtual Result<> makeFiles(Listener const&)
    {
        return fail(ErrorCode::Unsupported, "this memory cannot be shown as a file");
    }

    /// What was needed first when this memory came back earlier, or memory much like it; in that order.
    virtual std::vector<Piece> expected() const { return {}; }
    /// These will be read soon: the disk may begin.
    virtual void readAhead(std::vector<Piece> const&) const { }
    /// What was needed first this time, for expected() the next time.
    virtual void remember(std::vector<Piece> const&) { }
};

}
