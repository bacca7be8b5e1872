#include "vmm/block/image_diff.h"

#include <algorithm>
#include <cstring>

namespace vmm {

namespace {

using Mapping = BlockImage::Mapping;

constexpr std::uint64_t granule = 4096, pieceSize = 1u << 20;

Result<Mapping> mappingAt(BlockImage& image, std::uint64_t offset, std::uint64_t length)
{
    if (offset >= image.size())
        return Mapping { .kind = Mapping::Kind::Zero, .length = length };
    auto const within = std::min(length, image.size() - offset);
    auto mapping = TRY(image.resolve(offset, within));
    mapping.length = std::min(mapping.length, within);
    return mapping;
}

/// Whether both are the same bytes of the same file.
bool isSamePlace(Mapping const& one, Mapping const& other)
{
    if (one.kind != other.kind)
        return false;
    if (one.kind == Mapping::Kind::Zero)
        return true;
    if (one.image == nullptr || other.image == nullptr || one.hostOffset != other.hostOffset)
        return false;
    auto const identity = one.image->file().identity();
    return one.image == other.image || (identity != 0 && identity == other.image->file().identity());
}

Result<> read(BlockImage& image, std::uint64_t offset, ByteSpan data)
{
    auto const there = offset >= image.size() ? 0 : std::min<std::uint64_t>(data.size(), image.size() - offset);
    std::fill(data.begin() + static_cast<std::ptrdiff_t>(there), data.end(), std::uint8_t(0));
    return there == 0 ? Result<>() : image.readSync(offset, data.first(there));
}

}

Result<ChangedRuns> compareImages(
    BlockImage& before, BlockImage& after, std::size_t mostRuns, ImageDiffProgress const& progress)
{
    ChangedRuns changed;
    Bytes old(pieceSize), fresh(pieceSize);
    auto const size = std::max(before.size(), after.size());
    for (std::uint64_t at = 0; at < size;) {
        if (progress && !progress(at))
            return fail(ErrorCode::Cancelled, "comparing the disks was cancelled");
        auto const was = TRY(mappingAt(before, at, size - at)), is = TRY(mappingAt(after, at, size - at));
        auto const length = std::min(was.length, is.length);
        if (length == 0)
            return fail(ErrorCode::Corrupt, "an image does not say where its bytes are");
        if (isSamePlace(was, is)) {
            at += length;
            continue;
        }
        // The rest of a piece may lie elsewhere, and is compared all the same: whole granules, whoever cut them.
        auto const piece = std::min({ pieceSize, alignUp(length, granule), size - at });
        TRY(read(before, at, ByteSpan(old).first(piece)));
        TRY(read(after, at, ByteSpan(fresh).first(piece)));
        for (std::uint64_t part = 0; part < piece; part += granule) {
            auto const count = std::min(granule, piece - part);
            if (std::memcmp(old.data() + part, fresh.data() + part, count) != 0)
                changed.add(at + part, count, mostRuns);
        }
        at += piece;
    }
    return changed;
}

}
