#include "vmm/base/random.h"

#include <array>
#include <fmt/format.h>
#include <sys/random.h>

namespace vmm {

void fillRandom(ByteSpan data)
{
    while (!data.empty()) {
        auto const filled = ::getrandom(data.data(), data.size(), 0);
        if (filled > 0) // else a signal came
            data = data.subspan(static_cast<std::size_t>(filled));
    }
}

std::string makeUuid()
{
    std::array<std::uint8_t, 16> bytes {};
    fillRandom(bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4, variant 10b
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    return text;
}

}
