#include "vmm/block/qcow2_refcounts.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <array>

namespace vmm::qcow2 {

namespace {

constexpr std::uint64_t cacheBytes = 16 << 20;
constexpr std::uint64_t maximumClusterOffset = 1ULL << 56; // what an L2 entry can point to

}

Refcounts::Refcounts(File& file)
    : m_file(file),
      m_entriesPerBlock(file.clusterSize() * 8 >> file.header().refcountOrder),
      m_maximumLoaded(std::max<std::uint64_t>(cacheBytes / file.clusterSize(), 8))
{
}

Result<> Refcounts::open()
{
    auto const& header = m_file.header();
    auto const bytes = header.refcountTableClusters * header.clusterSize();
    m_table = TRY(m_file.readTable(header.refcountTableOffset, bytes / 8));
    m_blocks.resize(m_table.size());
    for (auto const offset : m_table) {
        if (offset != 0 && !m_file.isClusterInFile(offset))
            return fail(m_file.corruptError(fmt::format("there is no refcount block at {}", offset)));
    }
    return {};
}

std::uint64_t Refcounts::maximumCount() const
{
    unsigned const bits = 1U << m_file.header().refcountOrder;
    return bits == 64 ? ~0ULL : (1ULL << bits) - 1;
}

std::uint64_t Refcounts::read(Block const& block, std::uint64_t entry) const
{
    auto const* data = block.data.get();
    switch (unsigned const order = m_file.header().refcountOrder; order) {
    case 3: return data[entry];
    case 4: return loadBig<std::uint16_t>({ data + entry * 2, 2 });
    case 5: return loadBig<std::uint32_t>({ data + entry * 4, 4 });
    case 6: return loadBig<std::uint64_t>({ data + entry * 8, 8 });
    default: { // several in a byte, the first in its low bits
        unsigned const bits = 1U << order, perByte = 8 / bits;
        return data[entry / perByte] >> (entry % perByte * bits) & ((1U << bits) - 1);
    }
    }
}

void Refcounts::store(Block& block, std::uint64_t entry, std::uint64_t value) const
{
    auto* data = block.data.get();
    switch (unsigned const order = m_file.header().refcountOrder; order) {
    case 3: data[entry] = static_cast<std::uint8_t>(value); break;
    case 4: storeBig({ data + entry * 2, 2 }, static_cast<std::uint16_t>(value)); break;
    case 5: storeBig({ data + entry * 4, 4 }, static_cast<std::uint32_t>(value)); break;
    case 6: storeBig({ data + entry * 8, 8 }, value); break;
    default: {
        unsigned const bits = 1U << order, perByte = 8 / bits, shift = static_cast<unsigned>(entry % perByte) * bits;
        unsigned const mask = ((1U << bits) - 1) << shift;
        auto& byte = data[entry / perByte];
        byte = static_cast<std::uint8_t>((byte & ~mask) | (static_cast<unsigned>(value) << shift & mask));
    }
    }
}

Result<Refcounts::Block*> Refcounts::newBlock()
{
    evict();
    auto block = std::make_unique<Block>();
    block->data = allocateAligned(m_file.clusterSize());
    if (!block->data)
        return fail(ErrorCode::OutOfMemory, "no memory for a refcount block");
    std::memset(block->data.get(), 0, m_file.clusterSize());
    block->lastUse = ++m_clock;
    return block.release();
}

void Refcounts::evict()
{
    if (m_loaded < m_maximumLoaded)
        return;
    std::unique_ptr<Block>* oldest = nullptr;
    for (auto& block : m_blocks) {
        if (block && !block->dirty && !block->writing && (oldest == nullptr || block->lastUse < (*oldest)->lastUse))
            oldest = &block;
    }
    // Where all are dirty the cache grows until the next commit.
    if (oldest != nullptr) {
        oldest->reset();
        --m_loaded;
    }
}

Result<Refcounts::Block*> Refcounts::load(std::uint64_t index)
{
    if (m_blocks[index]) {
        m_blocks[index]->lastUse = ++m_clock;
        return m_blocks[index].get();
    }
    std::unique_ptr<Block> block(TRY(newBlock()));
    TRY(m_file.file().read(m_table[index], { block->data.get(), m_file.clusterSize() }));
    m_blocks[index] = std::move(block);
    ++m_loaded;
    return m_blocks[index].get();
}

Result<std::uint64_t> Refcounts::get(std::uint64_t cluster)
{
    auto const index = cluster / m_entriesPerBlock;
    if (index >= m_table.size() || m_table[index] == 0)
        return 0;
    auto* const block = TRY(load(index));
    return read(*block, cluster % m_entriesPerBlock);
}

Result<> Refcounts::set(std::uint64_t cluster, std::uint64_t value)
{
    auto* const block = TRY(load(cluster / m_entriesPerBlock));
    store(*block, cluster % m_entriesPerBlock, value);
    block->dirty = true;
    return {};
}

Result<Refcounts::Run> Refcounts::allocate(std::uint64_t wanted)
{
    TRY(m_file.checkWritable());
    Run run;
    auto cluster = m_hint;
    while (true) {
        auto const index = cluster / m_entriesPerBlock;
        if (index >= m_table.size()) {
            if (run.count != 0)
                break;
            TRY(growTable());
            cluster = m_hint;
            continue;
        }
        if (m_table[index] == 0) {
            if (run.count != 0)
                break;
            TRY(addBlock(index, cluster));
            ++cluster;
            continue;
        }
        auto* const block = TRY(load(index));
        auto const base = index * m_entriesPerBlock;
        auto const end = base + m_entriesPerBlock;
        while (cluster < end && run.count == 0 && read(*block, cluster - base) != 0)
            ++cluster;
        if (run.count == 0) {
            m_hint = cluster;
            run.first = cluster;
        }
        while (cluster < end && run.count < wanted && read(*block, cluster - base) == 0) {
            ++cluster;
            ++run.count;
        }
        if (cluster < end || run.count == wanted)
            break;
    }
    if ((run.first + run.count) << m_file.header().clusterBits > maximumClusterOffset)
        return fail(ErrorCode::NoSpace, m_file.file().name() + ": the format ends at 64 PiB");
    for (auto i = run.first; i < run.first + run.count; ++i) {
        if (m_file.metadata().contains(i))
            return fail(m_file.markCorrupt(fmt::format("cluster {} holds a table and counts as free", i)));
    }
    for (auto i = run.first; i < run.first + run.count; ++i)
        TRY(set(i, 1));
    m_hint = run.first + run.count;
    return run;
}

Result<std::uint64_t> Refcounts::drop(std::uint64_t cluster)
{
    auto const count = TRY(get(cluster));
    if (count == 0)
        return fail(m_file.markCorrupt(fmt::format("cluster {} is in use and counts as free", cluster)));
    TRY(set(cluster, count - 1));
    if (count == 1)
        m_hint = std::min(m_hint, cluster);
    return count - 1;
}

/// Nothing in the range of a missing block is in use, so the block takes a cluster of its own range and counts itself.
/// It is durable before the table points to it.
Result<> Refcounts::addBlock(std::uint64_t index, std::uint64_t atCluster)
{
    std::unique_ptr<Block> block(TRY(newBlock()));
    store(*block, atCluster % m_entriesPerBlock, 1);
    auto const offset = atCluster << m_file.header().clusterBits;
    TRY(m_file.claimMetadata(offset, m_file.clusterSize(), "a new refcount block"));
    std::array<std::uint8_t, 8> entry {};
    storeBig(ByteSpan(entry), offset);
    auto const write = [&]() -> Result<> {
        TRY(m_file.write(offset, { block->data.get(), m_file.clusterSize() }));
        TRY(m_file.file().sync());
        return m_file.file().write(m_file.header().refcountTableOffset + index * 8, entry);
    };
    if (auto written = write(); !written) {
        m_file.metadata().erase(atCluster);
        return written;
    }
    m_table[index] = offset;
    m_blocks[index] = std::move(block);
    ++m_loaded;
    return {};
}

/// A larger table behind everything that the old one can count, with the blocks that count it.
Result<> Refcounts::growTable()
{
    auto const clusterSize = m_file.clusterSize();
    auto const oldClusters = m_table.size() * 8 / clusterSize;
    auto const newClusters = oldClusters + oldClusters / 2 + 1;
    if (newClusters * clusterSize > std::max(maximumRefcountTableBytes, 2 * clusterSize))
        return fail(ErrorCode::NoSpace, m_file.file().name() + ": the refcount table has reached its largest size");
    auto table = m_table;
    table.resize(newClusters * clusterSize / 8);
    auto const firstIndex = m_table.size();
    auto const first = firstIndex * m_entriesPerBlock;
    std::uint64_t blockCount = 1;
    while (blockCount * m_entriesPerBlock < blockCount + newClusters)
        ++blockCount;
    auto const used = blockCount + newClusters;
    std::vector<std::unique_ptr<Block>> blocks;
    for (std::uint64_t i = 0; i < blockCount; ++i) {
        blocks.emplace_back(TRY(newBlock()));
        for (std::uint64_t entry = 0; entry < m_entriesPerBlock && i * m_entriesPerBlock + entry < used; ++entry)
            store(*blocks.back(), entry, 1);
        table[firstIndex + i] = (first + i) * clusterSize;
        TRY(m_file.write(table[firstIndex + i], { blocks.back()->data.get(), clusterSize }));
    }
    auto const tableOffset = (first + blockCount) * clusterSize;
    TRY(writeTable(tableOffset, table));
    TRY(m_file.file().sync());
    auto const oldOffset = m_file.header().refcountTableOffset;
    TRY(pointHeaderTo(tableOffset, newClusters));
    TRY(m_file.file().sync());

    m_table = std::move(table);
    m_blocks.resize(m_table.size());
    for (std::uint64_t i = 0; i < blockCount; ++i) {
        m_blocks[firstIndex + i] = std::move(blocks[i]);
        ++m_loaded;
    }
    for (std::uint64_t i = 0; i < used; ++i)
        m_file.metadata().insert(first + i);
    for (std::uint64_t i = 0; i < oldClusters; ++i) {
        auto const cluster = oldOffset / clusterSize + i;
        m_file.metadata().erase(cluster);
        TRY(drop(cluster));
    }
    return {};
}

Result<> Refcounts::writeTable(std::uint64_t offset, std::vector<std::uint64_t> const& table)
{
    Bytes bytes(table.size() * 8);
    for (std::size_t i = 0; i < table.size(); ++i)
        storeBig(ByteSpan(bytes).subspan(i * 8, 8), table[i]);
    return m_file.write(offset, bytes);
}

Result<> Refcounts::pointHeaderTo(std::uint64_t offset, std::uint64_t clusters)
{
    std::array<std::uint8_t, 12> field {}; // both numbers in one sector, so in one piece
    storeBig(ByteSpan(field).first(8), offset);
    storeBig(ByteSpan(field).subspan(8), static_cast<std::uint32_t>(clusters));
    TRY(m_file.file().write(refcountTableField, field));
    m_file.header().refcountTableOffset = offset;
    m_file.header().refcountTableClusters = static_cast<std::uint32_t>(clusters);
    return {};
}

void Refcounts::collectDirty(std::vector<DirtyBlock>& blocks)
{
    for (std::size_t i = 0; i < m_blocks.size(); ++i) {
        if (m_blocks[i] && m_blocks[i]->dirty)
            blocks.push_back({ m_blocks[i].get(), m_table[i] });
    }
}

Result<> Refcounts::rebuild(std::vector<std::uint32_t> counts)
{
    auto const clusterSize = m_file.clusterSize();
    auto table = m_table;
    // Blocks that are missing, and a larger table where they do not fit, go behind the end: what lies there is unused.
    auto const tableClusters = m_file.header().refcountTableClusters;
    auto const rangesFor
        = [&](std::uint64_t clusters) { return (clusters + m_entriesPerBlock - 1) / m_entriesPerBlock; };
    std::uint64_t newTableClusters = tableClusters;
    std::uint64_t total = counts.size(), missing = 0;
    while (true) { // what is added needs to be counted too
        missing = 0;
        for (std::uint64_t i = 0; i < rangesFor(total); ++i)
            missing += i >= table.size() || table[i] == 0;
        newTableClusters
            = std::max<std::uint64_t>(tableClusters, (rangesFor(total) * 8 + clusterSize - 1) / clusterSize);
        auto const next = counts.size() + missing + (newTableClusters > tableClusters ? newTableClusters : 0);
        if (next == total)
            break;
        total = next;
    }
    if (newTableClusters * clusterSize > std::max(maximumRefcountTableBytes, clusterSize))
        return fail(m_file.corruptError("its clusters do not fit into a refcount table"));
    auto cluster = static_cast<std::uint64_t>(counts.size());
    table.resize(newTableClusters * clusterSize / 8);
    auto tableOffset = m_file.header().refcountTableOffset;
    if (newTableClusters > tableClusters) {
        for (std::uint64_t i = 0; i < tableClusters; ++i)
            counts[tableOffset / clusterSize + i] = 0;
        tableOffset = cluster * clusterSize;
        cluster += newTableClusters;
    }
    for (std::uint64_t i = 0; i < rangesFor(total); ++i) {
        if (table[i] == 0)
            table[i] = cluster++ * clusterSize;
    }
    counts.resize(total, 1);

    for (std::uint64_t i = 0; i < table.size(); ++i) {
        if (table[i] == 0)
            continue;
        std::unique_ptr<Block> const block(TRY(newBlock()));
        for (std::uint64_t entry = 0; entry < m_entriesPerBlock && i * m_entriesPerBlock + entry < total; ++entry) {
            auto const count = counts[i * m_entriesPerBlock + entry];
            if (count > maximumCount())
                return fail(m_file.corruptError("a cluster is used more often than its refcount can say"));
            store(*block, entry, count);
        }
        TRY(m_file.write(table[i], { block->data.get(), clusterSize }));
    }
    if (tableOffset != m_file.header().refcountTableOffset) {
        TRY(writeTable(tableOffset, table));
        TRY(m_file.file().sync());
        TRY(pointHeaderTo(tableOffset, newTableClusters));
    } else if (table != m_table) {
        TRY(m_file.file().sync());
        TRY(writeTable(tableOffset, table));
    }
    TRY(m_file.file().sync());
    return {};
}

}
