#include "vmm/timeline/moment_memory.h"

#include "vmm/base/log.h"

#include <algorithm>

namespace vmm::timeline {

namespace {

using Piece = SavedMemory::Piece;
using Block = SavedMemory::Block;
/// Bounds of what a set may have us do, whatever it says.
constexpr std::uint64_t maximumPiece = 2u << 20, maximumInAll = 1u << 30;

WorkingSet setOf(std::vector<Block> const& blocks, std::vector<Piece> const& pieces)
{
    WorkingSet set;
    for (auto const& block : blocks)
        set.blocks.push_back(block.name);
    for (auto const& piece : pieces) {
        if (set.pieces.size() == WorkingSet::maximumPieces * WorkingSet::pieceSize)
            break;
        for (auto const value : { std::uint64_t(piece.block), piece.offset / pageSize, piece.size / pageSize }) {
            auto const word = static_cast<std::uint32_t>(value);
            auto const bytes = bytesOf(word);
            set.pieces.insert(set.pieces.end(), bytes.begin(), bytes.end());
        }
    }
    return set;
}

/// As pieces of these blocks; what they do not have is left out, for the set may be of another moment.
std::vector<Piece> piecesOf(WorkingSet const& set, std::vector<Block> const& blocks)
{
    std::vector<Piece> pieces;
    std::uint64_t total = 0;
    for (std::size_t at = 0; at + WorkingSet::pieceSize <= set.pieces.size(); at += WorkingSet::pieceSize) {
        auto const word = [&](std::size_t index) {
            return loadLittle<std::uint32_t>(ConstByteSpan(set.pieces).subspan(at + 4 * index, 4));
        };
        auto const name = word(0);
        auto const found = std::find_if(blocks.begin(), blocks.end(),
            [&](auto const& block) { return name < set.blocks.size() && block.name == set.blocks[name]; });
        auto const offset = word(1) * pageSize, size = word(2) * pageSize;
        if (found == blocks.end() || size == 0 || size > maximumPiece || offset >= found->size
            || size > found->size - offset)
            continue;
        total += size;
        if (total <= maximumInAll)
            pieces.push_back({ static_cast<std::size_t>(found - blocks.begin()), offset, size });
    }
    return pieces;
}

}

Result<std::unique_ptr<MomentMemory>> MomentMemory::open(
    std::shared_ptr<Timeline const> timeline, std::string_view id, std::shared_ptr<Timeline> keeper)
{
    auto tree = TRY(timeline->memory(id));
    std::unique_ptr<MomentMemory> memory(new MomentMemory(std::move(timeline), std::string(id), std::move(tree)));
    memory->m_keeper = std::move(keeper);
    return memory;
}

MomentMemory::MomentMemory(std::shared_ptr<Timeline const> timeline, std::string id, MemoryTree tree)
    : m_timeline(std::move(timeline)), m_id(std::move(id)), m_tree(std::move(tree)), m_held(m_timeline->hold(m_tree))
{
    for (auto const& root : m_tree.roots())
        m_blocks.push_back({ root.name, root.size });
}

bool MomentMemory::holdsData(std::size_t block, std::uint64_t offset, std::uint64_t size) const
{
    return m_tree.holdsData(block, offset, size);
}

Result<> MomentMemory::read(std::size_t block, std::uint64_t offset, ByteSpan data) const
{
    return m_tree.read(block, offset, data);
}

std::optional<SavedMemory::Place> MomentMemory::file(std::size_t block) const
{
    return m_pager ? std::optional(Place { m_pager->file(), m_offsets[block] }) : std::nullopt;
}

Result<> MomentMemory::makeFiles(Listener const& listener)
{
    auto const& store = m_tree.store();
    auto const folder = store.folder().path();
    if (folder.empty())
        return fail(ErrorCode::Unsupported, "the timeline is in no folder of the host");
    PagerRequest request { store.seed(), m_tree.roots(), {} };
    for (auto const& piece : expected()) {
        PagerTouch const touch { static_cast<std::uint32_t>(piece.block),
            static_cast<std::uint32_t>(piece.offset / pageSize), static_cast<std::uint32_t>(piece.size / pageSize) };
        auto const bytes = bytesOf(touch);
        request.expected.insert(request.expected.end(), bytes.begin(), bytes.end());
    }
    readAhead(expected());
    m_offsets = pagerOffsets(m_tree.roots());
    m_pager = TRY(PagerProcess::start(folder, request, listener));
    return {};
}

std::vector<SavedMemory::Piece> MomentMemory::expected() const
{
    auto const set = m_timeline->workingSet(m_id);
    return set ? piecesOf(*set, m_blocks) : std::vector<Piece>();
}

void MomentMemory::readAhead(std::vector<Piece> const& pieces) const
{
    std::vector<Reference> pages;
    for (auto const& piece : pieces) {
        auto const known = pages.size();
        pages.resize(known + piece.size / pageSize);
        if (!m_tree.find(piece.block, piece.offset, std::span(pages).subspan(known)))
            return; // reading will say why
    }
    m_tree.store().readAhead(std::move(pages));
}

void MomentMemory::remember(std::vector<Piece> const& pieces)
{
    if (!m_keeper)
        return;
    if (auto const stored = m_keeper->setWorkingSet(m_id, setOf(m_blocks, pieces)); !stored)
        log(LogLevel::Info, "timeline", "what {} needed first is not kept: {}", m_id, stored.error().message());
}

}
