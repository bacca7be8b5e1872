#include "vmm/timeline/moment_memory.h"

#include <algorithm>

namespace vmm::timeline {

Result<std::unique_ptr<MomentMemory>> MomentMemory::open(std::shared_ptr<Timeline const> timeline, std::string_view id)
{
    auto tree = TRY(timeline->memory(id));
    return std::unique_ptr<MomentMemory>(new MomentMemory(std::move(timeline), std::move(tree)));
}

MomentMemory::MomentMemory(std::shared_ptr<Timeline const> timeline, MemoryTree tree)
    : m_timeline(std::move(timeline)), m_tree(std::move(tree))
{
    for (auto const& root : m_tree.roots())
        m_blocks.push_back({ root.name, root.size });
}

/// What cannot be found out is said by read().
bool MomentMemory::holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const
{
    std::vector<Reference> pages(size / pageSize);
    return !m_tree.find(block, offset, pages)
        || std::any_of(pages.begin(), pages.end(), [](Reference page) { return !page.isZero(); });
}

Result<> MomentMemory::read(std::size_t block, std::uint64_t offset, ByteSpan data) const
{
    return m_tree.read(block, offset, data);
}

}
