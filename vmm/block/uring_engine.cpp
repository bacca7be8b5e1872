#include "vmm/base/log.h"
#include "vmm/block/host_file.h"
#include "vmm/block/io_engine.h"

#include <algorithm>
#include <climits>
#include <liburing.h>
#include <linux/falloc.h>
#include <sys/epoll.h>

namespace vmm {

/// Transfers over io_uring(7). What a turn of the loop submits goes to the kernel in one call before the loop sleeps;
/// the ring's descriptor in the loop's epoll wakes it when something has completed.
class UringEngine final : public IoEngine {
public:
    static Result<std::unique_ptr<IoEngine>> open(EventLoop& loop)
    {
        std::unique_ptr<UringEngine> engine(new UringEngine);
        // COOP_TASKRUN (Linux 5.19) spares an interruption of our thread for each completion.
        int error = -EINVAL;
        for (unsigned const flags : { unsigned(IORING_SETUP_COOP_TASKRUN), 0U }) {
            error = ::io_uring_queue_init(depth, &engine->m_ring, flags);
            if (error != -EINVAL)
                break;
        }
        if (error != 0)
            return fail(osError("the host permits no io_uring", -error));
        engine->m_open = true;
        engine->m_watch
            = loop.watch(engine->m_ring.ring_fd, EPOLLIN, [raw = engine.get()](std::uint32_t) { raw->reap(); });
        if (!engine->m_watch)
            return failOs("cannot watch an io_uring");
        engine->m_hook = loop.beforeSleep([raw = engine.get()] { return raw->turn(); });
        return std::unique_ptr<IoEngine>(std::move(engine));
    }

    ~UringEngine() override
    {
        // Whoever submitted has drained by now; the kernel cancels and waits for anything else.
        m_hook.reset();
        m_watch.reset();
        if (m_open)
            ::io_uring_queue_exit(&m_ring);
    }

    char const* name() const override { return "io_uring"; }

    void submit(IoOperation& operation) override
    {
        operation.m_transferred = 0;
        operation.m_bounce.reset();
        if (!prepareBounce(operation)) {
            operation.m_transferred = noMemory;
        }
        ++m_inFlight;
        enqueue(operation);
    }

    bool wait() override
    {
        if (m_inFlight == 0)
            return false;
        if (reap())
            return true;
        int const result = ::io_uring_submit_and_wait(&m_ring, 1);
        if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
            log(LogLevel::Error, "block", "io_uring refuses to wait: {}", std::strerror(-result));
        reap();
        return true;
    }

private:
    static constexpr unsigned depth = 256;
    static constexpr std::uint64_t noMemory = ~0ULL;

    UringEngine() = default;

    bool turn()
    {
        bool const completed = reap();
        if (::io_uring_sq_ready(&m_ring) != 0) {
            int const submitted = ::io_uring_submit(&m_ring);
            if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY)
                log(LogLevel::Error, "block", "io_uring refuses transfers: {}", std::strerror(-submitted));
        }
        // Transfers from the page cache are done already. What the kernel did not take is offered again; what has no
        // room in the ring waits for a completion, which wakes the loop.
        return reap() || completed || ::io_uring_sq_ready(&m_ring) != 0;
    }

    /// With O_DIRECT the kernel wants aligned memory; a guest need not.
    static bool prepareBounce(IoOperation& operation)
    {
        auto const alignment = operation.file->memoryAlignment();
        if (alignment == 1 || (operation.kind != IoOperation::Kind::Read && operation.kind != IoOperation::Kind::Write))
            return true;
        auto const buffers = std::span(operation.buffers, operation.bufferCount);
        auto const fits = [&](iovec const& buffer) {
            return reinterpret_cast<std::uintptr_t>(buffer.iov_base) % alignment == 0 && buffer.iov_len % 512 == 0;
        };
        if (std::ranges::all_of(buffers, fits))
            return true;
        operation.m_bounce = allocateAligned(operation.length);
        if (!operation.m_bounce)
            return false;
        if (operation.kind == IoOperation::Kind::Write) {
            auto* target = operation.m_bounce.get();
            for (auto const& buffer : buffers) {
                std::memcpy(target, buffer.iov_base, buffer.iov_len);
                target += buffer.iov_len;
            }
        }
        operation.m_bounceVector = { operation.m_bounce.get(), operation.length };
        return true;
    }

    void enqueue(IoOperation& operation)
    {
        operation.m_next = nullptr;
        if (m_backlog == nullptr && m_inRing < depth && prepare(operation))
            return;
        (m_backlog == nullptr ? m_backlog : m_backlogTail->m_next) = &operation;
        m_backlogTail = &operation;
    }

