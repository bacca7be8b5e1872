#include "vmm/block/qcow2_image.h"

#include "vmm/base/log.h"
#include "vmm/block/decompress.h"

#include <algorithm>
#include <array>

namespace vmm {

using namespace qcow2;

Result<std::unique_ptr<Qcow2Image>> Qcow2Image::open(
    IoEngine& engine, std::unique_ptr<BlockFile> file, ImageOptions const& options, OpenBacking const& openBacking)
{
    auto const fileSize = TRY(file->size());
    auto header = TRY(Header::read(*file, fileSize));
    bool const readOnly = options.access == Access::ReadOnly;
    if (!options.snapshot.empty() && !readOnly)
        return fail(ErrorCode::InvalidArgument, "a snapshot can only be opened for reading");
    if (!readOnly && (header.incompatible & corruptBit) != 0)
        return fail(ErrorCode::Corrupt, file->name() + " is marked as corrupt and can only be read");
    std::unique_ptr<Qcow2Image> image(new Qcow2Image(engine, std::move(file), true, std::move(header), fileSize));
    if (!options.snapshot.empty())
        TRY(image->openAtSnapshot(options.snapshot));
    image->m_size = image->m_qcow.header().size;
    if (!readOnly)
        TRY(image->openForWriting());
    else
        TRY(image->m_tables.open());
    auto const& named = image->m_qcow.header();
    if (!named.backingFile.empty()) {
        std::optional<ImageFormat> format;
        if (named.backingFormat == "raw")
            format = ImageFormat::Raw;
        else if (named.backingFormat == "qcow2")
            format = ImageFormat::Qcow2;
        else if (!named.backingFormat.empty())
            return fail(ErrorCode::Unsupported,
                fmt::format("{}: its backing file is of format \"{}\"", image->m_file->name(), named.backingFormat));
        image->replaceBacking(
            TRY_WITHIN("backing file of " + image->m_file->name(), openBacking(named.backingFile, format)));
    }
    // Until here nothing must be written, not even by the destructor.
    image->m_readOnly = readOnly;
    return image;
}

Result<> Qcow2Image::openForWriting()
{
    auto const& header = m_qcow.header();
    if ((header.incompatible & dirtyBit) != 0)
        TRY(repair());
    TRY(m_refcounts.open());
    TRY(m_tables.open());
    auto const snapshots = TRY(m_qcow.readSnapshots());
    return claimTables(header, m_refcounts.table(), m_tables.l1(), snapshots);
}

Qcow2Image::~Qcow2Image()
{
    if (auto const flushed = flushSync(); !flushed)
        log(LogLevel::Error, "block", "closing {}: {}", m_file->name(), flushed.error().message());
}

ImageInfo Qcow2Image::info() const
{
    ImageInfo info;
    auto const& header = m_qcow.header();
    info.format = ImageFormat::Qcow2;
    info.path = m_file->name();
    info.virtualSize = m_size;
    info.allocatedBytes = m_file->allocatedBytes();
    info.clusterSize = header.clusterSize();
    info.snapshots = header.snapshotCount;
    info.dirty = (header.incompatible & dirtyBit) != 0;
    info.corrupt = (header.incompatible & corruptBit) != 0;
    if (m_backing) {
        auto below = m_backing->info();
        auto further = std::move(below.backing);
        below.backing.clear();
        info.backing.push_back(std::move(below));
        std::ranges::move(further, std::back_inserter(info.backing));
    }
    return info;
}

void Qcow2Image::replaceBacking(std::unique_ptr<BlockImage> backing)
{
    BlockImage::replaceBacking(std::move(backing));
    shareTables(m_tables.cache());
}

void Qcow2Image::shareTables(std::shared_ptr<TableCache> const& cache)
{
    m_tables.join(cache);
    if (m_backing)
        m_backing->shareTables(cache);
}

Result<BlockImage::Mapping> Qcow2Image::map(std::uint64_t offset, std::uint64_t length)
{
    auto const inTable = bytesPerTable() - offset % bytesPerTable();
    length = std::min(length, inTable);
    auto* const table = TRY(m_tables.find(l1Index(offset)));
    if (table == nullptr)
        return Mapping { .kind = Mapping::Kind::Unallocated, .length = length, .image = this };

    auto index = l2Index(offset);
    auto const raw = table->get(index);
    auto const entry = TRY(m_qcow.decode(raw));
    auto const inCluster = offset % clusterSize();
    auto covered = clusterSize() - inCluster;
    Mapping mapping { .length = 0, .hostOffset = entry.hostOffset, .image = this };
    switch (entry.kind) {
    case Entry::Kind::Compressed:
        mapping.kind = Mapping::Kind::Compressed;
        mapping.hostOffset = raw;
        break;
    case Entry::Kind::Data:
        mapping.kind = Mapping::Kind::Data;
        mapping.hostOffset += inCluster;
        // Clusters that follow each other in the file too are one transfer.
        for (auto next = entry.hostOffset + clusterSize(); covered < length; next += clusterSize()) {
            auto const following = table->get(++index);
            if ((following & ~copiedFlag) != next || !m_qcow.isClusterInFile(next))
                break;
            covered += clusterSize();
        }
        break;
    case Entry::Kind::Zero:
    case Entry::Kind::Unallocated:
        mapping.kind = entry.kind == Entry::Kind::Zero ? Mapping::Kind::Zero : Mapping::Kind::Unallocated;
        for (; covered < length && table->get(index + 1) == raw; ++index)
            covered += clusterSize();
        break;
    }
    mapping.length = std::min(covered, length);
    return mapping;
}

Result<> Qcow2Image::readCompressed(Mapping const& mapping, std::uint64_t offset, ByteSpan data)
{
    auto const cluster = clusterSize();
    if (m_compressedKey != mapping.hostOffset) {
        auto const entry = TRY(m_qcow.decode(mapping.hostOffset));
        m_compressedKey = 0;
        if (!m_compressedData)
            m_compressedData = allocateAligned(cluster);
        auto const packed = allocateAligned(entry.compressedBytes);
        if (!m_compressedData || !packed)
            return fail(ErrorCode::OutOfMemory, "no memory to unpack a cluster");
        ConstByteSpan const packedBytes(packed.get(), entry.compressedBytes);
        TRY(m_file->read(entry.hostOffset, { packed.get(), entry.compressedBytes }));
        auto const method = m_qcow.header().compression == 0 ? Compression::Deflate : Compression::Zstd;
        TRY_WITHIN(m_file->name(), decompress(method, packedBytes, { m_compressedData.get(), cluster }));
        m_compressedKey = mapping.hostOffset;
    }
    std::memcpy(data.data(), m_compressedData.get() + offset % cluster, data.size());
    return {};
}

}
