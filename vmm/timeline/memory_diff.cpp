#include "vmm/timeline/memory_diff.h"

#include <algorithm>
#include <map>

namespace vmm::timeline {

namespace {

/// A part of one moment's tree. A node that is lower than the place where it stands is the first of an upper one's, so
/// that blocks of two sizes can be compared.
struct Part {
    Reference node;
    unsigned level = 0;

    bool operator==(Part const& other) const { return node == other.node && (level == other.level || node.isZero()); }
};

class Comparison {
public:
    Comparison(PageStore const& store, std::size_t mostRuns, Progress const& progress)
        : m_store(store), m_mostRuns(mostRuns), m_progress(progress)
    {
    }

    std::uint64_t total = 0; // bytes of all blocks

    Result<ChangedRuns> block(MemoryRoot const& before, MemoryRoot const& after)
    {
        m_changed = {};
        m_size = std::max(before.size, after.size);
        TRY(subtree(treeLevels(m_size) - 1, 0, rootOf(before), rootOf(after)));
        m_done += m_size;
        return std::move(m_changed);
    }

private:
    static Part rootOf(MemoryRoot const& root)
    {
        return { root.reference(), root.size == 0 ? 0 : treeLevels(root.size) - 1 };
    }

    /// What stands at `level` and begins with page `page`.
    Result<> subtree(unsigned level, std::uint64_t page, Part before, Part after)
    {
        if (before == after)
            return {};
        if (!goOn(m_progress, m_done + page * pageSize, total))
            return fail(ErrorCode::Cancelled, "comparing two moments was cancelled");
        auto const old = TRY(nodeAt(level, before)), fresh = TRY(nodeAt(level, after));
        auto const step = pagesPerEntry(level);
        for (std::size_t i = 0; i < wordsPerNode && (page + i * step) * pageSize < m_size; ++i) {
            auto const first = page + i * step;
            auto const was = unpackReference(old[i]), is = unpackReference(fresh[i]);
            if (level > 0)
                TRY(subtree(level - 1, first, partOf(before, level, was), partOf(after, level, is)));
            else if (TRY(differ(was, is)))
                m_changed.add(first * pageSize, pageSize, m_mostRuns);
        }
        return {};
    }

    Result<Node> nodeAt(unsigned level, Part part) const
    {
        if (part.node.isZero())
            return Node {};
        if (part.level == level)
            return m_store.node(part.node);
        Node upper {};
        upper[0] = packReference(part.node);
        return upper;
    }

    static Part partOf(Part whole, unsigned level, Reference entry)
    {
        return { entry, whole.level == level ? level - 1 : whole.level };
    }

    /// One page can be stored twice, where a pack could not be looked into at the time.
    Result<bool> differ(Reference before, Reference after) const
    {
        if (before == after || before.isZero() || after.isZero())
            return before != after;
        return TRY(m_store.hash(before)) != TRY(m_store.hash(after));
    }

    PageStore const& m_store;
    std::size_t const m_mostRuns;
    Progress const& m_progress;
    std::uint64_t m_done = 0, m_size = 0;
    ChangedRuns m_changed;
};

}

Result<std::vector<MemoryDiff>> compareMemory(
    MemoryTree const& before, MemoryTree const& after, std::size_t mostRuns, Progress const& progress)
{
    std::map<std::string, std::pair<MemoryRoot, MemoryRoot>> blocks;
    for (auto const& root : before.roots())
        blocks[root.name].first = root;
    for (auto const& root : after.roots())
        blocks[root.name].second = root;
    Comparison comparison(after.store(), mostRuns, progress);
    for (auto const& [name, roots] : blocks)
        comparison.total += std::max(roots.first.size, roots.second.size);
    std::vector<MemoryDiff> differences;
    for (auto const& [name, roots] : blocks) {
        auto changed = TRY_WITHIN(name, comparison.block(roots.first, roots.second));
        if (changed.bytes > 0 || roots.first.size != roots.second.size)
            differences.push_back({ name, roots.first.size, roots.second.size, std::move(changed) });
    }
    return differences;
}

}
