#include "vmm/block/qcow2_tables.h"

#include "vmm/base/log.h"

#include <algorithm>

namespace vmm::qcow2 {

namespace {

constexpr std::uint64_t cacheBytes = 32 << 20; // with 64 KiB clusters the tables of 256 GiB

}

Tables::Tables(File& file)
    : m_file(file),
      m_maximumLoaded(std::max<std::uint64_t>(cacheBytes / file.clusterSize(), 16)),
      m_maximumDirty(m_maximumLoaded / 2)
{
}

Result<> Tables::open()
{
    auto const& header = m_file.header();
    m_l1 = TRY(m_file.readTable(header.l1Offset, header.l1Size));
    m_tables.resize(m_l1.size());
    for (auto const entry : m_l1) {
        auto const offset = entry & offsetMask;
        if ((entry & ~(copiedFlag | offsetMask)) != 0)
            return fail(m_file.corruptError(fmt::format("L1 entry 0x{:016x} has reserved bits set", entry)));
        if (entry == 0)
            continue;
        if (!m_file.isClusterInFile(offset))
            return fail(m_file.corruptError(fmt::format("L1 entry 0x{:016x} points to no cluster of the file", entry)));
    }
    return {};
}

Result<std::unique_ptr<Tables::Table>> Tables::makeTable()
{
    evict();
    auto table = std::make_unique<Table>();
    table->entries = allocateAligned(m_file.clusterSize());
    if (!table->entries)
        return fail(ErrorCode::OutOfMemory, "no memory for an L2 table");
    table->lastUse = ++m_clock;
    return table;
}

void Tables::evict()
{
    if (m_loaded < m_maximumLoaded)
        return;
    std::unique_ptr<Table>* oldest = nullptr;
    for (auto& table : m_tables) {
        if (table && !table->listed && (oldest == nullptr || table->lastUse < (*oldest)->lastUse))
            oldest = &table;
    }
    if (oldest != nullptr) {
        oldest->reset();
        --m_loaded;
    }
}

Result<Tables::Table*> Tables::find(std::uint64_t l1Index)
{
    auto& slot = m_tables[l1Index];
    if (slot) {
        slot->lastUse = ++m_clock;
        return slot.get();
    }
    auto const offset = m_l1[l1Index] & offsetMask;
    if (offset == 0)
        return nullptr;
    auto table = TRY(makeTable());
    TRY(m_file.file().read(offset, { table->entries.get(), m_file.clusterSize() }));
    table->hostOffset = offset;
    table->shared = (m_l1[l1Index] & copiedFlag) == 0;
    slot = std::move(table);
    ++m_loaded;
    return slot.get();
}

Result<Tables::Table*> Tables::forWriting(
    std::uint64_t l1Index, Refcounts& refcounts, std::vector<std::uint64_t>& replaced)
{
    auto* table = TRY(find(l1Index));
    if (table != nullptr && !table->shared)
        return table;
    std::unique_ptr<Table> fresh;
    if (table == nullptr) {
        fresh = TRY(makeTable());
        std::memset(fresh->entries.get(), 0, m_file.clusterSize());
        table = fresh.get();
    }
    auto const run = TRY(refcounts.allocate(1));
    auto const offset = run.first << m_file.header().clusterBits;
    TRY(m_file.claimMetadata(offset, m_file.clusterSize(), "a new L2 table"));
    if (fresh) {
        m_tables[l1Index] = std::move(fresh);
        ++m_loaded;
    } else {
        replaced.push_back(table->hostOffset);
        m_file.metadata().erase(table->hostOffset >> m_file.header().clusterBits);
        // What the snapshot shares with us it shares by cluster from now on, so no entry may be written in place.
        for (std::uint64_t i = 0; i < m_file.header().l2Entries(); ++i) {
            if ((table->get(i) & copiedFlag) != 0)
                table->set(i, table->get(i) & ~copiedFlag);
        }
    }
    table->hostOffset = offset;
    table->shared = false;
    table->fresh = true;
    m_l1[l1Index] = offset | copiedFlag;
    m_dirtyL1.insert(l1Index * 8 / 512);
    noteDirty(*table);
    return table;
}

void Tables::noteDirty(Table& table)
{
    if (!std::exchange(table.listed, true))
        m_dirty.push_back(&table);
}

void Tables::encodeL1Sector(std::uint64_t sector, ByteSpan to) const
{
    for (std::size_t i = 0; i < to.size() / 8; ++i) {
        auto const index = sector * 64 + i;
        storeBig(to.subspan(i * 8, 8), index < m_l1.size() ? m_l1[index] : 0);
    }
}

void Tables::markCommitted()
{
    for (auto* table : m_dirty) {
        table->fresh = table->listed = false;
        table->dirtyBegin = ~0ULL;
        table->dirtyEnd = 0;
    }
    m_dirty.clear();
    m_dirtyL1.clear();
}

std::map<std::uint64_t, AlignedBuffer> Tables::cached() const
{
    std::map<std::uint64_t, AlignedBuffer> all;
    for (std::uint64_t i = 0; i < m_tables.size(); ++i) {
        if (m_tables[i])
            all.emplace(i, AlignedBuffer { nullptr, std::free });
    }
    return all;
}

void Tables::adopt(std::vector<std::uint64_t> l1, std::map<std::uint64_t, AlignedBuffer> rewritten)
{
    m_l1 = std::move(l1);
    m_tables.resize(m_l1.size());
    m_loaded = 0;
    for (std::uint64_t i = 0; i < m_tables.size(); ++i) {
        auto& table = m_tables[i];
        if (!table)
            continue;
        auto const offset = m_l1[i] & offsetMask;
        if (auto const found = rewritten.find(i); found != rewritten.end() && found->second)
            table->entries = std::move(found->second);
        else if (table->hostOffset != offset) {
            table.reset();
            continue;
        }
        table->hostOffset = offset;
        table->shared = (m_l1[i] & copiedFlag) == 0;
        ++m_loaded;
    }
}

}
