#include "app/runner/disk_jobs.h"

#include <algorithm>
#include <fmt/format.h>

namespace app {

namespace {

std::string atWorkOn(std::string const& disk)
{
    return fmt::format(
        "the files of the machine's {} are being put together; wait until that has ended, or cancel it", disk);
}

void finish(DiskJobs::Completion const& done, vmm::Result<> outcome)
{
    if (done)
        done(std::move(outcome));
}

}

DiskJobs::DiskJobs(Calls calls, LongJobs& jobs, UnaskedMoments& moments)
    : m_calls(std::move(calls)), m_jobs(jobs), m_moments(moments)
{
}

vmm::Result<> DiskJobs::areLeftAlone() const
{
    return m_changes.empty() ? vmm::Result<>() : vmm::fail(vmm::ErrorCode::Busy, m_changes);
}

void DiskJobs::stream(std::string const& disk, std::string const& onto, Completion const& done)
{
    if (!m_calls.isInMemory()) {
        auto const what = [config = m_calls.config(), disk, onto](auto const*, Progress const& progress) {
            return vmm::streamStillDisk(config, disk, onto, progress);
        };
        return workStill("stream", disk, what, done);
    }
    workLive(
        "stream", disk,
        [disk, onto](Progress const& progress) {
            return vmm::command::StreamDisk { disk, onto, progress };
        },
        done);
}

void DiskJobs::commit(std::string const& disk, unsigned files, vmm::OtherImages const& others, Completion const& done)
{
    if (m_calls.isInMemory())
        return commitLive(disk, files, others, done);
    auto const what = [config = m_calls.config(), disk, files, others](auto const* past, Progress const& progress) {
        return vmm::commitStillDisk(config, disk, files, past, others, progress);
    };
    workStill("commit", disk, what, done);
}

void DiskJobs::commitLive(
    std::string const& disk, unsigned files, vmm::OtherImages const& others, Completion const& done)
{
    auto const past = m_calls.timeline();
    if (!past)
        return finish(done, vmm::fail(past.error()));
    auto const config = m_calls.config();
    auto const its = std::ranges::find(config.disks, disk, &vmm::DiskConfig::id);
    if (its == config.disks.end())
        return finish(done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no disk {}", disk)));
    auto const mayChange = [past = *past, its = *its, others](std::string const& base) {
        return vmm::checkNobodyNeeds(its, base, past.get(), others);
    };
    workLive(
        "commit", disk,
        [disk, files, mayChange](Progress const& progress) {
            return vmm::command::CommitDisk { disk, files, mayChange, progress };
        },
        done);
}

void DiskJobs::grow(std::string const& disk, std::uint64_t bytes, Completion const& done)
{
    auto const ready = [this, disk, bytes]() -> vmm::Result<> {
        if (m_calls.isInMemory())
            return vmm::fail(
                vmm::ErrorCode::NotNow, "a disk is made larger only while its machine is off; switch it off");
        TRY(areLeftAlone());
        return vmm::checkGrowth(m_calls.config(), disk, bytes);
    };
    if (auto const first = ready(); !first)
        return finish(done, first);
    m_moments.keep(vmm::timeline::Reason::BeforeChange, [this, disk, bytes, ready, done](vmm::Result<> const&) {
        // It may have been started meanwhile.
        if (auto const still = ready(); !still)
            return finish(done, still);
        auto const what = [config = m_calls.config(), disk, bytes](
                              auto const*, Progress const&) { return vmm::growStillDisk(config, disk, bytes); };
        workStill("grow", disk, what, done);
    });
}

void DiskJobs::workLive(std::string const& job, std::string const& disk,
    std::function<vmm::Command(Progress const&)> const& command, Completion const& done)
{
    if (auto const other = m_jobs.diskAtWork(); !other.empty())
        return finish(done, vmm::fail(vmm::ErrorCode::Busy, atWorkOn(other)));
    m_jobs.start(
        LongJobs::Pace::Patient, job,
        [this, command](Progress const& progress) { return m_calls.carryOut(command(progress)); },
        [this, done](vmm::Result<> const& outcome) {
            m_calls.tidy(); // which has waited; and perhaps nothing stands on a file any more
            finish(done, outcome);
        },
        disk);
}

void DiskJobs::workStill(std::string const& job, std::string const& disk, StillJob const& what, Completion const& done)
{
    if (auto const free = areLeftAlone(); !free)
        return finish(done, free);
    auto const past = m_calls.hold();
    if (!past)
        return finish(done, vmm::fail(past.error()));
    m_changes = atWorkOn(disk);
    m_jobs.start(
        LongJobs::Pace::Prompt, job, [what, past = *past](Progress const& progress) { return what(past, progress); },
        [this, done](vmm::Result<> const& outcome) {
            m_changes.clear();
            m_calls.letGo();
            finish(done, outcome);
        },
        disk);
}

}
