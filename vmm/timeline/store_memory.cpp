#include "vmm/base/give_way.h"
#include "vmm/memory/anonymous_memory.h"
#include "vmm/timeline/memory_tree.h"
#include "vmm/timeline/page_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <condition_variable>
#include <sys/mman.h>
#include <thread>

/// Storing memory that holds still. One thread reads it, as fast as it can, for the guest pays for what is not read
/// yet; another looks for what has changed among all that is stored, and compresses what is new.
namespace vmm::timeline {

namespace {

constexpr std::uint64_t leafSize = pagesPerLeaf * pageSize;
/// Let go of at once: a large page of the host.
constexpr std::uint64_t granule = AnonymousMemory::largePageSize;
constexpr std::size_t pagesPerBatch = 8192;
/// How much waits to be compressed, at most: this part of the memory, in batches.
constexpr std::uint64_t waitingShare = 8;
constexpr std::size_t fewestBatches = 2, mostBatches = 32;
constexpr std::chrono::milliseconds patience { 20 };

/// Of so many bytes of memory.
std::size_t batchesFor(std::uint64_t memory)
{
    return std::clamp<std::size_t>(memory / waitingShare / (pagesPerBatch * pageSize), fewestBatches, mostBatches);
}

Result<AnonymousMemory> memoryOfBatch()
{
    return AnonymousMemory::create(pagesPerBatch * pageSize, "what a moment has changed");
}

/// MADV_POPULATE_WRITE (Linux 5.14, include/uapi/asm-generic/mman-common.h), unknown to glibc 2.36. False: not now, or
/// never.
bool obtain(ByteSpan memory)
{
    constexpr int populateWrite = 23;
    return ::madvise(memory.data(), memory.size(), populateWrite) == 0;
}

Error cancelled()
{
    return { ErrorCode::Cancelled, "keeping the moment was cancelled", 0 };
}

/// The tree of one block, old and new.
class BlockTree {
public:
    BlockTree(PageStore const& store, std::uint64_t size, Reference base)
        : m_store(store),
          m_size(size),
          m_base(base),
          m_leaves(alignUp(size, leafSize) / leafSize),
          m_fresh(m_leaves.size()),
          m_changedLately(alignUp(size, granule) / granule)
    {
        findLeaves(topLevel(), 0, base);
        for (std::size_t i = 0; i < m_leaves.size(); ++i) {
            if (!m_leaves[i].isZero() && m_leaves[i].pack == base.pack)
                m_changedLately[i * leafSize / granule] = true;
        }
    }

    std::uint64_t size() const { return m_size; }
    Reference& leaf(std::uint64_t index) { return m_leaves[index]; }
    /// Instead of what is there. Stays where it is; its words may be written to until store().
    Node& replaceLeaf(std::uint64_t index, Node const& node)
    {
        m_fresh[index] = std::make_unique<Node>(node);
        return *m_fresh[index];
    }

    /// Whether something in a granule changed when something last changed in the block. Stays so.
    bool hasChangedLately(std::uint64_t number) const { return m_changedLately[number]; }

    /// What cannot be read any more is as if it had never been: a damaged moment must not keep the next from being
    /// taken.
    Node oldNode(Reference base) const
    {
        auto const node = base.isZero() ? Result<Node>(Node {}) : m_store.node(base);
        return node ? *node : Node {};
    }

    Reference store(PackWriter& writer) const { return subtree(writer, topLevel(), 0, m_base); }

private:
    unsigned topLevel() const { return treeLevels(m_size) - 1; }
    /// How many leaves there are below a node of that level.
    static std::uint64_t leavesBelow(unsigned level) { return pagesPerEntry(level); }

    void findLeaves(unsigned level, std::uint64_t first, Reference node)
    {
        if (first >= m_leaves.size() || node.isZero())
            return;
        if (level == 0) {
            m_leaves[first] = node;
            return;
        }
        auto const words = oldNode(node);
        for (std::size_t i = 0; i < words.size(); ++i)
            findLeaves(level - 1, first + i * leavesBelow(level - 1), unpackReference(words[i]));
    }

    Reference subtree(PackWriter& writer, unsigned level, std::uint64_t first, Reference base) const
    {
        if (first >= m_leaves.size())
            return {};
        if (level == 0)
            return m_fresh[first] ? added(writer, *m_fresh[first]) : m_leaves[first];
        auto const old = oldNode(base);
        Node fresh {};
        for (std::size_t i = 0; i < fresh.size(); ++i) {
            fresh[i] = packReference(
                subtree(writer, level - 1, first + i * leavesBelow(level - 1), unpackReference(old[i])));
        }
        return fresh == old && fresh != Node {} ? base : added(writer, fresh);
    }

