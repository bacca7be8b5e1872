#include "vmm/block/stream.h"

#include "vmm/base/random.h"
#include "vmm/block/overlay_files.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint64_t pieceBytes = 1 << 20, lookBytes = 1 << 30; // read, and looked at, in one step
constexpr std::uint64_t zeroPiece = 64 << 10;                      // so much that is zero is not written

Result<std::unique_ptr<BlockImage>> openBase(CheckpointedDisk const& disk, std::string const& path, ImageFormat format)
{
    auto options = disk.options;
    options.access = Access::ReadOnly;
    options.format = format;
    return BlockImage::open(disk.engine, path, options);
}

}

std::size_t filesBelow(ImageInfo const& disk)
{
    bool const endsEmpty = !disk.backing.empty() && isEmptyBase(disk.backing.back());
    return disk.backing.size() - (endsEmpty ? 1 : 0);
}

Result<ImageStream> ImageStream::begin(BlockImage& image, Onto onto)
{
    auto const info = image.info();
    if (image.backing() == nullptr || info.format != ImageFormat::Qcow2)
        return fail(ErrorCode::Unsupported, info.path + " stands on no other file");
    if (image.readOnly())
        return fail(ErrorCode::PermissionDenied, info.path + " is open for reading only");
    if (info.snapshots != 0)
        return fail(ErrorCode::Unsupported,
            info.path + " has moments or snapshots inside, which need the file below it too; they have to go first");
    return ImageStream(image, std::move(onto));
}

Result<bool> ImageStream::step()
{
    // What the guest writes now must not be overwritten by what was there before.
    bool const wasHeld = m_image->isHeld();
    m_image->hold();
    m_image->drain();
    auto const done = [&]() -> Result<bool> {
        TRY(copyPiece());
        if (m_position < m_image->size())
            return true;
        TRY(standOnTheRest());
        return false;
    }();
    if (!wasHeld)
        m_image->letGo();
    return done;
}

Result<> ImageStream::standOnTheRest()
{
    return m_image->changeBacking(m_onto.name, m_onto.name.empty() ? nullptr : TRY(m_onto.open()));
}

Result<> ImageStream::copyPiece()
{
    using Kind = BlockImage::Mapping::Kind;
    auto const end = std::min(m_image->size(), m_position + lookBytes);
    std::uint64_t done = 0;
    while (m_position < end && done < pieceBytes) {
        auto const own = TRY(m_image->map(m_position, end - m_position));
        if (own.kind != Kind::Unallocated) {
            m_position += own.length;
            continue;
        }
        auto const below = leavesSome() ? TRY(m_image->resolveWithin(m_onto.layers, m_position, own.length))
                                        : TRY(m_image->resolve(m_position, own.length));
        if (below.kind == Kind::Unallocated) {
            m_position += below.length; // of what it goes on standing on
            continue;
        }
        if (below.kind == Kind::Zero) {
            // What reads as zeros below reads so without it, but not where something else comes to light.
            if (leavesSome())
                TRY(m_image->runSync(BlockRequest::Kind::WriteZeroes, m_position, below.length));
            m_position += below.length;
            continue;
        }
        Bytes data(std::min(below.length, pieceBytes));
        TRY(m_image->readSync(m_position, data));
        TRY(copy(m_position, data));
        m_position += data.size();
        done += data.size();
    }
    return {};
}

/// A raw file below does not tell where it holds nothing.
Result<> ImageStream::copy(std::uint64_t offset, ConstByteSpan data)
{
    while (!data.empty()) {
        auto const length = std::min<std::uint64_t>(data.size(), zeroPiece - offset % zeroPiece);
        auto const piece = data.first(length);
        if (!isZero(piece))
            TRY(m_image->writeSync(offset, piece));
        else if (leavesSome())
            TRY(m_image->runSync(BlockRequest::Kind::WriteZeroes, offset, length));
        offset += length;
        data = data.subspan(length);
    }
    return {};
}

Result<ImageStream> streamDisk(CheckpointedDisk& disk, std::string const& onto)
{
    if (!disk.image)
        return fail(ErrorCode::NotFound, "no image is open there");
    auto const info = disk.image->info();
    auto const nothing = [&] { return fail(ErrorCode::Unsupported, disk.path + " stands on no other file"); };
    if (filesBelow(info) == 0)
        return nothing();
    if (!onto.empty()) {
        auto const found
            = std::ranges::find_if(info.backing, [&](auto const& below) { return isSameFile(below.path, onto); });
        if (found == info.backing.end())
            return fail(ErrorCode::NotFound, disk.path + " does not stand on " + onto);
        if (found == info.backing.begin())
            return fail(ErrorCode::InvalidArgument, disk.path + " stands on " + onto + " directly already");
        TRY(checkBacking(disk.path, found->path, disk.options.backing)); // or nobody could open it afterwards
        auto const layers = static_cast<std::size_t>(found - info.backing.begin());
        return ImageStream::begin(*disk.image,
            { TRY(nameBelow(info, layers)), layers,
                [&disk, path = found->path, format = found->format] { return openBase(disk, path, format); } });
    }
    if (!wasRaw(disk.path, info))
        return ImageStream::begin(*disk.image);
    bool const isThere = isEmptyBase(info.backing.back());
    auto const place = isThere ? info.backing.back().path : disk.path + "." + makeUuid();
    auto const openEmpty = [&disk, isThere, place]() -> Result<std::unique_ptr<BlockImage>> {
        if (!isThere)
            TRY(makeEmptyBase(place));
        return openBase(disk, place, ImageFormat::Raw);
    };
    return ImageStream::begin(*disk.image, { nameOf(place), std::numeric_limits<std::size_t>::max(), openEmpty });
}

}
