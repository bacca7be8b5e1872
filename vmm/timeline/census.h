#pragma once

#include "vmm/timeline/memory_tree.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

namespace vmm::timeline {

/// Which of several moments needs which page and node of a store, what each tree takes, and whether it is whole. A node
/// refers only to what was written before it, so two looks at the nodes in the order in which they lie in the packs are
/// enough, however many moments share them: down for who needs them, up for what is below each.
class Census {
public:
    static constexpr std::uint32_t nobody = 0, several = 0xffffffff;

    /// Who owns what several need.
    enum class Shared : std::uint8_t {
        Several, ///< nobody in particular
        Last,    ///< the last of them in the order of the trees
    };
    struct How {
        FrameSet badFrames = {};                         ///< whose pages are not what their hashes say
        FrameSet unreadFrames = {};                      ///< whose pages may be, and could not be read
        std::map<std::uint32_t, Error> whyNot = {};      ///< the first of them of a pack
        std::map<std::uint32_t, Error> unreadPacks = {}; ///< of which not even the ends could be read
        Shared shared = Shared::Several;
        std::function<bool()> goOn = {}; ///< asked now and then; false gives up
    };

    /// The owners are numbered from 1 on, as `trees` has them. Cancelled, where `goOn` gave it up.
    static Result<Census> of(PageStore const& store, std::vector<std::vector<MemoryRoot>> trees, How how);
    static Result<Census> of(PageStore const& store, std::vector<std::vector<MemoryRoot>> trees);

    /// Corrupt, with the place, where something of that tree (from 0 on) is missing or damaged; where it could only not
    /// be read, why not.
    Result<> checkWhole(std::size_t tree) const;
    /// Whether all trees are: nothing that is not among packs() is needed.
    bool isWhole() const;
    /// The bytes that a tree takes; a page that it has twice counts twice.
    std::uint64_t sizeOf(std::size_t tree) const;

    /// Something for each object of a pack; memory only for what was asked for, whatever the pack claims to have.
    template<typename T>
    class Sparse {
    public:
        explicit Sparse(std::uint32_t count) : m_parts(count / partSize + 1) { }
        T operator[](std::uint32_t i) const
        {
            auto const& part = m_parts[i / partSize];
            return part.empty() ? T {} : part[i % partSize];
        }
        T& at(std::uint32_t i)
        {
            auto& part = m_parts[i / partSize];
            if (part.empty())
                part.resize(partSize);
            return part[i % partSize];
        }
        bool isEmpty() const
        {
            return std::all_of(m_parts.begin(), m_parts.end(), [](auto const& part) { return part.empty(); });
        }

    private:
        static constexpr std::uint32_t partSize = 4096;
        std::vector<std::vector<T>> m_parts;
    };

    struct Counted {
        explicit Counted(Pack const& pack);
        /// A page's part of its frame in the file.
        std::uint32_t sizeOf(std::uint32_t page) const;

        std::uint32_t pageCount, nodeCount;
        std::uint64_t fileSize;
        Sparse<std::uint32_t> pages, nodes; ///< who owns each
        Sparse<std::uint8_t> isStored;      ///< 1: the pack has that page
        Sparse<std::uint32_t> frameLengths; ///< in the file; 0: it cannot be there

    private:
        friend Census;
        Result<> readTables(Pack const& pack, std::function<Result<>()> const& goesOn);
        struct Below {              // all zeros: what is there is not whole
            std::uint64_t size = 0; // with the node
            bool isWhole = false;
        };
        Sparse<std::uint8_t> m_levels; // from 1 on
        Sparse<Below> m_below;
    };
    /// Those that can be read.
    std::map<std::uint32_t, Counted> const& packs() const { return m_packs; }

private:
    Census(PageStore const& store, std::vector<std::vector<MemoryRoot>> trees, How how)
        : m_store(store), m_trees(std::move(trees)), m_how(std::move(how))
    {
    }
    Result<> goesOn() const;
    void noteUnread(std::uint32_t pack, Error const& error);
    Result<> visitNodes(bool upwards, std::function<void(Reference, Node const&)> const& visit);
    std::uint32_t together(std::uint32_t known, std::uint32_t owner) const;
    void mark(Reference node, unsigned level, std::uint32_t owner);
    void markBelow(Reference from, Node const& node);
    Counted::Below sumUp(Reference from, Node const& node);
    Counted* packOf(std::uint32_t number) const;
    Counted::Below belowNode(Reference node, unsigned level) const;
    Counted::Below belowPage(Reference page) const;
    Error damageOf(Reference node, unsigned level) const;
    Error damageOfPage(Reference page) const;

    PageStore const& m_store;
    std::vector<std::vector<MemoryRoot>> m_trees;
    How m_how;
    std::map<std::uint32_t, Counted> m_packs;               // which does not move what it has
    std::unordered_map<std::uint32_t, Counted*> m_byNumber; // the same, for each reference asks
    std::map<std::uint32_t, Error> m_unread;                // why something of a pack is not known that may be whole
};

/// The packs that hold something of that memory. Corrupt where it is not whole, Cancelled where `goOn` says so.
Result<std::set<std::uint32_t>> neededPacks(
    PageStore const& store, std::vector<MemoryRoot> const& roots, std::function<bool()> const& goOn = {});

}
