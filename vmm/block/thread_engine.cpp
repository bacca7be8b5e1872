#include "vmm/block/io_engine.h"

#include <condition_variable>
#include <mutex>
#include <sys/epoll.h>
#include <thread>

namespace vmm {

/// Transfers with blocking calls on a few threads, for hosts that permit no io_uring.
class ThreadEngine final : public IoEngine {
public:
    static Result<std::unique_ptr<IoEngine>> open(EventLoop& loop)
    {
        std::unique_ptr<ThreadEngine> engine(new ThreadEngine);
        engine->m_wake = TRY(makeEventFd());
        engine->m_watch = loop.watch(engine->m_wake.get(), EPOLLIN, [raw = engine.get()](std::uint32_t) {
            drainEventFd(raw->m_wake.get());
            raw->reap();
        });
        if (!engine->m_watch)
            return failOs("cannot watch an eventfd");
        for (auto& worker : engine->m_workers)
            worker = std::jthread([raw = engine.get()](std::stop_token const& stop) { raw->work(stop); });
        return std::unique_ptr<IoEngine>(std::move(engine));
    }

    ~ThreadEngine() override
    {
        m_watch.reset();
        for (auto& worker : m_workers)
            worker.request_stop();
    }

    char const* name() const override { return "threads"; }

    void submit(IoOperation& operation) override
    {
        ++m_inFlight;
        {
            std::lock_guard const lock(m_mutex);
            m_waiting.push_back(&operation);
        }
        m_workToDo.notify_one();
    }

    bool wait() override
    {
        if (m_inFlight == 0)
            return false;
        {
            std::unique_lock lock(m_mutex);
            m_someDone.wait(lock, [this] { return !m_done.empty(); });
        }
        reap();
        return true;
    }

private:
    struct Outcome {
        IoOperation* operation;
        int error;
    };

    ThreadEngine() = default;

    void work(std::stop_token const& stop)
    {
        std::unique_lock lock(m_mutex);
        while (m_workToDo.wait(lock, stop, [this] { return !m_waiting.empty(); })) {
            auto& operation = *m_waiting.front();
            m_waiting.pop_front();
            lock.unlock();
            int const error = performNow(operation);
            lock.lock();
            m_done.push_back({ &operation, error });
            if (m_done.size() == 1)
                signalEventFd(m_wake.get());
            m_someDone.notify_one();
        }
    }

    void reap()
    {
        std::vector<Outcome> done;
        {
            std::lock_guard const lock(m_mutex);
            done.swap(m_done);
        }
        for (auto const& outcome : done) {
            --m_inFlight;
            outcome.operation->done(*outcome.operation, outcome.error);
        }
    }

    std::size_t m_inFlight = 0; // disk's thread only
    std::mutex m_mutex;         // guards the two queues
    std::condition_variable_any m_workToDo, m_someDone;
    std::deque<IoOperation*> m_waiting;
    std::vector<Outcome> m_done;
    UniqueFd m_wake;
    EventLoop::Handle m_watch;
    std::array<std::jthread, 4> m_workers;
};

Result<std::unique_ptr<IoEngine>> IoEngine::createThreads(EventLoop& loop)
{
    return ThreadEngine::open(loop);
}

}
