#pragma once

#include "vmm/block/qcow2_image.h"
#include "vmm/block/qcow2_rewrite.h"

namespace vmm {

/// One Rewrite, with what it makes of the tables that are in memory.
struct Qcow2Image::Change {
    Change(qcow2::File& file, qcow2::Refcounts& refcounts, qcow2::Tables const& tables)
        : rewrite(file, refcounts), next(file.header()), l1(tables.l1()), cached(tables.cached())
    {
    }

    /// The active L1 table is written to a new place; what becomes of the old one is the caller's business.
    Result<> moveL1()
    {
        next.l1Size = static_cast<std::uint32_t>(l1.size());
        if (l1.empty())
            return {};
        next.l1Offset = TRY(rewrite.allocate((l1.size() * 8 + next.clusterSize() - 1) / next.clusterSize()));
        return rewrite.writeTable(next.l1Offset, l1);
    }

    Result<> writeSnapshots(std::uint64_t oldBytes)
    {
        TRY(rewrite.countRange(next.snapshotsOffset, oldBytes, -1));
        auto const bytes = snapshotTableBytes(snapshots);
        next.snapshotCount = static_cast<std::uint32_t>(snapshots.size());
        next.snapshotsOffset = 0;
        if (bytes == 0)
            return {};
        next.snapshotsOffset = TRY(rewrite.allocate((bytes + next.clusterSize() - 1) / next.clusterSize()));
        Bytes table;
        table.reserve(alignUp(bytes, next.clusterSize()));
        for (auto const& snapshot : snapshots)
            table.insert(table.end(), snapshot.raw.begin(), snapshot.raw.end());
        table.resize(alignUp(bytes, next.clusterSize()));
        return rewrite.write(next.snapshotsOffset, table);
    }

    qcow2::Rewrite rewrite;
    qcow2::Header next;
    std::vector<std::uint64_t> l1;
    qcow2::Rewrite::Rewritten cached;
    std::vector<qcow2::Snapshot> snapshots;
};

}
