#pragma once

#include "vmm/base/unique_fd.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace vmm {

using Nanoseconds = std::chrono::nanoseconds;

/// One thread's work: file descriptors, deadlines and tasks from other threads, in the order in which they come up.
/// Over epoll(7). Everything but post(), call() and stop() belongs to the loop's own thread, or to any thread as long
/// as run() has not begun.
class EventLoop {
public:
    /// Keeps a descriptor watched, a deadline or a hook registered; gone with it. Destroy it on the loop's thread, or
    /// when the loop does not run.
    class Registration {
    public:
        virtual ~Registration() = default;
    };
    using Handle = std::unique_ptr<Registration>;

    static Result<std::unique_ptr<EventLoop>> create();
    virtual ~EventLoop() = default;

    /// Serves until stop(). The calling thread becomes the loop's thread.
    virtual void run() = 0;
    virtual void stop() = 0;
    virtual bool isLoopThread() const = 0;

    /// Runs `task` on the loop's thread, after what was posted before it. What is posted to a loop that has stopped is
    /// dropped with the loop.
    virtual void post(std::function<void()> task) = 0;

    /// Runs `task` on the loop's thread and returns when it has. At once when called from there, or when the loop does
    /// not run.
    void call(std::function<void()> const& task);

    /// Calls `ready` with the epoll events (EPOLLIN …) for as long as the descriptor has any of `events`.
    virtual Handle watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) = 0;

    /// Calls `due` once, when CLOCK_MONOTONIC has reached `deadline`.
    virtual Handle at(Nanoseconds deadline, std::function<void()> due) = 0;

    /// Calls `hook` each time before the loop would sleep: where batched work is submitted. Returns true when it found
    /// work to do, so that the loop looks around once more instead of sleeping.
    virtual Handle beforeSleep(std::function<bool()> hook) = 0;

    /// CLOCK_MONOTONIC.
    static Nanoseconds now();

protected:
    /// As post(); false, and nothing posted, while run() is not under way.
    virtual bool postIfRunning(std::function<void()> task) = 0;
};

/// An EventLoop with a thread of its own, which ends with the object.
class LoopThread {
public:
    /// `name` is shown by ps and debuggers; up to 15 characters.
    static Result<std::unique_ptr<LoopThread>> start(std::string name);
    ~LoopThread();
    EventLoop& loop() { return *m_loop; }
    /// Ends the thread when what was posted has run; what is posted from now on never runs. The loop stays, so that
    /// what is registered with it can be taken down.
    void end();

private:
    explicit LoopThread(std::unique_ptr<EventLoop> loop) : m_loop(std::move(loop)) { }
    std::unique_ptr<EventLoop> m_loop;
    std::thread m_thread;
};

}
