#include "vmm/block/stream.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint64_t pieceBytes = 1 << 20, lookBytes = 1 << 30; // copied, and looked at, in one step

}

Result<ImageStream> ImageStream::begin(BlockImage& image)
{
    auto const info = image.info();
    if (image.backing() == nullptr || info.format != ImageFormat::Qcow2)
        return fail(ErrorCode::Unsupported, info.path + " has no backing file");
    if (image.readOnly())
        return fail(ErrorCode::PermissionDenied, info.path + " is open for reading only");
    if (info.snapshots != 0)
        return fail(ErrorCode::Unsupported, info.path + " has internal snapshots, which need its backing file");
    return ImageStream(image);
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
        TRY(m_image->forgetBacking());
        return false;
    }();
    if (!wasHeld)
        m_image->letGo();
    return done;
}

Result<> ImageStream::copyPiece()
{
    auto const end = std::min(m_image->size(), m_position + lookBytes);
    std::uint64_t copied = 0;
    while (m_position < end && copied < pieceBytes) {
        auto const own = TRY(m_image->map(m_position, end - m_position));
        if (own.kind != BlockImage::Mapping::Kind::Unallocated) {
            m_position += own.length;
            continue;
        }
        // What reads as zeros below reads so without it.
        auto const below = TRY(m_image->resolve(m_position, own.length));
        if (below.kind == BlockImage::Mapping::Kind::Zero) {
            m_position += below.length;
            continue;
        }
        Bytes data(std::min(below.length, pieceBytes));
        TRY(m_image->readSync(m_position, data));
        TRY(m_image->writeSync(m_position, data));
        m_position += data.size();
        copied += data.size();
    }
    return {};
}

}
