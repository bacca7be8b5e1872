#pragma once

#include "vmm/block/qcow2_tables.h"

#include <deque>

namespace vmm {

/// A qcow2 disk, read and written. Requests are cut into runs of clusters:
/// - what is mapped and not shared goes to the file at once, adjacent clusters as one transfer;
/// - what needs a new cluster is an Allocation: read what the write leaves of the cluster, write the new cluster, then
///   enter it into the L2 table. Another request for the same cluster waits for that;
/// - tables change in memory. A commit, begun by a flush, writes them so that a crash at any instant leaves at worst
///   clusters that nobody uses: (A) refcounts and new tables, made durable together with the data; (B) the entries that
///   point to them, made durable. Clusters that lost their last entry are free after B, and when no transfer is in
///   flight that began before. While a commit runs, entries do not change: what would change them waits.
class Qcow2Image final : public BlockImage {
public:
    static Result<std::unique_ptr<Qcow2Image>> open(
        IoEngine& engine, std::unique_ptr<BlockFile> file, ImageOptions const& options, OpenBacking const& openBacking);
    ~Qcow2Image() override;

    Result<> flushSync() override;
    ImageInfo info() const override;
    void replaceBacking(std::unique_ptr<BlockImage> backing) override;
    void shareTables(std::shared_ptr<qcow2::TableCache> const& cache) override;
    Result<Mapping> map(std::uint64_t offset, std::uint64_t length) override;
    Result<> readCompressed(Mapping const& mapping, std::uint64_t offset, ByteSpan data) override;

    Result<std::vector<DiskSnapshot>> snapshots() override;
    Result<> prepareSnapshot() override;
    Result<> takeSnapshot(DiskSnapshot const& snapshot) override;
    Result<> applySnapshot(std::string_view id) override;
    Result<> deleteSnapshot(std::string_view id) override;
    bool workWhenIdle() override;
    Result<> changeBacking(std::string const& name, std::unique_ptr<BlockImage> backing) override;
    Result<> checkGrowth(std::uint64_t size) const override;

private:
    using Entry = qcow2::Entry;
    using Table = qcow2::Tables::Table;

    /// New clusters on their way into the L2 table.
    struct Allocation {
        BlockRequest* request = nullptr;
        std::uint64_t start = 0, clusters = 0; ///< on the disk: bytes, count
        std::uint64_t hostOffset = 0;
        bool ownClusters = true;          ///< taken for this, to be given back when it fails
        std::uint64_t head = 0, tail = 0; ///< bytes around the request's, to be written too
        AlignedBuffer headData { nullptr, std::free }, tailData { nullptr, std::free }; ///< empty: zeros
        std::uint64_t payloadOffset = 0; ///< of the request's data, from `hostOffset`
        std::uint64_t payloadLength = 0;
        std::vector<iovec> payload;
        std::size_t reads = 0;
        std::optional<Error> error;
        Allocation* next = nullptr;
    };

    /// A cluster that lost an entry.
    struct Unlinked {
        std::uint64_t cluster = 0;
        std::uint64_t sequence = 0; ///< transfers before this one may still go there
        bool giveBack = false;      ///< the guest discarded it: the host gets the space
    };

    struct Commit {
        enum class Stage : std::uint8_t { Idle, Tables, TablesSync, Entries, EntriesSync };
        Stage stage = Stage::Idle;
        std::size_t writes = 0;
        std::optional<Error> error;
        std::vector<BlockRequest*> flushes;
        std::vector<qcow2::Refcounts::DirtyBlock> blocks;
        std::vector<AlignedBuffer> l1Sectors;
        std::size_t unlinked = 0; ///< as many of m_unlinked are free when it has succeeded
    };

    enum class Step : std::uint8_t { Advanced, Wait, WaitForCommit };

    Qcow2Image(
        IoEngine& engine, std::unique_ptr<BlockFile> file, bool readOnly, qcow2::Header header, std::uint64_t fileSize)
        : BlockImage(engine, std::move(file), readOnly),
          m_qcow(*m_file, std::move(header), fileSize),
          m_refcounts(m_qcow),
          m_tables(m_qcow),
          m_compressedData(nullptr, std::free)
    {
    }

