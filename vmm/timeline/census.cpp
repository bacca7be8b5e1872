#include "vmm/timeline/census.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm::timeline {

Census::Counted::Counted(Pack const& pack)
    : pageCount(pack.pages()),
      nodeCount(pack.nodes()),
      fileSize(pack.fileSize()),
      pages(pageCount),
      nodes(nodeCount),
      isStored(pageCount),
      frameLengths(pack.frames()),
      m_levels(nodeCount),
      m_below(nodeCount)
{
}

Result<> Census::Counted::readTables(Pack const& pack, std::function<Result<>()> const& goesOn)
{
    constexpr std::uint32_t atOnce = 16384;
    std::vector<std::uint32_t> lengths;
    for (std::uint32_t first = 0; first < pack.frames(); first += atOnce) {
        TRY(goesOn());
        lengths.resize(std::min(atOnce, pack.frames() - first));
        TRY(pack.readLengths(first, lengths));
        for (std::uint32_t i = 0; i < lengths.size(); ++i) {
            if (lengths[i] != 0 && lengths[i] <= maximumFrameSize)
                frameLengths.at(first + i) = lengths[i];
        }
    }
    std::vector<PageHash> hashes;
    for (std::uint32_t first = 0; first < pageCount; first += atOnce) {
        TRY(goesOn());
        hashes.resize(std::min(atOnce, pageCount - first));
        TRY(pack.readHashes(first, hashes));
        for (std::uint32_t i = 0; i < hashes.size(); ++i) {
            if (hashes[i] != PageHash {})
                isStored.at(first + i) = 1;
        }
    }
    return {};
}

std::uint32_t Census::Counted::sizeOf(std::uint32_t page) const
{
    auto const frame = page / pagesPerFrame;
    return frameLengths[frame] / std::min(pagesPerFrame, pageCount - frame * pagesPerFrame);
}

Result<Census> Census::of(PageStore const& store, std::vector<std::vector<MemoryRoot>> trees, How how)
{
    Census census(store, std::move(trees), std::move(how));
    for (auto const number : store.packs()) {
        TRY(census.goesOn());
        if (auto const unread = census.m_how.unreadPacks.find(number); unread != census.m_how.unreadPacks.end()) {
            census.noteUnread(number, unread->second);
            continue;
        }
        auto const pack = store.pack(number);
        if (!pack) {
            census.noteUnread(number, pack.error()); // what needs it will say so
            continue;
        }
        Counted counted(**pack);
        auto const read = counted.readTables(**pack, [&] { return census.goesOn(); });
        if (read)
            census.m_byNumber[number] = &census.m_packs.emplace(number, std::move(counted)).first->second;
        else if (read.error().code == ErrorCode::Cancelled)
            return fail(read.error());
        else
            census.noteUnread(number, read.error());
    }
    for (std::size_t tree = 0; tree < census.m_trees.size(); ++tree) {
        for (auto const& root : census.m_trees[tree]) {
            if (!root.reference().isZero())
                census.mark(root.reference(), treeLevels(root.size), static_cast<std::uint32_t>(tree) + 1);
        }
    }
    TRY(census.visitNodes(false, [&](Reference at, Node const& node) { census.markBelow(at, node); }));
    TRY(census.visitNodes(true, [&](Reference at, Node const& node) {
        census.packOf(at.pack)->m_below.at(at.number) = census.sumUp(at, node);
    }));
    return census;
}

Result<Census> Census::of(PageStore const& store, std::vector<std::vector<MemoryRoot>> trees)
{
    return of(store, std::move(trees), How {});
}

Result<> Census::goesOn() const
{
    return m_how.goOn && !m_how.goOn() ? fail(ErrorCode::Cancelled, "counting was given up") : Result<>();
}

/// Those that somebody needs and that can be read.
Result<> Census::visitNodes(bool upwards, std::function<void(Reference, Node const&)> const& visit)
{
    constexpr std::uint32_t atOnce = 256;
    std::vector<std::optional<Node>> nodes;
    std::vector<std::uint32_t> numbers;
    for (auto const& [number, counted] : m_packs)
        numbers.push_back(number);
    if (!upwards)
        std::reverse(numbers.begin(), numbers.end());
    for (auto const number : numbers) {
        auto const& counted = m_packs.at(number);
        auto const pack = m_store.pack(number);
        if (!pack || counted.nodes.isEmpty())
            continue;
        auto const parts = (counted.nodeCount + atOnce - 1) / atOnce;
        for (std::uint32_t part = 0; part < parts; ++part) {
            TRY(goesOn());
            auto const first = (upwards ? part : parts - 1 - part) * atOnce;
            nodes.assign(std::min(atOnce, counted.nodeCount - first), std::nullopt);
            if (auto const read = (*pack)->readNodes(first, nodes); !read)
                noteUnread(number, read.error());
            for (std::uint32_t i = 0; i < nodes.size(); ++i) {
                auto const at = upwards ? i : static_cast<std::uint32_t>(nodes.size()) - 1 - i;
                if (nodes[at] && counted.nodes[first + at] != nobody)
                    visit({ number, first + at }, *nodes[at]);
            }
        }
    }
    return {};
}

/// Of what is damaged or missing more can be said than that.
void Census::noteUnread(std::uint32_t pack, Error const& error)
{
    if (error.code != ErrorCode::Corrupt && error.code != ErrorCode::NotFound)
        m_unread.try_emplace(pack, error);
}

/// Who owns what `owner` needs besides who is known to.
std::uint32_t Census::together(std::uint32_t known, std::uint32_t owner) const
{
    if (m_how.shared == Shared::Last)
        return std::max(known, owner);
    return known == nobody || known == owner ? owner : several;
}

