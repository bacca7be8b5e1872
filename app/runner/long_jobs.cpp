#include "app/runner/long_jobs.h"

#include "vmm/base/give_way.h"

#include <algorithm>
#include <sys/syscall.h>
#include <unistd.h>

namespace app {

namespace {

/// The guests and the person go before: this thread gets a little of the processor, and what they leave of the disk.
void yieldToOthers()
{
    vmm::giveWay();
    // ioprio_set(2), and ioprio.h of the kernel's headers, which in Debian 12.15 is no C++.
    constexpr int whoProcess = 1, classIdle = 3, classShift = 13;
    ::syscall(SYS_ioprio_set, whoProcess, 0, classIdle << classShift);
}

}

LongJobs::LongJobs(Calls calls) : m_calls(std::move(calls)) { }

void LongJobs::start(
    Pace pace, std::string const& job, Job const& what, Completion const& done, std::string const& disk)
{
    auto& thread = m_threads[static_cast<std::size_t>(pace)];
    if (!thread) {
        auto started = vmm::LoopThread::start("machine work");
        if (!started) {
            if (done)
                done(vmm::fail(started.error()));
            return;
        }
        thread = std::move(*started);
        if (pace == Pace::Patient)
            thread->loop().post(&yieldToOthers);
    }
    thread->loop().post([this, job, what, done, cancelled = begin(job, disk)] {
        double told = -1;
        auto const progress = [&](double fraction) {
            if (fraction >= told + 0.01) {
                told = fraction;
                m_calls.progress(job, fraction);
            }
            return !cancelled->load();
        };
        auto const outcome
            = cancelled->load() ? vmm::fail(vmm::ErrorCode::Cancelled, job + " was cancelled") : what(progress);
        end(cancelled);
        m_calls.post([this, job, done, outcome] {
            m_calls.ended(job);
            if (done)
                done(outcome);
        });
    });
}

void LongJobs::close()
{
    m_threads = {};
}

LongJobs::Cancelled LongJobs::begin(std::string const& job, std::string const& disk)
{
    auto const cancelled = std::make_shared<std::atomic<bool>>(false);
    std::lock_guard const guard(m_mutex);
    m_underWay.push_back({ cancelled, job, disk });
    return cancelled;
}

void LongJobs::end(Cancelled const& cancelled)
{
    std::lock_guard const guard(m_mutex);
    std::erase_if(m_underWay, [&](UnderWay const& one) { return one.cancelled == cancelled; });
}

bool LongJobs::cancel()
{
    std::lock_guard const guard(m_mutex);
    for (auto const& one : m_underWay)
        *one.cancelled = true;
    return !m_underWay.empty();
}

bool LongJobs::cancelNamed(std::string const& job)
{
    return cancelFirst(&UnderWay::job, job);
}

bool LongJobs::cancelDisk(std::string const& disk)
{
    return !disk.empty() && cancelFirst(&UnderWay::disk, disk);
}

bool LongJobs::cancelFirst(std::string UnderWay::*field, std::string const& value)
{
    std::lock_guard const guard(m_mutex);
    auto const found = std::ranges::find(m_underWay, value, field);
    if (found == m_underWay.end())
        return false;
    *found->cancelled = true;
    return true;
}

std::string LongJobs::diskAtWork() const
{
    std::lock_guard const guard(m_mutex);
    auto const found = std::ranges::find_if(m_underWay, [](UnderWay const& one) { return !one.disk.empty(); });
    return found == m_underWay.end() ? std::string() : found->disk;
}

}
