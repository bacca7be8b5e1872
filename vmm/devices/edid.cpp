#include "vmm/devices/edid.h"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace vmm {

namespace {

/// A descriptor that is not a timing: a text of up to 13 characters, or the limits of the monitor.
void putText(std::uint8_t* descriptor, std::uint8_t tag, std::string_view text)
{
    descriptor[3] = tag;
    std::fill_n(descriptor + 5, 13, std::uint8_t(' '));
    std::copy_n(text.begin(), std::min<std::size_t>(text.size(), 13), descriptor + 5);
    if (text.size() < 13)
        descriptor[5 + text.size()] = '\n';
}

}

Edid makeEdid(unsigned width, unsigned height)
{
    width = std::clamp(width, 64u, 4095u);
    height = std::clamp(height, 64u, 4095u);
    Edid edid {};
    std::fill_n(edid.begin() + 1, 6, std::uint8_t(0xff));
    // The maker, three letters of five bits: CHV.
    constexpr unsigned maker = ('C' - '@') << 10 | ('H' - '@') << 5 | ('V' - '@');
    edid[8] = maker >> 8;
    edid[9] = maker & 0xff;
    edid[10] = 1; // product 1
    edid[16] = 1; // made in week 1
    edid[17] = 2024 - 1990;
    edid[18] = 1, edid[19] = 4;
    edid[20] = 0xa5; // digital, 8 bits a color, DisplayPort
    // 96 dots an inch, in centimetres and in millimetres.
    auto const millimetresWide = width * 254 / 960, millimetresHigh = height * 254 / 960;
    edid[21] = static_cast<std::uint8_t>(std::min(255u, millimetresWide / 10));
    edid[22] = static_cast<std::uint8_t>(std::min(255u, millimetresHigh / 10));
    edid[23] = 120;  // gamma 2.2
    edid[24] = 0x06; // sRGB; the first timing is the native one
    // The sRGB primaries and white point.
    constexpr std::uint8_t colors[] { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };
    std::ranges::copy(colors, edid.begin() + 25);
    edid[35] = 0x21;                                        // 640x480 and 800x600 at 60 Hz
    edid[36] = 0x08;                                        // 1024x768 at 60 Hz
    std::fill_n(edid.begin() + 38, 16, std::uint8_t(0x01)); // no further standard timings

    // The native mode, with the blanking of a flat panel.
    constexpr unsigned blankX = 160, frontX = 48, syncX = 32, frontY = 3, syncY = 5;
    auto const blankY = std::max(30u, height / 40);
    auto const clock = std::min(65535u, (width + blankX) * (height + blankY) * 60 / 10000); // 10 kHz
    auto* const timing = edid.data() + 54;
    timing[0] = static_cast<std::uint8_t>(clock);
    timing[1] = static_cast<std::uint8_t>(clock >> 8);
    timing[2] = static_cast<std::uint8_t>(width);
    timing[3] = blankX;
    timing[4] = static_cast<std::uint8_t>(width >> 8 << 4);
    timing[5] = static_cast<std::uint8_t>(height);
    timing[6] = static_cast<std::uint8_t>(blankY);
    timing[7] = static_cast<std::uint8_t>(height >> 8 << 4);
    timing[8] = frontX;
    timing[9] = syncX;
    timing[10] = frontY << 4 | syncY;
    timing[12] = static_cast<std::uint8_t>(millimetresWide);
    timing[13] = static_cast<std::uint8_t>(millimetresHigh);
    timing[14] = static_cast<std::uint8_t>(millimetresWide >> 8 << 4 | millimetresHigh >> 8);
    timing[17] = 0x1a; // separate syncs, the horizontal one positive

    auto* const limits = edid.data() + 72;
    limits[3] = 0xfd;
    constexpr std::uint8_t range[] { 50, 125, 30, 160, 66, 0x01 }; // Hz, kHz, 10 MHz; no secondary formula
    std::ranges::copy(range, limits + 5);
    limits[11] = '\n';
    std::fill_n(limits + 12, 6, std::uint8_t(' '));
    putText(edid.data() + 90, 0xfc, "Chronovisor");
    putText(edid.data() + 108, 0xff, "1");
    edid[127] = static_cast<std::uint8_t>(-std::accumulate(edid.begin(), edid.begin() + 127, 0));
    return edid;
}

}
