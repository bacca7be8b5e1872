#include "app/runner/machine_runner_private.h"

/// A machine in memory: made or restored, followed, suspended, ended.
namespace app {

vmm::Machine::Listener MachineRunner::Private::listener()
{
    auto const mine = ++generation;
    return [this, mine](vmm::Event const& event) { take(event, mine); };
}

void MachineRunner::Private::take(vmm::Event const& event, std::uint64_t from)
{
    if (auto const* progress = std::get_if<vmm::event::Progress>(&event)) {
        tell(notice::Progress { progress->job, progress->fraction });
    } else if (auto const* pointer = std::get_if<vmm::event::PointerModeChanged>(&event)) {
        runner.m_absolutePointer = pointer->absolute;
        tell(notice::PointerModeChanged { pointer->absolute });
    } else if (auto const* medium = std::get_if<vmm::event::MediumChanged>(&event)) {
        configs.setMedium(medium->drive, medium->path);
        tell(notice::MediumChanged { medium->drive, medium->path });
    } else if (auto const* rumbled = std::get_if<vmm::event::Rumbled>(&event)) {
        post(
            [this, from, what = *rumbled] {
                if (from == generation)
                    play.rumble(what);
            },
            {});
    } else if (auto const* added = std::get_if<vmm::event::UsbAdded>(&event)) {
        post(
            [this, from, device = added->device] {
                if (from == generation)
                    ownUsb.machineAdded(device);
            },
            {});
    } else if (auto const* removed = std::get_if<vmm::event::UsbRemoved>(&event)) {
        post(
            [this, from, what = *removed] {
                if (from == generation)
                    what.removed ? ownUsb.machineRemoved(what.device)
                                 : vmm::ignore(ownUsb.notePlugged(what.device, false));
            },
            {});
    } else if (auto const* missed = std::get_if<vmm::event::ForwardsMissed>(&event)) {
        tell(notice::ForwardsMissed { missed->network, missed->why });
    } else if (std::holds_alternative<vmm::event::GuestRebooted>(event)) {
        tell(notice::GuestRebooted {});
    } else if (auto const* kept = std::get_if<vmm::event::MomentKept>(&event)) {
        lastKept = kept->id; // before its completion, on the same thread
        tell(notice::MomentKept { kept->id, kept->stoodStill });
    } else if (auto const* change = std::get_if<vmm::event::StateChanged>(&event)) {
        post([this, from, change = *change] { follow(change, from); }, {});
    }
}

void MachineRunner::Private::follow(vmm::event::StateChanged const& change, std::uint64_t from)
{
    if (from != generation || !machine)
        return;
    auto const state = runner.m_state.load();
    // A suspend pauses and powers off on its way, and a start begins from Off: their completion tells the outcome.
    bool const isUnderWay
        = state == SessionState::Suspending || state == SessionState::Starting || state == SessionState::Restoring;
    if (change.state == vmm::RunState::Off) {
        if (!isUnderWay)
            endWhenStored(change.reason);
    } else if (!isUnderWay || change.state == vmm::RunState::Crashed) {
        setState(sessionState(change.state), change.reason);
    }
}

void MachineRunner::Private::keep(std::unique_ptr<vmm::Machine> made, std::optional<RunOrigin> const& origin)
{
    {
        std::lock_guard const guard(machineMutex);
        machine = std::move(made);
    }
    unasked.machineCameUp();
    configs.machineCameUp(*machine, origin);
    auto const its = runner.config();
    for (auto const& device : its.usbDevices)
        play.connect(*machine, its.name, device);
}

void MachineRunner::Private::end(std::optional<vmm::Error> why)
{
    drop();
    hadHostUsb = nullptr;
    hostUsb.machineEnded();
    redirectedUsb.machineEnded();
    letGo();
    runner.m_absolutePointer = false;
    setState(restingState(), std::move(why));
}

void MachineRunner::Private::endWhenStored(std::optional<vmm::Error> const& why, std::function<void()> const& then)
{
    auto const task = [this, why, then, mine = generation] {
        if (mine == generation)
            end(why);
        if (then)
            then();
    };
    keepsAsked == 0 ? task() : whenStored.push_back(task);
}

void MachineRunner::Private::drop()
{
    unasked.machineEnded();
    thinning.end(); // it would keep the lock
    play.machineEnded();
    configs.detach();
    std::unique_ptr<vmm::Machine> ended;
    {
        std::lock_guard const guard(machineMutex);
        ended = std::move(machine);
    }
    ended.reset();
    configs.machineEnded();
    ++generation;
    savedStateInUse = false;
    standsForGoing = false;
    complaint.clear();
}

void MachineRunner::Private::letGo()
{
    if (machine || timelineJobs > 0)
        return;
    timeline.reset();
    lock.reset();
}

vmm::Result<> MachineRunner::Private::takeLock()
{
    if (!lock && !runner.m_places.lockFile.empty())
        lock = TRY(MachineLock::take(runner.m_places.lockFile));
    // Before its guest can write any format's header. What cannot be found out now hinders nothing but a start.
    if (auto const found = configs.findFormats(); !found.empty())
        tell(notice::FormatsFound { found });
    return {};
}

vmm::Result<> MachineRunner::Private::dropSavedState()
{
    auto const& directory = runner.m_places.stateDirectory;
    auto const state = directory + "/state.json", leaving = state + ".new"; // which counts for nothing
    bool const isOurs = !directory.empty() && !runner.m_places.keepsState;
    if (!isOurs || !hasSavedState(directory)) {
        // One that could neither be removed for good nor be put back would be there again after a power cut.
        if (isOurs && ::access(leaving.c_str(), F_OK) == 0) {
            TRY(syncDirectory(directory));
            ::unlink(leaving.c_str());
        }
        savedStateInUse = false;
        return {};
    }
    TRY(vmm::mendSavedMachine(directory));
    if (::rename(state.c_str(), leaving.c_str()) != 0)
        return vmm::failOs(fmt::format("removing the saved state in {}", directory));
    // The disks must not move on before that is so after a power cut too: memory would meet a newer disk. Where nobody
    // can say it, it is the state that stays, and whoever has waited for this does not go on.
    if (auto const synced = syncDirectory(directory); !synced) {
        auto error = synced.error();
        if (::rename(leaving.c_str(), state.c_str()) == 0)
            return vmm::fail(std::move(error).within("the saved state stays, since it cannot be removed for good"));
        error.code = vmm::ErrorCode::NotFound;
        return vmm::fail(
            std::move(error).within(fmt::format("the saved state is not lost: rename {} to {}", leaving, state)));
    }
    savedStateInUse = false;
    ::unlink(leaving.c_str());
    ::unlink((directory + "/ram").c_str());
    for (auto const& [id, link] : configs.consoles())
        ::unlink(pastFile(directory, id).c_str());
    return {};
}

std::string MachineRunner::Private::pastFile(std::string const& directory, std::string const& console)
{
    return fmt::format("{}/{}{}", directory, vmm::savedCompanionPrefix, console);
}

void MachineRunner::Private::keepPasts(std::string const& directory)
{
    for (auto const& [id, link] : configs.consoles()) {
        if (auto const shown = shownOn(*link); !shown.empty())
            vmm::ignore(writeWholeFile(pastFile(directory, id), shown, Durable::No));
    }
}

vmm::Bytes MachineRunner::Private::shownOn(ConsoleLink const& console)
{
    auto shown = console.past();
    std::uint64_t run = 0;
    console.readFrom(0, shown, run);
    if (shown.size() > vmm::Console::scrollback)
        shown.erase(shown.begin(), shown.end() - vmm::Console::scrollback);
    return shown;
}

void MachineRunner::Private::readPasts()
{
    for (auto const& [id, link] : configs.consoles()) {
        auto const text = hasSavedState(runner.m_places.stateDirectory)
            ? readWholeFile(pastFile(runner.m_places.stateDirectory, id), vmm::Console::scrollback)
            : vmm::Result<std::string>();
        link->setPast(text ? vmm::Bytes(text->begin(), text->end()) : vmm::Bytes());
    }
}

void MachineRunner::Private::start(bool paused, Completion const& done)
{
    auto const state = runner.m_state.load();
    if (state == SessionState::Crashed && !paused)
        return forward(Action::Start, "start", vmm::command::Start {}, done);
    if (!isPossible(Action::Start, state))
        return finish(done, vmm::fail(notNow("start", state)));
    if (auto const free = disks.areLeftAlone(); !free)
        return finish(done, free);
    if (auto const locked = takeLock(); !locked)
        return finish(done, locked);
    auto going = onTheWay();
    // What a newer program knows of it may matter; what nobody can read does not.
    if (!going && going.error().code != vmm::ErrorCode::VersionTooNew) {
        neglect(notice::PastNeglected::What::Timeline, going.error());
        going = std::string();
    }
    if (!going || !going->empty()) {
        auto opened = going ? openTimeline() : vmm::Result<>(vmm::fail(going.error()));
        if (opened)
            opened = checkMoment(*going);
        if (opened)
            return goThere(
                *going, paused ? Then::StandStill : Then::Run, [this, done, paused](vmm::Result<> const& gone) {
                    // At that moment it was off.
                    if (gone && runner.m_state == SessionState::Off)
                        return start(paused, done);
                    finish(done, gone);
                });
        end();
        return finish(done, opened);
    }
    // Another process may have suspended or resumed it since we last looked.
    auto const outcome = restingState() == SessionState::Suspended ? restore() : create();
    if (!outcome) {
        end();
        return finish(done, outcome);
    }
    if (savedStateInUse && paused) {
        setState(SessionState::Paused);
        hostUsb.machineCameUp(std::exchange(hadHostUsb, {}));
        return finish(done, {});
    }
    if (auto const dropped = dropSavedState(); !dropped) {
        end();
        return finish(done, dropped);
    }
    bool const restored = runner.m_state == SessionState::Restoring;
    vmm::Command command = vmm::command::Start {};
    if (restored)
        command = vmm::command::Resume {};
    machine->post(std::move(command), [this, done, mine = generation](vmm::Result<> started) {
        post(
            [this, done, mine, started] {
                if (mine == generation)
                    settle(started);
                if (mine == generation && started)
                    hostUsb.machineCameUp(std::exchange(hadHostUsb, {}));
                mendTimeline();
                finish(done, started);
            },
            done);
    });
}

bool MachineRunner::Private::hasTimeline() const
{
    struct stat status { };
    auto const& path = runner.m_places.timelineFolder;
    return !path.empty() && ::stat(path.c_str(), &status) == 0;
}

void MachineRunner::Private::mendTimeline()
{
    if (!machine || !hasTimeline())
        return;
    if (auto const opened = openTimeline(); !opened)
        return neglect(notice::PastNeglected::What::Timeline, opened.error());
    tidyLoose();
    thinning.soon();
}

void MachineRunner::Private::tidyLoose(Completion const& done)
{
    if (timeline && !timeline->loose().empty())
        tidyDisks(done);
    else
        finish(done, {});
}

void MachineRunner::Private::tidyDisks(Completion const& done)
{
    if (!timeline || savedStateInUse || !disks.areLeftAlone())
        return finish(done, {});
    if (machine)
        return machine->post(vmm::command::TidyDisks { timeline }, done);
    if (restingState() == SessionState::Off)
        vmm::ignore(vmm::Machine::tidyDisks(runner.config(), *timeline));
    finish(done, {});
}

vmm::Result<> MachineRunner::Private::create()
{
    setState(SessionState::Starting);
    readPasts();
    auto const kept = TRY(keptCpu());
    auto made = factory.create(runner.config(), listener(), kept ? &kept->features : nullptr);
    if (!made && kept) {
        if (auto const host = factory.checkHost(kept->features); !host) {
            return vmm::fail(host.error().code,
                host.error().detail
                    + "; give it another processor in its settings, or this host's with chronoctl renew-cpu");
        }
    }
    if (!made)
        return vmm::fail(made.error());
    // Before its guest sees it.
    TRY(keepCpu(**made));
    keep(std::move(*made));
    return {};
}

vmm::Result<std::optional<vmm::KeptCpu>> MachineRunner::Private::keptCpu()
{
    auto const& path = runner.m_places.cpuFile;
    auto kept = path.empty() ? std::nullopt : TRY(readCpuFile(path));
    if (kept && kept->model != runner.config().cpuModel)
        kept.reset();
    return kept;
}

vmm::Result<> MachineRunner::Private::keepCpu(vmm::Machine const& made)
{
    auto const& path = runner.m_places.cpuFile;
    if (path.empty())
        return {};
    vmm::KeptCpu const its { made.config().cpuModel, made.cpu() };
    if (auto const kept = readCpuFile(path); kept && *kept == its)
        return {};
    return writeCpuFile(path, its);
}

void MachineRunner::Private::bringCpu(vmm::Machine const& made)
{
    if (auto const kept = keepCpu(made); !kept)
        vmm::log(vmm::LogLevel::Warning, "runner", "its CPU could not be kept: {}", kept.error().message());
}

vmm::Result<> MachineRunner::Private::restore()
{
    setState(SessionState::Restoring);
    auto const& directory = runner.m_places.stateDirectory;
    TRY(vmm::mendSavedMachine(directory));
    readPasts();
    auto made = TRY(factory.restore(directory, listener()));
    if (made->config().uuid != runner.id())
        return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("{} holds the state of another machine", directory));
    bringCpu(*made);
    savedStateInUse = true; // before anybody sees the machine
    keep(std::move(made));
    hadHostUsb = noteSavedHostUsb(directory);
    return {};
}

