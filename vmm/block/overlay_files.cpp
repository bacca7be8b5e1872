#include "vmm/block/overlay_files.h"

#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/file_extents.h"
#include "vmm/block/qcow2_format.h"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace vmm {

namespace {

constexpr std::string_view merging = ".merging", goingBack = ".going-back";
constexpr std::uint64_t pieceBytes = 64u << 10, lookBytes = 64u << 20, flushEach = 64u << 20;
constexpr std::uint64_t mostGrowth = 1u << 20; // for one file less, where several images take in what one has held

/// A file that is to take another's place, or what createImage() was about to make of it or of a checkpoint's.
bool isUnfinished(std::string const& name)
{
    auto const made = name.rfind(".new-");
    auto const whole = name.substr(0, made);
    return whole.ends_with(merging) || whole.ends_with(goingBack)
        || (made != std::string::npos && isCheckpointName(whole));
}

Result<std::vector<std::string>> namesIn(std::string const& folder)
{
    std::unique_ptr<DIR, int (*)(DIR*)> const opened(::opendir(folder.c_str()), ::closedir);
    if (!opened)
        return failOs("cannot read " + folder);
    std::vector<std::string> names;
    while (auto const* const entry = ::readdir(opened.get())) {
        if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)
            names.emplace_back(entry->d_name);
    }
    return names;
}

/// An empty one for what is no qcow2 image. Of that nothing but the first bytes is read: more may be unreadable.
Result<qcow2::Header> headerOf(std::string const& path)
{
    auto const file = TRY(HostFile::open(path, Access::ReadOnly, CacheMode::Writeback, HostFile::Lock::No));
    std::array<std::uint8_t, 8> start {};
    TRY(file->read(0, start));
    bool const isOfVersionOne = loadBig<std::uint32_t>(ConstByteSpan(start).subspan(4)) == 1; // another format
    if (loadBig<std::uint32_t>(start) != qcow2::magic || isOfVersionOne)
        return qcow2::Header {};
    auto const size = TRY(file->size());
    return qcow2::Header::read(*file, size);
}

/// A checkpoint's file that is raw, as all that stand on it say, has an empty one: what it looks like, a guest has
/// written. So has what cannot be read and is in `raw`; one that can be may need what it names, whatever a record says.
Result<ImageHeaders> headersIn(std::string const& folder, std::set<std::string> const& raw = {})
{
    ImageHeaders headers;
    for (auto const& name : TRY(namesIn(folder))) {
        if (!isUnfinished(name))
            headers.emplace(folder + name, headerOf(folder + name));
    }
    std::map<std::string, bool> saidRaw;
    for (auto const& [image, header] : headers) {
        auto const name = header ? header->backingFile : std::string();
        auto const below = name.starts_with('/') ? name : folder + name;
        // On a raw disk a guest may have written that another one is raw; it knows no checkpoint's name.
        if (!isCheckpointName(below) || below == image)
            continue;
        auto const said = saidRaw.try_emplace(below, true).first;
        said->second = said->second && header->backingFormat == "raw";
    }
    for (auto& [image, header] : headers) {
        auto const said = saidRaw.find(image);
        if ((!header && raw.contains(image)) || (said != saidRaw.end() && said->second))
            header = qcow2::Header {};
    }
    return headers;
}

Result<std::vector<std::string>> imagesAmong(ImageHeaders const& headers, std::string const& path)
{
    auto const name = nameOf(path);
    auto const disk = isCheckpointName(name) ? name.substr(0, name.rfind('.')) : name;
    std::vector<std::string> images;
    for (auto const& [image, header] : headers) {
        if (image == path)
            continue; // an overlay that is prepared already has the name of what it will stand on
        // One of the disk's own that cannot be read just now may need the file; what else lies there, only if it says
        // so.
        if (!header && nameOf(image).starts_with(disk) && existsFile(image))
            return fail(header.error());
        if (header && (header->backingFile == name || header->backingFile == path))
            images.push_back(image);
    }
    return images;
}

std::uint64_t allocatedBytes(std::string const& path)
{
    struct stat status { };
    return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
}

/// A fork has it too.
bool isShared(std::string const& path)
{
    struct stat status { };
    return ::stat(path.c_str(), &status) == 0 && status.st_nlink != 1;
}

