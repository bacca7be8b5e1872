#pragma once

#include "vmm/block/qcow2_refcounts.h"

#include <map>

namespace vmm::qcow2 {

/// A change of many counts and tables that takes effect in one piece. What becomes different is written to clusters
/// that are free before it, and then one sector of the header (disk size, L1 table, refcount table, snapshot table:
/// bytes 24 to 71) points to all of it. Until that sector is durable the file is the old image, from then on the new
/// one; a crash in between leaves not even leaks. Used with nothing in flight and all changes committed. Nothing has
/// happened as long as commit() was not called.
class Rewrite {
public:
    explicit Rewrite(File& file, Refcounts& refcounts);

    /// One use more (+1) or less (-1) of each cluster that the entries of an L1 table lead to, L2 tables included.
    /// Corrupt where the tables cannot be right, Unsupported where a count cannot say how often.
    Result<> countTree(std::vector<std::uint64_t> const& l1, int step);
    /// The same for the clusters that `bytes` at `offset` are in.
    Result<> countRange(std::uint64_t offset, std::uint64_t bytes, int step);
    /// The L1 table in which each entry, and each entry of the L2 tables, has the flag that its count asks for. L2
    /// tables that have another one are written anew; `rewritten` keeps those for whose L1 index it has a place.
    using Rewritten = std::map<std::uint64_t, AlignedBuffer>;
    Result<std::vector<std::uint64_t>> settle(std::vector<std::uint64_t> l1, Rewritten& rewritten);

    /// Adjacent clusters: the offset of the first.
    Result<std::uint64_t> allocate(std::uint64_t clusters);
    Result<> write(std::uint64_t offset, ConstByteSpan data);
    Result<> writeTable(std::uint64_t offset, std::vector<std::uint64_t> const& entries);

    /// Finds places for the counts, so that `next` is complete. The counts do not change after it.
    Result<> place(Header& next);
    /// Where the refcount blocks will be.
    std::vector<std::uint64_t> const& refcountTable() const { return m_table; }
    /// Corrupt where one of the clusters, which hold tables, counts as free.
    Result<> checkInUse(std::unordered_set<std::uint64_t> const& clusters);
    /// Makes it so. Where it cannot be known whether the header was written, the image is not written to any more.
    Result<> commit(Header const& next);
    /// After place(): clusters that nobody will use any more, in ascending order.
    std::vector<Refcounts::Run> const& freed() const { return m_freed; }

private:
    struct Draft {
        Refcounts::Block block;
        std::vector<bool> heldBack; ///< free in the new image, in use in the old one
        std::uint64_t place = 0;    ///< 0: not known yet
    };

    Result<Draft*> draft(std::uint64_t index, bool make);
    Result<std::uint64_t> count(std::uint64_t cluster);
    Result<> countRun(std::uint64_t cluster, std::uint64_t clusters, int step);
    Result<bool> isFree(std::uint64_t cluster);
    Result<> checkL1Entry(std::uint64_t entry) const;
    Result<> readL2(std::uint64_t offset);
    Result<bool> flagsOf(AlignedBuffer& entries, bool shared);
    Result<> writeHeader(Header const& header);
    Result<> writeOut();
    void noteFreed();
    void adopt(Header const& next);

    File& m_file;
    Refcounts& m_refcounts;
    std::vector<std::uint64_t> m_table; // as Refcounts::m_table
    std::map<std::uint64_t, Draft> m_drafts;
    std::vector<std::uint64_t> m_homeless; // drafts that have no place yet
    std::vector<Refcounts::Run> m_freed;
    Draft* m_last = nullptr; // of m_lastIndex: runs stay in a block
    std::uint64_t m_lastIndex = 0;
    std::uint64_t m_search; // no free cluster below
    AlignedBuffer m_l2;
    // Writes that follow each other become one.
    Bytes m_pending;
    std::uint64_t m_pendingOffset = 0;
};

}
