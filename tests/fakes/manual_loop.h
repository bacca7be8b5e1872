#pragma once

#include "vmm/base/event_loop.h"

#include <map>
#include <poll.h>

namespace tests {

/// An EventLoop without a thread: a test turns it, and nothing happens in between.
class ManualLoop final : public vmm::EventLoop {
public:
    void run() override { turn(); }
    void stop() override { }
    bool isLoopThread() const override { return true; }
    void post(std::function<void()> task) override { m_tasks.push_back(std::move(task)); }
    Handle watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) override
    {
        return keep(m_watches, Watch { fd, static_cast<short>(events), std::move(ready) });
    }
    Handle at(vmm::Nanoseconds, std::function<void()> due) override { return keep(m_timers, std::move(due)); }
    Handle beforeSleep(std::function<bool()> hook) override { return keep(m_hooks, std::move(hook)); }

    /// What has been posted, what descriptors are ready, and then what comes before sleep.
    void turn()
    {
        runTasks();
        for (auto const& [key, watch] : std::map(m_watches)) {
            pollfd poll { .fd = watch.fd, .events = watch.events, .revents = 0 };
            if (m_watches.contains(key) && ::poll(&poll, 1, 0) == 1)
                watch.ready(static_cast<std::uint32_t>(poll.revents)); // EPOLLIN and the others are the same numbers
        }
        runTasks();
        for (auto const& [key, hook] : std::map(m_hooks))
            hook();
    }
    /// Every deadline has come.
    void runTimers()
    {
        for (auto const& [key, due] : std::exchange(m_timers, {}))
            due();
    }

protected:
    bool postIfRunning(std::function<void()>) override { return false; }

private:
    struct Watch {
        int fd;
        short events;
        std::function<void(std::uint32_t)> ready;
    };
    class Undo final : public Registration {
    public:
        explicit Undo(std::function<void()> undo) : m_undo(std::move(undo)) { }
        ~Undo() override { m_undo(); }

    private:
        std::function<void()> m_undo;
    };
    template<typename Map, typename Entry>
    Handle keep(Map& map, Entry entry)
    {
        auto const key = m_next++;
        map.emplace(key, std::move(entry));
        return std::make_unique<Undo>([&map, key] { map.erase(key); });
    }
    void runTasks()
    {
        for (auto& task : std::exchange(m_tasks, {}))
            task();
    }

    std::vector<std::function<void()>> m_tasks;
    std::map<unsigned, Watch> m_watches;
    std::map<unsigned, std::function<void()>> m_timers;
    std::map<unsigned, std::function<bool()>> m_hooks;
    unsigned m_next = 1;
};

}
