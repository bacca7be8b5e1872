#pragma once

#include "vmm/memory/guest_memory.h"
#include "vmm/memory/saved_memory.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace vmm {

/// Brings a saved machine's memory back while the machine runs already. At first the blocks show the source's file, so
/// that the first instruction waits for nothing; where it has none they are read at once. From start() on a thread
/// reads the source into fresh memory, which compares the checksums, and puts the pieces into their places while the
/// machine stands still for a moment each. In the end the blocks are private anonymous memory in large pages, and the
/// source is not needed any more.
///
/// Until then the file should stay as it is. Where it does not, the machine gets to know of it: a checksum differs, or
/// pages are gone (BusErrorGuard); both end in ErrorCode::Corrupt. Any other error (the disk cannot be read just now)
/// is one from which start() goes on.
class RamLoader {
public:
    /// Runs its argument, at once or at some time on another thread, when nothing writes to the memory.
    using StandStill = std::function<void(std::function<void()> task)>;
    /// On the loader's thread, as the last it does: posts.
    using Ended = std::function<void(Result<>)>;

    /// Checks all blocks before it changes one: the source must have each in its size and no other. Small blocks
    /// (firmware, flash) are read at once.
    static Result<std::unique_ptr<RamLoader>> open(
        std::unique_ptr<SavedMemory> source, std::vector<MemoryBlock*> const& blocks);
    /// Leaves what is not read yet as it is: the blocks are of no use then but to be cleared.
    ~RamLoader();

    void start(StandStill standStill, Ended ended);
    bool isUnderWay() const;
    /// Waits until the memory is complete, or its thread has stopped with an error; Cancelled once `goOn` says no.
    Result<> wait(std::function<bool()> const& goOn);

private:
    /// A part of a block that shows the file.
    struct Part {
        MemoryBlock* block;
        std::size_t index; // in the source
        std::uint64_t offset, size;
    };
    /// What both sides of an exchange look at; the other one may come to it when this loader is gone.
    struct Exchange {
        std::mutex mutex;
        std::condition_variable changed;
        bool cancelled = false, done = false;
        Result<> outcome;
    };

    explicit RamLoader(std::unique_ptr<SavedMemory> source) : m_source(std::move(source)) { }
    std::vector<Part> partsOf(MemoryBlock& block, std::size_t index) const;
    Result<> load();
    Result<> exchange(std::vector<std::pair<Part, AnonymousMemory>> loaded);
    void cancel();

    std::unique_ptr<SavedMemory> const m_source;
    std::vector<Part> m_parts;
    std::uint64_t m_batchSize = 0;
    std::size_t m_next = 0; // of m_parts; the thread's

    mutable std::mutex m_mutex;
    std::condition_variable m_stopped;
    bool m_running = false;
    Result<> m_outcome;
    std::shared_ptr<Exchange> m_exchange = std::make_shared<Exchange>();
    StandStill m_standStill;
    std::thread m_thread;
};

}
