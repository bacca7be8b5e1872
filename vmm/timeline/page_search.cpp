#include "vmm/timeline/page_search.h"

#include <algorithm>
#include <bit>

namespace vmm::timeline {

namespace {

/// Says of most hashes that are not looked for, in a single look at a small table, that they are not.
class Filter {
public:
    explicit Filter(std::span<PageHash const> wanted)
        : m_bits(std::clamp<std::size_t>(std::bit_ceil(wanted.size()) / 4, 64, 1u << 17))
    {
        for (auto const hash : wanted)
            m_bits[wordOf(hash)] |= bitOf(hash);
    }
    bool mayHave(PageHash hash) const { return (m_bits[wordOf(hash)] & bitOf(hash)) != 0; }

private:
    std::size_t wordOf(PageHash hash) const { return hash.high / 64 & (m_bits.size() - 1); }
    static std::uint64_t bitOf(PageHash hash) { return std::uint64_t(1) << hash.high % 64; }

    std::vector<std::uint64_t> m_bits; // 16 a hash
};

}

std::size_t HashNumbers::placeOf(PageHash hash, std::span<PageHash const> hashes) const
{
    auto const mask = m_places.size() - 1;
    auto place = hash.low & mask;
    while (m_places[place] != 0 && hashes[m_places[place] - 1] != hash)
        place = (place + 1) & mask;
    return place;
}

std::optional<std::uint32_t> HashNumbers::find(PageHash hash, std::span<PageHash const> hashes) const
{
    auto const number = m_places.empty() ? 0 : m_places[placeOf(hash, hashes)];
    return number == 0 ? std::nullopt : std::optional(number - 1);
}

void HashNumbers::add(std::uint32_t number, std::span<PageHash const> hashes)
{
    if (m_count >= m_places.size() / 2) {
        auto const old
            = std::exchange(m_places, std::vector<std::uint32_t>(std::max<std::size_t>(1024, 2 * m_places.size())));
        for (auto const known : old) {
            if (known != 0)
                m_places[placeOf(hashes[known - 1], hashes)] = known;
        }
    }
    m_places[placeOf(hashes[number], hashes)] = number + 1;
    ++m_count;
}

Result<std::vector<Reference>> findPages(
    PageStore const& store, std::span<PageHash const> wanted, std::atomic<bool> const& stop)
{
    std::vector<Reference> found(wanted.size());
    HashNumbers numbers;
    for (std::uint32_t i = 0; i < wanted.size(); ++i) {
        if (!numbers.find(wanted[i], wanted))
            numbers.add(i, wanted);
    }
    Filter const filter(wanted);
    constexpr std::uint32_t atOnce = 16384;
    std::vector<PageHash> hashes;
    for (auto const number : store.packs()) {
        auto const pack = store.pack(number);
        for (std::uint32_t first = 0; pack && first < (*pack)->pages(); first += atOnce) {
            if (stop)
                return fail(ErrorCode::Cancelled, "looking for pages was cancelled");
            hashes.resize(std::min(atOnce, (*pack)->pages() - first));
            if (!(*pack)->readHashes(first, hashes))
                break;
            for (std::uint32_t i = 0; i < hashes.size(); ++i) {
                if (!filter.mayHave(hashes[i]))
                    continue;
                auto const match = numbers.find(hashes[i], wanted);
                if (match && !store.isDamaged({ number, first + i }))
                    found[*match] = { number, first + i };
            }
        }
    }
    for (std::size_t i = 0; i < wanted.size(); ++i)
        found[i] = found[*numbers.find(wanted[i], wanted)];
    return found;
}

}