/// Null: it cannot be read.
Census::Counted* Census::packOf(std::uint32_t number) const
{
    auto const found = m_byNumber.find(number);
    return found == m_byNumber.end() ? nullptr : found->second;
}

void Census::mark(Reference node, unsigned level, std::uint32_t owner)
{
    auto* const pack = packOf(node.pack);
    if (!pack || node.number >= pack->nodeCount)
        return;
    auto& known = pack->nodes.at(node.number);
    known = together(known, owner);
    if (auto& at = pack->m_levels.at(node.number); at == 0)
        at = static_cast<std::uint8_t>(level);
}

/// Who needs the node needs what is below.
void Census::markBelow(Reference from, Node const& node)
{
    auto const* const pack = packOf(from.pack);
    auto const owner = pack->nodes[from.number];
    auto const level = pack->m_levels[from.number];
    for (auto const word : node) {
        auto const to = unpackReference(word);
        if (to.isZero())
            continue;
        if (level > 1) {
            if (to < from)
                mark(to, level - 1u, owner);
        } else if (auto* const below = packOf(to.pack); below && to.number < below->pageCount) {
            auto& known = below->pages.at(to.number);
            known = together(known, owner);
        }
    }
}

Census::Counted::Below Census::sumUp(Reference from, Node const& node)
{
    auto const level = packOf(from.pack)->m_levels[from.number];
    Counted::Below sum { nodeSize, true };
    for (auto const word : node) {
        auto const to = unpackReference(word);
        if (to.isZero())
            continue;
        auto const below = level > 1 ? to < from ? belowNode(to, level - 1u) : Counted::Below {} : belowPage(to);
        sum.size += below.size;
        sum.isWhole &= below.isWhole;
    }
    return sum;
}

Census::Counted::Below Census::belowNode(Reference node, unsigned level) const
{
    auto const* const pack = packOf(node.pack);
    if (!pack || node.number >= pack->nodeCount || pack->m_levels[node.number] != level)
        return {};
    return pack->m_below[node.number];
}

Census::Counted::Below Census::belowPage(Reference page) const
{
    auto const* const pack = packOf(page.pack);
    if (!pack || page.number >= pack->pageCount)
        return {};
    auto const frame = page.number / pagesPerFrame;
    bool const isBad = m_how.badFrames.contains(page.pack, frame) || m_how.unreadFrames.contains(page.pack, frame);
    return { pack->sizeOf(page.number), !isBad && pack->isStored[page.number] != 0 };
}

std::uint64_t Census::sizeOf(std::size_t tree) const
{
    std::uint64_t sum = 0;
    for (auto const& root : m_trees[tree])
        sum += belowNode(root.reference(), treeLevels(root.size)).size;
    return sum;
}

Result<> Census::checkWhole(std::size_t tree) const
{
    for (auto const& root : m_trees[tree]) {
        auto const level = treeLevels(root.size);
        if (!root.reference().isZero() && !belowNode(root.reference(), level).isWhole)
            return fail(damageOf(root.reference(), level).within(root.name));
    }
    return {};
}

bool Census::isWhole() const
{
    for (std::size_t tree = 0; tree < m_trees.size(); ++tree) {
        if (!checkWhole(tree))
            return false;
    }
    return true;
}

/// Of a tree that is known not to be whole.
Error Census::damageOf(Reference node, unsigned level) const
{
    if (auto const unread = m_unread.find(node.pack); unread != m_unread.end())
        return unread->second;
    auto const* const pack = packOf(node.pack);
    auto const say = [&](std::string const& what) {
        return Error { ErrorCode::Corrupt, fmt::format("pack {:08x} {}", node.pack, what), 0 };
    };
    if (!pack)
        return say("is missing or cannot be read");
    if (node.number >= pack->nodeCount)
        return say(fmt::format("does not have node {}", node.number));
    if (pack->m_levels[node.number] != level)
        return say(fmt::format("has a node {} at two heights", node.number));
    auto const words = m_store.node(node);
    if (!words)
        return words.error();
    for (auto const word : *words) {
        auto const to = unpackReference(word);
        if (to.isZero())
            continue;
        if (level == 1 && !belowPage(to).isWhole)
            return damageOfPage(to);
        if (level > 1 && !(to < node))
            return say(fmt::format("has a node {} that refers to what was written after it", node.number));
        if (level > 1 && !belowNode(to, level - 1).isWhole)
            return damageOf(to, level - 1);
    }
    return say(fmt::format("has changed beside us at node {}", node.number));
}

Error Census::damageOfPage(Reference page) const
{
    if (auto const unread = m_unread.find(page.pack); unread != m_unread.end())
        return unread->second;
    if (m_how.unreadFrames.contains(page.pack, page.number / pagesPerFrame))
        return m_how.whyNot.at(page.pack);
    auto const* const pack = packOf(page.pack);
    bool const isThere = pack && page.number < pack->pageCount && pack->isStored[page.number] != 0;
    auto const what = !pack ? "is missing or cannot be read"
        : isThere           ? fmt::format("is damaged at page {}", page.number)
                            : fmt::format("does not have page {}", page.number);
    return { ErrorCode::Corrupt, fmt::format("pack {:08x} {}", page.pack, what), 0 };
}

Result<std::set<std::uint32_t>> neededPacks(
    PageStore const& store, std::vector<MemoryRoot> const& roots, std::function<bool()> const& goOn)
{
    Census::How how;
    how.goOn = goOn;
    auto const census = TRY(Census::of(store, { roots }, std::move(how)));
    TRY(census.checkWhole(0));
    std::set<std::uint32_t> packs;
    for (auto const& [number, pack] : census.packs()) {
        if (!pack.pages.isEmpty() || !pack.nodes.isEmpty())
            packs.insert(number);
    }
    return packs;
}

}
