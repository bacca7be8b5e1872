#include "vmm/block/qcow2_rewrite.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <array>

namespace vmm::qcow2 {

namespace {

constexpr std::size_t writeTogether = 1 << 20;          // bytes
constexpr std::uint64_t maximumDraftBytes = 4ULL << 30; // of counts in memory: 128 TiB with clusters of 64 KiB

}

Rewrite::Rewrite(File& file, Refcounts& refcounts)
    : m_file(file),
      m_refcounts(refcounts),
      m_table(refcounts.m_table),
      m_search(refcounts.m_hint),
      m_l2(allocateAligned(file.clusterSize()))
{
}

/// The block with the new counts; nullptr where there is none and `make` is not set.
Result<Rewrite::Draft*> Rewrite::draft(std::uint64_t index, bool make)
{
    if (m_last != nullptr && index == m_lastIndex)
        return m_last;
    auto found = m_drafts.find(index);
    if (found == m_drafts.end()) {
        if (!make)
            return nullptr;
        if ((m_drafts.size() + 1) * m_file.clusterSize() > maximumDraftBytes)
            return fail(ErrorCode::Unsupported, m_file.file().name() + ": the image has too many clusters for that");
        auto const perBlock = m_refcounts.m_entriesPerBlock;
        Draft made;
        made.block.data = allocateAligned(m_file.clusterSize());
        if (!made.block.data)
            return fail(ErrorCode::OutOfMemory, "no memory for a refcount block");
        made.heldBack.resize(perBlock);
        if (index < m_refcounts.m_table.size() && m_refcounts.m_table[index] != 0) {
            auto* const block = TRY(m_refcounts.load(index));
            std::memcpy(made.block.data.get(), block->data.get(), m_file.clusterSize());
        } else {
            std::memset(made.block.data.get(), 0, m_file.clusterSize());
        }
        if (index >= m_table.size())
            m_table.resize(index + 1);
        found = m_drafts.emplace(index, std::move(made)).first;
        m_homeless.push_back(index);
    }
    m_last = &found->second;
    m_lastIndex = index;
    return m_last;
}

Result<std::uint64_t> Rewrite::count(std::uint64_t cluster)
{
    auto* const block = TRY(draft(cluster / m_refcounts.m_entriesPerBlock, false));
    if (block == nullptr)
        return m_refcounts.get(cluster);
    return m_refcounts.read(block->block, cluster % m_refcounts.m_entriesPerBlock);
}

Result<> Rewrite::countRun(std::uint64_t cluster, std::uint64_t clusters, int step)
{
    auto const perBlock = m_refcounts.m_entriesPerBlock;
    auto const most = m_refcounts.maximumCount();
    while (clusters != 0) {
        auto* const block = TRY(draft(cluster / perBlock, true));
        auto entry = cluster % perBlock;
        auto const part = std::min(clusters, perBlock - entry);
        for (std::uint64_t i = 0; i < part; ++i, ++entry, ++cluster) {
            auto const before = m_refcounts.read(block->block, entry);
            if (before == 0)
                return fail(m_file.corruptError(fmt::format("cluster {} is in use and counts as free", cluster)));
            if (step > 0 && before == most)
                return fail(ErrorCode::Unsupported,
                    fmt::format(
                        "{}: cluster {} is shared {} times already, which is all that counts of {} bits can say",
                        m_file.file().name(), cluster, before, 1U << m_file.header().refcountOrder));
            m_refcounts.store(block->block, entry, step > 0 ? before + 1 : before - 1);
            if (step < 0 && before == 1)
                block->heldBack[entry] = true;
        }
        clusters -= part;
    }
    return {};
}

Result<> Rewrite::countRange(std::uint64_t offset, std::uint64_t bytes, int step)
{
    if (bytes == 0)
        return {};
    auto const bits = m_file.header().clusterBits;
    auto const first = offset >> bits;
    return countRun(first, ((offset + bytes - 1) >> bits) - first + 1, step);
}

Result<> Rewrite::checkL1Entry(std::uint64_t entry) const
{
    if ((entry & ~(copiedFlag | offsetMask)) != 0)
        return fail(m_file.corruptError(fmt::format("L1 entry 0x{:016x} has reserved bits set", entry)));
    if (!m_file.isClusterInFile(entry & offsetMask))
        return fail(m_file.corruptError(fmt::format("L1 entry 0x{:016x} points to no cluster of the file", entry)));
    return {};
}

Result<> Rewrite::readL2(std::uint64_t offset)
{
    if (!m_l2)
        return fail(ErrorCode::OutOfMemory, "no memory for an L2 table");
    return m_file.file().read(offset, { m_l2.get(), m_file.clusterSize() });
}

Result<> Rewrite::countTree(std::vector<std::uint64_t> const& l1, int step)
{
    auto const clusterSize = m_file.clusterSize();
    auto const entries = m_file.header().l2Entries();
    for (auto const l1Entry : l1) {
        if (l1Entry == 0)
            continue;
        TRY(checkL1Entry(l1Entry));
        TRY(countRange(l1Entry & offsetMask, clusterSize, step));
        TRY(readL2(l1Entry & offsetMask));
        std::uint64_t runStart = 0, runEnd = 0; // offsets; clusters in the order of the disk are mostly so in the file
        for (std::uint64_t i = 0; i < entries; ++i) {
            auto const raw = loadBig<std::uint64_t>({ m_l2.get() + i * 8, 8 });
            if (raw == 0)
                continue;
            auto const entry = TRY(m_file.decode(raw));
            if (entry.hostOffset == 0)
                continue;
            if (entry.kind == Entry::Kind::Compressed) {
                TRY(countRange(entry.hostOffset, entry.compressedBytes, step));
                continue;
            }
            if (entry.hostOffset != runEnd) {
                TRY(countRange(runStart, runEnd - runStart, step));
                runStart = entry.hostOffset;
            }
            runEnd = entry.hostOffset + clusterSize;
        }
        TRY(countRange(runStart, runEnd - runStart, step));
    }
    return {};
}

/// Sets the flags in `entries`; whether any changed.
Result<bool> Rewrite::flagsOf(AlignedBuffer& entries, bool shared)
{
    bool changed = false;
    for (std::uint64_t i = 0; i < m_file.header().l2Entries(); ++i) {
        ByteSpan const place(entries.get() + i * 8, 8);
        auto const raw = loadBig<std::uint64_t>(place);
        if (raw == 0 || (raw & compressedFlag) != 0)
            continue;
        auto const cluster = (raw & offsetMask) >> m_file.header().clusterBits;
        auto const uses = cluster == 0 ? 0 : TRY(count(cluster));
        if (cluster != 0 && uses == 0)
            return fail(m_file.corruptError(fmt::format("cluster {} is in use and counts as free", cluster)));
        bool const alone = uses == 1 && !shared;
        auto const wanted = (raw & ~copiedFlag) | (alone ? copiedFlag : 0);
        if (wanted != raw) {
            storeBig(place, wanted);
            changed = true;
        }
    }
    return changed;
}

Result<std::vector<std::uint64_t>> Rewrite::settle(std::vector<std::uint64_t> l1, Rewritten& rewritten)
{
    auto const clusterSize = m_file.clusterSize();
    for (std::uint64_t i = 0; i < l1.size(); ++i) {
        if (l1[i] == 0)
            continue;
        auto const offset = l1[i] & offsetMask;
        bool const shared = TRY(count(offset >> m_file.header().clusterBits)) != 1;
        TRY(readL2(offset));
        l1[i] = offset | (shared ? 0 : copiedFlag);
        if (!TRY(flagsOf(m_l2, shared)))
            continue;
        auto const fresh = TRY(allocate(1));
        TRY(write(fresh, { m_l2.get(), clusterSize }));
        TRY(countRange(offset, clusterSize, -1));
        l1[i] = fresh | copiedFlag;
        if (auto const kept = rewritten.find(i); kept != rewritten.end()) {
            kept->second = std::move(m_l2);
            m_l2 = allocateAligned(clusterSize);
        }
    }
    return l1;
}

/// Free in the old image and in the new one.
Result<bool> Rewrite::isFree(std::uint64_t cluster)
{
    auto const perBlock = m_refcounts.m_entriesPerBlock;
    auto* const block = TRY(draft(cluster / perBlock, false));
    if (block == nullptr)
        return TRY(m_refcounts.get(cluster)) == 0;
    return m_refcounts.read(block->block, cluster % perBlock) == 0 && !block->heldBack[cluster % perBlock];
}

Result<std::uint64_t> Rewrite::allocate(std::uint64_t clusters)
{
    auto first = m_search;
    for (auto end = first; end < first + clusters; ++end) {
        if (!TRY(isFree(end)))
            first = end + 1;
    }
    for (auto cluster = first; cluster < first + clusters; ++cluster) {
        if (m_file.metadata().contains(cluster))
            return fail(m_file.markCorrupt(fmt::format("cluster {} holds a table and counts as free", cluster)));
        auto* const block = TRY(draft(cluster / m_refcounts.m_entriesPerBlock, true));
        m_refcounts.store(block->block, cluster % m_refcounts.m_entriesPerBlock, 1);
    }
    if (clusters == 1 || first == m_search)
        m_search = first + clusters;
    return first << m_file.header().clusterBits;
}

Result<> Rewrite::checkInUse(std::unordered_set<std::uint64_t> const& clusters)
{
    for (auto const cluster : clusters) {
        if (TRY(count(cluster)) == 0)
            return fail(m_file.corruptError(fmt::format("cluster {} holds a table and counts as free", cluster)));
    }
    return {};
}

Result<> Rewrite::write(std::uint64_t offset, ConstByteSpan data)
{
    if (offset != m_pendingOffset + m_pending.size() || m_pending.size() + data.size() > writeTogether)
        TRY(writeOut());
    if (m_pending.empty())
        m_pendingOffset = offset;
    m_pending.insert(m_pending.end(), data.begin(), data.end());
    return {};
}

Result<> Rewrite::writeOut()
{
    if (m_pending.empty())
        return {};
    auto const written = m_file.write(m_pendingOffset, m_pending);
    m_pending.clear();
    return written;
}

Result<> Rewrite::writeTable(std::uint64_t offset, std::vector<std::uint64_t> const& entries)
{
    Bytes bytes(alignUp<std::uint64_t>(entries.size() * 8, m_file.clusterSize()));
    for (std::size_t i = 0; i < entries.size(); ++i)
        storeBig(ByteSpan(bytes).subspan(i * 8, 8), entries[i]);
    return write(offset, bytes);
}

/// A block that changes needs a new place, whose cluster is counted in a block, which changes; until all have one.
Result<> Rewrite::place(Header& next)
{
    auto const clusterSize = m_file.clusterSize();
    auto const perTableCluster = clusterSize / 8;
    auto const clustersFor = [&] { return (m_table.size() + perTableCluster - 1) / perTableCluster; };
    auto const& old = m_file.header();
    TRY(countRange(old.refcountTableOffset, old.refcountTableClusters * clusterSize, -1));
    next.refcountTableOffset = 0;
    next.refcountTableClusters = 0;
    while (true) {
        if (!m_homeless.empty()) {
            auto const index = m_homeless.back();
            m_homeless.pop_back();
            auto const from = m_table[index];
            auto const to = TRY(allocate(1));
            m_table[index] = m_drafts.at(index).place = to;
            TRY(countRange(from, from == 0 ? 0 : clusterSize, -1));
        } else if (clustersFor() > next.refcountTableClusters) {
            if (clustersFor() * clusterSize > std::max(maximumRefcountTableBytes, clusterSize))
                return fail(
                    ErrorCode::NoSpace, m_file.file().name() + ": the refcount table has reached its largest size");
            // Where an attempt was too small its clusters were never used.
            TRY(countRange(next.refcountTableOffset, next.refcountTableClusters * clusterSize, -1));
            next.refcountTableClusters = std::max(static_cast<std::uint32_t>(clustersFor()), old.refcountTableClusters);
            next.refcountTableOffset = TRY(allocate(next.refcountTableClusters));
        } else {
            break;
        }
    }
    m_table.resize(next.refcountTableClusters * perTableCluster);
    noteFreed();
    return {};
}

Result<> Rewrite::writeHeader(Header const& header)
{
    std::array<std::uint8_t, 48> fields {}; // bytes 24 to 71; 32 to 35: no encryption
    auto const put = [&]<typename T>(std::size_t at, T value) {
        storeBig(ByteSpan(fields).subspan(at - sizeField, sizeof value), value);
    };
    put(24, header.size);
    put(36, header.l1Size);
    put(40, header.l1Offset);
    put(48, header.refcountTableOffset);
    put(56, header.refcountTableClusters);
    put(60, header.snapshotCount);
    put(64, header.snapshotsOffset);
    TRY(m_file.file().write(sizeField, fields));
    return m_file.file().sync();
}

Result<> Rewrite::commit(Header const& next)
{
    for (auto const& [index, draft] : m_drafts)
        TRY(write(draft.place, { draft.block.data.get(), m_file.clusterSize() }));
    TRY(writeTable(next.refcountTableOffset, m_table));
    TRY(writeOut());
    TRY(m_file.file().sync());
    if (auto written = writeHeader(next); !written) {
        // Perhaps it is there, perhaps not: the old one again, so that both we and the file know.
        if (!writeHeader(m_file.header()))
            m_file.markUnknown();
        return written;
    }
    adopt(next);
    return {};
}

void Rewrite::adopt(Header const& next)
{
    m_file.header() = next;
    auto& blocks = m_refcounts.m_blocks;
    m_refcounts.m_table = m_table;
    blocks.resize(m_table.size());
    for (auto& [index, draft] : m_drafts) {
        auto& slot = blocks[index];
        if (!slot && m_refcounts.m_loaded >= m_refcounts.m_maximumLoaded)
            continue;
        if (!slot) {
            slot = std::make_unique<Refcounts::Block>();
            ++m_refcounts.m_loaded;
        }
        slot->data = std::move(draft.block.data);
        slot->dirty = false;
        slot->lastUse = ++m_refcounts.m_clock;
    }
    m_refcounts.m_hint = m_freed.empty() ? m_search : std::min(m_search, m_freed.front().first);
}

void Rewrite::noteFreed()
{
    auto const perBlock = m_refcounts.m_entriesPerBlock;
    for (auto const& [index, draft] : m_drafts) {
        for (std::uint64_t entry = 0; entry < perBlock; ++entry) {
            if (!draft.heldBack[entry])
                continue;
            auto const cluster = index * perBlock + entry;
            if (!m_freed.empty() && m_freed.back().first + m_freed.back().count == cluster)
                ++m_freed.back().count;
            else
                m_freed.push_back({ cluster, 1 });
        }
    }
}

}
