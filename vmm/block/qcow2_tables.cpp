#include "vmm/block/qcow2_tables.h"

#include "vmm/base/log.h"

#include <algorithm>

namespace vmm::qcow2 {

TableCache::Place TableCache::add(Tables& owner, std::uint64_t l1Index)
{
    m_bytes += owner.tableBytes();
    return m_byUse.insert(m_byUse.end(), { &owner, l1Index });
}

void TableCache::remove(Place place)
{
    m_bytes -= place->owner->tableBytes();
    m_byUse.erase(place);
}

void TableCache::makeRoom(std::uint64_t bytes)
{
    for (auto place = m_byUse.begin(); place != m_byUse.end() && m_bytes + bytes > m_most;) {
        auto const entry = *place++;
        entry.owner->letGo(entry.l1Index);
    }
}

void TableCache::takeAll(TableCache& other)
{
    m_byUse.splice(m_byUse.begin(), other.m_byUse);
    m_bytes += std::exchange(other.m_bytes, 0);
}

Tables::Tables(File& file)
    : m_file(file), m_maximumDirty(std::max<std::uint64_t>(m_cache->most() / file.clusterSize(), 16) / 2)
{
}

Tables::~Tables()
{
    for (std::uint64_t i = 0; i < m_tables.size(); ++i)
        drop(i);
}

void Tables::join(std::shared_ptr<TableCache> const& cache)
{
    if (m_cache == cache)
        return;
    cache->takeAll(*m_cache);
    m_cache = cache;
}

void Tables::letGo(std::uint64_t l1Index)
{
    constexpr std::size_t lastFew = 4;
    if (!m_tables[l1Index]->listed && m_loaded - m_dirty.size() > lastFew)
        drop(l1Index);
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
    m_cache->makeRoom(m_file.clusterSize());
    auto table = std::make_unique<Table>();
    table->entries = allocateAligned(m_file.clusterSize());
    if (!table->entries)
        return fail(ErrorCode::OutOfMemory, "no memory for an L2 table");
    return table;
}

Tables::Table* Tables::enter(std::uint64_t l1Index, std::unique_ptr<Table> table)
{
    table->place = m_cache->add(*this, l1Index);
    ++m_loaded;
    return (m_tables[l1Index] = std::move(table)).get();
}

void Tables::drop(std::uint64_t l1Index)
{
    auto const table = std::move(m_tables[l1Index]);
    if (!table)
        return;
    m_cache->remove(table->place);
    --m_loaded;
}

Result<Tables::Table*> Tables::find(std::uint64_t l1Index)
{
    if (auto const& known = m_tables[l1Index]) {
        m_cache->use(known->place);
        return known.get();
    }
    auto const offset = m_l1[l1Index] & offsetMask;
    if (offset == 0)
        return nullptr;
    auto table = TRY(makeTable());
    TRY(m_file.file().read(offset, { table->entries.get(), m_file.clusterSize() }));
    table->hostOffset = offset;
    table->shared = (m_l1[l1Index] & copiedFlag) == 0;
    return enter(l1Index, std::move(table));
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
        enter(l1Index, std::move(fresh));
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
    for (auto i = l1.size(); i < m_tables.size(); ++i)
        drop(i);
    m_l1 = std::move(l1);
    m_tables.resize(m_l1.size());
    for (std::uint64_t i = 0; i < m_tables.size(); ++i) {
        auto& table = m_tables[i];
        if (!table)
            continue;
        auto const offset = m_l1[i] & offsetMask;
        if (auto const found = rewritten.find(i); found != rewritten.end() && found->second)
            table->entries = std::move(found->second);
        else if (table->hostOffset != offset) {
            drop(i);
            continue;
        }
        table->hostOffset = offset;
        table->shared = (m_l1[i] & copiedFlag) == 0;
    }
}

}
