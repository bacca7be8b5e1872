#include "vmm/memory/large_pages.h"

#include "vmm/memory/anonymous_memory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // include/uapi/asm-generic/mman-common.h
#endif

namespace vmm {

void joinPages(ByteSpan memory, std::function<bool()> const& goOn)
{
    constexpr auto large = AnonymousMemory::largePageSize;
    std::array<unsigned char, large / AnonymousMemory::pageSize> resident {};
    for (; memory.size() >= large && goOn(); memory = memory.subspan(large)) {
        if (::mincore(memory.data(), large, resident.data()) != 0)
            return;
        auto const used = std::count_if(resident.begin(), resident.end(), [](auto page) { return (page & 1) != 0; });
        if (2 * static_cast<std::size_t>(used) < resident.size())
            continue;
        // One that is large already costs nothing. EINVAL: neither this kernel nor this one's settings know how.
        if (::madvise(memory.data(), large, MADV_COLLAPSE) != 0 && errno == EINVAL)
            return;
    }
}

}
