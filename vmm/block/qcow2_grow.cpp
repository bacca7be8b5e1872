#include "vmm/block/qcow2_change.h"

#include <algorithm>
#include <fmt/format.h>

// A larger disk. First the L1 table has room for it and what lies behind the old end is zeros, which nobody sees as
// long as the header has the old size; then one sector of it has the new one.

namespace vmm {

using namespace qcow2;

Result<> Qcow2Image::checkGrowth(std::uint64_t size) const
{
    TRY(BlockImage::checkGrowth(size));
    auto wanted = m_qcow.header();
    wanted.size = size;
    if (wanted.neededL1() > maximumL1Bytes / 8)
        return fail(ErrorCode::InvalidArgument,
            fmt::format("{}: {} bytes are too many for clusters of {}", m_file->name(), size, wanted.clusterSize()));
    // It would be as large as the disk is now, whenever that is read.
    auto const snapshots = TRY(m_qcow.readSnapshots());
    auto const silent = std::ranges::find(snapshots, false, &Snapshot::saysDiskSize);
    if (silent == snapshots.end())
        return {};
    return fail(ErrorCode::Unsupported,
        fmt::format("{0}: its snapshot \"{1}\" does not say how large the disk was then. Have that written into the "
                    "image, or delete the snapshot: qemu-img amend -f qcow2 -o compat=1.1 {0}",
            m_file->name(), silent->what.name));
}

Result<> Qcow2Image::growTo(std::uint64_t size)
{
    TRY(beginChange());
    auto wanted = m_qcow.header();
    wanted.size = size;
    if (wanted.neededL1() > wanted.l1Size)
        TRY(enlargeL1(wanted.neededL1()));
    auto const before = std::exchange(m_size, size);
    auto const grown = [&]() -> Result<> {
        TRY(zeroFrom(before));
        TRY(beginChange());
        return writeSize();
    }();
    if (!grown)
        m_size = before;
    return grown;
}

Result<> Qcow2Image::enlargeL1(std::uint64_t entries)
{
    Change change(m_qcow, m_refcounts, m_tables);
    change.snapshots = TRY(m_qcow.readSnapshots());
    TRY(change.rewrite.countRange(change.next.l1Offset, change.l1.size() * 8, -1));
    change.l1.resize(entries);
    TRY(change.moveL1());
    return finishChange(change);
}

/// What would come to light there: the rest of the last cluster, what a larger backing file has, what another program
/// has left in the tables (QEMU the state of a machine that it took a snapshot of).
Result<> Qcow2Image::zeroFrom(std::uint64_t offset)
{
    while (offset < m_size) {
        auto const there = TRY(resolve(offset, m_size - offset));
        if (there.kind != Mapping::Kind::Zero)
            TRY(runSync(BlockRequest::Kind::WriteZeroes, offset, there.length));
        offset += there.length;
    }
    return {};
}

Result<> Qcow2Image::writeSize()
{
    Change change(m_qcow, m_refcounts, m_tables);
    change.snapshots = TRY(m_qcow.readSnapshots());
    change.next.size = m_size;
    return finishChange(change);
}

}
