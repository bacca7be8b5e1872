#pragma once

#include "vmm/block/qcow2_refcounts.h"

#include <list>
#include <map>
#include <memory>
#include <set>

namespace vmm::qcow2 {

class Tables;

/// Which L2 tables of the images of a chain are in memory: however many files a disk stands on, as much as one may
/// have. On the disk's thread.
class TableCache {
public:
    struct Entry {
        Tables* owner;
        std::uint64_t l1Index;
    };
    using Place = std::list<Entry>::iterator;

    explicit TableCache(std::uint64_t most = 32u << 20) : m_most(most) { } // of 64 KiB each those of 256 GiB
    Place add(Tables& owner, std::uint64_t l1Index);
    void use(Place place) { m_byUse.splice(m_byUse.end(), m_byUse, place); }
    void remove(Place place);
    /// What has not been used for the longest goes, as far as its owners let it.
    void makeRoom(std::uint64_t bytes);
    /// All that `other` has; places stay what they are.
    void takeAll(TableCache& other);
    std::uint64_t most() const { return m_most; }
    std::uint64_t bytes() const { return m_bytes; }

private:
    std::uint64_t const m_most;
    std::uint64_t m_bytes = 0;
    std::list<Entry> m_byUse; // the longest unused first
};

/// Which host cluster holds which cluster of the disk: the L1 table and a cache of L2 tables (docs/interop/qcow2.txt,
/// section "Cluster mapping"). Changes happen in memory; a commit (Qcow2Image) writes them.
class Tables {
public:
    struct Table {
        AlignedBuffer entries { nullptr, std::free }; ///< as in the file: big-endian
        std::uint64_t hostOffset = 0;
        bool fresh = false;                             ///< its place in the file is new: nothing on disk points to it
        bool shared = false;                            ///< a snapshot uses it too: copied before it changes
        std::uint64_t dirtyBegin = ~0ULL, dirtyEnd = 0; ///< bytes
        bool listed = false;                            ///< in dirtyTables()
        TableCache::Place place;

        std::uint64_t get(std::uint64_t index) const
        {
            std::uint64_t value = 0;
            std::memcpy(&value, entries.get() + index * 8, 8);
            return __builtin_bswap64(value);
        }
        void set(std::uint64_t index, std::uint64_t value)
        {
            value = __builtin_bswap64(value);
            std::memcpy(entries.get() + index * 8, &value, 8);
            dirtyBegin = std::min(dirtyBegin, index * 8);
            dirtyEnd = std::max(dirtyEnd, index * 8 + 8);
        }
    };

    explicit Tables(File& file);
    ~Tables();
    Tables(Tables const&) = delete;
    Tables& operator=(Tables const&) = delete;
    Result<> open();

    /// The L2 table for a part of the disk, or nullptr where none is allocated.
    Result<Table*> find(std::uint64_t l1Index);
    /// The same, made or copied where it has to be. What it replaces is appended to `replaced` (a host offset).
    Result<Table*> forWriting(std::uint64_t l1Index, Refcounts& refcounts, std::vector<std::uint64_t>& replaced);

    std::shared_ptr<TableCache> const& cache() const { return m_cache; }
    /// Its tables count there from now on, and so do those of all others that it has shared its cache with.
    void join(std::shared_ptr<TableCache> const& cache);
    std::uint64_t tableBytes() const { return m_file.clusterSize(); }
    /// For the cache: unless the table is one of the last few, which may be in use, or not written yet.
    void letGo(std::uint64_t l1Index);

    std::vector<std::uint64_t> const& l1() const { return m_l1; }
    void noteDirty(Table& table);
    bool isOverLimit() const { return m_dirty.size() >= m_maximumDirty; }

    /// For a commit.
    std::vector<Table*> const& dirtyTables() const { return m_dirty; }
    std::set<std::uint64_t> const& dirtyL1Sectors() const { return m_dirtyL1; }
    /// 512 bytes of the L1 table as in the file.
    void encodeL1Sector(std::uint64_t sector, ByteSpan to) const;
    void markCommitted();

    /// Another L1 table, in whose place in the file the header has now. `rewritten`: the content of L2 tables that are
    /// cached and have become different, by L1 index.
    void adopt(std::vector<std::uint64_t> l1, std::map<std::uint64_t, AlignedBuffer> rewritten);
    /// An entry for each L2 table that is cached.
    std::map<std::uint64_t, AlignedBuffer> cached() const;

private:
    Result<std::unique_ptr<Table>> makeTable();
    Table* enter(std::uint64_t l1Index, std::unique_ptr<Table> table);
    void drop(std::uint64_t l1Index);

    File& m_file;
    std::vector<std::uint64_t> m_l1;
    std::vector<std::unique_ptr<Table>> m_tables; // by L1 index
    std::vector<Table*> m_dirty;
    std::set<std::uint64_t> m_dirtyL1;
    std::shared_ptr<TableCache> m_cache = std::make_shared<TableCache>();
    std::size_t m_loaded = 0, m_maximumDirty;
};

}
