#include "app/runner/machine_runner_private.h"
#include "vmm/base/give_way.h"

#include <linux/ioprio.h>
#include <sys/syscall.h>

/// What takes long, on threads of its own.
namespace app {

namespace {

/// The guests and the person go before: this thread gets a little of the processor, and what they leave of the disk.
void yieldToOthers()
{
    vmm::giveWay();
    ::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

}

void MachineRunner::Private::work(
    Pace pace, std::string const& job, Job const& what, Completion const& done, std::string const& disk)
{
    auto& worker = workers[pace];
    if (!worker) {
        auto started = vmm::LoopThread::start("machine work");
        if (!started)
            return finish(done, vmm::fail(started.error()));
        worker = std::move(*started);
        if (pace == Patient)
            worker->loop().post(&yieldToOthers);
    }
    worker->loop().post([this, job, what, done, cancelled = beginJob(disk)] {
        double told = -1;
        auto const progress = [&](double fraction) {
            if (fraction >= told + 0.01) {
                told = fraction;
                tell(notice::Progress { job, fraction });
            }
            return !cancelled->load();
        };
        auto const outcome
            = cancelled->load() ? vmm::fail(vmm::ErrorCode::Cancelled, job + " was cancelled") : what(progress);
        tell(notice::JobEnded { job });
        endJob(cancelled);
        post([done, outcome] { finish(done, outcome); }, {});
    });
}

void MachineRunner::Private::workOnTimeline(std::string const& job, TimelineJob const& what, Completion const& done)
{
    auto ready = takeLock();
    if (ready)
        ready = openTimeline();
    if (!ready) {
        letGo();
        return finish(done, ready);
    }
    ++timelineJobs;
    work(
        Patient, job, [what, open = timeline](JobProgress const& progress) { return what(*open, progress); },
        [this, done](vmm::Result<> const& outcome) {
            --timelineJobs;
            letGo();
            finish(done, outcome);
        });
}

std::shared_ptr<std::atomic<bool>> MachineRunner::Private::beginJob(std::string const& disk)
{
    auto const cancelled = std::make_shared<std::atomic<bool>>(false);
    std::lock_guard const guard(jobsMutex);
    jobs.push_back({ cancelled, disk });
    return cancelled;
}

void MachineRunner::Private::endJob(std::shared_ptr<std::atomic<bool>> const& cancelled)
{
    std::lock_guard const guard(jobsMutex);
    std::erase_if(jobs, [&](UnderWay const& one) { return one.cancelled == cancelled; });
}

bool MachineRunner::Private::cancelJobs()
{
    std::lock_guard const guard(jobsMutex);
    for (auto const& job : jobs)
        *job.cancelled = true;
    return !jobs.empty();
}

bool MachineRunner::Private::cancelDisk(std::string const& disk)
{
    std::lock_guard const guard(jobsMutex);
    auto const job = disk.empty() ? jobs.end() : std::ranges::find(jobs, disk, &UnderWay::disk);
    if (job == jobs.end())
        return false;
    *job->cancelled = true;
    return true;
}

std::string MachineRunner::Private::diskAtWork() const
{
    std::lock_guard const guard(jobsMutex);
    auto const job = std::ranges::find_if(jobs, [](UnderWay const& one) { return !one.disk.empty(); });
    return job == jobs.end() ? std::string() : job->disk;
}

void MachineRunner::work(std::string job, Job what, Completion const& done)
{
    m_private->post([this, job = std::move(job), what = std::move(what),
                        done] { m_private->work(Private::Prompt, job, what, done); },
        done);
}

void MachineRunner::workOnTimeline(std::string job, TimelineJob what, Completion const& done)
{
    m_private->post(
        [this, job = std::move(job), what = std::move(what), done] { m_private->workOnTimeline(job, what, done); },
        done);
}

}
