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

bool isUuid(std::string_view text)
{
    if (text.size() != 36)
        return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        bool const dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    }
    return true;
}

}
