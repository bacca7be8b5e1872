#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/machine/ram_file.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace vmm {

/// Brings a suspended machine's memory back while the machine runs already. At first the blocks show the file, so that
/// the first instruction waits for nothing. From start() on a thread reads the file into fresh memory, compares the
/// checksums, and puts the pieces into their places while the machine stands still for a moment each. In the end the
/// blocks are private anonymous memory in large pages, and the file is not needed any more.
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

    /// Checks record, file and blocks, all of them, before it changes one: the record must have each block in its size
    /// and no other. Small blocks (firmware, flash) are read at once.
    static Result<std::unique_ptr<RamLoader>> open(
        UniqueFd file, RamFileRecord record, std::vector<MemoryBlock*> const& blocks);
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
        std::uint64_t offset, size, fileOffset;
    };
    /// What both sides of an exchange look at; the other one may come to it when this loader is gone.
    struct Exchange {
        std::mutex mutex;
        std::condition_variable changed;
        bool cancelled = false, done = false;
        Result<> outcome;
    };

    RamLoader(UniqueFd file, RamFileRecord record) : m_file(std::move(file)), m_record(std::move(record)) { }
    Result<> show(MemoryBlock& block, std::uint64_t fileOffset);
    Result<> load();
    Result<> exchange(std::vector<std::pair<Part, AnonymousMemory>> loaded);
    void cancel();

    UniqueFd const m_file;
    RamFileRecord const m_record;
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
