#include "app/runner/machine_runner_private.h"

#include <algorithm>

namespace app {

MachineRunner::MachineRunner(
    vmm::VmConfig config, MachinePlaces places, MachineFactory factory, vmm::Nanoseconds minute)
    : m_places(std::move(places)),
      m_private(std::make_unique<Private>(*this, std::move(config), std::move(factory), minute))
{
    m_state = m_private->restingState();
    if (m_state == SessionState::Suspended)
        m_private->readPasts();
}

MachineRunner::~MachineRunner()
{
    if (!m_private->thread)
        return;
    {
        std::lock_guard const guard(m_private->observersMutex);
        m_private->observers.clear();
    }
    m_private->thread->loop().call([this] {
        m_private->jobs.cancel(); // also those that began since we were called
        m_private->jobs.close();  // they look at the timeline, not at the machine
        m_private->thinning.end();
        if (m_private->machine)
            m_private->end();
        m_private->hostUsb.close();
        m_private->redirectedUsb.close();
    });
    m_private->thread.reset();
}

std::string MachineRunner::id() const
{
    return m_private->configs.uuid();
}

vmm::VmConfig MachineRunner::config() const
{
    return m_private->configs.now();
}

void MachineRunner::setConfig(vmm::VmConfig config)
{
    m_private->configs.setNext(std::move(config));
}

void MachineRunner::lookAgain()
{
    if (isInMemory(state()))
        return;
    m_private->post(
        [this] {
            auto const resting = m_private->restingState();
            if (isInMemory(state()) || state() == resting)
                return;
            m_private->readPasts();
            m_private->setState(resting);
        },
        {});
}

std::optional<vmm::Error> MachineRunner::reason() const
{
    std::lock_guard const guard(m_private->reasonMutex);
    return m_private->reason;
}

std::string MachineRunner::mediumPath(std::string const& drive) const
{
    return m_private->configs.mediumPath(drive);
}

vmm::MachineStatistics MachineRunner::statistics() const
{
    std::shared_lock const guard(m_private->machineMutex);
    return m_private->machine ? m_private->machine->statistics() : vmm::MachineStatistics {};
}

void MachineRunner::measure(std::function<void(vmm::MachineStatistics const&)> done)
{
    m_private->post([this, done = std::move(done)] { done(statistics()); }, {});
}

void MachineRunner::measureChange(std::function<void(std::optional<double>)> done)
{
    m_private->post(
        [this, done = std::move(done)] {
            std::shared_lock const guard(m_private->machineMutex);
            done(m_private->machine ? m_private->machine->memoryChangeRate() : std::nullopt);
        },
        {});
}

std::vector<vmm::Error> MachineRunner::saveObstacles() const
{
    std::shared_lock const guard(m_private->machineMutex);
    return m_private->machine ? m_private->machine->saveObstacles() : std::vector<vmm::Error> {};
}

void MachineRunner::start(Completion const& done)
{
    m_private->post([this, done] { m_private->start(false, done); }, done);
}

void MachineRunner::startPaused(Completion const& done)
{
    m_private->post(
        [this, done] {
            // A machine that has never run has nothing to stand still with.
            if (m_private->restingState() != SessionState::Suspended || isInMemory(state()))
                return Private::finish(done, vmm::fail(notNow("restore", state())));
            m_private->start(true, done);
        },
        done);
}

void MachineRunner::pause(Completion const& done)
{
    m_private->post([this, done] { m_private->forward(Action::Pause, "pause", vmm::command::Pause {}, done); }, done);
}

void MachineRunner::resume(Completion const& done)
{
    m_private->post(
        [this, done] {
            // Whoever wants it to run on does not want it to go.
            if (state() == SessionState::Paused && std::exchange(m_private->standsForGoing, false))
                m_private->machine->post(vmm::command::CancelKeeping {});
            m_private->forward(Action::Resume, "resume", vmm::command::Resume {}, done);
        },
        done);
}

void MachineRunner::reset(Completion const& done)
{
    m_private->post(
        [this, done] {
            auto const reset = [this, done](vmm::Result<> const& outcome) {
                if (outcome)
                    m_private->tell(notice::MachineReset {});
                Private::finish(done, outcome);
            };
            m_private->forward(Action::Reset, "reset", vmm::command::Reset {}, reset);
        },
        done);
}

void MachineRunner::pressPowerButton(Completion const& done)
{
    m_private->post(
        [this, done] {
            m_private->forward(Action::PressPowerButton, "shut down", vmm::command::PressPowerButton {}, done);
        },
        done);
}

void MachineRunner::powerOff(Completion const& done)
{
    m_private->post(
        [this, done] { m_private->forward(Action::PowerOff, "power off", vmm::command::PowerOff {}, done); }, done);
}

void MachineRunner::suspend(Completion const& done, std::string directory, bool thenPowerOff)
{
    m_private->post([this, done, directory = std::move(directory),
                        thenPowerOff] { m_private->suspend(directory, thenPowerOff, done); },
        done);
}

void MachineRunner::discardState(Completion const& done, Really really)
{
    m_private->post([this, done, really] { m_private->discardState(really, done); }, done);
}

void MachineRunner::cancelJob(Completion const& done)
{
    m_private->post(
        [this, done] {
            bool const hadJobs = m_private->jobs.cancel();
            if (hadJobs && !isPossible(Action::CancelJob, state()))
                return Private::finish(done, {});
            m_private->forward(Action::CancelJob, "cancel the suspending of", vmm::command::CancelJob {}, done);
        },
        done);
}

void MachineRunner::cancelNamed(std::string job, Completion const& done)
{
    if (job == "keep")
        return cancelKeeping(done);
    m_private->post(
        [this, done, job = std::move(job)] {
            if (m_private->jobs.cancelNamed(job))
                return Private::finish(done, {});
            if (job != "suspend")
                return Private::finish(
                    done, vmm::fail(vmm::ErrorCode::NotNow, fmt::format("there is no {} under way", job)));
            m_private->forward(Action::CancelJob, "cancel the suspending of", vmm::command::CancelJob {}, done);
        },
        done);
}

void MachineRunner::work(std::string job, Job what, Completion const& done)
{
    m_private->post([this, job = std::move(job), what = std::move(what),
                        done] { m_private->jobs.start(LongJobs::Pace::Prompt, job, what, done); },
        done);
}

void MachineRunner::insertMedium(std::string drive, std::string path, Completion const& done)
{
    m_private->post(
        [this, done, drive = std::move(drive), path = std::move(path)] {
            if (!m_private->machine)
                return m_private->changeIdleMedium(drive, path, done);
            m_private->forward({}, "change a medium of", vmm::command::InsertMedium { drive, path }, done);
        },
        done);
}

void MachineRunner::ejectMedium(std::string drive, bool force, Completion const& done)
{
    m_private->post(
        [this, done, drive = std::move(drive), force] {
            if (!m_private->machine)
                return m_private->changeIdleMedium(drive, {}, done);
            m_private->forward({}, "change a medium of", vmm::command::EjectMedium { drive, force }, done);
        },
        done);
}

void MachineRunner::setForwards(std::string network, std::vector<vmm::PortForward> forwards, Completion const& done)
{
    m_private->post(
        [this, done, command = vmm::command::SetForwards { std::move(network), std::move(forwards) }] {
            m_private->setForwards(command, done);
        },
        done);
}

void MachineRunner::setConnected(std::string network, bool connected, Completion const& done)
{
    m_private->post(
        [this, done, command = vmm::command::SetConnected { std::move(network), connected }] {
            auto const note = [this, command] {
                return m_private->changeNetwork(
                    command.network, [&](vmm::NetworkConfig& changed) { changed.connected = command.connected; });
            };
            m_private->changeWhatIsKept("change a cable of", command, note, done);
        },
        done);
}

void MachineRunner::setPlugged(std::string device, bool plugged, Completion const& done)
{
    m_private->post(
        [this, done, command = vmm::command::SetPlugged { std::move(device), plugged }] {
            auto const note
                = [this, command] { return m_private->ownUsb.notePlugged(command.device, command.plugged); };
            m_private->changeWhatIsKept("plug a USB device of", command, note, done);
        },
        done);
}

void MachineRunner::sendInput(vmm::Input input)
{
    // Straight to the machine, which has its own queue: a pointer's way should be short.
    std::shared_lock const guard(m_private->machineMutex);
    if (m_private->machine)
        m_private->machine->post(vmm::command::SendInput { std::move(input) });
}

void MachineRunner::preferGamepads()
{
    m_private->post([this] { m_private->play.prefer(); }, {});
}

std::shared_ptr<ConsoleLink> MachineRunner::console(std::string const& id) const
{
    auto const links = m_private->configs.consoles();
    auto const found = links.find(id);
    return found == links.end() ? nullptr : found->second;
}

std::shared_ptr<ScreenLink> MachineRunner::screen(std::string const& id) const
{
    return m_private->configs.screen(id);
}

void MachineRunner::drain()
{
    if (auto* const loop = m_private->loop())
        loop->call([] {});
}

MachineRunner::ObserverId MachineRunner::addObserver(Observer observer)
{
    std::lock_guard const guard(m_private->observersMutex);
    m_private->observers.emplace(m_private->nextObserver, std::move(observer));
    return m_private->nextObserver++;
}

void MachineRunner::removeObserver(ObserverId id)
{
    std::lock_guard const guard(m_private->observersMutex);
    m_private->observers.erase(id);
}

// The inside

MachineRunner::Private::Private(
    MachineRunner& owner, vmm::VmConfig initial, MachineFactory machines, vmm::Nanoseconds minute)
    : runner(owner),
      factory(std::move(machines)),
      configs(std::move(initial)),
      thinning([this]() -> vmm::EventLoop& { return thread->loop(); }, minute,
          [this](auto const& stop, auto const& ended) { thinOut(stop, ended); }),
      unasked(unaskedCalls(), minute, thinning),
      hostUsb(
          usbPorts("attach a USB device of the host's to"), runner.m_places.libraryRoot,
          [this] { return runner.config(); }, hostUsbEvents()),
      redirectedUsb(usbPorts("attach a USB device of another computer to"),
          [this](auto const& all, auto const& lost, auto const& why) {
              tell(notice::RedirectedUsbChanged { all, lost, why });
          }),
      play(factory, [this](vmm::GamepadInput const& input) { runner.sendInput(input); }),
      ownUsb(ownUsbCalls(), configs, play),
      jobs(jobCalls()),
      disks(diskCalls(), jobs, unasked)
{
}

vmm::Result<> MachineRunner::Private::changeNetwork(
    std::string const& id, std::function<void(vmm::NetworkConfig&)> const& change)
{
    tell(notice::NetworkChanged { TRY(configs.changeNetwork(id, change)) });
    return {};
}

void MachineRunner::Private::changeWhatIsKept(
    std::string_view name, vmm::Command command, std::function<vmm::Result<>()> const& note, Completion const& done)
{
    if (!machine && runner.m_state == SessionState::Off)
        return finish(done, note());
    forward({}, name, std::move(command),
        [note, done](vmm::Result<> outcome) { finish(done, outcome ? note() : std::move(outcome)); });
}

void MachineRunner::Private::setForwards(vmm::command::SetForwards const& command, Completion const& done)
{
    auto wanted = runner.config();
    auto const network = std::ranges::find(wanted.networks, command.network, &vmm::NetworkConfig::id);
    if (network != wanted.networks.end())
        network->forwards = command.forwards;
    auto possible = vmm::checkConfig(wanted);
    for (auto const& forward : command.forwards) {
        if (possible)
            possible = vmm::checkHostAddress(forward);
    }
    if (!possible)
        return finish(done, possible);
    auto const note = [this, command] {
        return changeNetwork(
            command.network, [&](vmm::NetworkConfig& changed) { changed.forwards = command.forwards; });
    };
    unasked.keepBefore(wanted, [this, command, note, done](vmm::Result<> const&) {
        changeWhatIsKept("change the port forwards of", command, note, done);
    });
}

void MachineRunner::Private::tell(Notice const& notice)
{
    std::lock_guard const guard(observersMutex);
    for (auto const& [id, observer] : observers)
        observer(notice);
}

void MachineRunner::Private::setState(SessionState state, std::optional<vmm::Error> why)
{
    {
        std::lock_guard const guard(reasonMutex);
        reason = why;
    }
    if (runner.m_state.exchange(state) != state || why)
        tell(notice::StateChanged { state, std::move(why) });
    unasked.follow();
    if (state == SessionState::Running)
        play.machineRuns();
}

vmm::EventLoop* MachineRunner::Private::loop()
{
    std::call_once(loopStarted, [this] {
        auto started = vmm::LoopThread::start("machine runner");
        if (started)
            thread = std::move(*started);
        else
            loopOutcome = vmm::fail(started.error());
    });
    return thread ? &thread->loop() : nullptr;
}

void MachineRunner::Private::post(std::function<void()> task, Completion const& done)
{
    if (auto* const posted = loop())
        posted->post(std::move(task));
    else if (done)
        done(loopOutcome);
}

SessionState MachineRunner::Private::restingState() const
{
    auto const going = momentOnTheWay(runner.m_places.timelineFolder);
    bool const waits = hasSavedState(runner.m_places.stateDirectory) || (going && !going->empty());
    return waits ? SessionState::Suspended : SessionState::Off;
}

void MachineRunner::Private::forward(
    std::optional<Action> action, std::string_view name, vmm::Command command, Completion const& done)
{
    auto const state = runner.m_state.load();
    if (!machine || (action && !isPossible(*action, state)))
        return finish(done, vmm::fail(notNow(name, state)));
    bool const runs = action == Action::Resume || action == Action::Reset || action == Action::Start;
    bool const leavesSaved = runs && savedStateInUse;
    if (leavesSaved) {
        if (auto const dropped = dropSavedState(); !dropped)
            return finish(done, dropped);
    }
    machine->post(std::move(command), [this, done, leavesSaved, mine = generation](vmm::Result<> outcome) {
        post(
            [this, done, leavesSaved, mine, outcome] {
                if (leavesSaved && mine == generation)
                    mendTimeline();
                // The event of the power off was before us on the loop, unless the machine told in the other order.
                if (mine == generation && machine && machine->state() == vmm::RunState::Off
                    && isPossible(Action::PowerOff, runner.m_state))
                    return endWhenStored({}, [done, outcome] { finish(done, outcome); });
                finish(done, outcome);
            },
            done);
    });
}

void MachineRunner::Private::changeIdleMedium(std::string const& drive, std::string const& path, Completion const& done)
{
    if (runner.m_state != SessionState::Off)
        return finish(done, vmm::fail(notNow("change a medium of", runner.m_state)));
    auto next = runner.config();
    for (auto& cd : next.cds) {
        if (cd.id != drive)
            continue;
        cd.path = path;
        configs.setNext(std::move(next));
        tell(notice::MediumChanged { drive, path });
        return finish(done, {});
    }
    finish(done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no drive called {}", drive)));
}

LongJobs::Calls MachineRunner::Private::jobCalls()
{
    LongJobs::Calls calls;
    calls.post = [this](std::function<void()> task) { post(std::move(task), {}); };
    calls.progress = [this](std::string const& job, double fraction) { tell(notice::Progress { job, fraction }); };
    calls.ended = [this](std::string const& job) { tell(notice::JobEnded { job }); };
    return calls;
}

void MachineRunner::Private::finish(Completion const& done, vmm::Result<> outcome)
{
    if (done)
        done(std::move(outcome));
}

}
