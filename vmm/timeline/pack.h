#pragma once

#include "vmm/base/result.h"
#include "vmm/timeline/folder.h"
#include "vmm/timeline/page_hash.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A pack: a file of pages of memory, and of nodes of the trees that say where they belong. Written once, by one
/// moment, and then only ever replaced whole. All integers are little-endian.
///
/// part   | at           | what
/// ------ | ------------ | -----------------------------------------------------------------------------------------
/// header | 0, 64 bytes  | "CHRONOPK", version (4), number of the pack (4), seed of the store (8), zeros
/// frames | 64           | 16 pages each, the last one fewer; packed by zstd, or as they are where that is shorter
/// nodes  | after them   | 520 bytes each: XXH3-64 of the rest with the seed, 64 words
/// hashes | after them   | 16 bytes a page: PageHash low, high; all zeros: the page was left out
/// places | after them   | 16 bytes a frame: offset (8), length (4), zeros (4)
/// footer | the last 64  | number of pages (4), of nodes (4), offset of the nodes (8), zeros, XXH3-64 of header and
///        |              | footer without this with the seed (8), "CHRONOPK"
///
/// A node refers only to nodes before it: of a lower number, or in packs of a lower one.
///
/// Nothing else has a checksum, for a page is compared with its hash whenever it is read, and so any damage shows
/// there.
namespace vmm::timeline {

constexpr std::size_t nodeSize = 512;
constexpr std::uint32_t pagesPerFrame = 16;
constexpr std::size_t wordsPerNode = nodeSize / 8;
using Node = std::array<std::uint64_t, wordsPerNode>;
/// A frame's bytes in the file, at most.
constexpr std::size_t maximumFrameSize = pagesPerFrame * pageSize;

constexpr char const* packFolder = "packs";
/// "packs/0000002a".
std::string packName(std::uint32_t number);

/// The seed of the store that a pack belongs to, as it says itself; Corrupt where its ends do not bear it out.
Result<std::uint64_t> seedOf(Folder const& folder, std::uint32_t number);

/// A pack that is whole. Any thread.
class Pack {
public:
    /// What one can have: the largest machine has half as many pages, and a leaf for each 64 of them.
    static constexpr std::uint32_t mostPages = 1u << 29, mostNodes = mostPages / 32;

    /// Looks at header and footer. Corrupt, VersionTooNew, or what the host says.
    static Result<std::shared_ptr<Pack const>> open(Folder const& folder, std::uint32_t number, std::uint64_t seed);

    std::uint32_t number() const { return m_number; }
    std::uint32_t pages() const { return m_pages; }
    std::uint32_t nodes() const { return m_nodes; }
    std::uint32_t frames() const { return m_pages / pagesPerFrame + (m_pages % pagesPerFrame != 0 ? 1 : 0); }
    std::uint64_t fileSize() const { return m_fileSize; }
    StoredFile const& file() const { return *m_file; }

    /// The hashes of pages from `first` on.
    Result<> readHashes(std::uint32_t first, std::span<PageHash> hashes) const;
    /// How many bytes each frame from `first` on takes in the file.
    Result<> readLengths(std::uint32_t first, std::span<std::uint32_t> lengths) const;
    /// The pages of a frame, each compared with its hash; as many as the frame has, one behind the other.
    Result<> readFrame(std::uint32_t frame, ByteSpan pages) const;
    /// The frame as it is in the file.
    Result<> readStored(std::uint32_t frame, Bytes& stored) const;
    /// These frames, in ascending order, will be read soon.
    void readAhead(std::vector<std::uint32_t> const& frames) const;
    Result<Node> readNode(std::uint32_t number) const;
    /// Those from `first` on; nothing in place of one that cannot be read, and why the first one could not that is not
    /// known to be damaged.
    Result<> readNodes(std::uint32_t first, std::span<std::optional<Node>> nodes) const;
    /// How many pages a frame has.
    std::uint32_t pagesIn(std::uint32_t frame) const;

private:
    Pack() = default;
    Error corrupt(std::string_view what) const;

    std::shared_ptr<StoredFile const> m_file;
    std::uint64_t m_fileSize = 0, m_seed = 0;
    std::uint32_t m_number = 0, m_pages = 0, m_nodes = 0;
    std::uint64_t m_nodesAt = 0, m_hashesAt = 0, m_placesAt = 0;
};

/// Writes a pack under a temporary name; seal() makes it durable under its own. Destroyed before that it leaves
/// nothing.
class PackWriter {
public:
    /// Compression level of zstd.
    static constexpr int defaultLevel = 1;

    static Result<std::unique_ptr<PackWriter>> create(
        Folder& folder, std::uint32_t number, std::uint64_t seed, int level = defaultLevel);
    ~PackWriter();
    PackWriter(PackWriter const&) = delete;
    PackWriter& operator=(PackWriter const&) = delete;

    /// Returns the page's number. A hash of zeros: the page is left out.
    Result<std::uint32_t> addPage(ConstByteSpan page, PageHash hash);
    /// Returns the node's number.
    std::uint32_t addNode(Node const& node);
    /// A whole frame as another pack stores it. Not within a frame that addPage() has begun.
    Result<> addStoredFrame(ConstByteSpan stored, std::span<PageHash const> hashes);

    std::uint32_t pages() const { return static_cast<std::uint32_t>(m_hashes.size()); }
    std::uint32_t number() const { return m_number; }
    bool isEmpty() const { return m_hashes.empty() && m_nodes.empty(); }
    /// Of the pages so far.
    std::span<PageHash const> hashes() const { return m_hashes; }
    /// Bytes so far.
    std::uint64_t size() const { return m_offset + nodeSize * m_nodes.size(); }

    /// Replaces what has the name.
    Result<> seal();

private:
    PackWriter(Folder& folder, std::uint32_t number, std::uint64_t seed);
    Result<> finishFrame();
    Result<> append(ConstByteSpan bytes);
    Result<> flush();

    Folder& m_folder;
    std::uint32_t m_number;
    std::uint64_t m_seed;
    std::unique_ptr<NewFile> m_file;
    bool m_sealed = false;
    std::uint64_t m_offset = 0; // where the next byte goes, those in m_buffer counted
    Bytes m_buffer, m_frame, m_compressed;
    struct Frame {
        std::uint64_t offset;
        std::uint32_t length;
    };
    std::vector<Frame> m_frames;
    std::vector<PageHash> m_hashes;
    std::vector<Node> m_nodes;
    struct Compressor;
    std::unique_ptr<Compressor> m_compressor;
};

}
