#include "vmm/block/zeros.h"

#include <algorithm>

namespace vmm {

void appendZeros(std::vector<iovec>& buffers, std::uint64_t length)
{
    alignas(4096) static std::uint8_t zeros[64 << 10] {};
    while (length != 0) {
        auto const count = std::min<std::uint64_t>(length, sizeof zeros);
        buffers.push_back({ zeros, count });
        length -= count;
    }
}

}
