#include "vmm/block/commit.h"

#include "vmm/base/random.h"
#include "vmm/block/overlay_files.h"
#include "vmm/block/stream.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <sys/stat.h>

namespace vmm {

namespace {

constexpr std::uint64_t pieceBytes = 1 << 20, lookBytes = 1 << 30, zeroPiece = 64 << 10;
constexpr std::uint64_t mostAtOnce = 64 << 20, syncBytes = 16 << 20;
constexpr unsigned mostChangedBits = 28; // 32 MiB of them, however large the disk is

/// Nor on what is between the two, and with that on the base.
Result<> checkNobodyElse(ImageInfo const& disk, std::size_t between)
{
    auto const& base = disk.backing[between].path;
    auto const* above = &disk.path;
    for (std::size_t i = 0; i <= between; ++i) {
        auto const& below = disk.backing[i].path;
        for (auto const& image : TRY(imagesOn(below))) {
            if (!isSameFile(image, *above))
                return fail(ErrorCode::Busy, fmt::format("{} stands on {} too", image, below));
        }
        above = &below;
    }
    struct stat status { };
    if (::stat(base.c_str(), &status) != 0)
        return failOs("cannot examine " + base);
    if (status.st_nlink > 1)
        return fail(ErrorCode::Busy, fmt::format("a fork of the machine needs {} too", base));
    return {};
}

/// What of the chain needs what is below as it is, or is not there.
Result<> checkFiles(ImageInfo const& disk, std::size_t between)
{
    if (disk.format != ImageFormat::Qcow2 || filesBelow(disk) <= between)
        return fail(ErrorCode::Unsupported, disk.path + " stands on no other file");
    auto const& base = disk.backing[between];
    auto const* above = &disk;
    for (std::size_t i = 0; i <= between; ++i) {
        auto const& below = disk.backing[i];
        if (above->snapshots != 0 || below.snapshots != 0) {
            return fail(ErrorCode::Busy,
                fmt::format("{} has moments or snapshots inside, which need {} as it is",
                    above->snapshots != 0 ? above->path : below.path, base.path));
        }
        above = &below;
    }
    return checkNobodyElse(disk, between);
}

/// What is below, for writing, and as large as the disk.
Result<std::unique_ptr<BlockImage>> openBase(
    IoEngine& engine, ImageInfo const& base, std::uint64_t size, ImageOptions options)
{
    options.access = Access::ReadWrite;
    options.format = base.format;
    auto image = TRY(BlockImage::open(engine, base.path, options));
    if (image->size() < size)
        TRY(image->grow(size)); // zeros, as they were read there
    return image;
}

Result<std::unique_ptr<BlockImage>> openReadOnly(
    CheckpointedDisk const& disk, ImageInfo const& base, HostFile::Lock lock)
{
    auto options = disk.options;
    options.access = Access::ReadOnly;
    options.format = base.format;
    options.lock = lock;
    return BlockImage::open(disk.engine, base.path, options);
}

/// With nothing in flight.
Result<> whileHeld(BlockImage& image, std::function<Result<>()> const& what)
{
    bool const wasHeld = image.isHeld();
    image.hold();
    image.drain();
    auto const outcome = what();
    if (!wasHeld)
        image.letGo();
    return outcome;
}

/// Whether the disk is taken for what it is when it is the file that is now `base`: see formatInPlace().
bool canTakeThePlace(std::string const& disk, ImageFormat configured, ImageInfo const& top, ImageInfo const& base)
{
    if (!isCheckpointName(base.path) || !base.path.starts_with(disk + ".") || base.virtualSize > top.virtualSize)
        return false; // one that was smaller has been made as large
    if (base.format == configured)
        return true;
    auto const prefix = nameOf(disk) + ".";
    auto const below = backingNameOf(base.path).value_or("");
    return base.format == ImageFormat::Qcow2 && below.starts_with(prefix) && isUuid(below.substr(prefix.size()));
}

/// Puts an empty file that stands on the base into the place of the disk's own: by `place`, which gets its name.
Result<> placeEmptyFile(std::string const& disk, ImageInfo const& top, std::size_t between,
    std::function<Result<>(std::string const& fresh)> const& place)
{
    auto const fresh = disk + ".going-back"; // the name of what is about to take a disk's place
    TRY(removeFile(fresh));
    auto const placed = [&]() -> Result<> {
        auto const below = TRY(nameBelow(top, between));
        auto const clusterBits = TRY(clusterBitsOn(disk, ImageFormat::Qcow2));
        TRY(createImage(fresh,
            { .size = top.virtualSize,
                .clusterBits = clusterBits,
                .backingFile = below,
                .backingFormat = top.backing[between].format,
                .permissionsOf = disk }));
        TRY(syncFile(fresh));
        return place(fresh);
    }();
    if (!placed)
        ignore(removeFile(fresh));
    return placed;
}

struct Run {
    std::uint64_t length;  ///< bytes that were looked at
    std::uint64_t written; ///< of them
};
/// Writes to the base what the disk, and the `between` ones below it, have of the first of `length` bytes.
Result<Run> writeRun(
    BlockImage& disk, BlockImage& base, std::size_t between, std::uint64_t offset, std::uint64_t length, Bytes& data)
{
    using Kind = BlockImage::Mapping::Kind;
    auto const own = TRY(disk.resolveWithin(between, offset, std::min(length, lookBytes)));
    if (own.kind == Kind::Zero)
        TRY(base.runSync(BlockRequest::Kind::WriteZeroes, offset, own.length));
    if (own.kind == Kind::Zero || own.kind == Kind::Unallocated)
        return Run { own.length, 0 };
    data.resize(pieceBytes);
    auto const part = ByteSpan(data).first(std::min(own.length, pieceBytes));
    TRY(disk.readSync(offset, part));
    for (std::size_t at = 0; at < part.size(); at += zeroPiece) {
        auto const piece = part.subspan(at, std::min(zeroPiece, part.size() - at));
        if (!isZero(piece))
            TRY(base.writeSync(offset + at, piece));
        else
            TRY(base.runSync(BlockRequest::Kind::WriteZeroes, offset + at, piece.size()));
    }
    return Run { part.size(), part.size() };
}

}

Result<> writeToBase(BlockImage& disk, BlockImage& base, CopyProgress const& progress, std::size_t between)
{
    Bytes data;
    for (std::uint64_t offset = 0; offset < disk.size();) {
        if (progress && !progress(offset, disk.size()))
            return fail(ErrorCode::Cancelled, "the disk is as it was");
        offset += TRY(writeRun(disk, base, between, offset, disk.size() - offset, data)).length;
    }
    return base.flushSync();
}

BaseWriter::BaseWriter(BlockImage& disk, BlockImage& base)
    : m_disk(disk),
      m_base(base),
      m_changedPiece(std::max(zeroPiece, std::bit_ceil(disk.size() >> mostChangedBits))),
      m_changed((disk.size() + m_changedPiece - 1) / m_changedPiece)
{
    m_disk.watchChanges([this](BlockRequest const& request) { noteChange(request); });
}

BaseWriter::~BaseWriter()
{
    m_disk.watchChanges({});
}

void BaseWriter::noteChange(BlockRequest const& request)
{
    auto const end = std::min(request.offset + request.length, m_position); // the rest is still to be written
    for (auto at = alignDown(request.offset, m_changedPiece); at < end; at += m_changedPiece) {
        if (!m_changed[at / m_changedPiece]) {
            m_changed[at / m_changedPiece] = true;
            ++m_changedPieces;
        }
    }
}

Result<bool> BaseWriter::writePiece()
{
    if (m_position < m_disk.size()) {
        TRY(writeFirst());
        return true;
    }
    TRY(writeChanged());
    if (m_changedPieces > 0)
        return true;
    TRY(m_base.flushSync());
    return false;
}

Result<> BaseWriter::writeFirst()
{
    auto const end = m_position + std::min(m_disk.size() - m_position, mostAtOnce);
    for (std::uint64_t written = 0; m_position < end && written < pieceBytes;) {
        auto const run = TRY(writeRun(m_disk, m_base, 0, m_position, end - m_position, m_data));
        m_position += run.length;
        written += run.written;
        m_unsynced += run.written;
    }
    if (m_unsynced >= syncBytes || m_position == m_disk.size()) { // so that the last one has little to do
        m_unsynced = 0;
        TRY(m_base.flushSync());
    }
    return {};
}

Result<> BaseWriter::writeChanged()
{
    auto const came = (m_changedPieces - m_changedLeft) * m_changedPiece; // since the last time
    for (std::uint64_t done = 0; m_changedPieces > 0 && done < m_budget; done += m_changedPiece) {
        while (!m_changed[m_nextPiece])
            m_nextPiece = (m_nextPiece + 1) % m_changed.size();
        auto const end = std::min((m_nextPiece + 1) * m_changedPiece, m_disk.size());
        for (auto at = m_nextPiece * m_changedPiece; at < end;)
            at += TRY(writeRun(m_disk, m_base, 0, at, end - at, m_data)).length;
        m_changed[m_nextPiece] = false;
        --m_changedPieces;
    }
    m_changedLeft = m_changedPieces;
    // Never less than before: a guest that writes much each other time would have the last word.
    m_budget = std::max(m_budget, std::min(m_budget * 2, std::max(mostAtOnce, came * 2)));
    return {};
}

double BaseWriter::part() const
{
    return m_disk.size() == 0 ? 1 : static_cast<double>(m_position) / static_cast<double>(m_disk.size());
}

Result<> commitDisk(IoEngine& engine, ClosedDisk const& disk, CopyProgress const& progress, std::size_t between)
{
    auto options = disk.options;
    options.access = Access::ReadOnly;
    auto const info = TRY(BlockImage::open(engine, disk.path, options))->info();
    TRY(checkFiles(info, between));
    auto const& base = info.backing[between];
    {
        options.access = Access::ReadWrite;
        std::size_t opened = 0;
        BlockImage::OpenBacking openBelow;
        openBelow = [&](std::string const&, std::optional<ImageFormat>) -> Result<std::unique_ptr<BlockImage>> {
            if (opened == between)
                return openBase(engine, base, info.virtualSize, options);
            auto middle = options;
            middle.access = Access::ReadOnly;
            middle.format = ImageFormat::Qcow2;
            auto const& path = info.backing[opened++].path;
            auto file = TRY(HostFile::open(path, middle.access, middle.cache, middle.lock));
            return BlockImage::open(engine, std::move(file), middle, openBelow);
        };
        auto file = TRY(HostFile::open(disk.path, Access::ReadWrite, options.cache, options.lock));
        auto const top = TRY(BlockImage::open(engine, std::move(file), options, openBelow));
        auto* lowest = top.get();
        for (std::size_t i = 0; i <= between; ++i)
            lowest = lowest->backing();
        TRY(writeToBase(*top, *lowest, progress, between));
    }
    if (canTakeThePlace(disk.path, disk.configured, info, base))
        TRY(renameFile(base.path, disk.path));
    else
        TRY(placeEmptyFile(
            disk.path, info, between, [&](std::string const& fresh) { return renameFile(fresh, disk.path); }));
    return syncFolder(disk.path);
}

Result<> LiveCommit::check(ImageInfo const& disk)
{
    return checkFiles(disk, 0);
}

Result<std::unique_ptr<LiveCommit>> LiveCommit::begin(CheckpointedDisk& disk, ImageFormat configured)
{
    auto& image = *disk.image;
    auto const info = image.info();
    auto const& base = info.backing.at(0);
    auto const openWritable = [&]() -> Result<> {
        // Or our own lock would be in the way.
        image.replaceBacking(TRY(openReadOnly(disk, base, HostFile::Lock::No)));
        auto writable = openBase(disk.engine, base, info.virtualSize, disk.options);
        if (writable)
            image.replaceBacking(std::move(*writable));
        else if (auto again = openReadOnly(disk, base, disk.options.lock))
            image.replaceBacking(std::move(*again));
        return writable ? Result<>() : fail(writable.error());
    };
    TRY(whileHeld(image, openWritable));
    return std::unique_ptr<LiveCommit>(new LiveCommit(disk, configured));
}

LiveCommit::LiveCommit(CheckpointedDisk& disk, ImageFormat configured) : m_disk(disk), m_configured(configured)
{
    m_writer.emplace(*disk.image, *disk.image->backing());
}

LiveCommit::~LiveCommit()
{
    if (!m_writer)
        return;
    m_writer.reset();
    auto& image = *m_disk.image;
    auto const flushed = image.backing()->flushSync();
    image.backing()->becomeBacking();
    if (flushed)
        return;
    // The guest would meet that at each flush, though all that was to be made durable there is in the disk's own file.
    ignore(whileHeld(image, [&]() -> Result<> {
        image.replaceBacking(TRY(openReadOnly(m_disk, image.info().backing.at(0), m_disk.options.lock)));
        return {};
    }));
}

Result<bool> LiveCommit::step()
{
    m_disk.image->drain();
    if (TRY(m_writer->writePiece()))
        return true;
    TRY(changeFiles());
    return false;
}

Result<> LiveCommit::changeFiles()
{
    auto const info = m_disk.image->info();
    auto const& base = info.backing[0];
    if (canTakeThePlace(m_disk.path, m_configured, info, base)) {
        TRY(renameFile(base.path, m_disk.path));
        letBaseBeTheDisk(base.format);
    } else {
        TRY(standOnBase(info));
    }
    return syncFolder(m_disk.path);
}

void LiveCommit::letBaseBeTheDisk(ImageFormat format)
{
    m_writer.reset();
    replaceImage(m_disk.image->takeBacking());
    m_disk.options.format = format;
}

Result<> LiveCommit::standOnBase(ImageInfo const& info)
{
    return placeEmptyFile(m_disk.path, info, 0, [&](std::string const& fresh) -> Result<> {
        auto file = TRY(HostFile::open(fresh, Access::ReadWrite, m_disk.options.cache, m_disk.options.lock));
        auto const place = [&](std::string const&, std::optional<ImageFormat>) -> Result<std::unique_ptr<BlockImage>> {
            TRY(renameFile(fresh, m_disk.path));
            m_writer.reset();
            m_disk.image->backing()->becomeBacking();
            return m_disk.image->takeBacking();
        };
        replaceImage(TRY(BlockImage::open(m_disk.engine, std::move(file), m_disk.options, place)));
        return {};
    });
}

void LiveCommit::replaceImage(std::unique_ptr<BlockImage> image)
{
    image->file().renamed(m_disk.path);
    m_disk.image->passWaitingTo(*image);
    m_disk.image->becomeBacking(); // or it would write what it has in memory to a file that has gone
    m_disk.image = std::move(image);
}

}
