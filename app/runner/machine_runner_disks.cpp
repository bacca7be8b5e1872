#include "app/runner/machine_runner_private.h"

#include <future>

/// Disks and the files that they stand on, as DiskJobs and the machine come together.
namespace app {

DiskJobs::Calls MachineRunner::Private::diskCalls()
{
    DiskJobs::Calls calls;
    calls.isInMemory = [this] { return machine != nullptr; };
    calls.config = [this] { return runner.config(); };
    calls.carryOut = [this](vmm::Command const& command) { return carryOut(command); };
    calls.tidy = [this] { tidyLoose(); };
    calls.timeline = [this]() -> vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>> {
        if (hasTimeline())
            TRY(openTimeline());
        return timeline;
    };
    calls.hold = [this]() -> vmm::Result<vmm::timeline::Timeline const*> {
        if (auto const ready = takeStill(); !ready) {
            letGo();
            return vmm::fail(ready.error());
        }
        ++timelineJobs;
        return timeline.get();
    };
    calls.letGo = [this] {
        --timelineJobs;
        tidyLoose();
        letGo();
    };
    return calls;
}

vmm::Result<> MachineRunner::Private::takeStill()
{
    TRY(takeLock());
    // Another process may have suspended or resumed it since we last looked.
    if (restingState() == SessionState::Suspended)
        return vmm::fail(vmm::ErrorCode::NotNow,
            "the machine is suspended, and its state is of its disks as they are now; resume it first, or discard "
            "that state");
    if (hasTimeline())
        TRY(openTimeline());
    return {};
}

vmm::Result<> MachineRunner::Private::carryOut(vmm::Command const& command)
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

vmm::Result<> MachineRunner::Private::savedStateIsLeft() const
{
    if (!savedStateInUse)
        return {};
    return vmm::fail(vmm::ErrorCode::NotNow,
        "the machine has not run since it came back from its saved state, which is of its disks as they are now; "
        "resume it first");
}

void MachineRunner::streamDisk(std::string disk, std::string onto, Completion const& done)
{
    m_private->post(
        [this, done, disk = std::move(disk), onto = std::move(onto)] { m_private->disks.stream(disk, onto, done); },
        done);
}

void MachineRunner::commitDisk(std::string disk, unsigned files, vmm::OtherImages others, Completion const& done)
{
    m_private->post([this, done, files, disk = std::move(disk),
                        others = std::move(others)] { m_private->disks.commit(disk, files, others, done); },
        done);
}

void MachineRunner::growDisk(std::string disk, std::uint64_t bytes, Completion const& done)
{
    m_private->post([this, done, bytes, disk = std::move(disk)] { m_private->disks.grow(disk, bytes, done); }, done);
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
