#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/memory/saved_memory.h"
#include "vmm/state/options.h"

#include <functional>

/// The file of a suspended machine's memory: its blocks one behind the other, at multiples of 4096, as they are; pages
/// of zeroes are holes. What is where is said in the state file, with a checksum for each mebibyte that is not a hole.
namespace vmm {

struct RamBlockRecord {
    std::string name;
    std::uint64_t offset = 0, size = 0; ///< bytes, in the file
    bool operator==(RamBlockRecord const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("name", s.name, state::Max { 64 });
        v.field("offset", s.offset);
        v.field("size", s.size);
    }
};

struct RamFileRecord {
    static constexpr std::uint64_t chunkSize = 1u << 20;

    std::uint64_t size = 0;
    std::vector<RamBlockRecord> blocks;
    /// XXH3-64 of each chunk of the file in its canonical (big-endian) form; zero for a chunk that is a hole.
    Bytes checksums;
    bool operator==(RamFileRecord const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("size", s.size);
        v.field("blocks", s.blocks, state::Max { 256 });
        v.field("checksums", s.checksums, state::Max { 16u << 20 });
    }
};

/// Called with the part that is done, 0 to 1; false cancels.
using ProgressCallback = std::function<bool(double)>;

/// Writes the blocks and syncs the file. Nothing may change them meanwhile. Cancelled: ErrorCode::Cancelled.
Result<RamFileRecord> writeRamFile(
    std::string const& path, std::vector<MemoryBlock*> const& blocks, ProgressCallback const& progress);

/// The same of memory that was saved before, in whatever form.
Result<RamFileRecord> writeRamFile(
    std::string const& path, SavedMemory const& memory, ProgressCallback const& progress);

/// Checks that the record is consistent in itself and with a file of `fileSize` bytes.
Result<> checkRamRecord(RamFileRecord const& record, std::uint64_t fileSize);

/// Reads the whole file and compares every checksum.
Result<> verifyRamFile(std::string const& path, RamFileRecord const& record, ProgressCallback const& progress);

/// Reads a whole number of the record's chunks from the file and compares their checksums. Corrupt where they differ or
/// the file ends.
Result<> readChunks(int fd, RamFileRecord const& record, std::uint64_t fileOffset, ByteSpan chunks);

/// Whether the record says that nothing but zeros is in a chunk.
bool isHole(RamFileRecord const& record, std::uint64_t chunk);

/// Such a file, with its record.
class RamFile final : public SavedMemory {
public:
    /// Corrupt where the two do not go together.
    static Result<std::unique_ptr<RamFile>> open(UniqueFd file, RamFileRecord record);

    std::vector<Block> const& blocks() const override { return m_blocks; }
    bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const override;
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const override;
    std::optional<Place> file(std::size_t block) const override;

private:
    RamFile(UniqueFd file, RamFileRecord record) : m_file(std::move(file)), m_record(std::move(record)) { }

    UniqueFd const m_file;
    RamFileRecord const m_record;
    std::vector<Block> m_blocks;
};

}
