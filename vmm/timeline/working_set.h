#pragma once

#include "vmm/base/bytes.h"
#include "vmm/state/options.h"

#include <string>
#include <vector>

namespace vmm::timeline {

/// What a machine needed of its memory first when it came back to a moment: a file "moments/ID.set". It makes the next
/// time faster, and nothing depends on it.
struct WorkingSet {
    static constexpr std::string_view kind = "working-set";
    static constexpr unsigned version = 1;
    static constexpr std::size_t pieceSize = 12, maximumPieces = 16384;

    std::vector<std::string> blocks; ///< names
    /// In the order of first use, each 12 bytes, little-endian: which of the blocks (4), its first page (4), how many
    /// (4).
    Bytes pieces;
    bool operator==(WorkingSet const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("blocks", s.blocks, state::Max { 256 });
        v.field("pieces", s.pieces, state::Max { maximumPieces * pieceSize });
    }
};

}