/// What follows a step that has failed is done all the same; not what follows one that was cancelled.
Result<> noteFirst(Result<>& outcome, Result<> const& step)
{
    if (!step && step.error().code == ErrorCode::Cancelled)
        return step;
    if (!step && outcome)
        outcome = step;
    return {};
}

/// Which bases that no moment needs go, because all that stands on them can take in what they hold.
class GoingBases {
public:
    GoingBases(ImageHeaders const& headers, std::vector<std::string> const& unneeded, std::string const& disk,
        std::uint64_t most)
        : m_headers(headers), m_unneeded(unneeded), m_disk(disk), m_most(most)
    {
    }

    Result<bool> has(std::string const& path) { return TRY(costOf(path)).has_value(); }

    /// How many of them an image that stays stands on, down to the next one that stays too.
    Result<std::size_t> below(std::string image)
    {
        std::size_t count = 0;
        while (count < BlockImage::maximumDepth) {
            auto const known = m_headers.find(image);
            if (known == m_headers.end() || !known->second)
                break;
            auto const& name = known->second->backingFile;
            image = name.starts_with('/') ? name : folderOf(m_disk) + name;
            if (!TRY(has(image)))
                break;
            ++count;
        }
        return count;
    }

private:
    struct Cost {
        std::uint64_t copied = 0;
        std::uint64_t images = 1; ///< that stay, and take it in
    };
    /// What it costs that this one goes: each image that takes it in is written anew, with all that goes between. For
    /// an image that stays, what it has. Nothing: it stays although no moment needs it.
    Result<std::optional<Cost>> costOf(std::string const& path)
    {
        if (auto const known = m_costs.find(path); known != m_costs.end())
            return known->second;
        m_costs[path] = std::nullopt; // if files stand on each other in a ring, it ends here
        if (std::ranges::find(m_unneeded, path) == m_unneeded.end() || !mayGo(path))
            return std::nullopt;
        auto const above = TRY(imagesAmong(m_headers, path));
        Cost all { 0, 0 };
        for (auto const& image : above) {
            if (!mayGo(image) || !isCheckpointName(image) || isSameFile(image, m_disk))
                return std::nullopt;
            auto const its = TRY(costOf(image)).value_or(Cost { allocatedBytes(image) });
            all.copied += its.copied;
            all.images += its.images;
        }
        auto const own = allocatedBytes(path);
        all.copied += all.images * own;
        if (!above.empty() && all.copied <= m_most && (all.images - 1) * own <= mostGrowth)
            m_costs[path] = all;
        return m_costs[path];
    }
    /// The file can, or another can take its place: nobody would miss this one.
    bool mayGo(std::string const& path) const
    {
        auto const known = m_headers.find(path);
        return known != m_headers.end() && known->second && known->second->snapshotCount == 0 && !isShared(path);
    }

    ImageHeaders const& m_headers;
    std::vector<std::string> const& m_unneeded;
    std::string const& m_disk;
    std::uint64_t const m_most;
    std::map<std::string, std::optional<Cost>> m_costs;
};

}

Result<std::string> backingNameOf(std::string const& path)
{
    return TRY(headerOf(path)).backingFile;
}

Result<bool> isOverlayInPlace(std::string const& path)
{
    auto const name = TRY(backingNameOf(path));
    if (!name.starts_with(nameOf(path) + ".") || name.find('/') != std::string::npos)
        return false;
    if (!isUuid(name.substr(nameOf(path).size() + 1)))
        return false;
    auto const base = folderOf(path) + name;
    struct stat status { };
    if (::stat(base.c_str(), &status) == 0)
        return true;
    return errno == ENOENT || errno == ENOTDIR ? Result<bool>(false) : failOs("cannot examine " + base);
}

Result<ImageFormat> readFormatInPlace(std::string const& path, ImageFormat configured)
{
    using enum ErrorCode;
    if (configured != ImageFormat::Raw)
        return configured;
    auto const isOverlay = isOverlayInPlace(path);
    if (isOverlay)
        return *isOverlay ? ImageFormat::Qcow2 : configured;
    // What is wrong with the header itself, a guest can have written.
    auto const why = isOverlay.error().code;
    if (why == Corrupt || why == Unsupported || why == VersionTooNew || why == NotFound)
        return configured;
    auto const beside = checkpointFilesOf(path);
    if (beside && beside->empty())
        return configured;
    return fail(isOverlay.error());
}

