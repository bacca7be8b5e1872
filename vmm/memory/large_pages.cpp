#include "vmm/memory/large_pages.h"

#include "vmm/memory/anonymous_memory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/mman.h>

namespace vmm {

bool makeLarge(ByteSpan memory)
{
    constexpr int collapse = 25; // MADV_COLLAPSE (include/uapi/asm-generic/mman-common.h), unknown to glibc 2.36
    return ::madvise(memory.data(), memory.size(), collapse) == 0;
}

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
        if (!makeLarge(memory.first(large)) && errno == EINVAL)
            return;
    }
}

}
