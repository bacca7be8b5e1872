#include "vmm/block/qcow2_format.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <array>

namespace vmm::qcow2 {

namespace {

template<typename T>
T field(ConstByteSpan data, std::size_t offset)
{
    return loadBig<T>(data.subspan(offset, sizeof(T)));
}

template<typename T>
void put(Bytes& data, std::size_t offset, T value)
{
    storeBig<T>(ByteSpan(data).subspan(offset, sizeof(T)), value);
}

constexpr std::array featureNames {
    std::string_view("dirty bit"),
    std::string_view("corrupt bit"),
    std::string_view("external data file"),
    std::string_view("compression type"),
    std::string_view("extended L2 entries"),
};

/// The image's own names for features that we have never heard of.
std::string nameOfFeature(ConstByteSpan table, unsigned bit)
{
    for (; table.size() >= 48; table = table.subspan(48)) {
        if (table[0] == 0 && table[1] == bit) {
            std::string name;
            for (auto const byte : table.subspan(2, 46)) {
                if (byte < 0x20 || byte > 0x7e)
                    break;
                name.push_back(static_cast<char>(byte));
            }
            if (!name.empty())
                return name;
        }
    }
    return fmt::format("incompatible feature {}", bit);
}

}

std::uint64_t Header::neededL1() const
{
    auto const perTable = clusterSize() * l2Entries();
    return size / perTable + (size % perTable != 0 ? 1 : 0);
}

Result<Header> Header::read(BlockFile& file, std::uint64_t fileSize)
{
    auto const corrupt
        = [&](std::string detail) { return fail(ErrorCode::Corrupt, file.name() + ": " + std::move(detail)); };
    auto const unsupported
        = [&](std::string detail) { return fail(ErrorCode::Unsupported, file.name() + ": " + std::move(detail)); };
    if (fileSize < 72)
        return corrupt("too short for a qcow2 header");
    Bytes start(112);
    TRY(file.read(0, start));
    if (field<std::uint32_t>(start, 0) != magic)
        return corrupt("not a qcow2 image");
    Header header;
    header.version = field<std::uint32_t>(start, 4);
    if (header.version < 2 || header.version > 3)
        return unsupported(fmt::format("qcow2 version {}", header.version));
    auto const backingOffset = field<std::uint64_t>(start, 8);
    auto const backingSize = field<std::uint32_t>(start, 16);
    header.clusterBits = field<std::uint32_t>(start, 20);
    header.size = field<std::uint64_t>(start, 24);
    auto const crypt = field<std::uint32_t>(start, 32);
    header.l1Size = field<std::uint32_t>(start, 36);
    header.l1Offset = field<std::uint64_t>(start, 40);
    header.refcountTableOffset = field<std::uint64_t>(start, 48);
    header.refcountTableClusters = field<std::uint32_t>(start, 56);
    header.snapshotCount = field<std::uint32_t>(start, 60);
    header.snapshotsOffset = field<std::uint64_t>(start, 64);
    if (header.clusterBits < minimumClusterBits || header.clusterBits > maximumClusterBits)
        return corrupt(fmt::format("clusters of 2^{} bytes", header.clusterBits));
    auto const clusterSize = header.clusterSize();

    std::uint64_t headerLength = 72;
    if (header.version >= 3) {
        if (fileSize < 104)
            return corrupt("too short for a version 3 header");
        header.incompatible = field<std::uint64_t>(start, 72);
        header.compatible = field<std::uint64_t>(start, 80);
        header.autoclear = field<std::uint64_t>(start, 88);
        header.refcountOrder = field<std::uint32_t>(start, 96);
        headerLength = field<std::uint32_t>(start, 100);
        if (headerLength < 104 || headerLength > clusterSize || headerLength % 8 != 0)
            return corrupt(fmt::format("a header of {} bytes", headerLength));
        if (headerLength > 104)
            header.compression = start[104];
        if (header.refcountOrder > 6)
            return corrupt(fmt::format("refcounts of 2^{} bits", header.refcountOrder));
    }

    Bytes cluster(std::min(clusterSize, fileSize));
    TRY(file.read(0, cluster));
    Bytes names;
    header.extensionsEnd = headerLength;
    for (std::uint64_t at = headerLength; at + 8 <= cluster.size();) {
        auto const type = field<std::uint32_t>(cluster, at);
        auto const length = field<std::uint32_t>(cluster, at + 4);
        at += 8;
        // A version 2 image need not have extensions: what follows is then the backing file's name.
        if (backingOffset != 0 && at > backingOffset)
            break;
        if (type == extensionEnd) {
            header.hasEndMarker = true;
            header.extensionsEnd = at;
            break;
        }
        if (length > cluster.size() - at)
            return corrupt(fmt::format("header extension 0x{:08x} reaches over the first cluster", type));
        auto const data = ConstByteSpan(cluster).subspan(at, length);
        if (type == extensionBackingFormat) {
            header.backingFormat.assign(data.begin(), data.end());
            header.backingFormatAt = at - 8;
        } else if (type == extensionFeatureNames)
            names.assign(data.begin(), data.end());
        else if (type == extensionBitmaps)
            header.hasBitmaps = true;
        at += alignUp<std::uint64_t>(length, 8);
        header.extensionsEnd = at;
    }

    if (crypt != 0)
        return unsupported(crypt == 1 ? "encrypted with AES" : crypt == 2 ? "encrypted with LUKS" : "encrypted");
    if ((header.incompatible & dataFileBit) != 0)
        return unsupported("keeps its data in an external data file");
    if ((header.incompatible & extendedL2Bit) != 0)
        return unsupported("has extended L2 entries (subclusters)");
    for (unsigned bit = featureNames.size(); bit < 64; ++bit) {
        if ((header.incompatible >> bit & 1) != 0)
            return unsupported("needs " + nameOfFeature(names, bit));
    }
    if (header.compression > 1)
        return unsupported(fmt::format("compressed with method {}", header.compression));
    if ((header.compression != 0) != ((header.incompatible & compressionBit) != 0))
        return corrupt("the compression type and its feature bit contradict each other");

    if (header.size > BlockImage::maximumSize)
        return corrupt("the disk is larger than a disk can be");
    header.size = alignDown<std::uint64_t>(header.size, BlockImage::sectorSize);
    if (header.l1Size > maximumL1Bytes / 8 || header.neededL1() > header.l1Size)
        return corrupt(fmt::format("an L1 table of {} entries for {} bytes", header.l1Size, header.size));
    if (header.l1Offset % clusterSize != 0 || (header.l1Offset == 0 && header.l1Size != 0) || header.l1Offset > fileSize
        || std::uint64_t(header.l1Size) * 8 > fileSize - header.l1Offset)
        return corrupt("the L1 table is outside of the file");
    auto const refcountBytes = std::uint64_t(header.refcountTableClusters) * clusterSize;
    if (header.refcountTableClusters == 0 || refcountBytes > std::max(maximumRefcountTableBytes, clusterSize))
        return corrupt(fmt::format("a refcount table of {} clusters", header.refcountTableClusters));
    if (header.refcountTableOffset % clusterSize != 0 || header.refcountTableOffset == 0
        || header.refcountTableOffset >= fileSize
        || refcountBytes > alignUp(fileSize, clusterSize) - header.refcountTableOffset)
        return corrupt("the refcount table is outside of the file");
    if (header.snapshotCount > maximumSnapshots
        || (header.snapshotCount != 0 && (header.snapshotsOffset % clusterSize != 0 || header.snapshotsOffset == 0)))
        return corrupt("the snapshot table cannot be right");

    if (backingOffset != 0) {
        if (backingSize > 1023 || backingOffset > cluster.size() || backingSize > cluster.size() - backingOffset)
            return corrupt("the backing file's name is outside of the first cluster");
        auto const name = ConstByteSpan(cluster).subspan(backingOffset, backingSize);
        header.backingFile.assign(name.begin(), name.end());
        header.backingFileAt = backingOffset;
        if (header.backingFile.empty() || header.backingFile.find('\0') != std::string::npos)
            return corrupt("the backing file has no proper name");
    }
    return header;
}

Result<Bytes> Header::build() const
{
    bool const modern = version >= 3;
    std::uint64_t const headerLength = modern ? 112 : 72;
    Bytes data(clusterSize());
    put<std::uint32_t>(data, 0, magic);
    put<std::uint32_t>(data, 4, version);
    put<std::uint32_t>(data, 20, clusterBits);
    put<std::uint64_t>(data, 24, size);
    put<std::uint32_t>(data, 36, l1Size);
    put<std::uint64_t>(data, 40, l1Offset);
    put<std::uint64_t>(data, 48, refcountTableOffset);
    put<std::uint32_t>(data, 56, refcountTableClusters);
    if (modern) {
        put<std::uint32_t>(data, 96, refcountOrder);
        put<std::uint32_t>(data, 100, static_cast<std::uint32_t>(headerLength));
    }
    auto at = headerLength;
    if (!backingFile.empty()) {
        if (at + 32 + backingFormat.size() + backingFile.size() > data.size() || backingFile.size() > 1023)
            return fail(ErrorCode::InvalidArgument, "the backing file's name is too long for the image's header");
        put<std::uint32_t>(data, at, extensionBackingFormat);
        put<std::uint32_t>(data, at + 4, static_cast<std::uint32_t>(backingFormat.size()));
        std::ranges::copy(backingFormat, data.begin() + static_cast<std::ptrdiff_t>(at + 8));
        at += 8 + alignUp<std::uint64_t>(backingFormat.size(), 8);
        at += 8; // the end of the extensions: zeros
        std::ranges::copy(backingFile, data.begin() + static_cast<std::ptrdiff_t>(at));
        put<std::uint64_t>(data, 8, at);
        put<std::uint32_t>(data, 16, static_cast<std::uint32_t>(backingFile.size()));
    }
    return data;
}

bool File::isClusterInFile(std::uint64_t offset, std::uint64_t clusters) const
{
    auto const end = alignUp(m_highWater, clusterSize());
    return offset != 0 && offset % clusterSize() == 0 && offset < end
        && clusters <= (end - offset) >> m_header.clusterBits;
}

Error File::corruptError(std::string detail) const
{
    return { ErrorCode::Corrupt, m_file.name() + ": " + std::move(detail), 0 };
}

Result<Entry> File::decode(std::uint64_t raw) const
{
    Entry entry;
    if ((raw & compressedFlag) != 0) {
        unsigned const offsetBits = 62 - (m_header.clusterBits - 8);
        auto const address = raw & ((1ULL << offsetBits) - 1);
        auto const sectors = ((raw & (compressedFlag - 1)) >> offsetBits) + 1;
        entry.kind = Entry::Kind::Compressed;
        entry.hostOffset = address;
        entry.compressedBytes = sectors * 512 - address % 512;
        if (address < clusterSize() || address >= m_highWater
            || entry.compressedBytes > alignUp(m_highWater, clusterSize()) - address)
            return fail(corruptError(fmt::format("a compressed cluster at {} is outside of the file", address)));
        return entry;
    }
    entry.copied = (raw & copiedFlag) != 0;
    entry.hostOffset = raw & offsetMask;
    bool const zero = (raw & zeroFlag) != 0;
    if ((raw & ~(copiedFlag | offsetMask | (m_header.version >= 3 ? zeroFlag : 0))) != 0)
        return fail(corruptError(fmt::format("L2 entry 0x{:016x} has reserved bits set", raw)));
    if (entry.hostOffset == 0) {
        if (entry.copied)
            return fail(corruptError("an L2 entry claims the header"));
        entry.kind = zero ? Entry::Kind::Zero : Entry::Kind::Unallocated;
        return entry;
    }
    if (!isClusterInFile(entry.hostOffset))
        return fail(corruptError(fmt::format("L2 entry 0x{:016x} points to no cluster of the file", raw)));
    entry.kind = zero ? Entry::Kind::Zero : Entry::Kind::Data;
    return entry;
}

Result<> File::write(std::uint64_t offset, ConstByteSpan data)
{
    noteWriting(offset, data.size());
    return m_file.write(offset, data);
}

Result<> File::writeHeaderField(std::uint64_t offset, std::uint64_t value)
{
    std::array<std::uint8_t, 8> data {};
    storeBig(ByteSpan(data), value);
    return m_file.write(offset, data);
}

Result<> File::claimMetadata(std::uint64_t offset, std::uint64_t bytes, char const* what)
{
    auto const first = offset >> m_header.clusterBits;
    auto const last = (offset + std::max<std::uint64_t>(bytes, 1) - 1) >> m_header.clusterBits;
    for (auto cluster = first; cluster <= last; ++cluster) {
        if (!m_metadata.insert(cluster).second)
            return fail(corruptError(fmt::format("{} at {} overlaps another table", what, offset)));
    }
    return {};
}

Error File::markCorrupt(std::string detail)
{
    if (!m_corrupt) {
        m_corrupt = true;
        log(LogLevel::Error, "block", "{}: {}; the image will not be written to any more", m_file.name(), detail);
        if (m_header.version >= 3) {
            m_header.incompatible |= corruptBit;
            ignore(writeHeaderField(incompatibleField, m_header.incompatible));
        }
    }
    return corruptError(std::move(detail));
}

void File::markUnknown()
{
    m_unknown = true;
    log(LogLevel::Error, "block", "{}: will not be written to until it is opened again", m_file.name());
}

Result<> File::checkWritable() const
{
    if (m_corrupt)
        return fail(corruptError("the image is marked as corrupt"));
    if (m_unknown) {
        return fail(ErrorCode::IoError,
            m_file.name() + ": after a write that failed it is not written to any more until it is opened again");
    }
    return {};
}

Result<std::vector<std::uint64_t>> File::readTable(std::uint64_t offset, std::uint64_t entries) const
{
    std::vector<std::uint64_t> table(entries);
    TRY(m_file.read(offset, { reinterpret_cast<std::uint8_t*>(table.data()), entries * 8 }));
    for (auto& entry : table)
        entry = __builtin_bswap64(entry);
    return table;
}

}
