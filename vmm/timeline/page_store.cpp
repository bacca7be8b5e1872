#include "vmm/timeline/page_store.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <fmt/format.h>

namespace vmm::timeline {

namespace {

std::optional<std::uint32_t> packNumber(std::string const& name)
{
    std::uint32_t number = 0;
    auto const [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
    if (name.size() != 8 || error != std::errc() || end != name.data() + name.size() || number == 0)
        return std::nullopt;
    return number;
}

std::uint64_t keyOf(Reference reference)
{
    return std::uint64_t(reference.pack) << 32 | reference.number;
}

}

Result<> PageStore::open(bool tidy)
{
    std::vector<std::uint32_t> found;
    for (auto const& name : TRY(m_folder.list(packFolder))) {
        if (auto const number = packNumber(name))
            found.push_back(*number);
        else if (tidy && name.ends_with(".new"))
            TRY(m_folder.remove(fmt::format("{}/{}", packFolder, name)));
    }
    std::sort(found.begin(), found.end());
    std::lock_guard const lock(m_mutex);
    m_packs = std::move(found);
    return {};
}

std::vector<std::uint32_t> PageStore::packs() const
{
    std::lock_guard const lock(m_mutex);
    return m_packs;
}

Result<std::shared_ptr<Pack const>> PageStore::pack(std::uint32_t number) const
{
    {
        std::lock_guard const lock(m_mutex);
        if (auto const known = m_open.find(number))
            return *known;
    }
    auto opened = TRY(Pack::open(m_folder, number, m_seed));
    std::lock_guard const lock(m_mutex);
    m_open.put(number, opened);
    return opened;
}

Result<PageHash> PageStore::hash(Reference page) const
{
    auto const first = alignDown<std::uint32_t>(page.number, hashesAtOnce);
    auto const key = keyOf({ page.pack, first });
    std::shared_ptr<std::vector<PageHash> const> hashes;
    {
        std::lock_guard const lock(m_mutex);
        hashes = m_hashes.find(key).value_or(nullptr);
    }
    if (!hashes) {
        auto const from = TRY(pack(page.pack));
        if (page.number >= from->pages())
            return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} has no page {}", page.pack, page.number));
        auto read = std::make_shared<std::vector<PageHash>>(std::min<std::size_t>(hashesAtOnce, from->pages() - first));
        TRY(from->readHashes(first, *read));
        hashes = std::move(read);
        std::lock_guard const lock(m_mutex);
        m_hashes.put(key, hashes);
    }
    if (page.number - first >= hashes->size())
        return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} has no page {}", page.pack, page.number));
    return (*hashes)[page.number - first];
}

Result<Node> PageStore::node(Reference node) const
{
    auto const from = TRY(pack(node.pack));
    return from->readNode(node.number);
}

Result<> PageStore::readPage(Reference page, ByteSpan data) const
{
    auto const frame = page.number / pagesPerFrame;
    auto const key = keyOf({ page.pack, frame });
    FrameData pages;
    {
        std::lock_guard const lock(m_mutex);
        pages = m_frames.find(key).value_or(nullptr);
    }
    if (!pages) {
        auto const from = TRY(pack(page.pack));
        if (page.number >= from->pages())
            return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} has no page {}", page.pack, page.number));
        auto read = std::make_shared<Bytes>(from->pagesIn(frame) * pageSize);
        TRY(from->readFrame(frame, *read));
        pages = std::move(read);
        std::lock_guard const lock(m_mutex);
        m_frames.put(key, pages);
    }
    auto const offset = page.number % pagesPerFrame * pageSize;
    if (offset >= pages->size())
        return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} has no page {}", page.pack, page.number));
    std::copy_n(pages->begin() + static_cast<std::ptrdiff_t>(offset), pageSize, data.begin());
    return {};
}

Result<std::unique_ptr<PackWriter>> PageStore::begin(int level)
{
    auto const known = packs();
    auto const number = known.empty() ? 1 : known.back() + 1;
    if (number == 0)
        return fail(ErrorCode::NoSpace, "the timeline has used all numbers that a pack can have");
    return PackWriter::create(m_folder, number, m_seed, level);
}

void PageStore::add(std::uint32_t number)
{
    std::lock_guard const lock(m_mutex);
    m_packs.push_back(number);
}

void PageStore::replaced(std::uint32_t number)
{
    std::lock_guard const lock(m_mutex);
    m_open.erase(number);
    // Few and small: all of them, rather than those of one pack.
    m_frames.clear();
    m_hashes.clear();
}

Result<> PageStore::remove(std::uint32_t number)
{
    TRY(m_folder.remove(packName(number)));
    replaced(number);
    std::lock_guard const lock(m_mutex);
    std::erase(m_packs, number);
    return {};
}

Result<PageIndex> PageIndex::build(PageStore const& store, std::uint64_t mostNew)
{
    std::vector<std::shared_ptr<Pack const>> packs;
    auto most = mostNew;
    for (auto const number : store.packs()) {
        if (auto const pack = store.pack(number)) {
            packs.push_back(*pack);
            most += (*pack)->pages();
        }
    }
    if (most >= 0xffffffff)
        return fail(ErrorCode::NoSpace, "the timeline has more pages than can be told apart");
    PageIndex index(store);
    index.m_entries.resize(std::bit_ceil(std::max<std::uint64_t>(most + most / 2, 64)));
    std::vector<PageHash> hashes;
    for (auto const& pack : packs) {
        constexpr std::uint32_t atOnce = 16384;
        for (std::uint32_t first = 0; first < pack->pages(); first += atOnce) {
            hashes.resize(std::min(atOnce, pack->pages() - first));
            if (!pack->readHashes(first, hashes))
                break;
            for (std::uint32_t i = 0; i < hashes.size(); ++i) {
                if (hashes[i] != PageHash {})
                    index.add(hashes[i], { pack->number(), first + i });
            }
        }
    }
    return index;
}

Reference PageIndex::referenceOf(std::uint32_t ordinal) const
{
    auto const after = std::upper_bound(m_runs.begin(), m_runs.end(), ordinal,
        [](std::uint32_t value, Run const& run) { return value < run.firstOrdinal; });
    auto const& run = *std::prev(after);
    return { run.pack, run.firstPage + (ordinal - run.firstOrdinal) };
}

void PageIndex::add(PageHash hash, Reference page)
{
    auto const ordinal = m_next++;
    if (m_runs.empty() || referenceOf(ordinal) != page)
        m_runs.push_back({ ordinal, page.pack, page.number });
    auto const mask = m_entries.size() - 1;
    auto place = hash.low & mask;
    while (m_entries[place].ordinal != 0)
        place = (place + 1) & mask;
    m_entries[place] = { static_cast<std::uint32_t>(hash.high), ordinal };
}

std::optional<Reference> PageIndex::find(PageHash hash, PackWriter const& writer) const
{
    auto const mask = m_entries.size() - 1;
    for (auto place = hash.low & mask; m_entries[place].ordinal != 0; place = (place + 1) & mask) {
        if (m_entries[place].tag != static_cast<std::uint32_t>(hash.high))
            continue;
        auto const page = referenceOf(m_entries[place].ordinal);
        auto const known = page.pack == writer.number() ? writer.hash(page.number) : m_store.hash(page);
        if (known && *known == hash)
            return page;
    }
    return std::nullopt;
}

}
