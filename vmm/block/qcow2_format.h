#pragma once

#include "vmm/block/image.h"

#include <unordered_set>

/// The qcow2 format, versions 2 and 3, as QEMU's docs/interop/qcow2.txt has it (commit 30afc120): section "Header",
/// "Header extensions", "Host cluster management", "Cluster mapping", "Snapshots".
namespace vmm::qcow2 {

constexpr std::uint32_t magic = 0x514649fb; // "QFI", 0xfb
constexpr unsigned minimumClusterBits = 9, maximumClusterBits = 21;
constexpr std::uint64_t maximumL1Bytes = 32 << 20, maximumRefcountTableBytes = 8 << 20; // QEMU's limits
constexpr std::uint32_t maximumSnapshots = 65536;
constexpr std::uint64_t maximumSnapshotTableBytes = 64 << 20;
constexpr std::size_t maximumSnapshotId = 127, maximumSnapshotName = 255; // QEMU's buffers

// incompatible_features
constexpr std::uint64_t dirtyBit = 1 << 0, corruptBit = 1 << 1, dataFileBit = 1 << 2, compressionBit = 1 << 3,
                        extendedL2Bit = 1 << 4;

// Header extensions
constexpr std::uint32_t extensionEnd = 0, extensionBackingFormat = 0xe2792aca, extensionFeatureNames = 0x6803f857,
                        extensionBitmaps = 0x23852875;

// Where header fields are that change while the image is in use.
constexpr std::uint64_t backingField = 8, sizeField = 24, refcountTableField = 48, incompatibleField = 72,
                        autoclearField = 88;

// L1 and L2 entries
constexpr std::uint64_t copiedFlag = 1ULL << 63, compressedFlag = 1ULL << 62, zeroFlag = 1,
                        offsetMask = 0x00fffffffffffe00;

struct Header {
    std::uint32_t version = 3;
    std::uint64_t size = 0;
    unsigned clusterBits = 16;
    std::uint32_t l1Size = 0; ///< entries
    std::uint64_t l1Offset = 0;
    std::uint64_t refcountTableOffset = 0;
    std::uint32_t refcountTableClusters = 0;
    std::uint32_t snapshotCount = 0;
    std::uint64_t snapshotsOffset = 0;
    std::uint64_t incompatible = 0, compatible = 0, autoclear = 0;
    unsigned refcountOrder = 4;
    std::uint8_t compression = 0; ///< 0 deflate, 1 zstd
    std::string backingFile;
    std::string backingFormat;
    bool hasBitmaps = false;
    // Where that is in the first cluster.
    std::uint64_t backingFileAt = 0, backingFormatAt = 0; ///< the latter: of the extension; 0: there is none
    std::uint64_t extensionsEnd = 0;                      ///< behind the last one and its end marker
    bool hasEndMarker = false;

    std::uint64_t clusterSize() const { return 1ULL << clusterBits; }
    std::uint64_t l2Entries() const { return clusterSize() / 8; }
    /// L1 entries for a disk of `size`.
    std::uint64_t neededL1() const;

    /// Reads and checks all that can be checked in the header alone.
    static Result<Header> read(BlockFile& file, std::uint64_t fileSize);
    /// The first cluster of a new image, with the extensions and the backing file's name.
    Result<Bytes> build() const;
};

/// An L2 entry taken apart.
struct Entry {
    enum class Kind : std::uint8_t { Unallocated, Zero, Data, Compressed };
    Kind kind = Kind::Unallocated;
    bool copied = false;               ///< refcount is one: may be written in place
    std::uint64_t hostOffset = 0;      ///< Zero: of the cluster kept for it, or 0
    std::uint64_t compressedBytes = 0; ///< from hostOffset to the end of the last sector
};

/// An entry of the snapshot table.
struct Snapshot {
    std::uint64_t l1Offset = 0;
    std::uint32_t l1Size = 0; ///< entries
    DiskSnapshot what;
    bool saysDiskSize = true; ///< in version 2 it need not: then `what` has the image's
    Bytes raw;                ///< the entry as it is in the file, with extra data that is not ours to know, padded
};

/// What a new snapshot may be called.
Result<> checkSnapshot(DiskSnapshot const& what);
/// A new snapshot's entry, with the extra data that version 3 demands.
Bytes encodeSnapshot(Snapshot const& snapshot);
/// Bytes of a table with these entries.
std::uint64_t snapshotTableBytes(std::vector<Snapshot> const& snapshots);

/// The open image file and what every part of the format needs to know of it.
class File {
public:
    File(BlockFile& file, Header header, std::uint64_t fileSize)
        : m_file(file), m_header(std::move(header)), m_highWater(fileSize)
    {
    }

    BlockFile& file() { return m_file; }
    Header& header() { return m_header; }
    Header const& header() const { return m_header; }
    std::uint64_t clusterSize() const { return m_header.clusterSize(); }

    /// Takes an L2 entry apart; Corrupt where it points to where no cluster can be.
    Result<Entry> decode(std::uint64_t raw) const;
    /// Whether whole clusters at `offset` can be there.
    bool isClusterInFile(std::uint64_t offset, std::uint64_t clusters = 1) const;

    Result<> write(std::uint64_t offset, ConstByteSpan data);
    Result<> writeHeaderField(std::uint64_t offset, std::uint64_t value);
    /// To be called before anything is written, so that fresh space is known as such.
    void noteWriting(std::uint64_t offset, std::uint64_t length)
    {
        m_highWater = std::max(m_highWater, offset + length);
    }
    /// True where nothing was ever written: reads as zeros.
    bool isFresh(std::uint64_t offset) const { return offset >= m_highWater && !m_file.isBlockDevice(); }

    /// Clusters that hold tables. A guest's data is never written there, whatever an entry says.
    std::unordered_set<std::uint64_t>& metadata() { return m_metadata; }
    bool isMetadata(std::uint64_t offset) const { return m_metadata.contains(offset >> m_header.clusterBits); }
    /// Corrupt when one of the clusters is used for a table already.
    Result<> claimMetadata(std::uint64_t offset, std::uint64_t bytes, char const* what);

    /// Notes in memory and in the header that the tables contradict each other, so that nobody makes it worse.
    Error markCorrupt(std::string detail);
    /// Nothing is written any more until the image is opened again: what the file says now is not known.
    void markUnknown();
    /// Why nothing may be written any more, where that is so.
    Result<> checkWritable() const;
    Error corruptError(std::string detail) const;

    /// The snapshot table, checked; Corrupt, by name, where an entry cannot be right.
    Result<std::vector<Snapshot>> readSnapshots() const;
    Result<std::vector<std::uint64_t>> readTable(std::uint64_t offset, std::uint64_t entries) const;

private:
    BlockFile& m_file;
    Header m_header;
    std::uint64_t m_highWater;
    std::unordered_set<std::uint64_t> m_metadata;
    bool m_corrupt = false, m_unknown = false;
};

}
