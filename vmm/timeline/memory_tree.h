#pragma once

#include "vmm/memory/anonymous_memory.h"
#include "vmm/state/options.h"
#include "vmm/timeline/page_store.h"

#include <functional>

/// How the memory of a moment hangs together: for each block a tree of nodes with 64 references each. A leaf refers to
/// 64 pages, a node above to 64 nodes; there are as many levels as the block needs. A zero reference is memory full of
/// zeros. What has not changed since the moment before is the same reference, so that a moment costs only what is new.
namespace vmm::timeline {

/// A block of memory as a moment has it.
struct MemoryRoot {
    std::string name;
    std::uint64_t size = 0; ///< bytes, a multiple of pageSize
    std::uint32_t pack = 0, node = 0;
    bool operator==(MemoryRoot const&) const = default;
    Reference reference() const { return { pack, node }; }
    static void describe(auto& v, auto& s)
    {
        v.field("name", s.name, state::Max { 64 });
        v.field("size", s.size);
        v.field("pack", s.pack);
        v.field("node", s.node);
    }
};

constexpr std::uint64_t maximumBlockSize = std::uint64_t(1) << 46;

class MemoryTree;
constexpr std::uint64_t pagesPerLeaf = wordsPerNode;

/// Memory that holds still while it is read: what a moment is made of. Worker thread.
class FrozenMemory {
public:
    struct Block {
        std::string name;
        std::uint64_t size; ///< bytes, a multiple of pageSize
    };
    virtual ~FrozenMemory() = default;
    virtual std::vector<Block> const& blocks() const = 0;
    /// The next byte from `offset` on that may be something other than zero, at a page; the block's size when there is
    /// none.
    virtual Result<std::uint64_t> nextUsed(std::size_t block, std::uint64_t offset) = 0;
    virtual Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) = 0;
    /// Where what has not come into this memory yet still is; its blocks are the same ones. Null: all has come.
    virtual MemoryTree const* origin() const { return nullptr; }
    /// Of the pages of a leaf, which begins at `offset`: bit n for one that has not come. Such a page is not read here.
    virtual Result<std::uint64_t> away(std::size_t /*block*/, std::uint64_t /*offset*/) { return 0; }
    /// That part is not looked at again, and need not hold still any longer.
    virtual void letGo(std::size_t, std::uint64_t /*offset*/, std::uint64_t /*size*/) { }
};

/// Called with what is done so far and all there is to do, which are bytes of memory or packs: whoever calls it says
/// which. False cancels. None: nobody wants to know.
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;
inline bool goOn(Progress const& progress, std::uint64_t done, std::uint64_t total)
{
    return !progress || progress(done, total);
}

struct StoredMemory {
    std::vector<MemoryRoot> roots;
    std::uint64_t changedPages = 0; ///< other than in the base, and not zero
    std::uint64_t newPages = 0;     ///< of those, held by nothing before
    std::uint64_t bytes = 0;        ///< that the new pack has
    std::uint32_t pack = 0;         ///< its number; 0: there is none
};

/// For copies of what a moment changes. The host has given it already, which on some takes longer than copying.
using Room = std::vector<AnonymousMemory>;

/// For so many changed pages of so many bytes of memory, as far as storeMemory() wants that much. Ends early, with what
/// there is, when the host cannot do it or `goOn` returns false, which is asked for every 2 MiB.
Room makeRoom(std::uint64_t memory, std::uint64_t changedPages, std::function<bool()> const& goOn);

/// Stores memory as a change of `base` (empty: of nothing). Durable when it returns. On an error, Cancelled among them,
/// the store is as before. What changed at the moment before is read first, for that is what the guest is likely to
/// write to next; compressing goes on beside. Progress: bytes of memory.
Result<StoredMemory> storeMemory(PageStore& store, FrozenMemory& memory, std::vector<MemoryRoot> const& base,
    Progress const& progress, Room room = {});

/// A moment's memory. Any thread.
class MemoryTree {
public:
    MemoryTree(PageStore const& store, std::vector<MemoryRoot> roots) : m_store(store), m_roots(std::move(roots)) { }

    std::vector<MemoryRoot> const& roots() const { return m_roots; }
    PageStore const& store() const { return m_store; }
    /// Whole pages; `offset` is a multiple of pageSize.
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const;
    /// Whether something other than zeros may be there; reads no leaf for it.
    bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const;
    /// Where the pages from `offset` on are.
    Result<> find(std::size_t block, std::uint64_t offset, std::span<Reference> pages) const;
    /// The nodes that holdsData() asks for are in the store's memory then, as far as it keeps that many.
    void lookAhead() const;

private:
    void lookAhead(unsigned level, Reference node, std::size_t& left) const;
    bool holdsData(unsigned level, Reference node, std::uint64_t first, std::uint64_t from, std::uint64_t to) const;

    PageStore const& m_store;
    std::vector<MemoryRoot> m_roots;
};

/// How many levels of nodes a block of that size has.
unsigned treeLevels(std::uint64_t size);
/// How many pages one entry of a node refers to; level 0 is a leaf's.
std::uint64_t pagesPerEntry(unsigned level);

Reference unpackReference(std::uint64_t word);
std::uint64_t packReference(Reference reference);

/// Refuses roots that no moment can have.
Result<> checkRoots(std::vector<MemoryRoot> const& roots);

}
