#pragma once

#include "vmm/base/bytes.h"

namespace vmm {

/// The ones' complement sum of RFC 1071, folded to 16 bits, in the order in which it stands in a packet. Sums of parts
/// with an even number of bytes may be added up through `initial`; its complement is the checksum.
inline std::uint16_t onesSum(ConstByteSpan data, std::uint64_t initial = 0)
{
    std::uint64_t sum = initial;
    std::size_t i = 0;
    for (; i + 4 <= data.size(); i += 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, data.data() + i, 4);
        sum += word; // 2^32 of them before it could overflow
    }
    std::uint32_t rest = 0;
    std::memcpy(&rest, data.data() + i, data.size() - i);
    sum += rest;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

}
