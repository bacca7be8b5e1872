#pragma once

#include "app/runner/long_jobs.h"
#include "app/runner/unasked_moments.h"
#include "vmm/machine/disk_chains.h"

namespace app {

/// What is done with the files of the machine's disks: a disk takes over what it has of those below it, goes into
/// those, or is made larger. One that is off stays off meanwhile; one in memory goes on. All on the runner's loop.
class DiskJobs {
public:
    using Completion = LongJobs::Completion;
    struct Calls {
        std::function<bool()> isInMemory;
        std::function<vmm::VmConfig()> config;
        /// Has the machine in memory do that, and waits for it; on the job's thread.
        std::function<vmm::Result<>(vmm::Command const&)> carryOut;
        /// Gives back what the disks of the one in memory had for moments that are no more.
        std::function<void()> tidy;
        /// The timeline of the machine in memory; null: it has none.
        std::function<vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>>()> timeline;
        /// One that is off is ours until letGo(), which tidies, too; with its timeline, null: it has none.
        std::function<vmm::Result<vmm::timeline::Timeline const*>()> hold;
        std::function<void()> letGo;
    };
    DiskJobs(Calls calls, LongJobs& jobs, UnaskedMoments& moments);

    // See MachineRunner.
    void stream(std::string const& disk, std::string const& onto, Completion const& done);
    void commit(std::string const& disk, unsigned files, vmm::OtherImages const& others, Completion const& done);
    void grow(std::string const& disk, std::uint64_t bytes, Completion const& done);

    /// Busy while the disks of a machine that is off are being changed.
    vmm::Result<> areLeftAlone() const;

private:
    using Progress = LongJobs::Progress;
    using StillJob = std::function<vmm::Result<>(vmm::timeline::Timeline const*, Progress const&)>;
    void commitLive(std::string const& disk, unsigned files, vmm::OtherImages const& others, Completion const& done);
    void workLive(std::string const& job, std::string const& disk,
        std::function<vmm::Command(Progress const&)> const& command, Completion const& done);
    void workStill(std::string const& job, std::string const& disk, StillJob const& what, Completion const& done);

    Calls const m_calls;
    LongJobs& m_jobs;
    UnaskedMoments& m_moments;
    std::string m_changes; // of a machine that is off: what is being done, in a sentence
};

}
