#include "vmm/base/log.h"
#include "vmm/block/qcow2_change.h"

#include <algorithm>

// Internal snapshots (docs/interop/qcow2.txt, section "Snapshots"): a snapshot is an L1 table of its own, and every
// cluster is counted once for each L1 table that leads to it. So a take raises the counts of all that the disk uses, a
// delete lowers those of all that the snapshot used, and going back does both. Each is one Rewrite.

namespace vmm {

using namespace qcow2;

/// Notes where all tables are. On an error the notes are as they were.
Result<> Qcow2Image::claimTables(Header const& header, std::vector<std::uint64_t> const& refcountTable,
    std::vector<std::uint64_t> const& l1, std::vector<Snapshot> const& snapshots)
{
    auto before = std::exchange(m_qcow.metadata(), {});
    auto const claim = [&]() -> Result<> {
        TRY(m_qcow.claimMetadata(0, clusterSize(), "the header"));
        if (header.l1Size != 0)
            TRY(m_qcow.claimMetadata(header.l1Offset, std::uint64_t(header.l1Size) * 8, "the L1 table"));
        TRY(m_qcow.claimMetadata(
            header.refcountTableOffset, header.refcountTableClusters * clusterSize(), "the refcount table"));
        if (auto const bytes = snapshotTableBytes(snapshots); bytes != 0)
            TRY(m_qcow.claimMetadata(header.snapshotsOffset, bytes, "the snapshot table"));
        for (auto const& snapshot : snapshots) {
            if (snapshot.l1Size != 0)
                TRY(m_qcow.claimMetadata(
                    snapshot.l1Offset, std::uint64_t(snapshot.l1Size) * 8, "a snapshot's L1 table"));
        }
        for (auto const block : refcountTable) {
            if (block != 0)
                TRY(m_qcow.claimMetadata(block, clusterSize(), "a refcount block"));
        }
        for (auto const entry : l1) {
            if (entry != 0)
                TRY(m_qcow.claimMetadata(entry & offsetMask, clusterSize(), "an L2 table"));
        }
        return {};
    };
    auto claimed = claim();
    if (!claimed)
        m_qcow.metadata() = std::move(before);
    return claimed;
}

namespace {

Result<std::size_t> indexOf(std::vector<Snapshot> const& snapshots, std::string_view id, std::string const& name)
{
    auto const found
        = std::ranges::find_if(snapshots, [&](Snapshot const& snapshot) { return snapshot.what.id == id; });
    if (found == snapshots.end())
        return fail(ErrorCode::NotFound, fmt::format("{} has no snapshot \"{}\"", name, id));
    return static_cast<std::size_t>(found - snapshots.begin());
}

}

Result<std::vector<DiskSnapshot>> Qcow2Image::snapshots()
{
    std::vector<DiskSnapshot> all;
    for (auto& snapshot : TRY(m_qcow.readSnapshots()))
        all.push_back(std::move(snapshot.what));
    return all;
}

/// The image shows the snapshot's L1 table as if it were the active one.
Result<> Qcow2Image::openAtSnapshot(std::string const& id)
{
    auto const snapshots = TRY(m_qcow.readSnapshots());
    auto const index = TRY(indexOf(snapshots, id, m_file->name()));
    auto const& snapshot = snapshots[index];
    auto& header = m_qcow.header();
    header.l1Offset = snapshot.l1Offset;
    header.l1Size = snapshot.l1Size;
    header.size = alignDown(snapshot.what.diskSize, sectorSize);
    if (header.neededL1() > header.l1Size)
        return fail(m_qcow.corruptError(fmt::format(
            "snapshot \"{}\" has an L1 table of {} entries for {} bytes", id, snapshot.l1Size, header.size)));
    return {};
}

/// After it everything that the tables say is durable, and nothing is in flight.
Result<> Qcow2Image::beginChange()
{
    drain();
    if (m_readOnly)
        return fail(ErrorCode::PermissionDenied, m_file->name() + " is open for reading only");
    TRY(m_qcow.checkWritable());
    TRY(beforeFirstWrite());
    TRY(runSync(BlockRequest::Kind::Flush, 0, 0));
    drain();
    return {};
}

Result<> Qcow2Image::finishChange(Change& change)
{
    auto& rewrite = change.rewrite;
    TRY(rewrite.place(change.next));
    auto before = m_qcow.metadata();
    TRY(claimTables(change.next, rewrite.refcountTable(), change.l1, change.snapshots));
    auto const committed = [&]() -> Result<> {
        TRY(rewrite.checkInUse(m_qcow.metadata()));
        return rewrite.commit(change.next);
    }();
    if (!committed) {
        m_qcow.metadata() = std::move(before);
        return committed;
    }
    m_tables.adopt(std::move(change.l1), std::move(change.cached));
    m_size = alignDown(m_qcow.header().size, sectorSize);
    m_compressedKey = 0;
    return {};
}

Result<> Qcow2Image::prepareSnapshot()
{
    if (m_readOnly)
        return fail(ErrorCode::PermissionDenied, m_file->name() + " is open for reading only");
    return runSync(BlockRequest::Kind::Flush, 0, 0);
}

Result<> Qcow2Image::takeSnapshot(DiskSnapshot const& snapshot)
{
    TRY(checkSnapshot(snapshot));
    TRY(beginChange());
    if (m_qcow.header().refcountOrder == 0)
        return fail(
            ErrorCode::Unsupported, m_file->name() + ": an image with refcounts of one bit cannot have snapshots");
    Change change(m_qcow, m_refcounts, m_tables);
    auto& [rewrite, next, l1, cached, snapshots] = change;
    snapshots = TRY(m_qcow.readSnapshots());
    if (indexOf(snapshots, snapshot.id, {}))
        return fail(ErrorCode::AlreadyExists, fmt::format("{} has a snapshot \"{}\"", m_file->name(), snapshot.id));
    if (snapshots.size() == maximumSnapshots)
        return fail(ErrorCode::Unsupported, m_file->name() + " has as many snapshots as the format knows");

    TRY(rewrite.countTree(l1, +1));
    l1 = TRY(rewrite.settle(std::move(l1), cached));
    // The L1 table stays where it is and becomes the snapshot's.
    Snapshot made { .l1Offset = next.l1Offset, .l1Size = next.l1Size, .what = snapshot, .raw = {} };
    if (made.what.name.empty())
        made.what.name = made.what.id;
    made.what.diskSize = m_size;
    made.raw = encodeSnapshot(made);
    TRY(change.moveL1());
    auto const oldBytes = snapshotTableBytes(snapshots);
    snapshots.push_back(std::move(made));
    if (snapshotTableBytes(snapshots) > maximumSnapshotTableBytes)
        return fail(ErrorCode::Unsupported, m_file->name() + ": the snapshot table has reached its largest size");
    TRY(change.writeSnapshots(oldBytes));
    return finishChange(change);
}

Result<> Qcow2Image::applySnapshot(std::string_view id)
{
    TRY(beginChange());
    Change change(m_qcow, m_refcounts, m_tables);
    auto& [rewrite, next, l1, cached, snapshots] = change;
    snapshots = TRY(m_qcow.readSnapshots());
    auto const index = TRY(indexOf(snapshots, id, m_file->name()));
    auto const& snapshot = snapshots[index];
    next.size = alignDown(snapshot.what.diskSize, sectorSize);
    // What an L1 table has behind the disk's end is machine state of QEMU's.
    auto then = TRY(m_qcow.readTable(snapshot.l1Offset, snapshot.l1Size));
    then.resize(next.neededL1());
    TRY(rewrite.countTree(then, +1)); // first, so that what stays in use is never free
    TRY(rewrite.countTree(l1, -1));
    TRY(rewrite.countRange(next.l1Offset, l1.size() * 8, -1));
    cached.clear();
    l1 = TRY(rewrite.settle(std::move(then), cached));
    TRY(change.moveL1());
    TRY(finishChange(change));
    std::ranges::copy(rewrite.freed(), std::back_inserter(m_toGiveBack));
    return {};
}

Result<> Qcow2Image::deleteSnapshot(std::string_view id)
{
    TRY(beginChange());
    Change change(m_qcow, m_refcounts, m_tables);
    auto& [rewrite, next, l1, cached, snapshots] = change;
    snapshots = TRY(m_qcow.readSnapshots());
    auto const oldBytes = snapshotTableBytes(snapshots);
    auto const index = TRY(indexOf(snapshots, id, m_file->name()));
    auto const snapshot = snapshots[index];
    snapshots.erase(snapshots.begin() + static_cast<std::ptrdiff_t>(index));
    auto const then = TRY(m_qcow.readTable(snapshot.l1Offset, snapshot.l1Size));
    TRY(rewrite.countTree(then, -1));
    TRY(rewrite.countRange(snapshot.l1Offset, std::uint64_t(snapshot.l1Size) * 8, -1));
    auto const before = l1;
    l1 = TRY(rewrite.settle(std::move(l1), cached));
    if (l1 != before) {
        TRY(rewrite.countRange(next.l1Offset, l1.size() * 8, -1));
        TRY(change.moveL1());
    }
    TRY(change.writeSnapshots(oldBytes));
    TRY(finishChange(change));
    std::ranges::copy(rewrite.freed(), std::back_inserter(m_toGiveBack));
    return {};
}

}