    static Reference added(PackWriter& writer, Node const& node)
    {
        return node == Node {} ? Reference {} : Reference { writer.number(), writer.addNode(node) };
    }

    PageStore const& m_store;
    std::uint64_t m_size;
    Reference m_base;
    std::vector<Reference> m_leaves;
    std::vector<std::unique_ptr<Node>> m_fresh; // null: as it was
    std::vector<bool> m_changedLately;          // of the granules
};

/// A page that is not what it was at the moment before.
struct Changed {
    std::size_t page; // of the leaf or the batch that it is in
    PageHash hash;
    std::uint64_t* word; // that will refer to it
};

/// Compares what was read of a leaf with what there was, page by page, as far as it is not `away`: of such a page
/// `fresh` has the reference. Adds what has changed; the first page is number `first` there. Any thread, each leaf
/// once.
void compare(PageStore const& store, BlockTree& tree, std::uint64_t index, ConstByteSpan data, std::uint64_t away,
    Node fresh, std::size_t first, std::vector<Changed>& changed)
{
    auto const holds = [&store](Reference page, PageHash hash) {
        auto const known = page.isZero() ? Result<PageHash>(PageHash {}) : store.hash(page);
        return known && *known == hash && !store.isDamaged(page);
    };
    auto& leaf = tree.leaf(index);
    auto const old = tree.oldNode(leaf);
    auto const before = changed.size();
    for (std::size_t i = 0; i < data.size() / pageSize; ++i) {
        auto const page = data.subspan(i * pageSize, pageSize);
        if ((away >> i & 1) != 0 || isZero(page))
            continue;
        auto const hash = hashOf(page, store.seed());
        if (holds(unpackReference(old[i]), hash))
            fresh[i] = old[i];
        else
            changed.push_back({ first + i, hash, nullptr });
    }
    if (changed.size() == before && fresh == Node {}) {
        leaf = {};
    } else if (changed.size() != before || fresh != old) {
        auto& node = tree.replaceLeaf(index, fresh);
        for (auto& page : std::span(changed).subspan(before))
            page.word = &node[page.page - first];
    }
}

/// Pages on their way: those that have changed, or whole leaves of which that is not known yet.
struct Batch {
    struct Leaf {
        BlockTree* tree;
        std::uint64_t index;
        std::size_t firstPage, pages; // here
    };
    AnonymousMemory memory;
    std::vector<Changed> changed;
    std::vector<Leaf> leaves; // not compared yet
    std::size_t pages = 0;    // in its memory

    bool hasSpaceFor(std::size_t more) const { return pages + more <= pagesPerBatch; }
    ByteSpan at(std::size_t page, std::size_t count) const
    {
        return memory.bytes().subspan(page * pageSize, count * pageSize);
    }
    void add(ConstByteSpan page, Changed const& what)
    {
        std::ranges::copy(page, at(pages, 1).begin());
        changed.push_back({ pages++, what.hash, what.word });
    }
    void add(BlockTree& tree, std::uint64_t index, std::size_t count)
    {
        leaves.push_back({ &tree, index, pages, count });
        pages += count;
    }
};

/// Stores batches of pages on a thread of its own, each page once, and compares before what is not compared yet.
class PageSink {
public:
    PageSink(PageStore const& store, PackWriter& writer, std::size_t batches, Room room)
        : m_store(store), m_writer(writer), m_room(std::move(room)), m_batchesLeft(batches), m_thread([this] {
              main();
          })
    {
    }
    /// What is not stored yet will not be.
    ~PageSink()
    {
        m_stop = true;
        end();
        m_thread.join();
    }

    using Waiting = std::function<Result<>()>;
    /// An empty batch; asks `waiting` now and then whether to go on, while there is none.
    Result<std::unique_ptr<Batch>> batch(Waiting const& waiting)
    {
        std::unique_lock lock(m_mutex);
        if (m_free.empty() && m_batchesLeft > 0) {
            --m_batchesLeft;
            auto fresh = std::make_unique<Batch>();
            if (m_room.empty()) {
                fresh->memory = TRY(memoryOfBatch());
            } else {
                fresh->memory = std::move(m_room.back());
                m_room.pop_back();
            }
            return fresh;
        }
        TRY(waitUntil(lock, waiting, [this] { return !m_free.empty(); }));
        auto batch = std::move(m_free.back());
        m_free.pop_back();
        return batch;
    }

