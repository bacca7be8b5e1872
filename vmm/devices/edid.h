#pragma once

#include <array>
#include <cstdint>

namespace vmm {

using Edid = std::array<std::uint8_t, 128>;

/// What a monitor says of itself (VESA Enhanced EDID Standard, Release A, Rev. 2, 2006, section 3 "EDID Data Format"),
/// version 1.4, that prefers a mode of this many pixels at 60 Hz; 4095 at most.
Edid makeEdid(unsigned width, unsigned height);

}
