#include "vmm/block/qcow2_uses.h"

#include <fmt/format.h>
#include <set>

namespace vmm::qcow2 {

namespace {

constexpr std::uint64_t maximumEntries = 1ULL << 26; // of different L1 tables

}

Result<Uses> Uses::count(File& file, Refcounts const& refcounts, std::function<Result<>()> const& goOn)
{
    auto const& header = file.header();
    auto const clusters = (TRY(file.file().size()) + file.clusterSize() - 1) / file.clusterSize();
    if (clusters > maximumClusters)
        return fail(ErrorCode::Unsupported, file.file().name() + " is too large for its clusters to be counted");
    Uses uses(file, clusters);
    TRY(uses.use(0, file.clusterSize()));
    TRY(uses.use(header.refcountTableOffset, header.refcountTableClusters * file.clusterSize()));
    for (auto const block : refcounts.table())
        TRY(uses.use(block, block == 0 ? 0 : file.clusterSize()));
    TRY(uses.useTable(header.l1Offset, header.l1Size));
    auto const snapshots = TRY(file.readSnapshots());
    for (auto const& snapshot : snapshots)
        TRY(uses.useTable(snapshot.l1Offset, snapshot.l1Size));
    TRY(uses.use(header.snapshotsOffset, snapshotTableBytes(snapshots)));
    TRY(uses.followTables(goOn));
    return uses;
}

Result<> Uses::use(std::uint64_t offset, std::uint64_t bytes, std::uint32_t times)
{
    if (bytes == 0)
        return {};
    auto const bits = m_file.header().clusterBits;
    for (auto cluster = offset >> bits; cluster <= (offset + bytes - 1) >> bits; ++cluster) {
        if (cluster >= m_counts.size())
            return fail(m_file.corruptError(fmt::format("cluster {} is outside of the file", cluster)));
        m_counts[cluster] += times;
    }
    return {};
}

/// An L1 table; what it leads to is counted by followTables(). Snapshots may share tables, so each is read only once.
Result<> Uses::useTable(std::uint64_t l1Offset, std::uint64_t l1Size)
{
    TRY(use(l1Offset, l1Size * 8));
    ++m_l1Tables[{ l1Offset, l1Size }];
    return {};
}

Result<> Uses::followTables(std::function<Result<>()> const& goOn)
{
    std::map<std::uint64_t, std::uint32_t> l2Tables;
    std::uint64_t entries = 0;
    for (auto const& [place, times] : m_l1Tables) {
        TRY(goOn());
        entries += place.second;
        if (entries > maximumEntries)
            return fail(ErrorCode::Unsupported, m_file.file().name() + " has too many tables to be counted");
        for (auto const entry : TRY(m_file.readTable(place.first, place.second))) {
            if (auto const table = entry & offsetMask; table != 0)
                l2Tables[table] += times;
        }
    }
    for (auto const& [table, times] : l2Tables) {
        TRY(goOn());
        if (!m_file.isClusterInFile(table))
            return fail(m_file.corruptError(fmt::format("there is no L2 table at {}", table)));
        TRY(use(table, m_file.clusterSize(), times));
        for (auto const raw : TRY(m_file.readTable(table, m_file.header().l2Entries()))) {
            auto const cluster = TRY(m_file.decode(raw));
            if (cluster.kind == Entry::Kind::Compressed)
                TRY(use(cluster.hostOffset, cluster.compressedBytes, times));
            else if (cluster.hostOffset != 0)
                TRY(use(cluster.hostOffset, m_file.clusterSize(), times));
        }
    }
    return {};
}

Result<bool> Uses::flagsAgree() const
{
    auto const& header = m_file.header();
    std::set<std::uint64_t> shared;
    for (auto const entry : TRY(m_file.readTable(header.l1Offset, header.l1Size))) {
        auto const table = entry & offsetMask;
        if (table == 0)
            continue;
        bool agrees = (entry & copiedFlag) == 0 || at(table) == 1;
        if (at(table) != 1 && !shared.insert(table).second)
            continue; // seen already
        for (auto const raw : TRY(m_file.readTable(table, header.l2Entries())))
            agrees = agrees && ((raw & copiedFlag) == 0 || at(raw & offsetMask) == 1);
        if (!agrees)
            return false;
    }
    return true;
}

}
