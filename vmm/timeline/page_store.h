#pragma once

#include "vmm/timeline/pack.h"

#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace vmm::timeline {

/// Some frames of packs; a bit for each that the pack has.
class FrameSet {
public:
    void insert(Pack const& pack, std::uint32_t frame)
    {
        auto& bits = m_bits[pack.number()];
        bits.resize(pack.frames());
        bits[frame] = true;
    }
    void erase(Pack const& pack, std::uint32_t frame)
    {
        if (contains(pack.number(), frame))
            m_bits.at(pack.number())[frame] = false;
    }
    void erase(std::uint32_t pack) { m_bits.erase(pack); }
    bool contains(std::uint32_t pack, std::uint32_t frame) const
    {
        auto const bits = m_bits.find(pack);
        return bits != m_bits.end() && frame < bits->second.size() && bits->second[frame];
    }

private:
    std::map<std::uint32_t, std::vector<bool>> m_bits;
};

/// All packs of a timeline, and caches of what was read of them last. Reading: any thread. Writing (begin() to add(),
/// replace(), remove()): one at a time, which the caller sees to.
class PageStore {
public:
    PageStore(Folder& folder, std::uint64_t seed) : m_folder(folder), m_seed(seed) { }
    /// Finds the packs; `tidy` removes what an interrupted writer has left.
    Result<> open(bool tidy);

    std::uint64_t seed() const { return m_seed; }
    std::vector<std::uint32_t> packs() const;
    Result<std::shared_ptr<Pack const>> pack(std::uint32_t number) const;

    /// Corrupt, where the pack has the page no more.
    Result<PageHash> hash(Reference page) const;
    Result<Node> node(Reference node) const;
    /// As Pack::readFrame() has it. What cannot be read is remembered until it can.
    Result<> readFrame(Pack const& pack, std::uint32_t frame, ByteSpan pages) const;
    /// Whether the page is among what could not be read: nothing new refers to it but memory that has not come.
    bool isDamaged(Reference page) const;
    /// The pages of one frame, unpacked.
    struct Frame {
        std::uint32_t pack = 0, number = 0;
        std::shared_ptr<Bytes const> pages;
    };
    /// One page; Corrupt as hash() is. `last` is a frame that may have it, and becomes the one that has.
    Result<> readPage(Reference page, ByteSpan data, Frame& last) const;
    /// These will be read soon: the disk may begin. Any order.
    void readAhead(std::vector<Reference> pages) const;

    /// A pack with the next free number.
    Result<std::unique_ptr<PackWriter>> begin(int level = PackWriter::defaultLevel);
    /// That one is sealed.
    void add(std::uint32_t number);
    /// A sealed pack has taken the place of the one with its number.
    void replaced(std::uint32_t number);
    Result<> remove(std::uint32_t number);

    Folder& folder() const { return m_folder; }
    static constexpr std::size_t keptNodes = 1024; ///< nodes that node() gives again without reading

private:
    Result<std::shared_ptr<Bytes const>> frame(std::uint32_t pack, std::uint32_t number) const;

    static constexpr std::size_t openPacks = 64, keptFrames = 128, hashesAtOnce = 256, keptHashes = 256;
    using FrameData = std::shared_ptr<Bytes const>;

    /// What was used last, by a number; the least recently used goes first.
    template<typename Value>
    class Recent {
    public:
        explicit Recent(std::size_t most) : m_most(most) { }
        std::optional<Value> find(std::uint64_t key)
        {
            auto const found = m_places.find(key);
            if (found == m_places.end())
                return std::nullopt;
            m_order.splice(m_order.begin(), m_order, found->second);
            return found->second->second;
        }
        void put(std::uint64_t key, Value value)
        {
            erase(key);
            m_order.emplace_front(key, std::move(value));
            m_places[key] = m_order.begin();
            if (m_order.size() > m_most) {
                m_places.erase(m_order.back().first);
                m_order.pop_back();
            }
        }
        void erase(std::uint64_t key)
        {
            if (auto const found = m_places.find(key); found != m_places.end()) {
                m_order.erase(found->second);
                m_places.erase(found);
            }
        }
        void clear()
        {
            m_order.clear();
            m_places.clear();
        }

    private:
        std::size_t m_most;
        std::list<std::pair<std::uint64_t, Value>> m_order;
        std::unordered_map<std::uint64_t, typename std::list<std::pair<std::uint64_t, Value>>::iterator> m_places;
    };

    /// What is kept under the key, or else what `read` gives: kept from then on, unless a pack has changed meanwhile,
    /// for it may be of what that was before.
    template<typename Value, typename Read>
    Result<Value> recent(Recent<Value>& kept, std::uint64_t key, Read const& read) const;

    Folder& m_folder;
    std::uint64_t const m_seed;
    mutable std::mutex m_mutex;
    std::vector<std::uint32_t> m_packs; // sorted
    std::uint64_t m_changes = 0;        // of packs that were there, so far
    mutable Recent<std::shared_ptr<Pack const>> m_open { openPacks };
    mutable Recent<Node> m_nodes { keptNodes };
    mutable Recent<FrameData> m_frames { keptFrames };
    mutable Recent<std::shared_ptr<std::vector<PageHash> const>> m_hashes { keptHashes };
    mutable FrameSet m_damagedFrames;
};

}
