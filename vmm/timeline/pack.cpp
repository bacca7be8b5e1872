#include "vmm/timeline/pack.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <xxhash.h>
#include <zstd.h>

namespace vmm::timeline {

namespace {

constexpr std::string_view magic = "CHRONOPK";
constexpr std::uint32_t version = 1;
constexpr std::size_t headerSize = 64, footerSize = 64, storedNodeSize = 8 + nodeSize, hashSize = 16, placeSize = 16;
constexpr std::uint64_t readOver = 128u << 10;
constexpr std::size_t writeSize = 1u << 20;

std::uint64_t checksum(ConstByteSpan bytes, std::uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string temporaryName(std::uint32_t number)
{
    return packName(number) + ".new";
}

/// Of the header, then the footer up to its own place there.
std::uint64_t endsChecksum(ConstByteSpan header, ConstByteSpan footer, std::uint64_t seed)
{
    std::array<std::uint8_t, headerSize + footerSize - 16> both {};
    std::copy(header.begin(), header.end(), both.begin());
    std::copy_n(footer.begin(), footerSize - 16, both.begin() + headerSize);
    return checksum(both, seed);
}

std::array<std::uint8_t, headerSize> makeHeader(std::uint32_t number, std::uint64_t seed)
{
    std::array<std::uint8_t, headerSize> header {};
    std::copy(magic.begin(), magic.end(), header.begin());
    storeLittle(ByteSpan(header).subspan(8, 4), version);
    storeLittle(ByteSpan(header).subspan(12, 4), number);
    storeLittle(ByteSpan(header).subspan(16, 8), seed);
    return header;
}

std::array<std::uint8_t, storedNodeSize> storedNode(Node const& node, std::uint64_t seed)
{
    std::array<std::uint8_t, storedNodeSize> stored {};
    for (std::size_t i = 0; i < node.size(); ++i)
        storeLittle(ByteSpan(stored).subspan(8 + 8 * i, 8), node[i]);
    storeLittle(ByteSpan(stored).first(8), checksum(ConstByteSpan(stored).subspan(8), seed));
    return stored;
}

std::optional<Node> nodeFrom(ConstByteSpan stored, std::uint64_t seed)
{
    if (loadLittle<std::uint64_t>(stored) != checksum(stored.subspan(8), seed))
        return std::nullopt;
    Node node {};
    for (std::size_t i = 0; i < node.size(); ++i)
        node[i] = loadLittle<std::uint64_t>(stored.subspan(8 + 8 * i, 8));
    return node;
}

}

std::string packName(std::uint32_t number)
{
    return fmt::format("{}/{:08x}", packFolder, number);
}

// Reading

Error Pack::corrupt(std::string_view what) const
{
    return { ErrorCode::Corrupt, fmt::format("{}: {}", m_file->name(), what), 0 };
}

Result<std::uint64_t> seedOf(Folder const& folder, std::uint32_t number)
{
    auto const file = TRY(folder.open(packName(number)));
    std::array<std::uint8_t, headerSize> header {};
    TRY(file->read(0, header));
    auto const seed = loadLittle<std::uint64_t>(ConstByteSpan(header).subspan(16, 8));
    TRY(Pack::open(folder, number, seed));
    return seed;
}

Result<std::shared_ptr<Pack const>> Pack::open(Folder const& folder, std::uint32_t number, std::uint64_t seed)
{
    std::shared_ptr<Pack> pack(new Pack);
    pack->m_file = TRY(folder.open(packName(number)));
    pack->m_number = number;
    pack->m_seed = seed;
    pack->m_fileSize = TRY(pack->m_file->size());
    if (pack->m_fileSize < headerSize + footerSize)
        return fail(pack->corrupt("the file is too short for a pack"));

    std::array<std::uint8_t, headerSize> header {};
    std::array<std::uint8_t, footerSize> footer {};
    TRY(pack->m_file->read(0, header));
    TRY(pack->m_file->read(pack->m_fileSize - footerSize, footer));
    ConstByteSpan const head(header), foot(footer);
    if (!std::equal(magic.begin(), magic.end(), head.begin()))
        return fail(pack->corrupt("this is no pack"));
    if (auto const written = loadLittle<std::uint32_t>(head.subspan(8, 4)); written > version) {
        return fail(ErrorCode::VersionTooNew,
            fmt::format("{} has version {}, and {} is the latest known here", pack->m_file->name(), written, version));
    }
    if (!std::equal(magic.begin(), magic.end(), foot.end() - static_cast<std::ptrdiff_t>(magic.size())))
        return fail(pack->corrupt("the end is missing"));
    if (loadLittle<std::uint64_t>(foot.subspan(footerSize - 16, 8)) != endsChecksum(head, foot, seed)
        || !std::ranges::equal(header, makeHeader(number, seed)))
        return fail(pack->corrupt("the pack is damaged, or of another store"));

    pack->m_pages = loadLittle<std::uint32_t>(foot.subspan(0, 4));
    pack->m_nodes = loadLittle<std::uint32_t>(foot.subspan(4, 4));
    pack->m_nodesAt = loadLittle<std::uint64_t>(foot.subspan(8, 8));
    if (pack->m_pages > mostPages || pack->m_nodes > mostNodes)
        return fail(pack->corrupt("it says to have more than any machine has"));
    auto const tables = std::uint64_t(pack->m_nodes) * storedNodeSize + std::uint64_t(pack->m_pages) * hashSize
        + std::uint64_t(pack->frames()) * placeSize;
    auto const end = pack->m_fileSize - footerSize;
    if (pack->m_nodesAt < headerSize || pack->m_nodesAt > end || tables != end - pack->m_nodesAt)
        return fail(pack->corrupt("its parts do not fit the file"));
    pack->m_hashesAt = pack->m_nodesAt + std::uint64_t(pack->m_nodes) * storedNodeSize;
    pack->m_placesAt = pack->m_hashesAt + std::uint64_t(pack->m_pages) * hashSize;
    return pack;
}

std::uint32_t Pack::pagesIn(std::uint32_t frame) const
{
    return std::min(pagesPerFrame, m_pages - frame * pagesPerFrame);
}

Result<> Pack::readHashes(std::uint32_t first, std::span<PageHash> hashes) const
{
    if (first > m_pages || hashes.size() > m_pages - first)
        return fail(corrupt(fmt::format("there is no page {}", first)));
    // In place, for a search reads all there are.
    static_assert(sizeof(PageHash) == hashSize);
    TRY(m_file->read(m_hashesAt + std::uint64_t(first) * hashSize,
        { reinterpret_cast<std::uint8_t*>(hashes.data()), hashes.size_bytes() }));
    for (auto& hash : hashes)
        hash = { loadLittle<std::uint64_t>(bytesOf(hash.low)), loadLittle<std::uint64_t>(bytesOf(hash.high)) };
    return {};
}

Result<> Pack::readLengths(std::uint32_t first, std::span<std::uint32_t> lengths) const
{
    if (first > frames() || lengths.size() > frames() - first)
        return fail(corrupt(fmt::format("there is no frame {}", first)));
    Bytes places(lengths.size() * placeSize);
    TRY(m_file->read(m_placesAt + std::uint64_t(first) * placeSize, places));
    for (std::size_t i = 0; i < lengths.size(); ++i)
        lengths[i] = loadLittle<std::uint32_t>(ConstByteSpan(places).subspan(i * placeSize + 8, 4));
    return {};
}

Result<> Pack::readStored(std::uint32_t frame, Bytes& stored) const
{
    if (frame >= frames())
        return fail(corrupt(fmt::format("there is no frame {}", frame)));
    std::array<std::uint8_t, placeSize> place {};
    TRY(m_file->read(m_placesAt + std::uint64_t(frame) * placeSize, place));
    auto const offset = loadLittle<std::uint64_t>(place);
    auto const length = loadLittle<std::uint32_t>(ConstByteSpan(place).subspan(8, 4));
    if (offset < headerSize || offset > m_nodesAt || length > m_nodesAt - offset || length > maximumFrameSize)
        return fail(corrupt(fmt::format("frame {} is not where it can be", frame)));
    stored.resize(length);
    return m_file->read(offset, stored);
}

Result<> Pack::readFrame(std::uint32_t frame, ByteSpan pages) const
{
    thread_local Bytes stored; // a frame's worth, for each thread that reads
    TRY(readStored(frame, stored));
    auto const count = pagesIn(frame);
    assert(pages.size() == count * pageSize);
    if (stored.size() == pages.size()) {
        std::copy(stored.begin(), stored.end(), pages.begin());
    } else {
        auto const size = ZSTD_decompress(pages.data(), pages.size(), stored.data(), stored.size());
        if (ZSTD_isError(size) != 0 || size != pages.size())
            return fail(corrupt(fmt::format("frame {} cannot be unpacked", frame)));
    }
    std::array<PageHash, pagesPerFrame> hashes {};
    TRY(readHashes(frame * pagesPerFrame, std::span(hashes).first(count)));
    for (std::uint32_t i = 0; i < count; ++i) {
        auto const page = pages.subspan(i * pageSize, pageSize);
        if (hashes[i] == PageHash {})
            std::fill(page.begin(), page.end(), std::uint8_t(0));
        else if (hashOf(page, m_seed) != hashes[i])
            return fail(corrupt(fmt::format("page {} is damaged", frame * pagesPerFrame + i)));
    }
    return {};
}

void Pack::readAhead(std::vector<std::uint32_t> const& numbers) const
{
    if (numbers.empty() || numbers.back() >= frames())
        return;
    constexpr std::uint32_t atOnce = 4096; // whose places are read
    Bytes places;
    std::uint64_t from = 0, to = 0;
    std::uint32_t first = 0, end = 0;
    for (auto const number : numbers) {
        if (number >= end) {
            first = number;
            end = std::min(first + atOnce, frames());
            places.resize((end - first) * placeSize);
            if (!m_file->read(m_placesAt + std::uint64_t(first) * placeSize, places))
                return;
        }
        auto const place = ConstByteSpan(places).subspan((number - first) * placeSize, placeSize);
        auto const offset = loadLittle<std::uint64_t>(place);
        auto const length = loadLittle<std::uint32_t>(place.subspan(8, 4));
        if (offset > m_nodesAt || length > m_nodesAt - offset)
            return; // reading will say so
        // What lies between two of them is read faster than it is left out.
        if (offset < from || offset > to + readOver) {
            m_file->readAhead(from, to - from);
            from = offset;
        }
        to = std::max(to, offset + length);
    }
    m_file->readAhead(from, to - from);
}

Result<Node> Pack::readNode(std::uint32_t number) const
{
    if (number >= m_nodes)
        return fail(corrupt(fmt::format("there is no node {}", number)));
    std::array<std::uint8_t, storedNodeSize> stored {};
    TRY(m_file->read(m_nodesAt + std::uint64_t(number) * storedNodeSize, stored));
    auto const node = nodeFrom(stored, m_seed);
    return node ? Result<Node>(*node) : fail(corrupt(fmt::format("node {} is damaged", number)));
}

Result<> Pack::readNodes(std::uint32_t first, std::span<std::optional<Node>> nodes) const
{
    assert(first <= m_nodes && nodes.size() <= m_nodes - first);
    Bytes stored(nodes.size() * storedNodeSize);
    auto const whole = m_file->read(m_nodesAt + std::uint64_t(first) * storedNodeSize, stored);
    Result<> outcome;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (whole) {
            nodes[i] = nodeFrom(ConstByteSpan(stored).subspan(i * storedNodeSize, storedNodeSize), m_seed);
            continue;
        }
        auto const one = readNode(first + static_cast<std::uint32_t>(i));
        if (one)
            nodes[i] = *one;
        else if (outcome)
            outcome = fail(one.error());
    }
    return outcome;
}

// Writing

struct PackWriter::Compressor {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ~Compressor() { ZSTD_freeCCtx(context); }
};

PackWriter::PackWriter(Folder& folder, std::uint32_t number, std::uint64_t seed)
    : m_folder(folder), m_number(number), m_seed(seed), m_compressor(std::make_unique<Compressor>())
{
}

Result<std::unique_ptr<PackWriter>> PackWriter::create(
    Folder& folder, std::uint32_t number, std::uint64_t seed, int level)
{
    std::unique_ptr<PackWriter> writer(new PackWriter(folder, number, seed));
    ZSTD_CCtx_setParameter(writer->m_compressor->context, ZSTD_c_compressionLevel, level);
    writer->m_file = TRY(folder.create(temporaryName(number)));
    TRY(writer->append(makeHeader(number, seed)));
    return writer;
}

PackWriter::~PackWriter()
{
    if (m_file && !m_sealed)
        ignore(m_folder.remove(temporaryName(m_number)));
}

Result<> PackWriter::flush()
{
    auto const written = m_file->append(m_buffer);
    m_buffer.clear();
    return written;
}

Result<> PackWriter::append(ConstByteSpan bytes)
{
    m_buffer.insert(m_buffer.end(), bytes.begin(), bytes.end());
    m_offset += bytes.size();
    return m_buffer.size() >= writeSize ? flush() : Result<>();
}

Result<std::uint32_t> PackWriter::addPage(ConstByteSpan page, PageHash hash)
{
    assert(page.size() == pageSize);
    if (hash == PageHash {})
        m_frame.resize(m_frame.size() + pageSize);
    else
        m_frame.insert(m_frame.end(), page.begin(), page.end());
    m_hashes.push_back(hash);
    if (m_frame.size() == maximumFrameSize)
        TRY(finishFrame());
    return pages() - 1;
}

Result<> PackWriter::finishFrame()
{
    if (m_frame.empty())
        return {};
    m_compressed.resize(ZSTD_compressBound(maximumFrameSize));
    auto const size = ZSTD_compress2(
        m_compressor->context, m_compressed.data(), m_compressed.size(), m_frame.data(), m_frame.size());
    if (ZSTD_isError(size) != 0)
        return fail(ErrorCode::OutOfMemory, fmt::format("cannot compress memory: {}", ZSTD_getErrorName(size)));
    auto const stored = size < m_frame.size() ? ConstByteSpan(m_compressed).first(size) : ConstByteSpan(m_frame);
    m_frames.push_back({ m_offset, static_cast<std::uint32_t>(stored.size()) });
    TRY(append(stored));
    m_frame.clear();
    return {};
}

Result<> PackWriter::addStoredFrame(ConstByteSpan stored, std::span<PageHash const> hashes)
{
    assert(m_frame.empty() && m_hashes.size() % pagesPerFrame == 0);
    m_frames.push_back({ m_offset, static_cast<std::uint32_t>(stored.size()) });
    m_hashes.insert(m_hashes.end(), hashes.begin(), hashes.end());
    return append(stored);
}

std::uint32_t PackWriter::addNode(Node const& node)
{
    m_nodes.push_back(node);
    return static_cast<std::uint32_t>(m_nodes.size()) - 1;
}

Result<> PackWriter::seal()
{
    TRY(finishFrame());
    std::array<std::uint8_t, footerSize> footer {};
    ByteSpan const foot(footer);
    storeLittle(foot.subspan(0, 4), pages());
    storeLittle(foot.subspan(4, 4), static_cast<std::uint32_t>(m_nodes.size()));
    storeLittle(foot.subspan(8, 8), m_offset);
    storeLittle(foot.subspan(footerSize - 16, 8), endsChecksum(makeHeader(m_number, m_seed), footer, m_seed));
    std::copy(magic.begin(), magic.end(), footer.end() - static_cast<std::ptrdiff_t>(magic.size()));

    for (auto const& node : m_nodes)
        TRY(append(storedNode(node, m_seed)));
    for (auto const& hash : m_hashes) {
        TRY(append(bytesOf(hash.low)));
        TRY(append(bytesOf(hash.high)));
    }
    for (auto const& frame : m_frames) {
        std::array<std::uint8_t, placeSize> place {};
        storeLittle(ByteSpan(place).first(8), frame.offset);
        storeLittle(ByteSpan(place).subspan(8, 4), frame.length);
        TRY(append(place));
    }
    TRY(append(footer));
    TRY(flush());
    TRY(m_file->sync());
    TRY(m_folder.rename(temporaryName(m_number), packName(m_number)));
    m_sealed = true;
    return m_folder.sync(packFolder);
}

}