    /// An empty batch whose memory the host has given already; null: none is there now.
    std::unique_ptr<Batch> batchAtOnce()
    {
        std::lock_guard const lock(m_mutex);
        if (!m_free.empty()) {
            auto batch = std::move(m_free.back());
            m_free.pop_back();
            return batch;
        }
        if (m_room.empty() || m_batchesLeft == 0)
            return nullptr;
        --m_batchesLeft;
        auto fresh = std::make_unique<Batch>();
        fresh->memory = std::move(m_room.back());
        m_room.pop_back();
        return fresh;
    }

    void put(std::unique_ptr<Batch> batch)
    {
        std::lock_guard const lock(m_mutex);
        m_waitingPages += batch->pages;
        m_waiting.push_back(std::move(batch));
        m_changed.notify_all();
    }

    /// All that was put is stored then.
    Result<> finish(Waiting const& waiting)
    {
        end();
        std::unique_lock lock(m_mutex);
        return waitUntil(lock, waiting, [this] { return m_ended; });
    }

    std::uint64_t waitingBytes() const { return m_waitingPages * pageSize; }
    std::uint64_t changedPages() const { return m_changedPages; }
    std::uint64_t newPages() const { return m_newPages; }

private:
    void end()
    {
        std::lock_guard const lock(m_mutex);
        m_noMore = true;
        m_changed.notify_all();
    }

    Result<> waitUntil(std::unique_lock<std::mutex>& lock, Waiting const& waiting, std::function<bool()> const& done)
    {
        while (!m_changed.wait_for(lock, patience, [&] { return done() || !m_outcome; })) {
            lock.unlock();
            auto const goesOn = waiting();
            lock.lock();
            TRY(goesOn);
        }
        return m_outcome;
    }

    void main()
    {
        ::pthread_setname_np(::pthread_self(), "store pages");
        // The guest's processors come first: what waits here is a copy, which costs them nothing.
        giveWay();
        std::unique_lock lock(m_mutex);
        for (;;) {
            m_changed.wait(lock, [this] { return !m_waiting.empty() || m_noMore; });
            if (m_waiting.empty() || m_stop || !m_outcome)
                break;
            auto batches = std::exchange(m_waiting, {});
            lock.unlock();
            auto const outcome = store(batches);
            lock.lock();
            m_outcome = outcome;
            m_changed.notify_all();
        }
        m_ended = true;
        m_changed.notify_all();
    }

    Result<> store(std::vector<std::unique_ptr<Batch>>& batches)
    {
        std::vector<PageHash> wanted;
        for (auto const& batch : batches) {
            TRY(compareLeaves(*batch));
            for (auto const& page : batch->changed)
                wanted.push_back(page.hash);
            m_changedPages += batch->changed.size();
        }
        auto const found = TRY(findPages(m_store, wanted, m_stop));
        auto known = found.begin();
        for (auto& batch : batches) {
            for (auto const& page : batch->changed) {
                if (m_stop)
                    return fail(cancelled());
                *page.word = packReference(TRY(place(batch->at(page.page, 1), page.hash, *known++)));
                --m_waitingPages;
            }
            batch->changed.clear();
            batch->pages = 0;
            std::lock_guard const lock(m_mutex);
            m_free.push_back(std::move(batch));
            m_changed.notify_all();
        }
        return {};
    }

    Result<> compareLeaves(Batch& batch)
    {
        for (auto const& leaf : batch.leaves) {
            if (m_stop)
                return fail(cancelled());
            auto const before = batch.changed.size();
            compare(m_store, *leaf.tree, leaf.index, batch.at(leaf.firstPage, leaf.pages), 0, {}, leaf.firstPage,
                batch.changed);
            m_waitingPages -= leaf.pages - (batch.changed.size() - before);
        }
        batch.leaves.clear();
        return {};
    }

    Result<Reference> place(ConstByteSpan page, PageHash hash, Reference known)
    {
        if (!known.isZero())
            return known;
        if (auto const own = m_own.find(hash, m_writer.hashes()))
            return Reference { m_writer.number(), *own };
        auto const number = TRY(m_writer.addPage(page, hash));
        m_own.add(number, m_writer.hashes());
        ++m_newPages;
        return Reference { m_writer.number(), number };
    }

