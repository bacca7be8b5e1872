#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmm {

/// Where two versions of the same bytes differ, as it is found out from the beginning to the end.
struct ChangedRuns {
    struct Run {
        std::uint64_t offset = 0, length = 0;
        bool operator==(Run const&) const = default;
    };
    std::vector<Run> runs;   ///< in their order; those that adjoin are one
    std::uint64_t bytes = 0; ///< in all of them, those that are left out too
    bool isWhole = true;     ///< no run is left out
    bool operator==(ChangedRuns const&) const = default;

    /// From `offset` on, which is no less than the last one's end; no more than `most` runs are kept.
    void add(std::uint64_t offset, std::uint64_t length, std::size_t most)
    {
        bytes += length;
        if (isWhole && !runs.empty() && runs.back().offset + runs.back().length == offset)
            runs.back().length += length;
        else if (isWhole && runs.size() < most)
            runs.push_back({ offset, length });
        else
            isWhole = false;
    }
};

}