void MachineRunner::Private::settle(vmm::Result<> const& outcome)
{
    if (!machine)
        return;
    auto const state = machine->state();
    if (state == vmm::RunState::Off)
        endWhenStored(outcome ? std::nullopt : std::optional(outcome.error()));
    else if (runner.m_state != SessionState::Crashed)
        setState(sessionState(state));
}

void MachineRunner::Private::suspend(std::string directory, bool thenPowerOff, Completion const& done)
{
    auto const state = runner.m_state.load();
    if (!machine || !isPossible(Action::Suspend, state))
        return finish(done, vmm::fail(notNow("suspend", state)));
    if (machine->state() == vmm::RunState::Off)
        return endWhenStored({}, [done] { finish(done, vmm::fail(notNow("suspend", SessionState::Off))); });
    if (directory.empty())
        directory = runner.m_places.stateDirectory;
    if (directory.empty())
        return finish(done, vmm::fail(vmm::ErrorCode::InvalidArgument, "no directory to suspend into"));
    // Its disks would part from it at once, and the next start would take it for the machine's own.
    if (!thenPowerOff && !runner.m_places.keepsState && isSamePlace(directory, runner.m_places.stateDirectory)) {
        return finish(done,
            vmm::fail(vmm::ErrorCode::InvalidArgument,
                "the state of a machine that goes on running needs a directory elsewhere"));
    }
    if (unasked.isWaitedFor())
        return suspendAfterAutomatic(directory, thenPowerOff, done);
    setState(SessionState::Suspending);
    machine->post(vmm::command::Suspend { directory, thenPowerOff },
        [this, done, directory, mine = generation](vmm::Result<> const& outcome) {
            post(
                [this, done, directory, mine, outcome] {
                    if (outcome)
                        keepPasts(directory);
                    if (mine == generation) {
                        settle(outcome);
                        tidyLoose(); // which it has refused meanwhile, if it goes on
                    }
                    finish(done, outcome);
                },
                done);
        });
}

/// An automatic moment gives way to a suspend, and one that was asked for comes first.
void MachineRunner::Private::suspendAfterAutomatic(
    std::string const& directory, bool thenPowerOff, Completion const& done)
{
    // Else the machine is keeping another that was asked for, and has refused the automatic one.
    if (keepsAsked == 0)
        machine->post(vmm::command::CancelKeeping {});
    unasked.afterAutomatic([this, directory, thenPowerOff, done, cancelled = jobs.begin("suspend")] {
        jobs.end(cancelled);
        if (*cancelled)
            return finish(done, vmm::fail(vmm::ErrorCode::Cancelled, "suspending was cancelled"));
        suspend(directory, thenPowerOff, done);
    });
}

}
