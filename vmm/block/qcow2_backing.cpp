#include "vmm/base/bytes.h"
#include "vmm/block/qcow2_image.h"

#include <algorithm>

/// What an image stands on, as its header has it: docs/interop/qcow2.txt, sections "Header" and "Header extensions".
namespace vmm {

using namespace qcow2;

namespace {

constexpr std::uint64_t headerSector = 512;

/// Where in the first cluster a name of that length can be written while the old one stays.
Result<std::uint64_t> placeForName(Header const& header, std::uint64_t length, std::string const& image)
{
    auto const oldEnd = header.backingFileAt + header.backingFile.size();
    auto const behindAll = alignUp<std::uint64_t>(std::max(oldEnd, header.extensionsEnd + 8), 8);
    auto const first = alignUp<std::uint64_t>(header.extensionsEnd + (header.hasEndMarker ? 0 : 8), 8);
    auto const place = header.backingFile.empty() || first + length <= header.backingFileAt ? first : behindAll;
    if (length > 1023 || place + length > header.clusterSize())
        return fail(ErrorCode::Unsupported, image + ": its header has no room for another backing file's name");
    return place;
}

/// The extension of the backing file's format; `sector` has all of it.
Result<> putFormat(ByteSpan sector, Header const& header, std::string const& format, std::string const& image)
{
    constexpr std::size_t room = 8; // as much as "raw" and "qcow2" take
    auto const at = header.backingFormatAt;
    if (header.backingFormat == format)
        return {};
    if (at == 0 || at + 8 + room > sector.size() || header.backingFormat.empty() || header.backingFormat.size() > room)
        return fail(ErrorCode::Unsupported,
            image
                + ": its header does not say of which format its backing file is; write it there: qemu-img rebase -u");
    auto const value = sector.subspan(at + 8, room);
    std::ranges::fill(value, std::uint8_t(0));
    std::ranges::copy(format, value.begin());
    storeBig(sector.subspan(at + 4, 4), static_cast<std::uint32_t>(format.size()));
    return {};
}

}

/// An empty name: nothing below. All but a new name is in the first sector, which the host writes whole or not at all.
Result<> Qcow2Image::nameBacking(std::string const& name, std::string const& format)
{
    TRY(flushSync());
    auto& header = m_qcow.header();
    Bytes sector(headerSector);
    TRY(m_file->read(0, sector));
    // Without a name there, what followed an old header directly would be taken for extensions.
    if (!header.hasEndMarker && header.extensionsEnd + 8 > headerSector)
        return fail(ErrorCode::Unsupported, m_file->name() + ": its header's extensions have no end");
    if (!header.hasEndMarker)
        std::fill_n(sector.begin() + static_cast<std::ptrdiff_t>(header.extensionsEnd), 8, std::uint8_t(0));
    std::uint64_t place = 0;
    if (!name.empty()) {
        place = TRY(placeForName(header, name.size(), m_file->name()));
        TRY(putFormat(sector, header, format, m_file->name()));
        if (place < headerSector)
            std::copy_n(name.begin(), std::min<std::size_t>(name.size(), headerSector - place),
                sector.begin() + static_cast<std::ptrdiff_t>(place));
        TRY(m_file->write(place, bytesOf(name)));
        TRY(m_file->sync());
    }
    storeBig(ByteSpan(sector).subspan(backingField, 8), place);
    storeBig(ByteSpan(sector).subspan(backingField + 8, 4), static_cast<std::uint32_t>(name.size()));
    // Where this fails it is perhaps there. Both readings of the header are right for as long as the clusters that were
    // copied stay, so nothing needs to stop, and what is below is kept.
    TRY(m_file->write(0, sector));
    TRY(m_file->sync());
    header.backingFile = name;
    header.backingFileAt = place;
    if (!name.empty())
        header.backingFormat = format;
    if (!header.hasEndMarker) {
        header.hasEndMarker = true;
        header.extensionsEnd += 8;
    }
    return {};
}

Result<> Qcow2Image::changeBacking(std::string const& name, std::unique_ptr<BlockImage> backing)
{
    TRY(nameBacking(name, backing && backing->info().format == ImageFormat::Qcow2 ? "qcow2" : "raw"));
    replaceBacking(std::move(backing));
    return {};
}

}
