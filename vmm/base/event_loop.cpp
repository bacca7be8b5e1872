#include "vmm/base/event_loop.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <map>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

namespace vmm {

namespace {

class EpollLoop final : public EventLoop {
public:
    Result<> open()
    {
        m_epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
        if (!m_epoll)
            return failOs("cannot create an epoll instance");
        m_wake = TRY(makeEventFd());
        m_timer.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (!m_timer)
            return failOs("cannot create a timer");
        for (int fd : { m_wake.get(), m_timer.get() }) {
            epoll_event event { .events = EPOLLIN, .data = { .u64 = 0 } };
            if (::epoll_ctl(m_epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
                return failOs("cannot watch the loop's own descriptors");
        }
        return {};
    }

    void run() override
    {
        m_thread.store(std::this_thread::get_id());
        {
            std::lock_guard const lock(m_taskMutex);
            m_running = true;
        }
        while (!m_stopped.load()) {
            runTasks();
            runDueTimers();
            bool busy = false;
            for (std::size_t i = 0; i < m_hooks.size(); ++i) {
                if (auto const hook = m_hooks[i])
                    busy |= (*hook)();
            }
            std::erase(m_hooks, nullptr);
            if (!m_stopped.load())
                waitAndServe(busy || hasTasks());
        }
        // Whoever waits in call() must not wait for ever: a task either runs here, or sees that nothing runs any more.
        while (!endIfIdle())
            runTasks();
    }

    void stop() override
    {
        m_stopped.store(true);
        signalEventFd(m_wake.get());
    }

    bool isLoopThread() const override { return m_thread.load() == std::this_thread::get_id(); }

    bool postIfRunning(std::function<void()> task) override
    {
        {
            std::lock_guard const lock(m_taskMutex);
            if (!m_running)
                return false;
            m_tasks.push_back(std::move(task));
        }
        signalEventFd(m_wake.get());
        return true;
    }

    void post(std::function<void()> task) override
    {
        {
            std::lock_guard const lock(m_taskMutex);
            m_tasks.push_back(std::move(task));
        }
        signalEventFd(m_wake.get());
    }

    Handle watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) override
    {
        auto const key = m_nextKey++;
        epoll_event event { .events = events, .data = { .u64 = key } };
        if (::epoll_ctl(m_epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            return nullptr;
        m_watches[key] = std::make_shared<std::function<void(std::uint32_t)>>(std::move(ready));
        return std::make_unique<Undo>([this, key, fd] {
            ::epoll_ctl(m_epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
            m_watches.erase(key);
        });
    }

    Handle at(Nanoseconds deadline, std::function<void()> due) override
    {
        auto const key = std::pair(deadline, m_nextKey++);
        m_timers.emplace(key, std::move(due));
        return std::make_unique<Undo>([this, key] { m_timers.erase(key); });
    }

    Handle beforeSleep(std::function<bool()> hook) override
    {
        auto const kept = std::make_shared<std::function<bool()>>(std::move(hook));
        m_hooks.push_back(kept);
        return std::make_unique<Undo>([this, kept] {
            // Emptied in place and swept after the round, because this may run from within a hook.
            std::replace(m_hooks.begin(), m_hooks.end(), kept, std::shared_ptr<std::function<bool()>>());
        });
    }

private:
    class Undo final : public Registration {
    public:
        explicit Undo(std::function<void()> undo) : m_undo(std::move(undo)) { }
        ~Undo() override { m_undo(); }

    private:
        std::function<void()> m_undo;
    };

    bool endIfIdle()
    {
        std::lock_guard const lock(m_taskMutex);
        m_running = !m_tasks.empty();
        return !m_running;
    }

    bool hasTasks()
    {
        std::lock_guard const lock(m_taskMutex);
        return !m_tasks.empty();
    }

    void runTasks()
    {
        std::vector<std::function<void()>> tasks;
        {
            std::lock_guard const lock(m_taskMutex);
            tasks.swap(m_tasks);
        }
        for (auto& task : tasks)
            task();
    }

    /// What they arm meanwhile waits for the next round, so that the loop's other work has its turn.
    void runDueTimers()
    {
        auto const present = now();
        auto const firstOfNext = m_nextKey;
        for (auto timer = m_timers.begin(); timer != m_timers.end() && timer->first.first <= present;) {
            if (timer->first.second >= firstOfNext) {
                ++timer;
                continue;
            }
            auto const due = std::move(timer->second);
            m_timers.erase(timer);
            due();
            timer = m_timers.begin();
        }
    }

    void waitAndServe(bool poll)
    {
        auto const next = m_timers.empty() ? Nanoseconds(0) : std::max(m_timers.begin()->first.first, Nanoseconds(1));
        if (!poll && next != m_armed) {
            itimerspec const spec { .it_interval = {},
                .it_value = { .tv_sec = next.count() / 1'000'000'000, .tv_nsec = next.count() % 1'000'000'000 } };
            ::timerfd_settime(m_timer.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
            m_armed = next;
        }
        std::array<epoll_event, 32> events {};
        int const count = ::epoll_wait(m_epoll.get(), events.data(), events.size(), poll ? 0 : -1);
        for (int i = 0; i < count; ++i) {
            auto const& event = events[static_cast<std::size_t>(i)];
            std::uint64_t const key = event.data.u64; // a copy: the kernel's struct is packed
            if (key == 0) {
                drainEventFd(m_wake.get());
                if (drainEventFd(m_timer.get()) != 0)
                    m_armed = Nanoseconds(0);
                continue;
            }
            // An earlier event of this batch may have ended this watch.
            auto const found = m_watches.find(key);
            if (found == m_watches.end())
                continue;
            auto const ready = found->second;
            (*ready)(event.events);
        }
    }

    UniqueFd m_epoll, m_wake, m_timer;
    std::atomic<bool> m_stopped { false };
    std::atomic<std::thread::id> m_thread;
    std::mutex m_taskMutex;
    bool m_running = false; // with m_taskMutex
    std::vector<std::function<void()>> m_tasks;
    std::map<std::uint64_t, std::shared_ptr<std::function<void(std::uint32_t)>>> m_watches;
    std::map<std::pair<Nanoseconds, std::uint64_t>, std::function<void()>> m_timers;
    std::vector<std::shared_ptr<std::function<bool()>>> m_hooks;
    std::uint64_t m_nextKey = 1;
    Nanoseconds m_armed { 0 };
};

}

Result<std::unique_ptr<EventLoop>> EventLoop::create()
{
    auto loop = std::make_unique<EpollLoop>();
    TRY(loop->open());
    return std::unique_ptr<EventLoop>(std::move(loop));
}

void EventLoop::call(std::function<void()> const& task)
{
    if (isLoopThread())
        return task();
    std::mutex mutex;
    std::condition_variable done;
    bool finished = false;
    bool const posted = postIfRunning([&] {
        task();
        // Told under the lock: the waiting thread's variables are gone as soon as it knows.
        std::lock_guard const lock(mutex);
        finished = true;
        done.notify_one();
    });
    if (!posted)
        return task();
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return finished; });
}

Nanoseconds EventLoop::now()
{
    timespec time {};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

Result<std::unique_ptr<LoopThread>> LoopThread::start(std::string name)
{
    auto loop = TRY(EventLoop::create());
    std::unique_ptr<LoopThread> thread(new LoopThread(std::move(loop)));
    auto& served = thread->loop();
    std::mutex mutex;
    std::condition_variable begun;
    bool running = false;
    // Posted first, so that it runs when run() has marked the loop as running: call() is right from here on.
    served.post([&] {
        std::lock_guard const lock(mutex);
        running = true;
        begun.notify_one();
    });
    thread->m_thread = std::thread([&served, name = std::move(name)] {
        ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
        served.run();
    });
    std::unique_lock lock(mutex);
    begun.wait(lock, [&] { return running; });
    return thread;
}

LoopThread::~LoopThread()
{
    end();
}

void LoopThread::end()
{
    m_loop->stop();
    if (m_thread.joinable())
        m_thread.join();
}

}
