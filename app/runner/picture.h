#pragma once

#include "vmm/backends/display.h"
#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace app {

/// A still picture, XRGB8888 with X all ones, rows without gaps: QImage::Format_RGB32 over the same memory.
struct Picture {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint32_t> pixels;
    bool isNull() const { return pixels.empty(); }
};

/// `frame` as it is.
Picture pictureOf(vmm::Frame const& frame);
/// `frame` within `maxWidth` × `maxHeight`, its proportions kept; each pixel is the mean of what it covers. Never
/// enlarged.
Picture scaledDown(vmm::Frame const& frame, std::uint32_t maxWidth, std::uint32_t maxHeight);
Picture scaledDown(Picture const& picture, std::uint32_t maxWidth, std::uint32_t maxHeight);

enum class Packing : std::uint8_t {
    Small,
    Fast, ///< a fifth of the time to write, half of it to read; of what is drawn no larger, of photographs a little
};
vmm::Result<vmm::Bytes> encodePng(Picture const& picture, Packing packing = Packing::Small);
/// A PNG of what a screen showed, for the timeline: as it was, but no larger than a usual screen, and smaller still
/// where it does not compress (a photograph). In it is a chunk of our own, which others pass over, with a small one.
vmm::Result<vmm::Bytes> encodeMomentPicture(vmm::Frame frame);
/// What such a small picture is at most.
constexpr std::uint32_t smallPictureWidth = 256, smallPictureHeight = 160;
/// The one in there, which takes a fraction of the time of the whole; a null one where there is none, as in moments of
/// others' making, or where it is damaged.
Picture smallPictureIn(vmm::ConstByteSpan png);
/// Corrupt where a side is longer than that: what a file says of its size is a claim on memory.
vmm::Result<Picture> decodePng(vmm::ConstByteSpan data, std::uint32_t longestSide = 16384);
vmm::Bytes encodePpm(Picture const& picture);
/// PNG or PPM by the name's ending (".png", ".ppm"); the file is replaced whole or not at all.
vmm::Result<> writePicture(Picture const& picture, std::string const& path);

}
