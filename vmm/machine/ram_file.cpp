#include "vmm/machine/ram_file.h"

#include "vmm/base/unique_fd.h"
#include "vmm/block/host_file.h"
#include "vmm/block/io_engine.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

namespace vmm {

namespace {

constexpr std::uint64_t pageSize = 4096;
constexpr std::uint64_t progressStep = 32u << 20;

alignas(pageSize) constexpr std::array<std::uint8_t, pageSize> zeroPage {};

/// Writes large pieces straight from the machine's memory, several at a time, past the host's page cache: a disk is
/// fastest so, and the host keeps its cache for what is read again. Small pieces go through the cache, which joins
/// them.
class PieceWriter {
public:
    static Result<std::unique_ptr<PieceWriter>> create(std::string const& path, std::uint64_t size)
    {
        std::unique_ptr<PieceWriter> writer(new PieceWriter);
        TRY(openFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
        // Two ways to one file, never to the same page of it.
        writer->m_direct = TRY(HostFile::open(path, Access::ReadWrite, CacheMode::Direct, HostFile::Lock::No));
        writer->m_cached = TRY(HostFile::open(path, Access::ReadWrite, CacheMode::Writeback, HostFile::Lock::No));
        TRY(writer->m_cached->resize(size));
        writer->m_loop = TRY(EventLoop::create());
        writer->m_engine = TRY(IoEngine::create(*writer->m_loop));
        return writer;
    }

    ~PieceWriter()
    {
        while (m_engine && m_engine->wait()) { }
    }

    /// The data must stay until the next wait() or flush().
    Result<> write(std::uint64_t offset, ConstByteSpan data)
    {
        if (data.size() < smallestDirect)
            return m_cached->write(offset, data);
        auto* slot = freeSlot();
        while (slot == nullptr) {
            m_engine->wait();
            slot = freeSlot();
        }
        slot->busy = true;
        slot->buffer = { const_cast<std::uint8_t*>(data.data()), data.size() };
        slot->kind = IoOperation::Kind::Write;
        slot->file = m_direct.get();
        slot->offset = offset;
        slot->length = data.size();
        slot->buffers = &slot->buffer;
        slot->bufferCount = 1;
        slot->done = [](IoOperation& operation, int error) {
            auto& one = static_cast<Slot&>(operation);
            one.busy = false;
            if (error != 0)
                *one.error = error;
        };
        m_engine->submit(*slot);
        return outcome();
    }

    /// Until nothing of what was given is needed any more.
    Result<> wait()
    {
        while (m_engine->wait()) { }
        return outcome();
    }
    /// Until all is durable.
    Result<> flush()
    {
        TRY(wait());
        return m_cached->sync();
    }

private:
    static constexpr std::size_t depth = 8, smallestDirect = 64u << 10;
    struct Slot : IoOperation {
        iovec buffer {};
        int* error = nullptr; // where all of them note the last one
        bool busy = false;
    };

    PieceWriter()
    {
        for (auto& slot : m_slots)
            slot.error = &m_error;
    }
    Slot* freeSlot()
    {
        auto const free = std::ranges::find(m_slots, false, &Slot::busy);
        return free == m_slots.end() ? nullptr : &*free;
    }
    Result<> outcome() const
    {
        if (m_error != 0)
            return fail(osError("cannot write the machine's memory", m_error));
        return {};
    }

    std::unique_ptr<HostFile> m_direct, m_cached;
    int m_error = 0;
    std::array<Slot, depth> m_slots;
    std::unique_ptr<EventLoop> m_loop;
    std::unique_ptr<IoEngine> m_engine;
};

/// The checksum of one chunk, fed with its non-zero runs in order: what lies between them counts as zeroes.
class ChunkHash {
public:
    ChunkHash() : m_state(XXH3_createState()) { start(); }
    ~ChunkHash() { XXH3_freeState(m_state); }
    ChunkHash(ChunkHash const&) = delete;
    ChunkHash& operator=(ChunkHash const&) = delete;

    void start()
    {
        XXH3_64bits_reset(m_state);
        m_position = 0;
    }
    void add(std::uint64_t positionInChunk, ConstByteSpan data)
    {
        addZeroes(positionInChunk);
        XXH3_64bits_update(m_state, data.data(), data.size());
        m_position += data.size();
    }
    bool isEmpty() const { return m_position == 0; }
    void finish(std::uint64_t chunkLength, ByteSpan checksum)
    {
        addZeroes(chunkLength);
        XXH64_canonical_t canonical;
        XXH64_canonicalFromHash(&canonical, XXH3_64bits_digest(m_state));
        std::copy(std::begin(canonical.digest), std::end(canonical.digest), checksum.begin());
        start();
    }

private:
    void addZeroes(std::uint64_t until)
    {
        for (; m_position < until; m_position += pageSize)
            XXH3_64bits_update(m_state, zeroPage.data(), pageSize);
    }

