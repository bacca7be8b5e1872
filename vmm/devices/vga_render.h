#pragma once

#include "vmm/base/bytes.h"

#include <array>
#include <optional>

namespace vmm {

/// Of the four planes together.
constexpr std::uint32_t planeMemory = 256 << 10;

/// All that decides, besides the memory itself, what a VGA shows. Offsets and lengths are bytes of video memory.
struct VgaPicture {
    enum class Kind : std::uint8_t {
        Blank,
        Text,
        Planar16,  ///< 16 colors in four planes
        Cga4,      ///< 4 colors, two bits a pixel
        Packed256, ///< 256 colors in the planes' memory: mode 13h and its kind
        Linear,    ///< a mode of the extension, 8 to 32 bits a pixel
    };
    Kind kind = Kind::Blank;
    std::uint32_t width = 0, height = 0; ///< pixels
    std::uint32_t start = 0, stride = 0;
    std::uint16_t depth = 0; ///< Linear: 8, 15, 16, 24 or 32
    bool bigEndian = false;
    std::array<std::uint32_t, 256> palette {};

    // Text.
    std::uint8_t cellWidth = 8, cellHeight = 16;
    std::array<std::uint8_t, 2> fonts {}; ///< by bit 3 of the attribute, in steps of 8192 characters' bytes
    bool lineGraphics = false, blinks = false, blinkOn = false, cursorOn = false;
    std::uint32_t cursor = 0;
    std::uint8_t cursorFirst = 0, cursorLast = 0;

    // Graphics of the old kind.
    unsigned repeat = 1;        ///< lines of the beam to one of the picture
    unsigned lineCompare = ~0u; ///< below it the picture starts again from 0
    bool interleaved = false;   ///< odd lines lie in the second 8 KiB
    std::uint8_t planes = 15;

    bool operator==(VgaPicture const&) const = default;
    /// Made from the first 256 KiB alone.
    bool isLegacy() const { return kind != Kind::Linear; }
};

/// The bytes that row `row` of a Linear picture is made of; nothing where memory ends before.
struct VgaRowBytes {
    std::size_t offset, length;
};
std::optional<VgaRowBytes> rowBytes(VgaPicture const& picture, std::uint32_t row, std::size_t memorySize);

/// Converts one row to XRGB8888; `into` has picture.width pixels. Never reads outside `memory`; what would lie there is
/// black.
void renderRow(VgaPicture const& picture, ConstByteSpan memory, std::uint32_t row, std::uint32_t* into);

}
