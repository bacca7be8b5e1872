#pragma once

#include "vmm/memory/saved_memory.h"
#include "vmm/timeline/timeline.h"

namespace vmm::timeline {

/// A moment's memory, for the machine that is made from it.
class MomentMemory final : public SavedMemory {
public:
    static Result<std::unique_ptr<MomentMemory>> open(std::shared_ptr<Timeline const> timeline, std::string_view id);

    std::vector<Block> const& blocks() const override { return m_blocks; }
    bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const override;
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const override;
    std::optional<Place> file(std::size_t) const override { return std::nullopt; }

private:
    MomentMemory(std::shared_ptr<Timeline const> timeline, MemoryTree tree);

    std::shared_ptr<Timeline const> m_timeline; // whose pages the tree refers to
    MemoryTree m_tree;
    std::vector<Block> m_blocks;
};

}