    XXH3_state_t* m_state;
    std::uint64_t m_position = 0;
};

template<typename Record>
auto checksumOf(Record& record, std::uint64_t chunk)
{
    return std::span(record.checksums).subspan(chunk * sizeof(XXH64_canonical_t), sizeof(XXH64_canonical_t));
}

RamFileRecord layOut(std::vector<SavedMemory::Block> const& blocks)
{
    RamFileRecord record;
    for (auto const& block : blocks) {
        record.blocks.push_back({ block.name, record.size, block.size });
        // Each block begins with a chunk of its own, so that no checksum covers two.
        record.size += alignUp(block.size, RamFileRecord::chunkSize);
    }
    record.checksums.resize(record.size / RamFileRecord::chunkSize * sizeof(XXH64_canonical_t));
    return record;
}

/// Writes the pages of one run that are not zero, in pieces as long as they come.
Result<> writeRun(
    PieceWriter& file, std::uint8_t const* data, std::uint64_t size, std::uint64_t fileOffset, ChunkHash& hash)
{
    for (std::uint64_t page = 0; page < size;) {
        if (isZero({ data + page, pageSize })) {
            page += pageSize;
            continue;
        }
        auto end = page + pageSize;
        while (end < size && !isZero({ data + end, pageSize }))
            end += pageSize;
        ConstByteSpan const piece { data + page, end - page };
        hash.add((fileOffset + page) % RamFileRecord::chunkSize, piece);
        TRY(file.write(fileOffset + page, piece));
        page = end;
    }
    return {};
}

}

Result<RamFileRecord> writeRamFile(
    std::string const& path, std::vector<MemoryBlock*> const& blocks, ProgressCallback const& progress)
{
    std::vector<SavedMemory::Block> layout;
    for (auto const* block : blocks)
        layout.push_back({ block->name(), block->size() });
    auto record = layOut(layout);
    auto const file = TRY(PieceWriter::create(path, record.size));
    ChunkHash hash;
    std::uint64_t openChunk = 0, told = 0;
    auto const closeChunk = [&] {
        if (!hash.isEmpty())
            hash.finish(RamFileRecord::chunkSize, checksumOf(record, openChunk));
    };
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const base = record.blocks[i].offset;
        Result<> outcome;
        bool cancelled = false;
        TRY(blocks[i]->visitPages(RamFileRecord::chunkSize, [&](std::uint64_t offset, std::uint64_t size) {
            auto const at = base + offset;
            if (at / RamFileRecord::chunkSize != openChunk) {
                closeChunk();
                openChunk = at / RamFileRecord::chunkSize;
            }
            outcome = writeRun(*file, blocks[i]->data() + offset, size, at, hash);
            if (at > told + progressStep) {
                told = at;
                cancelled = progress && !progress(static_cast<double>(at) / static_cast<double>(record.size));
            }
            return outcome.has_value() && !cancelled;
        }));
        TRY(outcome);
        if (cancelled)
            return fail(ErrorCode::Cancelled, "writing the machine's memory was cancelled");
    }
    closeChunk();
    if (progress && !progress(0.95))
        return fail(ErrorCode::Cancelled, "writing the machine's memory was cancelled");
    TRY(file->flush());
    return record;
}

Result<RamFileRecord> writeRamFile(std::string const& path, SavedMemory const& memory, ProgressCallback const& progress)
{
    constexpr std::uint64_t pieceSize = 2 * RamFileRecord::chunkSize; // what SavedMemory likes to be asked for
    auto record = layOut(memory.blocks());
    auto const file = TRY(PieceWriter::create(path, record.size));
    Bytes piece(pieceSize);
    for (std::size_t i = 0; i < record.blocks.size(); ++i) {
        auto const& block = record.blocks[i];
        for (std::uint64_t at = 0; at < block.size; at += pieceSize) {
            if (progress && !progress(static_cast<double>(block.offset + at) / static_cast<double>(record.size)))
                return fail(ErrorCode::Cancelled, "writing the machine's memory was cancelled");
            auto const data = ByteSpan(piece).first(std::min(pieceSize, block.size - at));
            if (!memory.holdsData(i, at, data.size()))
                continue;
            TRY_WITHIN(block.name, memory.read(i, at, data));
            for (std::uint64_t chunk = 0; chunk < data.size(); chunk += RamFileRecord::chunkSize) {
                auto const part = data.subspan(chunk, std::min(RamFileRecord::chunkSize, data.size() - chunk));
                auto const place = block.offset + at + chunk;
                ChunkHash hash;
                TRY(writeRun(*file, part.data(), part.size(), place, hash));
                if (!hash.isEmpty())
                    hash.finish(RamFileRecord::chunkSize, checksumOf(record, place / RamFileRecord::chunkSize));
            }
            TRY(file->wait());
        }
    }
    TRY(file->flush());
    return record;
}

Result<> checkRamRecord(RamFileRecord const& record, std::uint64_t fileSize)
{
    if (record.size != fileSize) {
        return fail(ErrorCode::Corrupt,
            fmt::format("the memory file has {} bytes, where the state says {}", fileSize, record.size));
    }
    if (record.size % RamFileRecord::chunkSize != 0
        || record.checksums.size() != record.size / RamFileRecord::chunkSize * sizeof(XXH64_canonical_t))
        return fail(ErrorCode::Corrupt, "the memory file's checksums do not fit its size");
    std::uint64_t end = 0;
    for (auto const& block : record.blocks) {
        if (block.offset < end || block.offset % RamFileRecord::chunkSize != 0 || block.size == 0
            || block.size % pageSize != 0 || block.offset > record.size || block.size > record.size - block.offset)
            return fail(ErrorCode::Corrupt, fmt::format("memory block {} has no place in the file", block.name));
        end = block.offset + block.size;
    }
    return {};
}

bool isHole(RamFileRecord const& record, std::uint64_t chunk)
{
    auto const expected = checksumOf(record, chunk);
    return std::all_of(expected.begin(), expected.end(), [](std::uint8_t byte) { return byte == 0; });
}

Result<> readChunks(int fd, RamFileRecord const& record, std::uint64_t fileOffset, ByteSpan chunks)
{
    for (std::size_t got = 0; got < chunks.size();) {
        auto const count = ::pread(fd, chunks.data() + got, chunks.size() - got, static_cast<off_t>(fileOffset + got));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return failOs("cannot read the memory file");
        if (count == 0)
            return fail(ErrorCode::Corrupt, "the memory file has become shorter");
        got += static_cast<std::size_t>(count);
    }
    auto chunk = fileOffset / RamFileRecord::chunkSize;
    for (; !chunks.empty(); ++chunk, chunks = chunks.subspan(std::min(chunks.size(), RamFileRecord::chunkSize))) {
        auto const data = chunks.first(std::min(chunks.size(), RamFileRecord::chunkSize));
        std::array<std::uint8_t, sizeof(XXH64_canonical_t)> found {};
        if (!isZero(data)) {
            ChunkHash hash;
            hash.add(0, data);
            hash.finish(RamFileRecord::chunkSize, found);
        }
        if (!std::ranges::equal(found, checksumOf(record, chunk)))
            return fail(ErrorCode::Corrupt, fmt::format("the memory file is damaged in its mebibyte {}", chunk));
    }
    return {};
}

Result<> verifyRamFile(std::string const& path, RamFileRecord const& record, ProgressCallback const& progress)
{
    auto const file = TRY(openRegularFile(path));
    struct stat status { };
    if (::fstat(file.get(), &status) != 0)
        return failOs("cannot look at " + path);
    TRY(checkRamRecord(record, static_cast<std::uint64_t>(status.st_size)));
    Bytes chunk(RamFileRecord::chunkSize);
    for (std::uint64_t at = 0; at < record.size; at += chunk.size()) {
        TRY(readChunks(file.get(), record, at, chunk));
        if (progress && !progress(static_cast<double>(at) / static_cast<double>(record.size)))
            return fail(ErrorCode::Cancelled, "checking the memory file was cancelled");
    }
    return {};
}

Result<std::unique_ptr<RamFile>> RamFile::open(UniqueFd file, RamFileRecord record)
{
    struct stat status { };
    if (::fstat(file.get(), &status) != 0)
        return failOs("cannot look at the memory file");
    TRY(checkRamRecord(record, static_cast<std::uint64_t>(status.st_size)));
    std::unique_ptr<RamFile> opened(new RamFile(std::move(file), std::move(record)));
    for (auto const& block : opened->m_record.blocks)
        opened->m_blocks.push_back({ block.name, block.size });
    ::posix_fadvise(opened->m_file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return opened;
}

bool RamFile::holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const
{
    auto const first = m_record.blocks[block].offset + offset;
    for (auto at = first; at < first + size; at += RamFileRecord::chunkSize) {
        if (!isHole(m_record, at / RamFileRecord::chunkSize))
            return true;
    }
    return false;
}

Result<> RamFile::read(std::size_t block, std::uint64_t offset, ByteSpan data) const
{
    return readChunks(m_file.get(), m_record, m_record.blocks[block].offset + offset, data);
}

std::optional<SavedMemory::Place> RamFile::file(std::size_t block) const
{
    return Place { m_file.get(), m_record.blocks[block].offset };
}

}
