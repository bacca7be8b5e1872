#pragma once

#include "vmm/block/qcow2_format.h"

namespace vmm::qcow2 {

/// How often each cluster of the file is used, and the search for free ones (docs/interop/qcow2.txt, section "Host
/// cluster management"). Counts change in memory; dirtyBlocks() is what a commit writes. Only what makes new blocks and
/// tables reachable is written at once, in the order in which a crash leaves no dangling pointer.
class Refcounts {
public:
    struct Block {
        AlignedBuffer data { nullptr, std::free };
        bool dirty = false;
        bool writing = false;
        std::uint64_t lastUse = 0;
    };

    explicit Refcounts(File& file);
    Result<> open();

    Result<std::uint64_t> get(std::uint64_t cluster);
    /// Takes 1 to `wanted` adjacent free clusters; the first one's number and how many.
    struct Run {
        std::uint64_t first = 0, count = 0;
    };
    Result<Run> allocate(std::uint64_t wanted);
    /// One use less. Returns what is left.
    Result<std::uint64_t> drop(std::uint64_t cluster);

    struct DirtyBlock {
        Block* block;
        std::uint64_t hostOffset;
    };
    void collectDirty(std::vector<DirtyBlock>& blocks);

    /// Host offsets of the blocks, 0 where there is none.
    std::vector<std::uint64_t> const& table() const { return m_table; }
    /// Writes `counts`, appending clusters for tables where it must. The object is of no use afterwards: open another.
    Result<> rebuild(std::vector<std::uint32_t> counts);

private:
    friend class Rewrite;
    Result<Block*> load(std::uint64_t index);
    std::uint64_t read(Block const& block, std::uint64_t entry) const;
    void store(Block& block, std::uint64_t entry, std::uint64_t value) const;
    Result<> set(std::uint64_t cluster, std::uint64_t value);
    Result<> addBlock(std::uint64_t index, std::uint64_t atCluster);
    Result<> growTable();
    Result<> writeTable(std::uint64_t offset, std::vector<std::uint64_t> const& table);
    Result<> pointHeaderTo(std::uint64_t offset, std::uint64_t clusters);
    Result<Block*> newBlock();
    std::uint64_t maximumCount() const;
    void evict();

    File& m_file;
    std::uint64_t m_entriesPerBlock;
    std::vector<std::uint64_t> m_table; // host offsets of the blocks
    std::vector<std::unique_ptr<Block>> m_blocks;
    std::uint64_t m_loaded = 0, m_maximumLoaded;
    std::uint64_t m_clock = 0;
    std::uint64_t m_hint = 1; // no free cluster below
};

}