    std::uint64_t clusterSize() const { return m_qcow.clusterSize(); }
    std::uint64_t bytesPerTable() const { return clusterSize() * m_qcow.header().l2Entries(); }
    std::uint64_t l1Index(std::uint64_t offset) const { return offset / bytesPerTable(); }
    std::uint64_t l2Index(std::uint64_t offset) const { return offset % bytesPerTable() / clusterSize(); }

    Result<> openForWriting();
    Result<> repair();

    // qcow2_write.cpp
    void start(BlockRequest& request) override;
    Result<> beforeFirstWrite();
    void proceed(BlockRequest& request);
    Result<Step> stepWrite(BlockRequest& request, std::uint64_t limit);
    Result<Step> stepZero(BlockRequest& request);
    Result<Step> zeroClusters(BlockRequest& request, std::uint64_t clusters);
    Result<Step> writeInPlace(BlockRequest& request, Table const& table, Entry const& entry, std::uint64_t limit);
    Result<Step> allocate(BlockRequest& request, Table const* table, Entry const& entry, std::uint64_t limit);
    std::uint64_t countToAllocate(Table const* table, Entry const& first, std::uint64_t start, std::uint64_t most);
    bool mustCommit() const;
    void takePayload(BlockRequest& request, std::uint64_t length, std::vector<iovec>& to);
    Allocation& makeAllocation();
    Result<bool> readsAsZeros(std::uint64_t offset, std::uint64_t length);
    Result<> readOld(Allocation& allocation, std::uint64_t offset, std::uint64_t length, AlignedBuffer& to);
    Result<> readOldAround(Allocation& allocation, std::uint64_t offset, bool fresh);
    void oldDataRead(Transfer& transfer, int error);
    void writeAllocation(Allocation& allocation);
    void allocationWritten(Transfer& transfer, int error);
    void link(Allocation& allocation);
    void endAllocation(Allocation& allocation, std::optional<Error> error);
    void writtenInPlace(Transfer& transfer, int error);
    bool isAllocating(std::uint64_t offset) const;
    void wakeWaiting();
    void unlink(Entry const& entry, bool giveBack);

    // qcow2_commit.cpp
    void startCommit();
    void writeEntries();
    void commitWritten(Transfer& transfer, int error);
    void commitSync(Commit::Stage stage);
    void continueCommit();
    void finishCommit(std::optional<Error> error);
    std::optional<Error> problemBelow();
    void submitCommitWrite(std::uint64_t offset, std::uint8_t* data, std::uint64_t length);
    void freeUnlinked();
    void giveBack(qcow2::Refcounts::Run const& run);

    // qcow2_backing.cpp
    Result<> nameBacking(std::string const& name, std::string const& format);

    // qcow2_grow.cpp
    Result<> growTo(std::uint64_t size) override;
    Result<> enlargeL1(std::uint64_t entries);
    Result<> zeroFrom(std::uint64_t offset);
    Result<> writeSize();

    // qcow2_snapshots.cpp
    struct Change;
    Result<> claimTables(qcow2::Header const& header, std::vector<std::uint64_t> const& refcountTable,
        std::vector<std::uint64_t> const& l1, std::vector<qcow2::Snapshot> const& snapshots);
    Result<> openAtSnapshot(std::string const& id);
    Result<> beginChange();
    Result<> finishChange(Change& change);

    qcow2::File m_qcow;
    qcow2::Refcounts m_refcounts;
    qcow2::Tables m_tables;
    bool m_prepared = false;   ///< beforeFirstWrite() was done
    bool m_unsynced = false;   ///< something was written since the last sync began
    bool m_canGiveBack = true; ///< until the host said that it cannot

    std::vector<std::unique_ptr<Allocation>> m_allocationPool;
    Allocation* m_freeAllocations = nullptr;
    std::vector<Allocation*> m_allocations; ///< in progress
    std::vector<Allocation*> m_toLink;      ///< written, waiting for the end of a commit

    struct Waiting {
        BlockRequest* request;
        bool forCommit;
    };
    std::vector<Waiting> m_waiting;
    std::vector<BlockRequest*> m_flushes; ///< for the next commit
    std::vector<Unlinked> m_unlinked;
    std::vector<std::uint64_t> m_replacedTables;

    Commit m_commit;
    std::size_t m_unlinkedDurably = 0;
    std::deque<qcow2::Refcounts::Run> m_toGiveBack; ///< were free once; see workWhenIdle()

    AlignedBuffer m_compressedData; ///< the cluster that was unpacked last
    std::uint64_t m_compressedKey = 0;
};

}
