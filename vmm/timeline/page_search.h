#pragma once

#include "vmm/timeline/page_store.h"

#include <atomic>
#include <optional>

namespace vmm::timeline {

/// Finds a hash's number in a list of hashes that somebody else keeps; up to 8 bytes each.
class HashNumbers {
public:
    std::optional<std::uint32_t> find(PageHash hash, std::span<PageHash const> hashes) const;
    /// Of a hash that has none yet.
    void add(std::uint32_t number, std::span<PageHash const> hashes);
    std::size_t size() const { return m_count; }

private:
    std::size_t placeOf(PageHash hash, std::span<PageHash const> hashes) const;

    std::vector<std::uint32_t> m_places; // numbers from 1 on, 0: free; a power of two, at most half full
    std::size_t m_count = 0;
};

/// Where the pages with these hashes lie in a store; zero: nowhere. Reads the hashes of all packs once, but needs
/// memory only for what is looked for, and keeps nothing that could become wrong. A pack that cannot be read has
/// nothing, nor has a frame that is known to be damaged. Cancelled when `stop` becomes true.
Result<std::vector<Reference>> findPages(
    PageStore const& store, std::span<PageHash const> wanted, std::atomic<bool> const& stop);

}
