#include "app/runner/picture.h"
#include "tests/fuzz/accepted.h"
#include "tests/fuzz/fuzz_input.h"

#include <zlib.h>

/// A moment's picture from anywhere. With an odd first byte it is one of ours with some bytes changed, and checksums
/// that are right again, so that what they guard is looked at.
namespace {

void spoil(vmm::Bytes& png, fuzz::Input& input)
{
    while (!input.empty())
        png[input.take<std::uint16_t>() % png.size()] = input.take<std::uint8_t>();
    constexpr std::size_t signature = 8, around = 12; // of a chunk: its length, its name and its checksum
    for (std::size_t at = signature; at + around <= png.size();) {
        auto const chunk = vmm::ByteSpan(png).subspan(at);
        auto const length = vmm::loadBig<std::uint32_t>(chunk.first(4));
        if (length > chunk.size() - around)
            break;
        auto const sum = ::crc32(0, chunk.data() + 4, 4 + length);
        vmm::storeBig(chunk.subspan(8 + length, 4), static_cast<std::uint32_t>(sum));
        at += around + length;
    }
}

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static auto const ours = app::encodeMomentPicture({ 40, 30, std::vector<std::uint32_t>(40 * 30, 0xff336699) });
    fuzz::Input input(data, size);
    vmm::Bytes png;
    if ((input.take<std::uint8_t>() & 1) != 0) {
        png = *ours;
        spoil(png, input);
    } else {
        auto const rest = input.takeBytes(size);
        png.assign(rest.begin(), rest.end());
    }
    auto const small = app::smallPictureIn(png);
    if (small.width > app::smallPictureWidth || small.height > app::smallPictureWidth)
        __builtin_trap();
    constexpr std::uint32_t longest = 256;
    auto const whole = app::decodePng(png, longest);
    if (whole)
        fuzz::accept();
    if (whole && (whole->width > longest || whole->pixels.size() != std::size_t(whole->width) * whole->height))
        __builtin_trap();
    return 0;
}
