#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/base/result.h"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace app {

/// What takes long, on two threads beside the runner's loop, on each one job after the other. start() and close() on
/// the loop; the rest on any thread.
class LongJobs {
public:
    using Completion = std::function<void(vmm::Result<>)>;
    using Progress = std::function<bool(double)>; ///< 0 to 1; false: give up
    using Job = std::function<vmm::Result<>(Progress const&)>;
    struct Calls {
        std::function<void(std::function<void()> task)> post;                  ///< to the loop; any thread
        std::function<void(std::string const& job, double fraction)> progress; ///< on the job's thread
        /// On the loop, when it is under way no more, before its `done`.
        std::function<void(std::string const& job)> ended;
    };
    explicit LongJobs(Calls calls);

    /// A person waits for what is prompt; what is patient leaves the disk and the processor to the guest.
    enum class Pace : std::uint8_t { Prompt, Patient };
    /// `disk`: whose files `what` puts together; empty: nobody's. `done` is called on the loop.
    void start(
        Pace pace, std::string const& job, Job const& what, Completion const& done, std::string const& disk = {});
    /// Waits until what was begun has ended.
    void close();

    /// To be true when what waits, or is under way, shall not go on.
    using Cancelled = std::shared_ptr<std::atomic<bool>>;
    /// For what waits elsewhere, until end().
    Cancelled begin(std::string const& job, std::string const& disk = {});
    void end(Cancelled const& cancelled);
    /// All that have begun; whether there was one.
    bool cancel();
    /// The first of that name, likewise.
    bool cancelNamed(std::string const& job);
    /// That of that disk, likewise.
    bool cancelDisk(std::string const& disk);
    /// Whose files are being put together; empty: nobody's.
    std::string diskAtWork() const;

private:
    struct UnderWay {
        Cancelled cancelled;
        std::string job, disk;
    };
    bool cancelFirst(std::string UnderWay::*field, std::string const& value);
    Calls const m_calls;
    mutable std::mutex m_mutex;
    std::vector<UnderWay> m_underWay;
    std::array<std::unique_ptr<vmm::LoopThread>, 2> m_threads; // by Pace
};

}
