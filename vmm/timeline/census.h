#pragma once

#include "vmm/timeline/memory_tree.h"

#include <map>

namespace vmm::timeline {

/// Which moment needs which page and node. Each node is looked at twice at most, however many moments share it.
class Census {
public:
    static constexpr std::uint32_t nobody = 0, several = 0xffffffff;

    /// Makes room for all pages and nodes of the store.
    static Result<Census> begin(PageStore const& store);
    /// `owner` from 1 on, less than `several`. Corrupt where a tree is not whole.
    Result<> add(std::vector<MemoryRoot> const& roots, std::uint32_t owner);

    struct Pack {
        std::vector<std::uint32_t> pages, nodes; ///< who owns each
    };
    std::map<std::uint32_t, Pack> const& packs() const { return m_packs; }
    /// The bytes that each page takes in its pack: its part of its frame.
    static Result<std::vector<std::uint32_t>> costs(timeline::Pack const& pack);

private:
    explicit Census(PageStore const& store) : m_store(store) { }
    Result<bool> mark(std::vector<std::uint32_t> Pack::*kind, Reference what, std::uint32_t owner);
    Result<> walk(unsigned level, Reference node, std::uint32_t owner);

    PageStore const& m_store;
    std::map<std::uint32_t, Pack> m_packs;
};

}
