#include "app/runner/machine_runner_private.h"

#include <future>

/// Disks and the files that they stand on.
namespace app {

namespace {

std::string atWorkOn(std::string const& disk)
{
    return fmt::format(
        "the files of the machine's {} are being put together; wait until that has ended, or cancel it", disk);
}

}

vmm::Result<> MachineRunner::Private::disksAreLeftAlone() const
{
    return changesDisk.empty() ? vmm::Result<>() : vmm::fail(vmm::ErrorCode::Busy, changesDisk);
}

vmm::Result<> MachineRunner::Private::savedStateIsLeft() const
{
    if (!savedStateInUse)
        return {};
    return vmm::fail(vmm::ErrorCode::NotNow,
        "the machine has not run since it came back from its saved state, which is of its disks as they are now; "
        "resume it first");
}

void MachineRunner::Private::streamDisk(std::string const& disk, std::string const& onto, Completion const& done)
{
    if (!machine) {
        auto const what = [config = runner.config(), disk, onto](JobProgress const& progress) {
            return vmm::streamStillDisk(config, disk, onto, progress);
        };
        return workOnStillDisk("stream", disk, what, done);
    }
    workOnLiveDisk(
        "stream", disk,
        [disk, onto](JobProgress const& progress) {
            return vmm::command::StreamDisk { disk, onto, progress };
        },
        done);
}

void MachineRunner::Private::workOnLiveDisk(std::string const& job, std::string const& disk,
    std::function<vmm::Command(JobProgress const&)> const& command, Completion const& done)
{
    if (auto const other = jobs.diskAtWork(); !other.empty())
        return finish(done, vmm::fail(vmm::ErrorCode::Busy, atWorkOn(other)));
    jobs.start(
        LongJobs::Pace::Patient, job,
        [this, command](JobProgress const& progress) { return carryOutLive(command(progress)); },
        [this, done](vmm::Result<> const& outcome) {
            tidyLoose(); // which has waited; and perhaps nothing stands on a file any more
            finish(done, outcome);
        },
        disk);
}

vmm::Result<> MachineRunner::Private::carryOutLive(vmm::Command const& command)
{
    auto const ended = std::make_shared<std::promise<vmm::Result<>>>();
    {
        std::shared_lock const guard(machineMutex);
        if (!machine)
            return vmm::fail(vmm::ErrorCode::NotNow, "the machine has ended meanwhile");
        TRY(savedStateIsLeft());
        // A machine that ends tells so, too.
        machine->post(command, [ended](vmm::Result<> outcome) { ended->set_value(std::move(outcome)); });
    }
    return ended->get_future().get();
}

void MachineRunner::Private::commitDisk(
    std::string const& disk, unsigned files, vmm::OtherImages const& others, Completion const& done)
{
    if (machine)
        return commitLive(disk, files, others, done);
    // Looked for where it must not be missed: a timeline that cannot be opened may need anything.
    auto const what = [this, config = runner.config(), disk, files, others](JobProgress const& progress) {
        return vmm::commitStillDisk(config, disk, files, timeline.get(), others, progress);
    };
    workOnStillDisk("commit", disk, what, done);
}

void MachineRunner::Private::commitLive(
    std::string const& disk, unsigned files, vmm::OtherImages const& others, Completion const& done)
{
    if (hasTimeline()) {
        if (auto const opened = openTimeline(); !opened)
            return finish(done, opened);
    }
    auto const config = runner.config();
    auto const its = std::ranges::find(config.disks, disk, &vmm::DiskConfig::id);
    if (its == config.disks.end())
        return finish(done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no disk {}", disk)));
    auto const mayChange = [past = timeline, its = *its, others](std::string const& base) {
        return vmm::checkNobodyNeeds(its, base, past.get(), others);
    };
    workOnLiveDisk(
        "commit", disk,
        [disk, files, mayChange](JobProgress const& progress) {
            return vmm::command::CommitDisk { disk, files, mayChange, progress };
        },
        done);
}

void MachineRunner::Private::growDisk(std::string const& disk, std::uint64_t bytes, Completion const& done)
{
    auto const ready = [this, disk, bytes]() -> vmm::Result<> {
        if (machine)
            return vmm::fail(
                vmm::ErrorCode::NotNow, "a disk is made larger only while its machine is off; switch it off");
        TRY(disksAreLeftAlone());
        return vmm::checkGrowth(runner.config(), disk, bytes);
    };
    if (auto const first = ready(); !first)
        return finish(done, first);
    unasked.keep(vmm::timeline::Reason::BeforeChange, [this, disk, bytes, ready, done](vmm::Result<> const&) {
        // It may have been started meanwhile.
        if (auto const still = ready(); !still)
            return finish(done, still);
        auto const what = [config = runner.config(), disk, bytes](
                              JobProgress const&) { return vmm::growStillDisk(config, disk, bytes); };
        workOnStillDisk("grow", disk, what, done);
    });
}

void MachineRunner::Private::workOnStillDisk(std::string const& job, std::string const& disk,
    std::function<vmm::Result<>(JobProgress const&)> const& what, Completion const& done)
{
    auto const ready = [&]() -> vmm::Result<> {
        TRY(disksAreLeftAlone());
        TRY(takeLock());
        // Another process may have suspended or resumed it since we last looked.
        if (restingState() == SessionState::Suspended)
            return vmm::fail(vmm::ErrorCode::NotNow,
                "the machine is suspended, and its state is of its disks as they are now; resume it first, or discard "
                "that state");
        if (hasTimeline())
            TRY(openTimeline());
        return {};
    }();
    if (!ready) {
        letGo();
        return finish(done, ready);
    }
    ++timelineJobs;
    changesDisk = atWorkOn(disk);
    jobs.start(
        LongJobs::Pace::Prompt, job, what,
        [this, done](vmm::Result<> const& outcome) {
            --timelineJobs;
            changesDisk.clear();
            tidyLoose();
            letGo();
            finish(done, outcome);
        },
        disk);
}

void MachineRunner::streamDisk(std::string disk, std::string onto, Completion const& done)
{
    m_private->post(
        [this, done, disk = std::move(disk), onto = std::move(onto)] { m_private->streamDisk(disk, onto, done); },
        done);
}

void MachineRunner::commitDisk(std::string disk, unsigned files, vmm::OtherImages others, Completion const& done)
{
    m_private->post([this, done, files, disk = std::move(disk),
                        others = std::move(others)] { m_private->commitDisk(disk, files, others, done); },
        done);
}

void MachineRunner::growDisk(std::string disk, std::uint64_t bytes, Completion const& done)
{
    m_private->post([this, done, bytes, disk = std::move(disk)] { m_private->growDisk(disk, bytes, done); }, done);
}

void MachineRunner::cancelDisk(std::string disk, Completion const& done)
{
    m_private->post(
        [this, done, disk = std::move(disk)] {
            Private::finish(done,
                m_private->jobs.cancelDisk(disk) ? vmm::Result<>()
                                                 : vmm::fail(vmm::ErrorCode::NotNow,
                                                     fmt::format("the files of {} are not being put together", disk)));
        },
        done);
}
}
