#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/block/block_file.h"

#include <deque>
#include <memory>
#include <sys/uio.h>
#include <vector>

namespace vmm {

/// One transfer to or from a file. Belongs to whoever submits it and stays where it is until `done` was called.
struct IoOperation {
    enum class Kind : std::uint8_t { Read, Write, Sync, Deallocate, Zero };

    Kind kind = Kind::Read;
    BlockFile* file = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;       ///< bytes; for Read and Write the sum of `buffers`
    iovec const* buffers = nullptr; ///< any number of them
    std::size_t bufferCount = 0;
    /// Called on the disk's thread with 0 or an errno, never from within submit(). The operation is free again.
    void (*done)(IoOperation&, int error) = nullptr;

private:
    friend class UringEngine;
    friend class ThreadEngine;
    friend class InlineEngine;
    IoOperation* m_next = nullptr;
    std::uint64_t m_transferred = 0;
    std::uint64_t m_knownSize = 0; // of the file, when the kernel was asked
    std::vector<iovec> m_rest;     // what is left after a short transfer
    std::unique_ptr<std::uint8_t, void (*)(void*)> m_bounce { nullptr, std::free };
    iovec m_bounceVector {};
};

/// What carries out the transfers of one disk's files. Everything on the disk's thread.
class IoEngine {
public:
    IoEngine() = default;
    IoEngine(IoEngine const&) = delete;
    IoEngine& operator=(IoEngine const&) = delete;
    virtual ~IoEngine() = default;

    /// Transfers in flight run in any order.
    virtual void submit(IoOperation& operation) = 0;
    /// Waits until at least one operation is done and calls what belongs to it. False when none is in flight.
    virtual bool wait() = 0;
    /// For the log: "io_uring", "threads" …
    virtual char const* name() const = 0;

    /// io_uring where the host permits it, else a few threads. `loop` is the disk's.
    static Result<std::unique_ptr<IoEngine>> create(EventLoop& loop);
    static Result<std::unique_ptr<IoEngine>> createUring(EventLoop& loop);
    static Result<std::unique_ptr<IoEngine>> createThreads(EventLoop& loop);
};

/// Carries out each operation when somebody waits for it: for tools and tests, which have no loop.
class InlineEngine : public IoEngine {
public:
    void submit(IoOperation& operation) override { m_queue.push_back(&operation); }
    bool wait() override;
    char const* name() const override { return "inline"; }

protected:
    /// Which of the `waiting` operations comes next.
    virtual std::size_t pick(std::size_t waiting)
    {
        (void)waiting;
        return 0;
    }

private:
    std::deque<IoOperation*> m_queue;
};

/// Carries out an operation with the file's own functions. 0 or an errno.
int performNow(IoOperation const& operation);

}