Result<std::string> nameBelow(ImageInfo const& image, std::size_t index)
{
    auto const& path = image.backing[index].path;
    if (folderOf(path) == folderOf(image.path))
        return nameOf(path);
    std::string way; // from the image's folder on
    auto const* above = &image.path;
    for (std::size_t i = 0; i <= index; ++i) {
        auto const name = TRY(backingNameOf(*above));
        if (name.starts_with('/') || name.starts_with("file:"))
            return path;
        way = way.substr(0, way.rfind('/') + 1) + name;
        above = &image.backing[i].path;
    }
    return way;
}

bool isCheckpointName(std::string const& path)
{
    constexpr std::size_t uuidLength = 36;
    return path.size() > uuidLength && path[path.size() - uuidLength - 1] == '.'
        && isUuid(std::string_view(path).substr(path.size() - uuidLength));
}

Result<unsigned> clusterBitsOn(std::string const& path, ImageFormat format)
{
    constexpr unsigned least = 12, most = 16;
    return format == ImageFormat::Raw ? most : std::clamp(TRY(headerOf(path)).clusterBits, least, most);
}

bool isEmptyBase(ImageInfo const& below)
{
    return below.format == ImageFormat::Raw && below.virtualSize == BlockImage::sectorSize
        && isCheckpointName(below.path);
}

Result<> makeEmptyBase(std::string const& path)
{
    return createImage(path, { .format = ImageFormat::Raw, .size = BlockImage::sectorSize });
}

bool wasRaw(std::string const& disk, ImageInfo const& image)
{
    auto const ends = [&](ImageInfo const& last) {
        return last.format == ImageFormat::Raw && last.path.starts_with(disk + ".") && isCheckpointName(last.path);
    };
    return !image.backing.empty() && ends(image.backing.back());
}

Result<std::vector<std::string>> imagesOn(std::string const& path)
{
    return imagesAmong(TRY(headersIn(folderOf(path))), path);
}

Result<std::vector<std::string>> checkpointFilesOf(std::string const& disk)
{
    std::vector<std::string> files;
    for (auto const& name : TRY(namesIn(folderOf(disk)))) {
        if (name.starts_with(nameOf(disk) + ".") && isCheckpointName(name))
            files.push_back(folderOf(disk) + name);
    }
    return files;
}

Result<> OverlayFiles::tell(std::uint64_t done, std::uint64_t total) const
{
    if (m_progress && !m_progress(done, total))
        return fail(ErrorCode::Cancelled, "the work on a disk's checkpoints was cancelled");
    return {};
}

Result<std::unique_ptr<BlockImage>> OverlayFiles::open(
    std::string const& path, ImageFormat format, HostFile::Lock lock) const
{
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.format = format;
    options.lock = lock; // none: the machine has it, and does not move tables while it has no internal snapshots
    options.backing = m_allowed;
    return BlockImage::open(m_engine, path, options);
}

Result<> OverlayFiles::copyLayers(BlockImage& from, std::size_t layers, BlockImage& to) const
{
    using Kind = BlockImage::Mapping::Kind;
    Bytes data(pieceBytes);
    std::uint64_t unflushed = 0;
    bool const hidesSome = to.backing() != nullptr && !isEmptyBase(to.backing()->info());
    for (std::uint64_t offset = 0; offset < from.size();) {
        TRY(tell(offset, from.size()));
        if (unflushed >= flushEach) { // so that the last flush, which nobody can cancel, is short
            TRY(to.flushSync());
            unflushed = 0;
        }
        auto const mapped = TRY(from.resolveWithin(layers, offset, std::min(from.size() - offset, lookBytes)));
        auto length = mapped.length;
        if (mapped.kind == Kind::Zero && hidesSome) {
            TRY(to.runSync(BlockRequest::Kind::WriteZeroes, offset, length));
        } else if (mapped.kind == Kind::Data || mapped.kind == Kind::Compressed) {
            length = std::min(length, pieceBytes);
            auto const part = ByteSpan(data).first(length);
            TRY(from.readSync(offset, part));
            if (!isZero(part)) {
                TRY(to.writeSync(offset, part));
                unflushed += length;
            } else if (hidesSome) {
                TRY(to.runSync(BlockRequest::Kind::WriteZeroes, offset, length));
            }
        }
        offset += length;
    }
    return {};
}

