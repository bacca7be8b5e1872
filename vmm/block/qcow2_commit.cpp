#include "vmm/base/log.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/overlay_files.h"
#include "vmm/block/qcow2_image.h"

#include <algorithm>
#include <filesystem>

namespace vmm {

using namespace qcow2;

void Qcow2Image::startCommit()
{
    m_commit.stage = Commit::Stage::Tables;
    m_commit.error.reset();
    m_commit.writes = 0;
    m_commit.blocks.clear();
    m_commit.flushes.swap(m_flushes);
    if (auto const writable = m_qcow.checkWritable(); !writable)
        return finishCommit(writable.error());
    for (auto const offset : m_replacedTables)
        m_unlinked.push_back({ offset >> m_qcow.header().clusterBits, 0, false });
    m_replacedTables.clear();
    m_commit.unlinked = m_unlinked.size();
    m_refcounts.collectDirty(m_commit.blocks);
    for (auto const& [block, hostOffset] : m_commit.blocks) {
        block->dirty = false; // what changes from here on is for the next commit
        block->writing = true;
        submitCommitWrite(hostOffset, block->data.get(), clusterSize());
    }
    for (auto* table : m_tables.dirtyTables()) {
        if (table->fresh)
            submitCommitWrite(table->hostOffset, table->entries.get(), clusterSize());
    }
    if (m_commit.writes == 0)
        continueCommit();
}

void Qcow2Image::submitCommitWrite(std::uint64_t offset, std::uint8_t* data, std::uint64_t length)
{
    auto& transfer = makeTransfer(IoOperation::Kind::Write, *this, offset, length);
    transfer.vectors.push_back({ data, length });
    transfer.buffers = transfer.vectors.data();
    transfer.bufferCount = 1;
    transfer.finished = as(&Qcow2Image::commitWritten);
    m_qcow.noteWriting(offset, length);
    ++m_commit.writes;
    BlockImage::submit(transfer);
}

void Qcow2Image::commitWritten(Transfer& transfer, int error)
{
    if (error != 0 && !m_commit.error)
        m_commit.error = fileError(transfer.kind == IoOperation::Kind::Sync ? "making durable" : "writing", error);
    release(transfer);
    if (--m_commit.writes == 0)
        continueCommit();
}

void Qcow2Image::commitSync(Commit::Stage stage)
{
    m_commit.stage = stage;
    m_unsynced = false;
    auto& transfer = makeTransfer(IoOperation::Kind::Sync, *this, 0, 0);
    transfer.finished = as(&Qcow2Image::commitWritten);
    ++m_commit.writes;
    BlockImage::submit(transfer);
}

/// The writes of a stage are done, or its sync.
void Qcow2Image::continueCommit()
{
    using Stage = Commit::Stage;
    if (m_commit.error) {
        m_unsynced = true;
        return finishCommit(std::move(m_commit.error));
    }
    bool const entries = !m_tables.dirtyTables().empty() || !m_tables.dirtyL1Sectors().empty();
    switch (m_commit.stage) {
    case Stage::Tables:
        if (entries)
            return commitSync(Stage::TablesSync);
        if (m_unsynced || !m_commit.blocks.empty())
            return commitSync(Stage::EntriesSync);
        return finishCommit({});
    case Stage::TablesSync: return writeEntries();
    case Stage::Entries: return commitSync(Stage::EntriesSync);
    case Stage::EntriesSync: m_tables.markCommitted(); return finishCommit({});
    case Stage::Idle: break;
    }
}

void Qcow2Image::writeEntries()
{
    m_commit.stage = Commit::Stage::Entries;
    for (auto* table : m_tables.dirtyTables()) {
        // New tables are durable already. From here on, whatever becomes of this commit, they count as reachable.
        if (!std::exchange(table->fresh, false) && table->dirtyBegin < table->dirtyEnd) {
            auto const begin = alignDown<std::uint64_t>(table->dirtyBegin, sectorSize);
            auto const end = alignUp<std::uint64_t>(table->dirtyEnd, sectorSize);
            submitCommitWrite(table->hostOffset + begin, table->entries.get() + begin, end - begin);
        } else {
            table->dirtyBegin = ~0ULL;
            table->dirtyEnd = 0;
        }
    }
    m_commit.l1Sectors.clear();
    for (auto const sector : m_tables.dirtyL1Sectors()) {
        m_commit.l1Sectors.push_back(allocateAligned(sectorSize));
        auto* const data = m_commit.l1Sectors.back().get();
        if (data == nullptr) {
            m_commit.error = Error { ErrorCode::OutOfMemory, "no memory to write the L1 table", 0 };
            break;
        }
        m_tables.encodeL1Sector(sector, { data, sectorSize });
        submitCommitWrite(m_qcow.header().l1Offset + sector * sectorSize, data, sectorSize);
    }
    if (m_commit.writes == 0)
        continueCommit();
}

void Qcow2Image::finishCommit(std::optional<Error> error)
{
    for (auto const& [block, hostOffset] : m_commit.blocks) {
        block->writing = false;
        block->dirty |= error.has_value();
    }
    m_commit.stage = Commit::Stage::Idle;
    if (!error) {
        m_unlinkedDurably = std::max(m_unlinkedDurably, m_commit.unlinked);
        freeUnlinked();
    }
    std::vector<BlockRequest*> flushes;
    flushes.swap(m_commit.flushes);
    std::vector<Allocation*> toLink;
    toLink.swap(m_toLink);

    for (auto* allocation : toLink) {
        if (m_commit.stage == Commit::Stage::Idle)
            link(*allocation);
        else
            m_toLink.push_back(allocation); // what an earlier one woke has begun another commit
    }
    std::vector<Waiting> waiting;
    waiting.swap(m_waiting);
    for (auto const& entry : waiting) {
        if (error && entry.forCommit)
            finishPart(*entry.request, error);
        else
            proceed(*entry.request);
    }
    if (!error && !flushes.empty())
        error = problemBelow();
    for (auto* request : flushes)
        finishPart(*request, error);
    if (m_commit.stage == Commit::Stage::Idle && !m_flushes.empty())
        startCommit();
}

/// What has become of the files below. Of what this image has of its own that says nothing; but whoever cut one off, or
/// deleted it, should hear of it in time, as where that happens to the image.
std::optional<Error> Qcow2Image::problemBelow()
{
    auto const* above = m_file.get();
    for (auto* image = m_backing.get(); image != nullptr; above = &image->file(), image = image->backing()) {
        auto& file = image->file();
        int const problem = file.syncFailure();
        // A file without a name may have been replaced by one that reads the same, or let go of by what stood on it.
        auto const named = problem == ENOENT ? backingNameOf(above->name()) : Result<std::string>(std::string());
        bool const isMissed = named && std::filesystem::path(*named).filename() == nameOf(file.name());
        if (problem == 0 || (problem == ENOENT && (existsFile(file.name()) || !isMissed)))
            continue;
        return vmm::fileError("reading " + file.name(), problem);
    }
    return {};
}

/// Nothing durable points to them, and no transfer that began while something did is still on its way.
void Qcow2Image::freeUnlinked()
{
    auto const oldest = oldestSequence();
    std::vector<std::uint64_t> givenBack;
    std::vector<Unlinked> rest;
    std::size_t durable = 0;
    for (std::size_t i = 0; i < m_unlinked.size(); ++i) {
        auto const& entry = m_unlinked[i];
        if (i >= m_unlinkedDurably || entry.sequence > oldest) {
            durable += i < m_unlinkedDurably ? 1 : 0;
            rest.push_back(entry);
            continue;
        }
        auto const left = m_refcounts.drop(entry.cluster);
        if (left && *left == 0 && entry.giveBack)
            givenBack.push_back(entry.cluster);
    }
    m_unlinked.swap(rest);
    m_unlinkedDurably = durable;

    std::ranges::sort(givenBack);
    for (std::size_t i = 0; i < givenBack.size();) {
        auto end = i + 1;
        while (end < givenBack.size() && givenBack[end] == givenBack[i] + (end - i))
            ++end;
        giveBack({ givenBack[i], end - i });
        i = end;
    }
}

/// The host gets the space of free clusters.
void Qcow2Image::giveBack(Refcounts::Run const& run)
{
    if (!m_canGiveBack)
        return;
    auto const given = m_file->deallocate(run.first * clusterSize(), run.count * clusterSize());
    if (!given) {
        log(LogLevel::Info, "block", "{}", given.error().message());
        m_canGiveBack = false;
    }
}

/// Gives back one run of clusters that a snapshot has left, as far as nobody has taken them since.
bool Qcow2Image::workWhenIdle()
{
    if (m_toGiveBack.empty() || !m_canGiveBack || !m_qcow.checkWritable())
        return false;
    auto const run = m_toGiveBack.front();
    m_toGiveBack.pop_front();
    Refcounts::Run free { run.first, 0 };
    for (auto cluster = run.first; cluster < run.first + run.count; ++cluster) {
        auto const uses = m_refcounts.get(cluster);
        if (uses && *uses == 0) {
            ++free.count;
            continue;
        }
        if (free.count != 0)
            giveBack(free);
        free = { cluster + 1, 0 };
    }
    if (free.count != 0)
        giveBack(free);
    return !m_toGiveBack.empty();
}

Result<> Qcow2Image::flushSync()
{
    drain();
    if (m_readOnly)
        return {};
    // Twice: the first makes clusters free, the second says so in the file.
    for (int round = 0; round < 2; ++round) {
        TRY(runSync(BlockRequest::Kind::Flush, 0, 0));
        drain();
    }
    return {};
}

}
