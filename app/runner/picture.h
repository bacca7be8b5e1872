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

vmm::Result<vmm::Bytes> encodePng(Picture const& picture);
/// Up to 16384 pixels each way.
vmm::Result<Picture> decodePng(vmm::ConstByteSpan data);
vmm::Bytes encodePpm(Picture const& picture);
/// PNG or PPM by the name's ending (".png", ".ppm"); the file is replaced whole or not at all.
vmm::Result<> writePicture(Picture const& picture, std::string const& path);

}
