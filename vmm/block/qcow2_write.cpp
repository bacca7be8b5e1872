#include "vmm/base/log.h"
#include "vmm/block/qcow2_image.h"
#include "vmm/block/zeros.h"

#include <algorithm>

namespace vmm {

using namespace qcow2;

namespace {

constexpr std::size_t maximumUnlinked = 65536;        // clusters, before a commit is due
constexpr std::uint64_t maximumAllocation = 16 << 20; // bytes in one transfer

}

void Qcow2Image::start(BlockRequest& request)
{
    request.m_parts = 1;
    if (request.kind == BlockRequest::Kind::Flush) {
        m_flushes.push_back(&request);
        if (m_commit.stage == Commit::Stage::Idle)
            startCommit();
        return;
    }
    if (auto const prepared = beforeFirstWrite(); !prepared)
        return finishPart(request, prepared.error());
    proceed(request);
}

/// Features that hold only as long as nobody writes (dirty bitmaps) are declared void before the first write.
Result<> Qcow2Image::beforeFirstWrite()
{
    if (m_prepared)
        return {};
    if (m_qcow.header().autoclear != 0) {
        TRY(m_qcow.writeHeaderField(autoclearField, 0));
        TRY(m_file->sync());
        m_qcow.header().autoclear = 0;
    }
    m_prepared = true;
    return {};
}

void Qcow2Image::proceed(BlockRequest& request)
{
    while (request.m_position < request.length) {
        if (auto const writable = m_qcow.checkWritable(); !writable)
            return finishPart(request, writable.error());
        auto const step = request.kind == BlockRequest::Kind::Write
            ? stepWrite(request, request.length - request.m_position)
            : stepZero(request);
        if (!step)
            return finishPart(request, step.error());
        if (*step != Step::Advanced) {
            m_waiting.push_back({ &request, *step == Step::WaitForCommit });
            return;
        }
    }
    finishPart(request);
}

bool Qcow2Image::isAllocating(std::uint64_t offset) const
{
    return std::ranges::any_of(m_allocations, [&](Allocation const* allocation) {
        return offset >= allocation->start && offset < allocation->start + allocation->clusters * clusterSize();
    });
}

void Qcow2Image::takePayload(BlockRequest& request, std::uint64_t length, std::vector<iovec>& to)
{
    if (request.kind == BlockRequest::Kind::Write)
        return takeBuffers(request, length, to);
    appendZeros(to, length);
    request.m_position += length;
}

Result<Qcow2Image::Step> Qcow2Image::stepWrite(BlockRequest& request, std::uint64_t limit)
{
    auto const offset = request.offset + request.m_position;
    if (isAllocating(offset))
        return Step::Wait;
    limit = std::min(limit, bytesPerTable() - offset % bytesPerTable());
    auto* const table = TRY(m_tables.find(l1Index(offset)));
    auto entry = table == nullptr ? Entry {} : TRY(m_qcow.decode(table->get(l2Index(offset))));
    if (table != nullptr && table->shared)
        entry.copied = false;
    if (entry.kind == Entry::Kind::Data && entry.copied)
        return writeInPlace(request, *table, entry, limit);
    return allocate(request, table, entry, limit);
}

Result<Qcow2Image::Step> Qcow2Image::writeInPlace(
    BlockRequest& request, Table const& table, Entry const& entry, std::uint64_t limit)
{
    auto const offset = request.offset + request.m_position;
    auto const inCluster = offset % clusterSize();
    auto length = clusterSize() - inCluster;
    auto index = l2Index(offset);
    auto next = entry.hostOffset + clusterSize();
    for (; length < limit && table.get(index + 1) == (next | copiedFlag) && m_qcow.isClusterInFile(next); ++index) {
        length += clusterSize();
        next += clusterSize();
    }
    length = std::min(length, limit);
    for (auto cluster = entry.hostOffset; cluster < next; cluster += clusterSize()) {
        if (m_qcow.isMetadata(cluster))
            return fail(m_qcow.markCorrupt(fmt::format("the disk's offset {} is stored in a table", offset)));
    }
    auto& transfer = makeTransfer(IoOperation::Kind::Write, *this, entry.hostOffset + inCluster, length);
    if (length == request.length && request.kind == BlockRequest::Kind::Write) {
        request.m_position = request.length;
        transfer.buffers = request.buffers.data();
        transfer.bufferCount = request.buffers.size();
    } else {
        takePayload(request, length, transfer.vectors);
        transfer.buffers = transfer.vectors.data();
        transfer.bufferCount = transfer.vectors.size();
    }
    transfer.request = &request;
    transfer.finished = as(&Qcow2Image::writtenInPlace);
    m_qcow.noteWriting(transfer.offset, length);
    ++request.m_parts;
    BlockImage::submit(transfer);
    return Step::Advanced;
}

void Qcow2Image::writtenInPlace(Transfer& transfer, int error)
{
    m_unsynced = true;
    transferDone(transfer, error);
}

bool Qcow2Image::mustCommit() const
{
    return m_tables.isOverLimit() || m_unlinked.size() - m_unlinkedDurably > maximumUnlinked;
}

/// How many clusters from `start` on can be served by one Allocation: all new, or all kept for zeros and adjacent.
std::uint64_t Qcow2Image::countToAllocate(
    Table const* table, Entry const& first, std::uint64_t start, std::uint64_t most)
{
    bool const shared = table != nullptr && table->shared;
    auto const isKept = [&](Entry const& entry) {
        return entry.kind == Entry::Kind::Zero && entry.hostOffset != 0 && entry.copied && !shared;
    };
    bool const kept = isKept(first);
    std::uint64_t count = 1;
    for (; count < most; ++count) {
        auto const offset = start + count * clusterSize();
        if (isAllocating(offset))
            break;
        if (table == nullptr)
            continue;
        auto const entry = m_qcow.decode(table->get(l2Index(offset)));
        if (!entry || isKept(*entry) != kept || (entry->kind == Entry::Kind::Data && entry->copied && !shared)
            || (kept && entry->hostOffset != first.hostOffset + count * clusterSize()))
            break;
    }
    return count;
}

Qcow2Image::Allocation& Qcow2Image::makeAllocation()
{
    if (m_freeAllocations == nullptr) {
        m_allocationPool.push_back(std::make_unique<Allocation>());
        m_freeAllocations = m_allocationPool.back().get();
    }
    auto& allocation = *m_freeAllocations;
    m_freeAllocations = allocation.next;
    allocation.payload.clear();
    allocation.head = allocation.tail = allocation.reads = 0;
    allocation.error.reset();
    return allocation;
}

Result<Qcow2Image::Step> Qcow2Image::allocate(
    BlockRequest& request, Table const* table, Entry const& entry, std::uint64_t limit)
{
    if (mustCommit()) {
        if (m_commit.stage == Commit::Stage::Idle)
            startCommit();
        return Step::WaitForCommit;
    }
    auto const offset = request.offset + request.m_position;
    auto const start = alignDown(offset, clusterSize());
    limit = std::min(limit, std::max(maximumAllocation, clusterSize()));
    auto count = countToAllocate(table, entry, start, (offset - start + limit + clusterSize() - 1) / clusterSize());

    bool const kept = entry.kind == Entry::Kind::Zero && entry.hostOffset != 0 && entry.copied;
    auto hostOffset = entry.hostOffset;
    bool fresh = false;
    if (kept) {
        for (std::uint64_t i = 0; i < count; ++i) {
            if (m_qcow.isMetadata(hostOffset + i * clusterSize()))
                return fail(m_qcow.markCorrupt(fmt::format("the disk's offset {} is stored in a table", offset)));
        }
    } else {
        auto const run = TRY(m_refcounts.allocate(count));
        count = run.count;
        hostOffset = run.first << m_qcow.header().clusterBits;
        fresh = m_qcow.isFresh(hostOffset);
    }
    auto& allocation = makeAllocation();
    allocation.request = &request;
    allocation.start = start;
    allocation.clusters = count;
    allocation.hostOffset = hostOffset;
    allocation.ownClusters = !kept;
    allocation.payloadOffset = offset - start;
    allocation.payloadLength = std::min(limit, count * clusterSize() - allocation.payloadOffset);
    takePayload(request, allocation.payloadLength, allocation.payload);
    m_allocations.push_back(&allocation);
    ++request.m_parts;
    if (auto read = readOldAround(allocation, offset, fresh); !read)
        allocation.error = std::move(read).error();
    if (allocation.reads == 0) {
        if (allocation.error)
            endAllocation(allocation, std::move(allocation.error));
        else
            writeAllocation(allocation);
    }
    return Step::Advanced;
}

/// What the request does not cover of its first and last cluster keeps its content.
Result<> Qcow2Image::readOldAround(Allocation& allocation, std::uint64_t offset, bool fresh)
{
    auto const end = offset + allocation.payloadLength;
    auto const head = allocation.payloadOffset;
    auto const tail = allocation.start + allocation.clusters * clusterSize() - end;
    if (head != 0) {
        bool const zeros = TRY(readsAsZeros(allocation.start, head));
        allocation.head = zeros && fresh ? 0 : head;
        if (!zeros)
            TRY(readOld(allocation, allocation.start, head, allocation.headData));
    }
    if (tail != 0) {
        bool const zeros = TRY(readsAsZeros(end, tail));
        allocation.tail = zeros && fresh ? 0 : tail;
        if (!zeros)
            TRY(readOld(allocation, end, tail, allocation.tailData));
    }
    return {};
}

Result<bool> Qcow2Image::readsAsZeros(std::uint64_t offset, std::uint64_t length)
{
    while (length != 0) {
        auto const mapping = TRY(resolve(offset, length));
        if (mapping.kind != Mapping::Kind::Zero)
            return false;
        offset += mapping.length;
        length -= mapping.length;
    }
    return true;
}

Result<> Qcow2Image::readOld(Allocation& allocation, std::uint64_t offset, std::uint64_t length, AlignedBuffer& to)
{
    to = allocateAligned(length);
    if (!to)
        return fail(ErrorCode::OutOfMemory, "no memory to copy a cluster");
    auto* target = to.get();
    while (length != 0) {
        auto const mapping = TRY(resolve(offset, length));
        if (mapping.kind == Mapping::Kind::Zero) {
            std::memset(target, 0, mapping.length);
        } else if (mapping.kind == Mapping::Kind::Compressed) {
            TRY(mapping.image->readCompressed(mapping, offset, { target, mapping.length }));
        } else {
            auto& transfer = makeTransfer(IoOperation::Kind::Read, *mapping.image, mapping.hostOffset, mapping.length);
            transfer.vectors.push_back({ target, mapping.length });
            transfer.buffers = transfer.vectors.data();
            transfer.bufferCount = 1;
            transfer.context = &allocation;
            transfer.finished = as(&Qcow2Image::oldDataRead);
            ++allocation.reads;
            BlockImage::submit(transfer);
        }
        target += mapping.length;
        offset += mapping.length;
        length -= mapping.length;
    }
    return {};
}

void Qcow2Image::oldDataRead(Transfer& transfer, int error)
{
    auto& allocation = *static_cast<Allocation*>(transfer.context);
    if (error != 0)
        allocation.error = vmm::fileError("reading " + transfer.file->name(), error);
    release(transfer);
    if (--allocation.reads != 0)
        return;
    if (allocation.error)
        return endAllocation(allocation, std::move(allocation.error));
    writeAllocation(allocation);
}

void Qcow2Image::writeAllocation(Allocation& allocation)
{
    auto const first = allocation.payloadOffset - allocation.head;
    auto const length = allocation.head + allocation.payloadLength + allocation.tail;
    auto& transfer = makeTransfer(IoOperation::Kind::Write, *this, allocation.hostOffset + first, length);
    auto const append = [&](AlignedBuffer const& data, std::uint64_t bytes) {
        if (bytes != 0 && data)
            transfer.vectors.push_back({ data.get(), bytes });
        else
            appendZeros(transfer.vectors, bytes);
    };
    append(allocation.headData, allocation.head);
    transfer.vectors.insert(transfer.vectors.end(), allocation.payload.begin(), allocation.payload.end());
    append(allocation.tailData, allocation.tail);
    transfer.buffers = transfer.vectors.data();
    transfer.bufferCount = transfer.vectors.size();
    transfer.context = &allocation;
    transfer.finished = as(&Qcow2Image::allocationWritten);
    m_qcow.noteWriting(transfer.offset, length);
    BlockImage::submit(transfer);
}

void Qcow2Image::allocationWritten(Transfer& transfer, int error)
{
    auto& allocation = *static_cast<Allocation*>(transfer.context);
    release(transfer);
    m_unsynced = true;
    if (error != 0)
        return endAllocation(allocation, fileError("writing", error));
    if (m_commit.stage != Commit::Stage::Idle) {
        m_toLink.push_back(&allocation);
        return;
    }
    link(allocation);
}

void Qcow2Image::link(Allocation& allocation)
{
    auto const enter = [&]() -> Result<> {
        TRY(m_qcow.checkWritable());
        auto* const table = TRY(m_tables.forWriting(l1Index(allocation.start), m_refcounts, m_replacedTables));
        auto const first = l2Index(allocation.start);
        m_tables.noteDirty(*table);
        for (std::uint64_t i = 0; i < allocation.clusters; ++i) // all or nothing
            TRY(m_qcow.decode(table->get(first + i)));
        for (std::uint64_t i = 0; i < allocation.clusters; ++i) {
            auto const old = m_qcow.decode(table->get(first + i));
            table->set(first + i, (allocation.hostOffset + i * clusterSize()) | copiedFlag);
            if (allocation.ownClusters)
                unlink(*old, false);
        }
        return {};
    };
    auto entered = enter();
    endAllocation(allocation, entered ? std::optional<Error>() : std::move(entered).error());
}

void Qcow2Image::endAllocation(Allocation& allocation, std::optional<Error> error)
{
    std::erase(m_allocations, &allocation);
    if (error && allocation.ownClusters) {
        auto const first = allocation.hostOffset >> m_qcow.header().clusterBits;
        for (std::uint64_t i = 0; i < allocation.clusters; ++i)
            ignore(m_refcounts.drop(first + i)); // at worst nobody uses them
    }
    allocation.headData.reset();
    allocation.tailData.reset();
    auto& request = *allocation.request;
    allocation.next = m_freeAllocations;
    m_freeAllocations = &allocation;
    wakeWaiting();
    finishPart(request, std::move(error));
}

void Qcow2Image::wakeWaiting()
{
    if (m_waiting.empty())
        return;
    std::vector<Waiting> waiting;
    waiting.swap(m_waiting);
    for (auto const& entry : waiting)
        proceed(*entry.request);
}

void Qcow2Image::unlink(Entry const& entry, bool giveBack)
{
    if (entry.hostOffset == 0)
        return;
    auto const first = entry.hostOffset >> m_qcow.header().clusterBits;
    auto const bytes = entry.kind == Entry::Kind::Compressed ? entry.compressedBytes : clusterSize();
    auto const last = (entry.hostOffset + bytes - 1) >> m_qcow.header().clusterBits;
    for (auto cluster = first; cluster <= last; ++cluster)
        m_unlinked.push_back({ cluster, m_nextSequence, giveBack });
}

Result<Qcow2Image::Step> Qcow2Image::stepZero(BlockRequest& request)
{
    auto const offset = request.offset + request.m_position;
    auto const remaining = request.length - request.m_position;
    auto const inCluster = offset % clusterSize();
    if (inCluster == 0) {
        // The disk's last cluster counts as whole when all is zeroed that the disk has of it.
        auto const end = offset + remaining == m_size ? alignUp(m_size, clusterSize()) : offset + remaining;
        auto const whole = std::min((end - offset) / clusterSize(), m_qcow.header().l2Entries() - l2Index(offset));
        if (whole != 0)
            return zeroClusters(request, whole);
    }
    auto const piece = std::min(remaining, clusterSize() - inCluster);
    if (request.kind == BlockRequest::Kind::Discard) {
        request.m_position += piece;
        return Step::Advanced;
    }
    if (isAllocating(offset))
        return Step::Wait;
    if (TRY(readsAsZeros(offset, piece))) {
        request.m_position += piece;
        return Step::Advanced;
    }
    return stepWrite(request, piece);
}

Result<Qcow2Image::Step> Qcow2Image::zeroClusters(BlockRequest& request, std::uint64_t clusters)
{
    auto const offset = request.offset + request.m_position;
    bool const discard = request.kind == BlockRequest::Kind::Discard;
    bool const giveBack = discard || request.mayUnmap;
    bool const modern = m_qcow.header().version >= 3;
    for (std::uint64_t i = 0; i < clusters; ++i) {
        if (isAllocating(offset + i * clusterSize()))
            clusters = i;
    }
    if (clusters == 0 || m_commit.stage != Commit::Stage::Idle)
        return Step::Wait;
    auto const bytes = std::min(clusters * clusterSize(), request.length - request.m_position);

    // Version 2 has no zero clusters: an entry that is gone shows the backing file.
    if (!modern && m_backing != nullptr) {
        if (!discard)
            return stepWrite(request, bytes);
        request.m_position += bytes;
        return Step::Advanced;
    }
    if (mustCommit()) {
        startCommit();
        return Step::WaitForCommit;
    }
    // What is given back hides what is below, so that nobody keeps that for it.
    std::vector<bool> zeros(discard && m_backing != nullptr ? clusters : 0, true);
    // Where the clusters of a base alternate, each look begins anew: with all that is left, they took the square of it.
    auto const lookBytes = 64 * clusterSize();
    for (std::uint64_t at = 0; !zeros.empty() && at < bytes;) {
        auto const mapping = TRY(resolve(offset + at, std::min(bytes - at, lookBytes)));
        auto const end = at + mapping.length;
        for (auto i = at / clusterSize(); mapping.kind != Mapping::Kind::Zero && i * clusterSize() < end; ++i)
            zeros[i] = false;
        at = end;
    }
    auto const stays = [&](std::uint64_t index, Entry const& entry) {
        if (entry.kind != Entry::Kind::Unallocated)
            return entry.kind == Entry::Kind::Zero && (entry.hostOffset == 0 || !giveBack);
        return m_backing == nullptr || (discard && zeros[index]);
    };
    auto* table = TRY(m_tables.find(l1Index(offset)));
    auto const first = l2Index(offset);
    bool change = false;
    for (std::uint64_t i = 0; i < clusters && !change; ++i) {
        auto const entry = table == nullptr ? Entry {} : TRY(m_qcow.decode(table->get(first + i)));
        change = !stays(i, entry);
    }
    if (change) {
        table = TRY(m_tables.forWriting(l1Index(offset), m_refcounts, m_replacedTables));
        m_tables.noteDirty(*table);
        for (std::uint64_t i = 0; i < clusters; ++i) {
            auto const entry = TRY(m_qcow.decode(table->get(first + i)));
            if (stays(i, entry))
                continue;
            bool const keep = !giveBack && entry.kind == Entry::Kind::Data && entry.copied && modern;
            if (keep) {
                table->set(first + i, entry.hostOffset | copiedFlag | zeroFlag);
                continue;
            }
            table->set(first + i, modern && (m_backing != nullptr || !discard) ? zeroFlag : 0);
            unlink(entry, giveBack);
        }
    }
    request.m_position += bytes;
    return Step::Advanced;
}

}