Result<> OverlayFiles::mergeBelow(std::string const& path, std::size_t layers)
{
    if (isSameFile(path, m_disk))
        return fail(ErrorCode::InvalidArgument, path + " is the disk itself, which is written to");
    auto const fresh = path + std::string(merging);
    auto const whole = TRY(open(path, ImageFormat::Qcow2, HostFile::Lock::Yes));
    auto const info = whole->info();
    layers = std::min(layers, info.backing.size());
    bool const endsRaw = layers == info.backing.size() && wasRaw(m_disk, info);
    if (endsRaw && isEmptyBase(info.backing.back()))
        --layers; // which stays
    if (layers == 0)
        return {};
    if (info.snapshots != 0)
        return fail(ErrorCode::Unsupported, path + " has internal snapshots, which would be lost");
    NewImage what {
        .size = info.virtualSize, .clusterBits = TRY(clusterBitsOn(path, ImageFormat::Qcow2)), .permissionsOf = path
    };
    ImageOptions options;
    options.format = ImageFormat::Qcow2;
    options.backing = m_allowed;
    if (layers < info.backing.size()) {
        what.backingFile = TRY(nameBelow(info, layers));
        what.backingFormat = info.backing[layers].format;
    }
    auto const empty = what.backingFile.empty() && endsRaw ? m_disk + "." + makeUuid() : std::string();
    if (!empty.empty()) {
        what.backingFile = nameOf(empty);
        what.backingFormat = ImageFormat::Raw;
    }
    TRY(removeFile(fresh));
    TRY(tell(0, info.virtualSize));
    auto const made = [&]() -> Result<> {
        if (!empty.empty())
            TRY(makeEmptyBase(empty));
        TRY(createImage(fresh, what));
        {
            auto const target = TRY(BlockImage::open(m_engine, fresh, options));
            TRY(copyLayers(*whole, layers, *target));
            TRY(target->flushSync());
        }
        TRY(syncFile(fresh));
        return renameFile(fresh, path);
    }();
    if (!made) {
        for (auto const& file : { fresh, empty })
            ignore(removeFile(file));
        return made;
    }
    return syncFolder(path);
}

/// The blocks for which each of the images above has its own.
Result<> OverlayFiles::freeCoveredBlocks(std::string const& place, std::vector<std::string> const& above) const
{
    using Kind = BlockImage::Mapping::Kind;
    constexpr std::uint64_t blockSize = 4096; // of the host's file systems: a part of one is not given back
    if (isShared(place))
        return {};
    std::vector<std::unique_ptr<BlockImage>> images;
    for (auto const& path : above)
        images.push_back(TRY(open(path, ImageFormat::Qcow2)));
    // The internal snapshots of an image need other blocks than it does.
    if (std::ranges::any_of(images, [](auto const& image) { return image->info().snapshots != 0; }))
        return {};
    auto const standsOnIt = [&](auto const& image) {
        return image->backing() != nullptr && isSameFile(image->backing()->info().path, place);
    };
    if (images.empty() || !std::ranges::all_of(images, standsOnIt)) // others have merged or removed files meanwhile
        return {};
    auto& base = *images.front()->backing();
    if (base.info().snapshots != 0)
        return {};
    std::vector<std::pair<std::uint64_t, std::uint64_t>> free; // in the file, offset and length
    for (std::uint64_t offset = 0; offset < base.size();) {
        TRY(tell(offset, base.size()));
        auto length = std::min(base.size() - offset, lookBytes);
        bool covered = true;
        for (auto const& image : images) {
            if (offset >= image->size())
                continue; // its disk was smaller, and it needs nothing of this
            auto const own = TRY(image->map(offset, std::min(length, image->size() - offset)));
            length = own.length;
            covered = covered && own.kind != Kind::Unallocated;
        }
        auto const mapped = TRY(base.map(offset, length));
        length = std::min(length, mapped.length);
        auto const start = alignUp(mapped.hostOffset, blockSize);
        auto const end = (mapped.hostOffset + length) / blockSize * blockSize;
        if (covered && mapped.kind == Kind::Data && start < end)
            free.emplace_back(start, end - start);
        offset += length;
    }
    auto const file = TRY(HostFile::open(place, Access::ReadWrite, CacheMode::Writeback, HostFile::Lock::No));
    auto const extents = TRY(fileExtents(file->fd()));
    std::erase_if(free, [&](auto const& range) { // what was given back the last time
        auto const behind
            = std::ranges::lower_bound(extents, range.first + range.second, std::less(), &FileExtent::offset);
        return behind == extents.begin() || (behind - 1)->offset + (behind - 1)->length <= range.first;
    });
    if (free.empty())
        return {};
    // That they have what was seen must not be undone by a power cut.
    for (auto const& path : above)
        TRY(syncFile(path));
    for (auto const& [offset, length] : free) {
        auto const freed = file->deallocate(offset, length);
        if (!freed && freed.error().code == ErrorCode::Unsupported)
            break; // the file system cannot: all stays
        TRY(freed);
    }
    return {};
}

