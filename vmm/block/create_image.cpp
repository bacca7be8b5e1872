#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/qcow2_format.h"

#include <bit>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>

namespace vmm {

namespace {

using namespace qcow2;

std::string directoryOf(std::string const& path)
{
    auto const slash = path.rfind('/');
    return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

/// Header, refcount table, refcount blocks, L1 table, one behind the other.
Result<> writeQcow2(BlockFile& file, NewImage const& what)
{
    Header header;
    header.version = what.version;
    header.size = what.size;
    header.clusterBits = what.clusterBits;
    header.refcountOrder = static_cast<unsigned>(std::countr_zero(what.refcountBits));
    header.backingFile = what.backingFile;
    if (!what.backingFile.empty())
        header.backingFormat = what.backingFormat == ImageFormat::Raw ? "raw" : "qcow2";
    auto const clusterSize = header.clusterSize();
    if (header.neededL1() > maximumL1Bytes / 8)
        return fail(ErrorCode::InvalidArgument,
            fmt::format("{} bytes are too many for clusters of {}", what.size, clusterSize));
    header.l1Size = static_cast<std::uint32_t>(header.neededL1());

    auto const clustersFor = [&](std::uint64_t bytes) { return (bytes + clusterSize - 1) / clusterSize; };
    auto const perBlock = clusterSize * 8 / what.refcountBits;
    auto const l1Clusters = std::max<std::uint64_t>(clustersFor(std::uint64_t(header.l1Size) * 8), 1);
    std::uint64_t blocks = 1, tableClusters = 1;
    while (true) { // they count themselves, too
        auto const total = 1 + tableClusters + blocks + l1Clusters;
        auto const neededBlocks = (total + perBlock - 1) / perBlock;
        auto const neededTable = clustersFor(neededBlocks * 8);
        if (neededBlocks <= blocks && neededTable <= tableClusters)
            break;
        blocks = std::max(blocks, neededBlocks);
        tableClusters = std::max(tableClusters, neededTable);
    }
    header.refcountTableOffset = clusterSize;
    header.refcountTableClusters = static_cast<std::uint32_t>(tableClusters);
    auto const blocksOffset = (1 + tableClusters) * clusterSize;
    header.l1Offset = blocksOffset + blocks * clusterSize;
    auto const total = 1 + tableClusters + blocks + l1Clusters;

    auto const first = TRY(header.build());
    TRY(file.resize(total * clusterSize));
    TRY(file.write(0, first));
    Bytes table(blocks * 8);
    for (std::uint64_t i = 0; i < blocks; ++i)
        storeBig(ByteSpan(table).subspan(i * 8, 8), blocksOffset + i * clusterSize);
    TRY(file.write(header.refcountTableOffset, table));
    // `total` counts of one, in entries of any width: the entries of a block follow each other without gaps.
    Bytes counts((total * what.refcountBits + 7) / 8);
    for (std::uint64_t i = 0; i < total; ++i) {
        auto const bytes = what.refcountBits / 8;
        if (bytes == 0)
            counts[i * what.refcountBits / 8] |= static_cast<std::uint8_t>(1U << (i * what.refcountBits % 8));
        else
            counts[(i + 1) * bytes - 1] = 1;
    }
    return file.write(blocksOffset, counts);
}

Result<> checkParameters(NewImage const& what)
{
    auto const invalid = [](std::string detail) { return fail(ErrorCode::InvalidArgument, std::move(detail)); };
    if (what.size == 0 || what.size % BlockImage::sectorSize != 0 || what.size > BlockImage::maximumSize)
        return invalid(fmt::format("a disk of {} bytes", what.size));
    if (what.format == ImageFormat::Raw) {
        if (!what.backingFile.empty())
            return invalid("a raw image cannot have a backing file");
        return {};
    }
    if (what.clusterBits < minimumClusterBits || what.clusterBits > maximumClusterBits)
        return invalid(fmt::format("clusters of 2^{} bytes", what.clusterBits));
    if (what.version != 2 && what.version != 3)
        return invalid(fmt::format("qcow2 version {}", what.version));
    if (!std::has_single_bit(what.refcountBits) || what.refcountBits > 64
        || (what.version == 2 && what.refcountBits != 16))
        return invalid(fmt::format("refcounts of {} bits", what.refcountBits));
    return {};
}

/// Removes an unfinished file.
class Unfinished {
public:
    explicit Unfinished(std::string path) : m_path(std::move(path)) { }
    ~Unfinished()
    {
        if (!m_path.empty())
            std::remove(m_path.c_str());
    }
    Unfinished(Unfinished const&) = delete;
    Unfinished& operator=(Unfinished const&) = delete;
    void keep() { m_path.clear(); }

private:
    std::string m_path;
};

}

Result<> formatImage(BlockFile& file, NewImage const& what)
{
    TRY(checkParameters(what));
    return what.format == ImageFormat::Raw ? file.resize(what.size) : writeQcow2(file, what);
}

Result<> createImage(std::string const& path, NewImage const& what)
{
    auto image = what;
    if (image.size == 0 && !image.backingFile.empty()) {
        InlineEngine engine;
        auto const below
            = image.backingFile.starts_with('/') ? image.backingFile : directoryOf(path) + image.backingFile;
        ImageOptions const options { Access::ReadOnly, CacheMode::Writeback, image.backingFormat, HostFile::Lock::No };
        image.size = TRY(BlockImage::open(engine, below, options))->size();
    }
    TRY(checkParameters(image));

    auto const directory = directoryOf(path);
    auto const temporary = fmt::format("{}.new-{}", path, makeUuid().substr(0, 8));
    auto file = TRY(HostFile::create(temporary));
    Unfinished unfinished(temporary);
    if (!what.permissionsOf.empty())
        TRY(copyPermissions(what.permissionsOf, temporary));
    TRY(formatImage(*file, image));
    TRY(file->sync());
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0) {
        // A file system without that (some network mounts): look first.
        if (errno != EINVAL)
            return failOs("cannot create " + path);
        struct stat status { };
        if (::stat(path.c_str(), &status) == 0)
            return fail(ErrorCode::AlreadyExists, path + " exists");
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            return failOs("cannot create " + path);
    }
    unfinished.keep();
    auto const parent = TRY(openFile(directory, O_RDONLY | O_DIRECTORY));
    if (::fsync(parent.get()) != 0)
        return failOs("cannot make the name of " + path + " durable");
    return {};
}

}
