#pragma once

#include "vmm/base/bytes.h"

#include <compare>

namespace vmm::timeline {

constexpr std::uint64_t pageSize = 4096;

/// What a page holds, as a number: XXH3-128 of its 4096 bytes, with the store's own seed, so that a guest cannot make
/// two pages of one hash. Never all zeros.
struct PageHash {
    std::uint64_t low = 0, high = 0;
    auto operator<=>(PageHash const&) const = default;
};

PageHash hashOf(ConstByteSpan page, std::uint64_t seed);

/// Where an object of a store lies: which pack, and which of its objects of the kind. Zero is the page of zeros, or a
/// part of memory with nothing but zeros in it.
struct Reference {
    std::uint32_t pack = 0;
    std::uint32_t number = 0;
    auto operator<=>(Reference const&) const = default;
    bool isZero() const { return pack == 0; }
};

}