/// Those on which nothing stands, and then what only they stood on.
Result<> OverlayFiles::removeUnneeded(std::vector<std::string> const& places, ImageHeaders& headers) const
{
    Result<> outcome;
    auto const remove = [&](std::string const& place) -> Result<bool> {
        if (!existsFile(place) || !TRY(imagesAmong(headers, place)).empty())
            return false;
        TRY(removeFile(place));
        headers.erase(place);
        return true;
    };
    bool removed = false;
    for (bool again = true; std::exchange(again, false);) {
        for (auto const& place : places) {
            TRY(tell(0, places.size()));
            auto const gone = remove(place);
            if (gone)
                again = again || *gone;
            else
                TRY(noteFirst(outcome, fail(gone.error())));
        }
        removed = removed || again;
    }
    if (removed)
        TRY(noteFirst(outcome, syncFolder(m_disk)));
    return outcome;
}

/// A disk that is written to is not replaced by another file; what was its checkpoint is, once for all that go below.
Result<> OverlayFiles::mergeRuns(
    std::vector<std::string> const& places, ImageHeaders const& headers, std::uint64_t most)
{
    GoingBases going(headers, places, m_disk, most);
    Result<> outcome;
    auto const merge = [&](std::string const& image) -> Result<> {
        auto const layers = TRY(going.has(image)) ? 0 : TRY(going.below(image));
        return layers == 0 ? Result<>() : mergeBelow(image, layers);
    };
    for (auto const& [image, header] : headers)
        TRY(noteFirst(outcome, merge(image)));
    return outcome;
}

Result<> OverlayFiles::removeUnfinished() const
{
    auto const disk = nameOf(m_disk);
    for (auto const& name : TRY(namesIn(folderOf(m_disk)))) {
        bool const isTrial = name.starts_with(disk + std::string(trialSuffix));
        if (isTrial || (name.starts_with(disk + ".") && isUnfinished(name)))
            TRY(removeFile(folderOf(m_disk) + name));
    }
    return {};
}

Result<> OverlayFiles::freeBases(
    std::vector<std::string> const& places, MayMerge merge, std::uint64_t most, std::set<std::string> const& raw)
{
    TRY(removeUnfinished());
    auto headers = TRY(headersIn(folderOf(m_disk), raw));
    // What is raw is so still when nothing stands on it any more that says it.
    auto known = raw;
    for (auto const& place : places) {
        auto const found = headers.find(place);
        if (found != headers.end() && found->second && found->second->refcountTableOffset == 0)
            known.insert(place);
    }
    Result<> outcome;
    TRY(noteFirst(outcome, removeUnneeded(places, headers)));
    auto const freeCovered = [&](std::string const& place) -> Result<> {
        return existsFile(place) ? freeCoveredBlocks(place, TRY(imagesAmong(headers, place))) : Result<>();
    };
    for (auto const& place : places)
        TRY(noteFirst(outcome, freeCovered(place)));
    if (merge == MayMerge::No)
        return outcome;
    TRY(noteFirst(outcome, mergeRuns(places, headers, most)));
    headers = TRY(headersIn(folderOf(m_disk), known));
    TRY(noteFirst(outcome, removeUnneeded(places, headers)));
    return outcome;
}

