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

Error noPage(Reference page)
{
    return { ErrorCode::Corrupt, fmt::format("pack {:08x} has no page {}", page.pack, page.number), 0 };
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

template<typename Value, typename Read>
Result<Value> PageStore::recent(Recent<Value>& kept, std::uint64_t key, Read const& read) const
{
    std::uint64_t changes = 0;
    {
        std::lock_guard const lock(m_mutex);
        if (auto known = kept.find(key))
            return std::move(*known);
        changes = m_changes;
    }
    Value value = TRY(read());
    std::lock_guard const lock(m_mutex);
    if (changes == m_changes)
        kept.put(key, value);
    return value;
}

Result<std::shared_ptr<Pack const>> PageStore::pack(std::uint32_t number) const
{
    return recent(m_open, number, [&] { return Pack::open(m_folder, number, m_seed); });
}

Result<PageHash> PageStore::hash(Reference page) const
{
    auto const first = alignDown<std::uint32_t>(page.number, hashesAtOnce);
    auto const read = [&]() -> Result<std::shared_ptr<std::vector<PageHash> const>> {
        auto const from = TRY(pack(page.pack));
        if (page.number >= from->pages())
            return fail(noPage(page));
        auto hashes
            = std::make_shared<std::vector<PageHash>>(std::min<std::size_t>(hashesAtOnce, from->pages() - first));
        TRY(from->readHashes(first, *hashes));
        return hashes;
    };
    auto const hashes = TRY(recent(m_hashes, keyOf({ page.pack, first }), read));
    if (page.number - first >= hashes->size() || (*hashes)[page.number - first] == PageHash {})
        return fail(noPage(page));
    return (*hashes)[page.number - first];
}

Result<Node> PageStore::node(Reference node) const
{
    return recent(m_nodes, keyOf(node), [&]() -> Result<Node> { return TRY(pack(node.pack))->readNode(node.number); });
}

Result<> PageStore::readFrame(Pack const& pack, std::uint32_t frame, ByteSpan pages) const
{
    auto const read = pack.readFrame(frame, pages);
    std::lock_guard const lock(m_mutex);
    if (read)
        m_damagedFrames.erase(pack, frame);
    else
        m_damagedFrames.insert(pack, frame);
    return read;
}

bool PageStore::isDamaged(Reference page) const
{
    std::lock_guard const lock(m_mutex);
    return m_damagedFrames.contains(page.pack, page.number / pagesPerFrame);
}

Result<std::shared_ptr<Bytes const>> PageStore::frame(std::uint32_t number, std::uint32_t frame) const
{
    return recent(m_frames, keyOf({ number, frame }), [&]() -> Result<FrameData> {
        auto const from = TRY(pack(number));
        if (frame >= from->frames())
            return fail(ErrorCode::Corrupt, fmt::format("pack {:08x} has no frame {}", number, frame));
        auto const read = std::make_shared<Bytes>(from->pagesIn(frame) * pageSize);
        TRY(readFrame(*from, frame, *read));
        return read;
    });
}

Result<> PageStore::readPage(Reference page, ByteSpan data, Frame& last) const
{
    auto const number = page.number / pagesPerFrame;
    if (!last.pages || last.pack != page.pack || last.number != number)
        last = { page.pack, number, TRY(frame(page.pack, number)) };
    auto const offset = page.number % pagesPerFrame * pageSize;
    if (offset >= last.pages->size())
        return fail(noPage(page));
    auto const stored = ConstByteSpan(*last.pages).subspan(offset, pageSize);
    // What was left out reads as zeros, which memory has no reference to.
    if (std::ranges::all_of(stored, [](auto byte) { return byte == 0; }))
        TRY(hash(page));
    std::ranges::copy(stored, data.begin());
    return {};
}

void PageStore::readAhead(std::vector<Reference> pages) const
{
    std::sort(pages.begin(), pages.end());
    for (auto at = pages.begin(); at != pages.end();) {
        auto const end = std::find_if(at, pages.end(), [&](Reference page) { return page.pack != at->pack; });
        std::vector<std::uint32_t> frames;
        for (auto page = at; page != end; ++page) {
            if (frames.empty() || frames.back() != page->number / pagesPerFrame)
                frames.push_back(page->number / pagesPerFrame);
        }
        if (auto const from = at->isZero() ? Result<std::shared_ptr<Pack const>>(nullptr) : pack(at->pack);
            from && *from)
            (*from)->readAhead(frames);
        at = end;
    }
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
    ++m_changes;
    m_open.erase(number);
    // Few and small: all of them, rather than those of one pack.
    m_frames.clear();
    m_hashes.clear();
    m_nodes.clear();
}

Result<> PageStore::remove(std::uint32_t number)
{
    TRY(m_folder.remove(packName(number)));
    replaced(number);
    std::lock_guard const lock(m_mutex);
    std::erase(m_packs, number);
    m_damagedFrames.erase(number);
    return {};
}

}
