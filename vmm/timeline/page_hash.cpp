#include "vmm/timeline/page_hash.h"

#include <xxhash.h>

namespace vmm::timeline {

PageHash hashOf(ConstByteSpan page, std::uint64_t seed)
{
    auto const hash = XXH3_128bits_withSeed(page.data(), page.size(), seed);
    PageHash const result { hash.low64, hash.high64 };
    return result == PageHash {} ? PageHash { 1, 0 } : result;
}

}