Result<bool> OverlayFiles::shorten(std::size_t most)
{
    auto const below = TRY(open(m_disk, ImageFormat::Qcow2))->info().backing;
    auto const canBeReplaced = [&](ImageInfo const& file) {
        return isCheckpointName(file.path) && folderOf(file.path) == folderOf(m_disk)
            && file.format == ImageFormat::Qcow2 && file.snapshots == 0;
    };
    auto const nearest = std::ranges::find_if(below, canBeReplaced);
    auto const left = static_cast<std::size_t>(nearest - below.begin()) + most / 2;
    if (below.size() <= std::max(most, left) || nearest == below.end())
        return false;
    TRY(mergeBelow(nearest->path, below.size() - left));
    return true;
}

Result<std::vector<Base>> basesOf(std::string const& image, std::string const& folder)
{
    std::vector<Base> bases;
    auto above = image;
    while (bases.size() < BlockImage::maximumDepth) {
        auto const header = TRY(headerOf(above));
        // Anywhere else it is a person's own.
        if (header.backingFile.empty() || header.backingFile.find('/') != std::string::npos)
            break;
        bool const goesOn = header.backingFormat == "qcow2";
        bases.push_back({ header.backingFile, goesOn ? ImageFormat::Qcow2 : ImageFormat::Raw });
        if (!goesOn)
            break;
        above = folder + header.backingFile;
    }
    return bases;
}

namespace {

/// A name that is not of the image's own folder leads to the same file from the other folder.
Result<> checkLeadsToTheSame(std::string const& image, std::string const& from, std::string const& to)
{
    auto const name = TRY(backingNameOf(image));
    if (name.find('/') == std::string::npos || name.starts_with('/') || name.starts_with("file:/")
        || isSameFile(from + name, to + name))
        return {};
    return fail(ErrorCode::Unsupported, fmt::format("{} stands on {}, which is not there from {}", image, name, to));
}

}

Result<> shareBases(
    std::string const& image, std::string const& from, std::string const& to, CopyProgress const& progress)
{
    if (from == to)
        return {};
    auto const bases = TRY(basesOf(image, from));
    if (bases.empty() || bases.back().format == ImageFormat::Qcow2)
        TRY(checkLeadsToTheSame(bases.empty() ? image : from + bases.back().name, from, to));
    std::vector<std::string> made;
    auto const share = [&]() -> Result<> {
        for (auto const& base : bases) {
            auto const own = from + base.name, shared = to + base.name;
            if (isSameFile(own, shared))
                continue;
            if (::link(own.c_str(), shared.c_str()) != 0) {
                if (errno == EEXIST)
                    return fail(ErrorCode::AlreadyExists, shared + " is there already, and another file");
                TRY(copyFile(own, shared, progress));
            }
            made.push_back(shared);
        }
        auto const isSame = [](Base const& one, Base const& other) { return one.name == other.name; };
        if (!std::ranges::equal(
                bases, TRY(basesOf(image, from)), isSame)) // what has gone would be kept by its link here
            return fail(ErrorCode::NotFound, fmt::format("what {} stands on was merged meanwhile", image));
        return {};
    };
    auto const outcome = share();
    for (auto const& file : outcome ? std::vector<std::string>() : made)
        ignore(removeFile(file));
    return outcome;
}

Result<> openBelowAgain(CheckpointedDisk& disk)
{
    auto const isInPlace = [](BlockImage& image) {
        auto const there
            = HostFile::open(image.file().name(), Access::ReadOnly, CacheMode::Writeback, HostFile::Lock::No);
        return there && (*there)->identity() == image.file().identity();
    };
    auto* above = disk.image.get();
    while (above->backing() != nullptr && isInPlace(*above->backing()))
        above = above->backing();
    if (above->backing() == nullptr)
        return {};
    auto const below = above->backing()->info();
    auto options = disk.options;
    options.access = Access::ReadOnly;
    options.format = below.format;
    auto fresh = TRY(BlockImage::open(disk.engine, below.path, options));
    bool const wasHeld = disk.image->isHeld();
    disk.image->hold();
    disk.image->drain();
    above->replaceBacking(std::move(fresh));
    if (!wasHeld)
        disk.image->letGo();
    return {};
}

}
