#pragma once

#include "vmm/memory/saved_memory.h"
#include "vmm/timeline/pager_process.h"
#include "vmm/timeline/timeline.h"

namespace vmm::timeline {

/// A moment's memory, for the machine that is made from it.
class MomentMemory final : public SavedMemory {
public:
    /// `keeper`: the same timeline, where it shall keep what was needed first.
    static Result<std::unique_ptr<MomentMemory>> open(
        std::shared_ptr<Timeline const> timeline, std::string_view id, std::shared_ptr<Timeline> keeper = {});

    MemoryTree const& tree() const { return m_tree; }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const override;
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const override;
    std::optional<Place> file(std::size_t block) const override;
    Result<> makeFiles(Listener const& listener) override;
    std::vector<Piece> expected() const override;
    void readAhead(std::vector<Piece> const& pieces) const override;
    void remember(std::vector<Piece> const& pieces) override;

private:
    MomentMemory(std::shared_ptr<Timeline const> timeline, std::string id, MemoryTree tree);

    std::shared_ptr<Timeline const> m_timeline; // whose pages the tree refers to
    std::shared_ptr<Timeline> m_keeper;
    std::string m_id;
    MemoryTree m_tree;
    std::shared_ptr<void const> m_held;
    std::vector<Block> m_blocks;
    std::vector<std::uint64_t> m_offsets;  // of the blocks in the pager's file
    std::unique_ptr<PagerProcess> m_pager; // last
};

}