    bool prepare(IoOperation& operation)
    {
        auto* entry = ::io_uring_get_sqe(&m_ring);
        if (entry == nullptr) {
            ::io_uring_submit(&m_ring);
            entry = ::io_uring_get_sqe(&m_ring);
            if (entry == nullptr)
                return false;
        }
        ++m_inRing;
        int const fd = operation.file->fd();
        switch (operation.kind) {
        case IoOperation::Kind::Sync: ::io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC); break;
        case IoOperation::Kind::Deallocate:
            ::io_uring_prep_fallocate(entry, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<::off_t>(operation.offset), static_cast<::off_t>(operation.length));
            break;
        case IoOperation::Kind::Zero:
            ::io_uring_prep_fallocate(entry, fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                static_cast<::off_t>(operation.offset), static_cast<::off_t>(operation.length));
            break;
        case IoOperation::Kind::Read:
        case IoOperation::Kind::Write:
            if (operation.m_transferred == noMemory)
                ::io_uring_prep_nop(entry);
            else
                prepareTransfer(operation, *entry, fd);
            break;
        }
        ::io_uring_sqe_set_data(entry, &operation);
        return true;
    }

    static std::span<iovec const> buffersOf(IoOperation const& operation)
    {
        if (operation.m_bounce)
            return { &operation.m_bounceVector, 1 };
        return { operation.buffers, operation.bufferCount };
    }

    static void prepareTransfer(IoOperation& operation, io_uring_sqe& entry, int fd)
    {
        auto buffers = buffersOf(operation);
        if (operation.m_transferred != 0) {
            operation.m_rest.clear();
            auto skip = operation.m_transferred;
            for (auto const& buffer : buffers) {
                if (skip >= buffer.iov_len) {
                    skip -= buffer.iov_len;
                    continue;
                }
                operation.m_rest.push_back(
                    { static_cast<std::uint8_t*>(buffer.iov_base) + skip, buffer.iov_len - skip });
                skip = 0;
            }
            buffers = operation.m_rest;
        }
        operation.m_knownSize = operation.file->knownSize();
        auto const offset = operation.offset + operation.m_transferred;
        auto const count = static_cast<unsigned>(std::min<std::size_t>(buffers.size(), IOV_MAX));
        bool const single = count == 1 && buffers[0].iov_len <= INT_MAX;
        if (operation.kind == IoOperation::Kind::Read) {
            if (single)
                ::io_uring_prep_read(
                    &entry, fd, buffers[0].iov_base, static_cast<unsigned>(buffers[0].iov_len), offset);
            else
                ::io_uring_prep_readv(&entry, fd, buffers.data(), count, offset);
        } else {
            if (single)
                ::io_uring_prep_write(
                    &entry, fd, buffers[0].iov_base, static_cast<unsigned>(buffers[0].iov_len), offset);
            else
                ::io_uring_prep_writev(&entry, fd, buffers.data(), count, offset);
        }
    }

    bool reap()
    {
        bool any = false;
        io_uring_cqe* completion = nullptr;
        while (::io_uring_peek_cqe(&m_ring, &completion) == 0) {
            auto& operation = *static_cast<IoOperation*>(::io_uring_cqe_get_data(completion));
            int const result = completion->res;
            ::io_uring_cqe_seen(&m_ring, completion);
            --m_inRing;
            any = true;
            advance(operation, result);
            while (m_backlog != nullptr && m_inRing < depth) {
                auto& next = *m_backlog;
                if (!prepare(next))
                    break;
                m_backlog = next.m_next;
            }
        }
        return any;
    }

    void advance(IoOperation& operation, int result)
    {
        if (operation.m_transferred == noMemory)
            return finish(operation, ENOMEM);
        if (result == -EINTR)
            return enqueue(operation);
        if (result == -EAGAIN) {
            // Asked again, a block device without asynchronous requests (a volume of ZFS) would say so for ever.
            operation.m_bounce.reset();
            return finish(operation, performNow(operation));
        }
        if (result < 0) {
            if (operation.kind == IoOperation::Kind::Sync)
                operation.file->noteSyncFailure(-result);
            return finish(operation, -result);
        }
        if (operation.kind == IoOperation::Kind::Sync)
            return finish(operation, operation.file->syncFailure());
        if (operation.kind != IoOperation::Kind::Read && operation.kind != IoOperation::Kind::Write)
            return finish(operation, 0);
        operation.m_transferred += static_cast<std::uint64_t>(result);
        if (operation.kind == IoOperation::Kind::Write)
            operation.file->noteWritten(operation.offset + operation.m_transferred);
        if (operation.m_transferred >= operation.length)
            return finish(operation, 0);
        bool const atEnd = result == 0 || (operation.file->memoryAlignment() > 1 && result % 512 != 0);
        if (!atEnd)
            return enqueue(operation);
        if (operation.kind == IoOperation::Kind::Write)
            return finish(operation, EIO);
        if (operation.offset + operation.m_transferred < operation.m_knownSize)
            return finish(operation, fileHasShrunk);
        zeroRest(operation);
        finish(operation, 0);
    }

    /// What lies behind the end of a file reads as zeros.
    static void zeroRest(IoOperation& operation)
    {
        auto skip = operation.m_transferred;
        for (auto const& buffer : buffersOf(operation)) {
            auto const kept = std::min<std::uint64_t>(skip, buffer.iov_len);
            std::memset(static_cast<std::uint8_t*>(buffer.iov_base) + kept, 0, buffer.iov_len - kept);
            skip -= kept;
        }
    }

    void finish(IoOperation& operation, int error)
    {
        if (operation.m_bounce) {
            if (operation.kind == IoOperation::Kind::Read && error == 0) {
                auto const* source = operation.m_bounce.get();
                for (auto const& buffer : std::span(operation.buffers, operation.bufferCount)) {
                    std::memcpy(buffer.iov_base, source, buffer.iov_len);
                    source += buffer.iov_len;
                }
            }
            operation.m_bounce.reset();
        }
        --m_inFlight;
        operation.done(operation, error);
    }

    io_uring m_ring {};
    bool m_open = false;
    unsigned m_inRing = 0; // known to the ring, so that its completion queue never overflows
    std::size_t m_inFlight = 0;
    IoOperation* m_backlog = nullptr;
    IoOperation* m_backlogTail = nullptr;
    EventLoop::Handle m_watch, m_hook;
};

Result<std::unique_ptr<IoEngine>> IoEngine::createUring(EventLoop& loop)
{
    return UringEngine::open(loop);
}

}