    PageStore const& m_store;
    PackWriter& m_writer; // the thread's, until it has ended
    HashNumbers m_own;    // of the pages in it
    std::atomic<bool> m_stop = false;
    std::atomic<std::uint64_t> m_waitingPages = 0, m_changedPages = 0, m_newPages = 0;

    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::vector<std::unique_ptr<Batch>> m_waiting, m_free;
    Room m_room;               // for those that may yet be made
    std::size_t m_batchesLeft; // that may yet be made
    bool m_noMore = false, m_ended = false;
    Result<> m_outcome;
    std::thread m_thread;
};

/// Reads the memory and puts what has changed into the sink.
class Reading {
public:
    Reading(PageStore const& store, FrozenMemory& memory, std::vector<MemoryRoot> const& base,
        std::vector<BlockTree>& trees, PageSink& sink, Progress const& progress)
        : m_trees(trees), m_store(store), m_memory(memory), m_sink(sink), m_progress(progress), m_data(leafSize)
    {
        for (auto const& block : memory.blocks()) {
            m_total += block.size;
            auto const old = std::find_if(base.begin(), base.end(),
                [&](auto const& root) { return root.name == block.name && root.size == block.size; });
            trees.emplace_back(store, block.size, old != base.end() ? old->reference() : Reference {});
            m_origins.push_back(originOf(block, old != base.end() ? &*old : nullptr));
        }
    }

    Result<> readAll()
    {
        for (bool const lately : { true, false }) {
            for (m_block = 0; m_block < m_trees.size(); ++m_block) {
                m_usedKnownFrom = m_trees[m_block].size(); // nothing is known of this block yet
                m_nextUsed = 0;
                for (std::uint64_t i = 0; i * granule < m_trees[m_block].size(); ++i) {
                    if (m_trees[m_block].hasChangedLately(i) == lately)
                        TRY_WITHIN(m_memory.blocks()[m_block].name, readGranule(i * granule, lately));
                }
            }
            putCopied();
        }
        if (m_batch)
            m_sink.put(std::move(m_batch));
        return m_sink.finish([this] { return goesOn(); });
    }

private:
    /// Where a block's pages are that have not come into the memory.
    struct Origin {
        std::size_t block = 0; // there
        bool isKnown = false;
        bool isBase = false; // what has not come is as it was at the moment before
    };

    Origin originOf(FrozenMemory::Block const& block, MemoryRoot const* old) const
    {
        if (auto const* origin = m_memory.origin()) {
            auto const& roots = origin->roots();
            for (std::size_t i = 0; i < roots.size(); ++i) {
                if (roots[i].name == block.name && roots[i].size == block.size)
                    return { i, true, old != nullptr && *old == roots[i] };
            }
        }
        return {};
    }

    Result<> goesOn() const
    {
        auto const waiting = m_sink.waitingBytes();
        return goOn(m_progress, m_read - std::min(waiting, m_read), m_total) ? Result<>() : fail(cancelled());
    }

    /// What has probably changed is only copied, as long as there is room for it: comparing can wait, the guest not.
    Result<> readGranule(std::uint64_t offset, bool onlyCopy)
    {
        auto const end = std::min(offset + granule, m_trees[m_block].size());
        onlyCopy = onlyCopy && hasRoomFor((end - offset) / pageSize);
        for (auto at = offset; at < end; at += leafSize)
            TRY(readLeaf(at, std::min(leafSize, end - at), onlyCopy));
        m_memory.letGo(m_block, offset, end - offset);
        return {};
    }

    bool hasRoomFor(std::size_t pages)
    {
        if (m_copied && !m_copied->hasSpaceFor(pages))
            putCopied();
        if (!m_copied)
            m_copied = m_sink.batchAtOnce();
        return m_copied != nullptr;
    }

    void putCopied()
    {
        if (m_copied)
            m_sink.put(std::move(m_copied));
    }

