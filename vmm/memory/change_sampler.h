#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/memory/guest_memory.h"

#include <chrono>
#include <optional>
#include <vector>

namespace vmm {

/// How fast memory changes, by a sample: some pages are hashed, and compared when somebody looks again. In between it
/// costs nothing, where a log of writes slows the guest for as long as it is on. It counts what is different, and so
/// what a moment would have to keep: not how often the same is written to. One thread.
class ChangeSampler {
public:
    /// So many pages, anywhere in the memory: of a share that changed of one half the error is 1.6 %, of 5 % 0.7 %.
    static constexpr std::size_t samples = 1024;

    /// Bytes a second, of what is looked at for the second time and on. Nothing at first, after a minute, and while
    /// memory is still to come, which would change by itself. Pages that are not in the host's memory stay where
    /// they are, and count as they were. `now`: any clock that goes on by itself.
    std::optional<double> look(std::vector<MemoryBlock*> const& blocks, std::chrono::nanoseconds now);

private:
    struct Sample {
        std::uint8_t const* page;
        std::uint64_t hash;
    };
    Result<> open();
    void choose(std::vector<MemoryBlock*> const& blocks);
    std::uint64_t hashOf(Sample const& sample) const;

    UniqueFd m_pagemap, m_contents; // of this process
    std::uint64_t m_bytes = 0;      // of all blocks
    std::vector<Sample> m_samples;  // empty: nobody has looked
    std::chrono::nanoseconds m_last {};
};

}
