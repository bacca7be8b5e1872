#include "vmm/timeline/memory_tree.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace vmm::timeline {

namespace {

constexpr std::uint64_t leafSize = wordsPerNode * pageSize;

bool isZero(ConstByteSpan page)
{
    return page[0] == 0 && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

/// Builds the trees of one moment.
class Builder {
public:
    Builder(PageStore& store, FrozenMemory& memory, PageIndex index, PackWriter& writer, Progress const& progress)
        : m_store(store),
          m_memory(memory),
          m_index(std::move(index)),
          m_writer(writer),
          m_progress(progress),
          m_data(leafSize)
    {
        for (auto const& block : memory.blocks())
            m_total += block.size;
    }

    Result<Reference> block(std::size_t index, Reference base)
    {
        m_block = index;
        m_size = m_memory.blocks()[index].size;
        m_usedKnownFrom = m_size; // nothing is known of this block yet
        m_nextUsed = 0;
        auto const root = TRY(subtree(treeLevels(m_size) - 1, 0, base));
        m_done += m_size;
        return root;
    }

    std::uint64_t changedPages = 0, newPages = 0;

private:
    /// The part of the block that a node of this level refers to, from `offset` on.
    Result<Reference> subtree(unsigned level, std::uint64_t offset, Reference base)
    {
        auto const length = std::min(pagesPerEntry(level) * wordsPerNode * pageSize, m_size - offset);
        if (TRY(unused(offset, length)))
            return Reference {};
        auto const old = oldNode(base);
        auto const fresh = level == 0 ? TRY(leaf(offset, length, old)) : TRY(inner(level, offset, length, old));
        if (fresh == old)
            return base;
        if (fresh == Node {})
            return Reference {};
        return Reference { m_writer.number(), m_writer.addNode(fresh) };
    }

    /// What cannot be read any more is as if it had never been: a damaged moment must not keep the next from being
    /// taken.
    Node oldNode(Reference base) const
    {
        auto const node = base.isZero() ? Result<Node>(Node {}) : m_store.node(base);
        return node ? *node : Node {};
    }

    bool holds(Reference page, PageHash hash) const
    {
        auto const known = page.isZero() ? Result<PageHash>(PageHash {}) : m_store.hash(page);
        return known && *known == hash;
    }

    Result<Node> inner(unsigned level, std::uint64_t offset, std::uint64_t length, Node const& old)
    {
        Node fresh {};
        auto const step = pagesPerEntry(level) * pageSize;
        for (std::uint64_t i = 0; i * step < length; ++i)
            fresh[i] = packReference(TRY(subtree(level - 1, offset + i * step, unpackReference(old[i]))));
        return fresh;
    }

    Result<Node> leaf(std::uint64_t offset, std::uint64_t length, Node const& old)
    {
        auto const data = ByteSpan(m_data).first(length);
        TRY(m_memory.read(m_block, offset, data));
        if (!goOn(m_progress, m_done + offset, m_total))
            return fail(ErrorCode::Cancelled, "keeping the moment was cancelled");
        Node fresh {};
        for (std::uint64_t i = 0; i * pageSize < length; ++i) {
            auto const page = data.subspan(i * pageSize, pageSize);
            if (!isZero(page))
                fresh[i] = packReference(TRY(place(page, unpackReference(old[i]))));
        }
        return fresh;
    }

    Result<Reference> place(ConstByteSpan page, Reference old)
    {
        auto const hash = hashOf(page, m_store.seed());
        if (holds(old, hash))
            return old;
        ++changedPages;
        if (auto const known = m_index.find(hash, m_writer))
            return *known;
        ++newPages;
        Reference const fresh { m_writer.number(), TRY(m_writer.addPage(page, hash)) };
        m_index.add(hash, fresh);
        return fresh;
    }

    Result<bool> unused(std::uint64_t offset, std::uint64_t length)
    {
        if (offset < m_usedKnownFrom || offset > m_nextUsed) {
            m_nextUsed = TRY(m_memory.nextUsed(m_block, offset));
            m_usedKnownFrom = offset;
        }
        return m_nextUsed >= offset + length;
    }

    PageStore& m_store;
    FrozenMemory& m_memory;
    PageIndex m_index;
    PackWriter& m_writer;
    Progress const& m_progress;
    Bytes m_data;
    std::uint64_t m_total = 0, m_done = 0;
    std::size_t m_block = 0;
    std::uint64_t m_size = 0;
    // Nothing is used from the first up to the second.
    std::uint64_t m_usedKnownFrom = 0, m_nextUsed = 0;
};

Reference baseOf(std::vector<MemoryRoot> const& base, FrozenMemory::Block const& block)
{
    for (auto const& root : base) {
        if (root.name == block.name && root.size == block.size)
            return root.reference();
    }
    return {};
}

}

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

Result<StoredMemory> storeMemory(
    PageStore& store, FrozenMemory& memory, std::vector<MemoryRoot> const& base, Progress const& progress)
{
    std::uint64_t most = 0;
    for (auto const& block : memory.blocks())
        most += block.size / pageSize;
    auto index = TRY(PageIndex::build(store, most));
    auto const writer = TRY(store.begin());
    Builder builder(store, memory, std::move(index), *writer, progress);
    StoredMemory stored;
    for (std::size_t i = 0; i < memory.blocks().size(); ++i) {
        auto const& block = memory.blocks()[i];
        auto const root = TRY_WITHIN(block.name, builder.block(i, baseOf(base, block)));
        stored.roots.push_back({ block.name, block.size, root.pack, root.number });
    }
    stored.changedPages = builder.changedPages;
    stored.newPages = builder.newPages;
    if (writer->isEmpty())
        return stored;
    TRY(writer->seal());
    stored.bytes = writer->size();
    store.add(writer->number());
    return stored;
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

Result<> MemoryTree::read(std::size_t block, std::uint64_t offset, ByteSpan data) const
{
    std::vector<Reference> pages(data.size() / pageSize);
    TRY(find(block, offset, pages));
    for (std::size_t i = 0; i < pages.size(); ++i) {
        auto const page = data.subspan(i * pageSize, pageSize);
        if (pages[i].isZero())
            std::fill(page.begin(), page.end(), std::uint8_t(0));
        else
            TRY(m_store.readPage(pages[i], page));
    }
    return {};
}

}
