#include "vmm/base/log.h"
#include "vmm/timeline/record_files.h"
#include "vmm/timeline/timeline.h"

#include <algorithm>
#include <fmt/format.h>

/// Giving back what no moment needs any more.
namespace vmm::timeline {

namespace {

/// A pack is written anew without what nobody needs when that is this part of it, and worth it.
constexpr std::uint64_t wasteShare = 4, wasteLeast = 256u << 10;
constexpr char const* sweepCancelled = "giving back what the timeline does not need was cancelled";

bool isWorthShrinking(std::uint64_t waste, std::uint64_t size)
{
    return waste >= wasteLeast && waste >= size / wasteShare;
}

/// What sweep() gives back of a pack after each of the first `going` owners has gone, added to `each`, which begins
/// with what nobody needs now. Each page's owner is the last one that needs it.
void addGivenBack(Census::Counted const& counted, std::uint32_t going, std::vector<std::uint64_t>& each)
{
    std::uint32_t last = Census::nobody;
    std::map<std::uint32_t, std::uint64_t> waste; // once that owner has gone
    for (std::uint32_t page = 0; page < counted.pageCount; ++page) {
        auto const owner = counted.pages[page];
        last = std::max(last, owner);
        if (owner <= going && counted.isStored[page] != 0)
            waste[owner] += counted.sizeOf(page);
    }
    for (std::uint32_t node = 0; node < counted.nodeCount; ++node)
        last = std::max(last, counted.nodes[node]);
    auto size = counted.fileSize;
    std::uint64_t wasted = 0;
    for (auto const& [owner, bytes] : waste) {
        wasted += bytes;
        if (owner == last || !isWorthShrinking(wasted, size))
            continue;
        each[owner] += wasted;
        size -= std::min(size, wasted);
        wasted = 0;
    }
    if (last <= going)
        each[last] += size;
}

}

Result<Freed> Timeline::freed(std::vector<std::string> const& order, std::function<bool()> const& goOn) const
{
    std::shared_lock const storing(m_storing);
    TRY(readable());
    std::vector<Moment> moments;
    for (auto const& id : order)
        moments.push_back(TRY(moment(id)));
    std::set<std::string_view> const going(order.begin(), order.end());
    for (auto& moment : list()) {
        if (!going.contains(moment.id))
            moments.push_back(std::move(moment));
    }
    auto trees = treesOf(moments);
    for (auto const& roots : held())
        trees.push_back(*roots);
    Census::How how;
    how.shared = Census::Shared::Last;
    how.goOn = goOn;
    auto const census = TRY(Census::of(*m_pages, std::move(trees), std::move(how)));

    Freed freed;
    std::vector<std::uint64_t> each(order.size() + 1);
    for (std::size_t i = 0; i < moments.size(); ++i) {
        TRY_WITHIN("nothing was given back, for a moment cannot be read whole", census.checkWhole(i));
        auto const beside = besides(moments[i]);
        freed.total += beside;
        if (i < order.size())
            each[i + 1] += beside;
    }
    for (auto const& [number, counted] : census.packs()) {
        if (goOn && !goOn())
            return fail(ErrorCode::Cancelled, "counting was given up");
        freed.total += counted.fileSize;
        addGivenBack(counted, static_cast<std::uint32_t>(order.size()), each);
    }
    freed.first = each.front();
    freed.each.assign(each.begin() + 1, each.end());
    return freed;
}

/// What damaged moments need is not known, so nothing may be given back.
Result<> Timeline::readable() const
{
    if (auto const broken = damages(); !broken.empty())
        return fail(Error(broken.front().error).within("nothing was given back, for a moment cannot be read"));
    return {};
}

Result<> Timeline::sweep(Progress const& progress)
{
    TRY(writable());
    for (;;) {
        auto const purges = m_purges.load();
        if (TRY(sweepUndisturbed(progress)))
            return swept(purges);
    }
}

/// Unless there is more to give back since, or something is still held.
Result<> Timeline::swept(unsigned purges)
{
    std::lock_guard const changing(m_changing);
    if (purges != m_purges || !held().empty() || !m_record.unswept)
        return {};
    auto record = m_record;
    record.unswept = false;
    return storeRecord(record);
}

/// False: a moment is to be taken. It may need what it finds, so that all has to be counted again after it.
Result<bool> Timeline::sweepUndisturbed(Progress const& progress)
{
    std::lock_guard const storing(m_storing);
    // A moment that was purged must not be there again after a power cut when its pages are gone.
    TRY(m_folder->sync(momentFolder));
    TRY(readable());
    auto trees = treesOf(list());
    auto const kept = trees.size();
    for (auto const& roots : held())
        trees.push_back(*roots); // what of it can be read
    bool isCancelled = false;
    std::uint64_t done = 0;
    auto const total = m_pages->packs().size();
    auto const mayGoOn = [&] {
        isCancelled = isCancelled || !goOn(progress, done, total);
        return !isCancelled && !m_isTakeWaiting;
    };
    auto const outcome = [&]() -> Result<> {
        Census::How how;
        how.goOn = mayGoOn;
        auto const census = TRY(Census::of(*m_pages, std::move(trees), std::move(how)));
        for (std::size_t i = 0; i < kept; ++i)
            TRY_WITHIN("nothing was given back, for a moment cannot be read whole", census.checkWhole(i));
        return giveBack(census, mayGoOn, done);
    }();
    if (outcome || outcome.error().code != ErrorCode::Cancelled)
        return outcome ? Result<bool>(true) : fail(outcome.error());
    return isCancelled ? fail(ErrorCode::Cancelled, sweepCancelled) : Result<bool>(false);
}

/// Packs of which no more can be known than that they are damaged, where all that is needed is in others.
Result<> Timeline::removeDamaged(Census const& census)
{
    Result<> outcome;
    if (!census.isWhole())
        return outcome;
    for (auto const number : m_pages->packs()) {
        if (census.packs().contains(number))
            continue;
        auto const pack = m_pages->pack(number);
        if (pack || pack.error().code != ErrorCode::Corrupt)
            continue;
        log(LogLevel::Warning, "timeline", "nobody needs a pack that is removed: {}", pack.error().message());
        auto const removed = m_pages->remove(number);
        if (outcome)
            outcome = removed;
    }
    return outcome;
}

/// What goes whole goes first: on a full disk that makes the room in which others are written anew. A pack that fails
/// is no other's business; the first error is told when all are done.
Result<> Timeline::giveBack(Census const& census, std::function<bool()> const& goOn, std::uint64_t& done)
{
    auto outcome = removeDamaged(census);
    for (bool const whole : { true, false }) {
        for (auto const& [number, pack] : census.packs()) {
            if ((pack.pages.isEmpty() && pack.nodes.isEmpty()) != whole)
                continue;
            if (!goOn())
                return fail(ErrorCode::Cancelled, sweepCancelled);
            ++done;
            auto const givenBack = whole ? m_pages->remove(number) : shrink(number, pack, goOn);
            if (!givenBack && givenBack.error().code == ErrorCode::Cancelled)
                return givenBack;
            if (outcome)
                outcome = givenBack;
        }
    }
    return outcome;
}

/// Writes the pack anew without the pages that nobody needs, where that is worth it. The others keep their numbers.
/// Cancelled where `goOn` says so.
Result<> Timeline::shrink(std::uint32_t number, Census::Counted const& counted, std::function<bool()> const& goOn)
{
    auto const pack = TRY(m_pages->pack(number));
    auto const isWaste
        = [&](std::uint32_t page) { return counted.pages[page] == Census::nobody && counted.isStored[page] != 0; };
    std::uint64_t waste = 0;
    for (std::uint32_t page = 0; page < counted.pageCount; ++page)
        waste += isWaste(page) ? counted.sizeOf(page) : 0;
    if (!isWorthShrinking(waste, pack->fileSize()))
        return {};

    auto const writer = TRY(PackWriter::create(*m_folder, number, m_pages->seed()));
    Bytes stored, pages;
    std::vector<PageHash> kept;
    for (std::uint32_t frame = 0; frame < pack->frames(); ++frame) {
        if (!goOn())
            return fail(ErrorCode::Cancelled, sweepCancelled);
        auto const count = pack->pagesIn(frame);
        auto const first = frame * pagesPerFrame;
        kept.resize(count);
        TRY(pack->readHashes(first, kept));
        bool changes = false;
        for (std::uint32_t i = 0; i < count; ++i) {
            if (isWaste(first + i)) {
                kept[i] = {};
                changes = true;
            }
        }
        bool const isNeeded = std::ranges::any_of(kept, [](PageHash hash) { return hash != PageHash {}; });
        pages.resize(count * pageSize);
        if (!isNeeded || (changes && m_pages->readFrame(*pack, frame, pages))) {
            for (std::uint32_t i = 0; i < count; ++i)
                TRY(writer->addPage(ConstByteSpan(pages).subspan(i * pageSize, pageSize), kept[i]));
        } else {
            // A damaged one, too: nobody looks at what is left out of it, and what is needed keeps the hash that tells.
            TRY(pack->readStored(frame, stored));
            TRY(writer->addStoredFrame(stored, kept));
        }
    }
    for (std::uint32_t node = 0; node < pack->nodes(); ++node)
        writer->addNode(TRY(pack->readNode(node)));
    auto const sealed = writer->seal();
    m_pages->replaced(number); // maybe where that failed, too
    return sealed;
}

}
