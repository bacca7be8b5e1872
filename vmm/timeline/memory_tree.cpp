#include "vmm/timeline/memory_tree.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace vmm::timeline {

std::uint64_t pagesPerEntry(unsigned level)
{
    return std::uint64_t(1) << 6 * level;
}

unsigned treeLevels(std::uint64_t size)
{
    unsigned levels = 1;
    while (pagesPerEntry(levels) * pageSize < size)
        ++levels;
    return levels;
}

Reference unpackReference(std::uint64_t word)
{
    return { static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word) };
}

std::uint64_t packReference(Reference reference)
{
    return std::uint64_t(reference.pack) << 32 | reference.number;
}

Result<> checkRoots(std::vector<MemoryRoot> const& roots)
{
    std::set<std::string_view> names;
    for (auto const& root : roots) {
        if (root.size == 0 || root.size % pageSize != 0 || root.size > maximumBlockSize)
            return fail(ErrorCode::Corrupt, fmt::format("{} cannot have {} bytes", root.name, root.size));
        if (!names.insert(root.name).second)
            return fail(ErrorCode::Corrupt, fmt::format("the memory of {} is there twice", root.name));
    }
    return {};
}

Result<> MemoryTree::find(std::size_t block, std::uint64_t offset, std::span<Reference> pages) const
{
    auto const& root = m_roots[block];
    for (std::size_t done = 0; done < pages.size();) {
        auto const page = offset / pageSize + done;
        auto const inLeaf = page % wordsPerNode;
        auto const count = std::min<std::size_t>(wordsPerNode - inLeaf, pages.size() - done);
        auto at = root.reference();
        for (auto level = treeLevels(root.size); level-- > 0 && !at.isZero();) {
            auto const node = TRY(m_store.node(at));
            if (level == 0) {
                for (std::size_t i = 0; i < count; ++i)
                    pages[done + i] = unpackReference(node[inLeaf + i]);
                break;
            }
            at = unpackReference(node[page / pagesPerEntry(level) % wordsPerNode]);
        }
        if (at.isZero())
            std::fill_n(pages.begin() + static_cast<std::ptrdiff_t>(done), count, Reference {});
        done += count;
    }
    return {};
}

bool MemoryTree::holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const
{
    auto const& root = m_roots[block];
    auto const end = std::min(offset + size, root.size);
    return offset < end && holdsData(treeLevels(root.size) - 1, root.reference(), 0, offset, end);
}

/// `first` is where the node's part of the block begins. What cannot be found out may hold something: reading tells.
bool MemoryTree::holdsData(
    unsigned level, Reference node, std::uint64_t first, std::uint64_t from, std::uint64_t to) const
{
    if (node.isZero() || level == 0)
        return !node.isZero(); // a leaf with nothing but zeros is none
    auto const words = m_store.node(node);
    auto const step = pagesPerEntry(level) * pageSize;
    for (auto at = first + alignDown(from - first, step); words && at < to; at += step) {
        auto const below = unpackReference((*words)[(at - first) / step]);
        if (holdsData(level - 1, below, at, std::max(from, at), std::min(to, at + step)))
            return true;
    }
    return !words;
}

void MemoryTree::lookAhead() const
{
    auto left = PageStore::keptNodes;
    for (auto const& root : m_roots)
        lookAhead(treeLevels(root.size) - 1, root.reference(), left);
}

/// Leaves are not looked at: that there is one says enough.
void MemoryTree::lookAhead(unsigned level, Reference node, std::size_t& left) const
{
    if (level == 0 || node.isZero() || left == 0)
        return;
    --left;
    auto const words = m_store.node(node);
    if (!words || level == 1)
        return;
    for (auto const word : *words)
        lookAhead(level - 1, unpackReference(word), left);
}

Result<> MemoryTree::read(std::size_t block, std::uint64_t offset, ByteSpan data) const
{
    std::vector<Reference> pages(data.size() / pageSize);
    TRY(find(block, offset, pages));
    PageStore::Frame frame;
    for (std::size_t i = 0; i < pages.size(); ++i) {
        auto const page = data.subspan(i * pageSize, pageSize);
        if (pages[i].isZero())
            std::fill(page.begin(), page.end(), std::uint8_t(0));
        else
            TRY(m_store.readPage(pages[i], page, frame));
    }
    return {};
}

}
