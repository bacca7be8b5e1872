#include "vmm/base/log.h"
#include "vmm/block/qcow2_image.h"

#include <map>
#include <set>

namespace vmm {

using namespace qcow2;

namespace {

constexpr std::uint64_t maximumClusters = 1ULL << 28; // 1 GiB of counters
constexpr std::uint64_t maximumEntries = 1ULL << 26;  // of different L1 tables

/// Counts what uses each cluster.
class Counter {
public:
    Counter(File& file, std::uint64_t clusters) : m_file(file), m_counts(clusters) { }

    Result<> use(std::uint64_t offset, std::uint64_t bytes, std::uint32_t times = 1)
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

    /// An L1 table; what it leads to is counted by finish(). Snapshots may share tables, so each is read only once.
    Result<> useTable(std::uint64_t l1Offset, std::uint64_t l1Size)
    {
        TRY(use(l1Offset, l1Size * 8));
        ++m_l1Tables[{ l1Offset, l1Size }];
        return {};
    }

    Result<> finish()
    {
        std::map<std::uint64_t, std::uint32_t> l2Tables;
        std::uint64_t entries = 0;
        for (auto const& [place, times] : m_l1Tables) {
            entries += place.second;
            if (entries > maximumEntries)
                return fail(ErrorCode::Unsupported, "the image was not closed properly and has too many tables");
            for (auto const entry : TRY(m_file.readTable(place.first, place.second))) {
                if (auto const table = entry & offsetMask; table != 0)
                    l2Tables[table] += times;
            }
        }
        for (auto const& [table, times] : l2Tables) {
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

    std::uint32_t count(std::uint64_t offset) const
    {
        auto const cluster = offset >> m_file.header().clusterBits;
        return cluster < m_counts.size() ? m_counts[cluster] : 0;
    }
    std::vector<std::uint32_t>& counts() { return m_counts; }

private:
    File& m_file;
    std::vector<std::uint32_t> m_counts;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> m_l1Tables; // offset and entries, times used
};

}

/// The dirty bit says that refcounts were put off (lazy refcounts) and the image was not closed: they are counted anew
/// from the tables that use the clusters. docs/interop/qcow2.txt, section "Header", incompatible_features bit 0.
Result<> Qcow2Image::repair()
{
    auto& header = m_qcow.header();
    if (header.hasBitmaps)
        return fail(ErrorCode::Unsupported, m_file->name() + " was not closed properly and has dirty bitmaps");
    auto const clusters = (TRY(m_file->size()) + clusterSize() - 1) / clusterSize();
    if (clusters > maximumClusters)
        return fail(
            ErrorCode::Unsupported, m_file->name() + " was not closed properly and is too large to be repaired");
    log(LogLevel::Info, "block", "{} was not closed properly, counting its clusters", m_file->name());

    Refcounts refcounts(m_qcow);
    TRY(refcounts.open());
    Counter counter(m_qcow, clusters);
    TRY(counter.use(0, clusterSize()));
    TRY(counter.use(header.refcountTableOffset, header.refcountTableClusters * clusterSize()));
    for (auto const block : refcounts.table())
        TRY(counter.use(block, block == 0 ? 0 : clusterSize()));
    TRY(counter.useTable(header.l1Offset, header.l1Size));
    auto const snapshots = TRY(m_qcow.readSnapshots());
    for (auto const& snapshot : snapshots)
        TRY(counter.useTable(snapshot.l1Offset, snapshot.l1Size));
    TRY(counter.use(header.snapshotsOffset, snapshotTableBytes(snapshots)));
    TRY(counter.finish());

    // What the active tables call theirs alone must be: otherwise a write in place would change a snapshot too.
    std::set<std::uint64_t> shared;
    for (auto const entry : TRY(m_qcow.readTable(header.l1Offset, header.l1Size))) {
        auto const table = entry & offsetMask;
        if (table == 0)
            continue;
        bool agrees = (entry & copiedFlag) == 0 || counter.count(table) == 1;
        if (counter.count(table) != 1 && !shared.insert(table).second)
            continue; // seen already
        for (auto const raw : TRY(m_qcow.readTable(table, header.l2Entries())))
            agrees = agrees && ((raw & copiedFlag) == 0 || counter.count(raw & offsetMask) == 1);
        if (!agrees)
            return fail(m_qcow.corruptError("it was not closed properly, and its tables contradict each other"));
    }
    TRY(refcounts.rebuild(std::move(counter.counts())));
    header.incompatible &= ~dirtyBit;
    TRY(m_qcow.writeHeaderField(incompatibleField, header.incompatible));
    return m_file->sync();
}

}
