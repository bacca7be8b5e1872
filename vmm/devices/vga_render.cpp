#include "vmm/devices/vga_render.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint32_t black = 0xff000000;

/// A pixel of 15 or 16 bits, its components stretched to eight.
template<unsigned greenBits>
std::uint32_t expand(unsigned pixel)
{
    auto const red = pixel >> (5 + greenBits) & 31, green = pixel >> 5 & ((1 << greenBits) - 1), blue = pixel & 31;
    auto const green8 = green << (8 - greenBits) | green >> (2 * greenBits - 8);
    return black | (red << 3 | red >> 2) << 16 | green8 << 8 | (blue << 3 | blue >> 2);
}

template<unsigned greenBits>
void render16(std::uint8_t const* from, std::uint32_t width, bool bigEndian, std::uint32_t* into)
{
    auto const low = bigEndian ? 1 : 0;
    for (std::uint32_t x = 0; x < width; ++x, from += 2)
        into[x] = expand<greenBits>(static_cast<unsigned>(from[low] | from[low ^ 1] << 8));
}

void renderLinear(VgaPicture const& picture, std::uint8_t const* from, std::uint32_t* into)
{
    auto const width = picture.width;
    switch (picture.depth) {
    case 8:
        for (std::uint32_t x = 0; x < width; ++x)
            into[x] = picture.palette[from[x]];
        break;
    case 15: render16<5>(from, width, picture.bigEndian, into); break;
    case 16: render16<6>(from, width, picture.bigEndian, into); break;
    case 24: {
        auto const blue = picture.bigEndian ? 2 : 0;
        for (std::uint32_t x = 0; x < width; ++x, from += 3)
            into[x] = black | std::uint32_t(from[blue ^ 2]) << 16 | std::uint32_t(from[1]) << 8 | from[blue];
        break;
    }
    default:
        std::memcpy(into, from, std::size_t(width) * 4);
        if (picture.bigEndian) {
            for (std::uint32_t x = 0; x < width; ++x)
                into[x] = __builtin_bswap32(into[x]);
        }
    }
}

/// Where a row of the old graphics modes begins in the planes' memory.
std::uint32_t rowStart(VgaPicture const& picture, std::uint32_t row)
{
    auto start = picture.start;
    if (row > picture.lineCompare) {
        row -= picture.lineCompare + 1;
        start = 0;
    }
    if (!picture.interleaved)
        return start + row * picture.stride;
    return ((start + row / 2 * picture.stride) & ~0x8000u) | (row & 1) << 15;
}

void renderPlanar(VgaPicture const& picture, ConstByteSpan memory, std::uint32_t row, std::uint32_t* into)
{
    auto at = rowStart(picture, row);
    // The extension's planar modes are larger than what the old ones wrap around in.
    auto const wrap
        = picture.depth == 4 ? memory.size() & ~std::size_t(3) : std::min<std::size_t>(memory.size(), planeMemory);
    for (std::uint32_t x = 0; x < picture.width; x += 8, at += 4) {
        auto const* const planes = memory.data() + (at & ~3u) % wrap;
        auto const pixels = std::min(8u, picture.width - x);
        for (unsigned i = 0; i < pixels; ++i) {
            auto const bit = 7 - i;
            auto const index = (planes[0] >> bit & 1) | (planes[1] >> bit & 1) << 1 | (planes[2] >> bit & 1) << 2
                | (planes[3] >> bit & 1) << 3;
            into[x + i] = picture.palette[static_cast<unsigned>(index) & picture.planes];
        }
    }
}

void renderCga(VgaPicture const& picture, ConstByteSpan memory, std::uint32_t row, std::uint32_t* into)
{
    auto const at = rowStart(picture, row);
    auto const wrap = std::min<std::size_t>(memory.size(), planeMemory);
    // Four pixels from planes 0 and 2, the next four from 1 and 3: each a pair of bits, those of 2 and 3 above.
    for (std::uint32_t x = 0; x < picture.width; ++x) {
        auto const* const planes = memory.data() + ((at & ~3u) + x / 8 * 4) % wrap;
        auto const odd = x / 4 % 2, shift = 6 - x % 4 * 2;
        auto const index = (planes[odd] >> shift & 3) | (planes[odd + 2] >> shift & 3) << 2;
        into[x] = picture.palette[static_cast<unsigned>(index) & picture.planes];
    }
}

void renderPacked(VgaPicture const& picture, ConstByteSpan memory, std::uint32_t row, std::uint32_t* into)
{
    auto const at = rowStart(picture, row);
    auto const wrap = std::min<std::size_t>(memory.size(), planeMemory);
    for (std::uint32_t x = 0; x < picture.width; ++x)
        into[x] = picture.palette[memory[(at + x) % wrap]];
}

void renderText(VgaPicture const& picture, ConstByteSpan memory, std::uint32_t row, std::uint32_t* into)
{
    auto const wrap = std::min<std::size_t>(memory.size(), planeMemory);
    auto const line = row % picture.cellHeight;
    auto at = picture.start + row / picture.cellHeight * picture.stride;
    bool const cursorLine = picture.cursorOn && line >= picture.cursorFirst && line <= picture.cursorLast;
    for (std::uint32_t x = 0; x + picture.cellWidth <= picture.width; x += picture.cellWidth, at += 4) {
        auto const character = memory[at % wrap], attribute = memory[(at + 1) % wrap];
        auto const font = picture.fonts[attribute >> 3 & 1] * 8192u;
        unsigned glyph = memory[((font + character * 32u + line) * 4 + 2) % wrap];
        auto foreground = picture.palette[attribute & 15];
        auto background = picture.palette[attribute >> 4];
        if (picture.blinks) {
            background = picture.palette[attribute >> 4 & 7];
            if (attribute & 0x80 && !picture.blinkOn)
                foreground = background;
        }
        if (cursorLine && at == picture.cursor)
            background = foreground;
        auto* const cell = into + x;
        for (unsigned i = 0; i < 8; ++i)
            cell[i] = glyph << i & 0x80 ? foreground : background;
        // The ninth dot is empty, but where lines are to meet it repeats the eighth.
        if (picture.cellWidth == 9)
            cell[8] = picture.lineGraphics && character >= 0xc0 && character <= 0xdf ? cell[7] : background;
    }
}

}

std::optional<VgaRowBytes> rowBytes(VgaPicture const& picture, std::uint32_t row, std::size_t memorySize)
{
    auto const offset = std::size_t(picture.start) + std::size_t(row) * picture.stride;
    auto const length = std::size_t(picture.width) * ((picture.depth + 7u) / 8);
    if (length > memorySize || offset > memorySize - length)
        return std::nullopt;
    return VgaRowBytes { offset, length };
}

void renderRow(VgaPicture const& picture, ConstByteSpan memory, std::uint32_t row, std::uint32_t* into)
{
    switch (picture.kind) {
    case VgaPicture::Kind::Blank: std::fill_n(into, picture.width, black); break;
    case VgaPicture::Kind::Text: renderText(picture, memory, row, into); break;
    case VgaPicture::Kind::Planar16: renderPlanar(picture, memory, row, into); break;
    case VgaPicture::Kind::Cga4: renderCga(picture, memory, row, into); break;
    case VgaPicture::Kind::Packed256: renderPacked(picture, memory, row, into); break;
    case VgaPicture::Kind::Linear:
        if (auto const bytes = rowBytes(picture, row, memory.size()))
            renderLinear(picture, memory.data() + bytes->offset, into);
        else
            std::fill_n(into, picture.width, black);
        break;
    }
}

}