    Result<> readLeaf(std::uint64_t offset, std::uint64_t length, bool onlyCopy)
    {
        TRY(goesOn());
        m_read += length;
        auto& tree = m_trees[m_block];
        auto& leaf = tree.leaf(offset / leafSize);
        auto const away = TRY(m_memory.away(m_block, offset));
        if (away == 0 && TRY(unused(offset, length))) {
            leaf = {};
            return {};
        }
        auto const pages = length / pageSize;
        auto const isAway = [away](std::size_t page) { return (away >> page & 1) != 0; };
        bool const allAway = static_cast<std::uint64_t>(std::popcount(away)) == pages;
        if (allAway && m_origins[m_block].isBase)
            return {};
        if (onlyCopy && away == 0) {
            TRY(m_memory.read(m_block, offset, m_copied->at(m_copied->pages, pages)));
            m_copied->add(tree, offset / leafSize, pages);
            return {};
        }
        Node fresh {};
        if (away != 0)
            TRY(referToOrigin(offset, pages, isAway, fresh));
        auto const data = ByteSpan(m_data).first(length);
        for (std::size_t from = 0, to = 0; from < pages; from = to) {
            for (to = from + 1; to < pages && isAway(to) == isAway(from);)
                ++to;
            if (!isAway(from)) {
                TRY(m_memory.read(
                    m_block, offset + from * pageSize, data.subspan(from * pageSize, (to - from) * pageSize)));
            }
        }
        m_changed.clear();
        compare(m_store, tree, offset / leafSize, data, away, fresh, 0, m_changed);
        for (auto const& page : m_changed) {
            if (m_batch && !m_batch->hasSpaceFor(1))
                m_sink.put(std::move(m_batch));
            if (!m_batch)
                m_batch = TRY(m_sink.batch([this] { return goesOn(); }));
            m_batch->add(data.subspan(page.page * pageSize, pageSize), page);
        }
        return {};
    }

    Result<> referToOrigin(std::uint64_t offset, std::uint64_t pages, auto const& isAway, Node& leaf) const
    {
        auto const& origin = m_origins[m_block];
        if (!origin.isKnown)
            return fail(ErrorCode::Internal, "memory has not come, and nobody knows from where");
        std::array<Reference, pagesPerLeaf> there {};
        TRY(m_memory.origin()->find(origin.block, offset, std::span(there).first(pages)));
        for (std::size_t i = 0; i < pages; ++i) {
            if (isAway(i))
                leaf[i] = packReference(there[i]);
        }
        return {};
    }

    Result<bool> unused(std::uint64_t offset, std::uint64_t length)
    {
        if (offset < m_usedKnownFrom || offset > m_nextUsed) {
            m_nextUsed = TRY(m_memory.nextUsed(m_block, offset));
            m_usedKnownFrom = offset;
        }
        return m_nextUsed >= offset + length;
    }

    std::vector<BlockTree>& m_trees;
    PageStore const& m_store;
    FrozenMemory& m_memory;
    PageSink& m_sink;
    Progress const& m_progress;
    std::vector<Origin> m_origins; // of the blocks
    Bytes m_data;
    std::vector<Changed> m_changed;
    std::unique_ptr<Batch> m_batch, m_copied; // being filled: with what has changed, with what is not compared
    std::uint64_t m_total = 0, m_read = 0;
    std::size_t m_block = 0;
    // Nothing is used from the first up to the second.
    std::uint64_t m_usedKnownFrom = 0, m_nextUsed = 0;
};

}

Room makeRoom(std::uint64_t memory, std::uint64_t changedPages, std::function<bool()> const& goOn)
{
    auto const batches = std::min<std::uint64_t>(batchesFor(memory), changedPages / pagesPerBatch + 1);
    Room room;
    bool goesOn = true;
    while (goesOn && room.size() < batches) {
        auto batch = memoryOfBatch();
        if (!batch)
            break;
        for (auto rest = batch->bytes(); goesOn && !rest.empty(); rest = rest.subspan(granule))
            goesOn = goOn() && obtain(rest.first(granule));
        room.push_back(std::move(*batch));
    }
    std::reverse(room.begin(), room.end()); // they are taken from its end: what was obtained first comes first
    return room;
}

Result<StoredMemory> storeMemory(
    PageStore& store, FrozenMemory& memory, std::vector<MemoryRoot> const& base, Progress const& progress, Room room)
{
    std::uint64_t size = 0;
    for (auto const& block : memory.blocks())
        size += block.size;
    auto const writer = TRY(store.begin());
    StoredMemory stored;
    {
        std::vector<BlockTree> trees; // longer than the sink, whose thread writes into them until it has ended
        PageSink sink(store, *writer, batchesFor(size), std::move(room));
        Reading reading(store, memory, base, trees, sink, progress);
        TRY(reading.readAll());
        stored.changedPages = sink.changedPages();
        stored.newPages = sink.newPages();
        for (std::size_t i = 0; i < trees.size(); ++i) {
            auto const root = trees[i].store(*writer);
            stored.roots.push_back({ memory.blocks()[i].name, memory.blocks()[i].size, root.pack, root.number });
        }
    }
    if (writer->isEmpty())
        return stored;
    if (auto const sealed = writer->seal(); !sealed) {
        ignore(store.remove(writer->number())); // it may have its name already
        return fail(sealed.error());
    }
    stored.bytes = writer->size();
    stored.pack = writer->number();
    store.add(writer->number());
    return stored;
}

}
