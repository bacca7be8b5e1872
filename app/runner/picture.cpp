#include "app/runner/picture.h"

#include "app/store/whole_file.h"

#include <algorithm>
#include <fmt/format.h>
#include <png.h>
#include <zlib.h>

namespace app {

namespace {

Picture shrunk(std::uint32_t width, std::uint32_t height, std::vector<std::uint32_t> const& pixels,
    std::uint32_t maxWidth, std::uint32_t maxHeight)
{
    if (width == 0 || height == 0 || maxWidth == 0 || maxHeight == 0)
        return {};
    auto const factor = std::min({ 1.0, double(maxWidth) / width, double(maxHeight) / height });
    if (factor >= 1.0)
        return { width, height, pixels };
    auto const newWidth = std::max(1u, static_cast<std::uint32_t>(width * factor));
    auto const newHeight = std::max(1u, static_cast<std::uint32_t>(height * factor));
    Picture result { newWidth, newHeight, std::vector<std::uint32_t>(std::size_t(newWidth) * newHeight) };
    for (std::uint32_t y = 0; y < newHeight; ++y) {
        auto const top = std::uint64_t(y) * height / newHeight;
        auto const bottom = std::max<std::uint64_t>(top + 1, std::uint64_t(y + 1) * height / newHeight);
        for (std::uint32_t x = 0; x < newWidth; ++x) {
            auto const left = std::uint64_t(x) * width / newWidth;
            auto const right = std::max<std::uint64_t>(left + 1, std::uint64_t(x + 1) * width / newWidth);
            std::uint64_t red = 0, green = 0, blue = 0;
            for (auto row = top; row < bottom; ++row) {
                for (auto column = left; column < right; ++column) {
                    auto const pixel = pixels[row * width + column];
                    red += pixel >> 16 & 0xff;
                    green += pixel >> 8 & 0xff;
                    blue += pixel & 0xff;
                }
            }
            auto const count = (bottom - top) * (right - left);
            result.pixels[std::size_t(y) * newWidth + x]
                = 0xff000000 | static_cast<std::uint32_t>(red / count << 16 | green / count << 8 | blue / count);
        }
    }
    return result;
}

}

namespace {

// A chunk is its length, its name, what is in it, and the CRC of the two (ISO/IEC 15948, "Chunk layout"). The first one
// is IHDR, behind the file's signature. Ours is, as its letters say, not needed to show the picture, of private use,
// and worth nothing where the picture is changed ("Chunk naming conventions").
constexpr std::string_view chunkName = "cvTN";
constexpr std::size_t firstChunks = 8 + 25, chunkExtra = 12;

vmm::Bytes makeChunk(vmm::ConstByteSpan content)
{
    vmm::Bytes chunk(chunkExtra + content.size());
    vmm::ByteSpan const whole(chunk);
    vmm::storeBig(whole.first(4), static_cast<std::uint32_t>(content.size()));
    std::copy(chunkName.begin(), chunkName.end(), chunk.begin() + 4);
    std::copy(content.begin(), content.end(), chunk.begin() + 8);
    auto const checked = whole.subspan(4, 4 + content.size());
    vmm::storeBig(
        whole.last(4), static_cast<std::uint32_t>(::crc32(0, checked.data(), static_cast<uInt>(checked.size()))));
    return chunk;
}

}

Picture pictureOf(vmm::Frame const& frame)
{
    return { frame.width, frame.height, frame.pixels };
}

Picture scaledDown(vmm::Frame const& frame, std::uint32_t maxWidth, std::uint32_t maxHeight)
{
    return shrunk(frame.width, frame.height, frame.pixels, maxWidth, maxHeight);
}

Picture scaledDown(Picture const& picture, std::uint32_t maxWidth, std::uint32_t maxHeight)
{
    return shrunk(picture.width, picture.height, picture.pixels, maxWidth, maxHeight);
}

vmm::Result<vmm::Bytes> encodePng(Picture const& picture, Packing packing)
{
    if (picture.isNull())
        return vmm::fail(vmm::ErrorCode::NotFound, "the screen has no picture yet");
    // RGB without the unused byte: smaller, and no reader takes it for transparency.
    vmm::Bytes rgb;
    rgb.reserve(picture.pixels.size() * 3);
    for (auto const pixel : picture.pixels) {
        rgb.push_back(static_cast<std::uint8_t>(pixel >> 16));
        rgb.push_back(static_cast<std::uint8_t>(pixel >> 8));
        rgb.push_back(static_cast<std::uint8_t>(pixel));
    }
    png_image image {};
    image.version = PNG_IMAGE_VERSION;
    image.width = picture.width;
    image.height = picture.height;
    image.format = PNG_FORMAT_RGB;
    // Without filters, which hide from the compressor that what is drawn repeats.
    image.flags = packing == Packing::Fast ? PNG_IMAGE_FLAG_FAST : 0;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    vmm::Bytes result(size);
    if (png_image_write_to_memory(&image, result.data(), &size, 0, rgb.data(), 0, nullptr) == 0)
        return vmm::fail(vmm::ErrorCode::Internal, fmt::format("writing a PNG: {}", image.message));
    result.resize(size);
    return result;
}

vmm::Result<vmm::Bytes> encodeMomentPicture(vmm::Frame frame)
{
    // Longest sides, and what a picture may take of the disk before it is made smaller.
    constexpr std::uint32_t wide = 1920, high = 1200, smallWide = 1024, smallHigh = 640;
    constexpr std::size_t large = 1u << 20;
    Picture const picture { frame.width, frame.height, std::move(frame.pixels) };
    auto whole = TRY(encodePng(scaledDown(picture, wide, high), Packing::Fast));
    if (whole.size() > large)
        whole = TRY(encodePng(scaledDown(picture, smallWide, smallHigh), Packing::Fast));
    auto const chunk = makeChunk(TRY(encodePng(scaledDown(picture, smallPictureWidth, smallPictureHeight))));
    whole.insert(whole.begin() + firstChunks, chunk.begin(), chunk.end());
    return whole;
}

Picture smallPictureIn(vmm::ConstByteSpan png)
{
    if (png.size() < firstChunks + chunkExtra)
        return {};
    auto const chunk = png.subspan(firstChunks);
    auto const length = vmm::loadBig<std::uint32_t>(chunk.first(4));
    if (!std::ranges::equal(chunk.subspan(4, 4), chunkName) || length > chunk.size() - chunkExtra)
        return {};
    return decodePng(chunk.subspan(8, length), std::max(smallPictureWidth, smallPictureHeight)).value_or(Picture {});
}

vmm::Result<Picture> decodePng(vmm::ConstByteSpan data, std::uint32_t longestSide)
{
    png_image image {};
    image.version = PNG_IMAGE_VERSION;
    auto const wrong
        = [&] { return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("reading a PNG: {}", image.message)); };
    if (png_image_begin_read_from_memory(&image, data.data(), data.size()) == 0)
        return wrong();
    if (image.width > longestSide || image.height > longestSide) {
        png_image_free(&image);
        return vmm::fail(vmm::ErrorCode::Corrupt, "the PNG is too large");
    }
    image.format = PNG_FORMAT_BGRA; // bytes B, G, R, A: as this host stores XRGB8888
    Picture picture { image.width, image.height, {} };
    picture.pixels.resize(std::size_t(image.width) * image.height);
    if (png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr) == 0)
        return wrong();
    for (auto& pixel : picture.pixels)
        pixel |= 0xff000000; // as a screen's; who draws it with alpha would see through it
    return picture;
}

vmm::Bytes encodePpm(Picture const& picture)
{
    auto const heading = fmt::format("P6\n{} {}\n255\n", picture.width, picture.height);
    vmm::Bytes result(heading.begin(), heading.end());
    result.reserve(result.size() + picture.pixels.size() * 3);
    for (auto const pixel : picture.pixels) {
        result.push_back(static_cast<std::uint8_t>(pixel >> 16));
        result.push_back(static_cast<std::uint8_t>(pixel >> 8));
        result.push_back(static_cast<std::uint8_t>(pixel));
    }
    return result;
}

vmm::Result<> writePicture(Picture const& picture, std::string const& path)
{
    if (picture.isNull())
        return vmm::fail(vmm::ErrorCode::NotFound, "the screen has no picture yet");
    if (path.ends_with(".png"))
        return writeWholeFile(path, TRY(encodePng(picture)), Durable::No);
    if (path.ends_with(".ppm"))
        return writeWholeFile(path, encodePpm(picture), Durable::No);
    return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} is called neither .png nor .ppm", path));
}

}
