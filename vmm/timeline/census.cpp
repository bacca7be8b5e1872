#include "vmm/timeline/census.h"

#include <fmt/format.h>

namespace vmm::timeline {

Result<Census> Census::begin(PageStore const& store)
{
    Census census(store);
    for (auto const number : store.packs()) {
        auto const pack = store.pack(number);
        if (!pack)
            continue; // what needs it will say so
        auto& counted = census.m_packs[number];
        counted.pages.resize((*pack)->pages());
        counted.nodes.resize((*pack)->nodes());
    }
    return census;
}

Result<> Census::add(std::vector<MemoryRoot> const& roots, std::uint32_t owner)
{
    for (auto const& root : roots) {
        if (!root.reference().isZero())
            TRY_WITHIN(root.name, walk(treeLevels(root.size) - 1, root.reference(), owner));
    }
    return {};
}

/// Whether that is news.
Result<bool> Census::mark(std::vector<std::uint32_t> Pack::*kind, Reference what, std::uint32_t owner)
{
    auto const pack = m_packs.find(what.pack);
    if (pack == m_packs.end())
        return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} is missing or cannot be read", what.pack));
    auto& owners = pack->second.*kind;
    if (what.number >= owners.size())
        return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} does not have number {}", what.pack, what.number));
    auto& known = owners[what.number];
    auto const next = known == nobody || known == owner ? owner : several;
    return std::exchange(known, next) != next;
}

/// A node that is known to be this owner's, or several's, has been walked for them already.
Result<> Census::walk(unsigned level, Reference node, std::uint32_t owner)
{
    if (!TRY(mark(&Pack::nodes, node, owner)))
        return {};
    auto const next = m_packs.at(node.pack).nodes[node.number];
    for (auto const word : TRY(m_store.node(node))) {
        auto const reference = unpackReference(word);
        if (reference.isZero())
            continue;
        if (level == 0)
            TRY(mark(&Pack::pages, reference, next));
        else
            TRY(walk(level - 1, reference, next));
    }
    return {};
}

Result<std::vector<std::uint32_t>> Census::costs(timeline::Pack const& pack)
{
    std::vector<std::uint32_t> lengths(pack.frames()), costs(pack.pages());
    TRY(pack.readLengths(0, lengths));
    for (std::uint32_t page = 0; page < costs.size(); ++page) {
        auto const frame = page / pagesPerFrame;
        costs[page] = lengths[frame] / pack.pagesIn(frame);
    }
    return costs;
}

}
