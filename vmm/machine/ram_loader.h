#pragma once

#include "vmm/machine/first_touches.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/memory/memory_way.h"
#include "vmm/memory/saved_memory.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace vmm {

/// Brings a saved machine's memory back while the machine runs already, in one of two ways: FaultLoader brings each
/// page when it is first touched, FileLoader lets the memory show a file. From start() on a thread brings the rest of
/// it, in any order. In the end the blocks are private anonymous memory in large pages, and the source is not needed
/// any more.
///
/// Memory that cannot be had is Corrupt: the machine may have met it already. Any other error (the disk cannot be read
/// just now) is one from which start() goes on.
class RamLoader {
public:
    /// Runs its argument, at once or at some time on another thread, when nothing writes to the memory.
    using StandStill = std::function<void(std::function<void()> task)>;
    /// On the loader's thread, as the last it does: posts.
    using Ended = std::function<void(Result<>)>;

    /// A part of a block that holds something.
    struct Part {
        MemoryBlock* block;
        std::size_t index; // in the source
        std::uint64_t offset, size;
    };

    /// Checks all blocks before it changes one: the source must have each in its size and no other. Small blocks
    /// (firmware, flash) are read at once.
    static Result<std::unique_ptr<RamLoader>> open(
        std::unique_ptr<SavedMemory> source, std::vector<MemoryBlock*> const& blocks, MemoryWay way = MemoryWay::Best);
    virtual ~RamLoader() = default;

    /// For good, also where others hold it still: who waits is answered Cancelled. Leaves what is not read yet as it
    /// is: the blocks are of no use then but to be cleared.
    void stop();
    /// The rest comes only when somebody waits for it: whoever shares the source's pages with others does so until
    /// then.
    void leaveTheRest() { m_leavesRest = true; }
    void start(StandStill standStill, Ended ended);
    bool isUnderWay() const;
    /// The error that has stopped it, or that will.
    Result<> check() const;
    /// What was not here when it was opened. A page of it that has come since is an anonymous one.
    std::vector<Part> const& latecomers() const { return m_latecomers; }
    /// Waits until the memory is complete, or its thread has stopped with an error; Cancelled once `goOn` says no.
    Result<> wait(std::function<bool()> const& goOn);

protected:
    static Result<> readAtOnce(SavedMemory const& source, std::vector<Part> const& parts);

    explicit RamLoader(std::unique_ptr<SavedMemory> source) : m_source(std::move(source)) { }
    /// On the thread; until all is here. Called again after an error.
    virtual Result<> load() = 0;
    /// Waits until the guest has settled, and has the source remember what it needed; then, where the rest is left,
    /// until somebody waits for it.
    void settle();
    /// Brings load() to its end. Who derives calls stop() in its destructor.
    virtual void interrupt() = 0;
    virtual void letGo() { } ///< of the blocks, after that

    FirstTouches m_touches;
    std::unique_ptr<SavedMemory> m_source; // may have threads that tell of touches
    StandStill m_standStill;

private:
    void rememberTouches();
    void joinThread();

    std::vector<Part> m_latecomers;
    bool m_leavesRest = false, m_isStopped = false;
    mutable std::mutex m_mutex;
    std::condition_variable m_stopped;
    bool m_running = false;
    Result<> m_outcome;
    std::thread m_thread;
};

}
