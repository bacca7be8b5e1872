#pragma once

#include "app/runner/host_usb_devices.h"
#include "app/runner/machine_runner.h"
#include "app/runner/moment_schedule.h"
#include "app/store/cpu_file.h"
#include "app/store/machine_lock.h"
#include "app/store/whole_file.h"
#include "app/usb/usb_follower.h"
#include "vmm/base/log.h"
#include "vmm/machine/saved_machine.h"

#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <mutex>
#include <shared_mutex>
#include <sys/stat.h>
#include <unistd.h>

/// The inside of MachineRunner, for the files that it is written in.
namespace app {

inline bool hasSavedState(std::string const& directory)
{
    return !directory.empty() && vmm::holdsSavedMachine(directory);
}

inline bool isSamePlace(std::string const& one, std::string const& other)
{
    std::error_code unknown; // where a path cannot be resolved it is taken as it is
    return std::filesystem::weakly_canonical(one, unknown) == std::filesystem::weakly_canonical(other, unknown);
}

inline SessionState sessionState(vmm::RunState state)
{
    switch (state) {
    case vmm::RunState::Off: return SessionState::Off;
    case vmm::RunState::Running: return SessionState::Running;
    case vmm::RunState::Paused: return SessionState::Paused;
    case vmm::RunState::Crashed: return SessionState::Crashed;
    }
    return SessionState::Off;
}

inline vmm::Error notNow(std::string_view what, SessionState state)
{
    return { vmm::ErrorCode::NotNow, fmt::format("cannot {} a machine that is {}", what, stateName(state)), 0 };
}

/// Reads which devices of the host's the machine had where it came from, on a thread that may wait.
using HadUsb = std::function<std::vector<vmm::HostUsbTrace>()>;

std::vector<vmm::HostUsbTrace> hostUsbAt(vmm::timeline::Timeline const& timeline, std::string const& moment);

/// While a machine in memory may get devices of the host's by itself.
struct UsbFollowing {
    struct CameUp {
        HadUsb had;                           ///< null: it was started
        std::vector<vmm::HostUsbTrace> given; ///< that it had until now
        UsbRestore policy = UsbRestore::Attach;
    };
    UsbFollower follower;
    std::optional<CameUp> cameUp; ///< until the next look
    std::shared_ptr<vmm::HostUsb> usb;
    std::unique_ptr<vmm::HostUsb::Listener> listener;
    vmm::UniqueFd claims; ///< told when a machine takes a device or lets it go
    vmm::EventLoop::Handle claimsChange;
    bool isLooking = false, looksAgain = false;
};

/// Everything here belongs to the loop's thread, besides what a mutex is named for.
struct MachineRunner::Private {
    MachineRunner& runner;
    MachineFactory factory;

    std::mutex configMutex;   // from here to `reason`
    vmm::VmConfig nextConfig; // for the next start
    vmm::VmConfig config;     // of the machine in memory, else the next
    bool hasMachine = false;  // `config` is a machine's
    std::map<std::string, std::shared_ptr<ConsoleLink>> consoles;
    std::map<std::string, std::shared_ptr<ScreenLink>> screens;
    std::map<std::string, std::string> media;
    std::optional<vmm::Error> reason;
    std::vector<vmm::HostUsbInfo> attachedHostUsb;
    std::vector<RedirectedUsb> redirectedUsb;
    std::vector<UsbQuestion> usbQuestions;

    /// The pointer. Shared by who looks at the machine from other threads, so that nobody there waits for another;
    /// alone when it is set.
    std::shared_mutex machineMutex;
    std::unique_ptr<vmm::Machine> machine;
    std::uint64_t generation = 0; // of the machine; what an earlier one had posted is void
    std::optional<MachineLock> lock;
    bool savedStateInUse = false;                      // the machine came from it and has not run since
    std::shared_ptr<vmm::timeline::Timeline> timeline; // open for writing, for as long as we have the lock
    std::string lastKept;                              // the machine's thread
    std::atomic<bool> cancelStill { false };           // a moment of a machine that is not in memory

    vmm::Nanoseconds const minute;
    std::unique_ptr<MomentSchedule> schedule; // of the machine in memory
    /// What the machine does until a moment of it is stored.
    enum class Meanwhile : std::uint8_t { GoOn, StandStill };
    struct ToKeep {
        vmm::timeline::NewMoment what;
        Kept done;
        Meanwhile meanwhile;
    };
    bool keepsAutomatically = false;  // it was told that one is due, and has not answered yet
    std::vector<ToKeep> keepsWaiting; // until it has
    bool standsForGoing = false;      // the machine ran until goTo() had its present kept
    std::string complaint;            // of neglect(), told once
    vmm::EventLoop::Handle pruneTimer;
    std::shared_ptr<std::atomic<bool>> prunesUnasked; // while it does; true: it shall not go on
    bool prunesAgain = false;                         // there is more to thin out than it knows
    std::mutex headingMutex;
    std::string heading; // the moment that goTo() will arrive at: it must not be thinned out

    std::mutex observersMutex;
    std::map<ObserverId, Observer> observers;
    ObserverId nextObserver = 1;

    /// A person waits for what is prompt; what is patient leaves the disk and the processor to the guest.
    enum Pace : std::uint8_t { Prompt, Patient };
    unsigned timelineJobs = 0; ///< under way: the lock and the timeline stay
    std::mutex jobsMutex;
    std::vector<std::shared_ptr<std::atomic<bool>>> jobs; ///< of work(): set to cancel one

    std::once_flag loopStarted;
    vmm::Result<> loopOutcome;
    std::unique_ptr<vmm::LoopThread> thread;                 // after what it uses, so that it ends before
    std::array<std::unique_ptr<vmm::LoopThread>, 2> workers; // of work(), by Pace; they post to `thread`
    std::unique_ptr<HostUsbDevices> hostUsbDevices;          // made when it is needed
    std::shared_ptr<UsbFollowing> usbFollowing;              // the same; of the machine in memory
    std::string savedHostUsb;                                // the state that is restored, where it tells of devices
    std::unique_ptr<UsbRedirections> redirections;           // the same
    std::vector<std::unique_ptr<HostGamepads::Seat>> seats;  // of the machine's gamepads …
    std::vector<std::string> seatsOf;                        // … and their ids

    Private(MachineRunner& owner, vmm::VmConfig initial, MachineFactory machines, vmm::Nanoseconds itsMinute)
        : runner(owner), factory(std::move(machines)), minute(itsMinute)
    {
        setNextConfig(std::move(initial));
    }

    void setNextConfig(vmm::VmConfig next)
    {
        std::lock_guard const guard(configMutex);
        nextConfig = std::move(next);
        if (!hasMachine) {
            takeConfig(nextConfig);
        } else {
            config.name = nextConfig.name;
            config.notes = nextConfig.notes;
        }
    }

    /// With configMutex held.
    void takeConfig(vmm::VmConfig const& taken)
    {
        config = taken;
        decltype(consoles) nextConsoles;
        for (auto const& id : vmm::consoleIds(config)) {
            auto& link = consoles[id];
            nextConsoles[id] = link ? link : std::make_shared<ConsoleLink>();
        }
        consoles = std::move(nextConsoles);
        decltype(screens) nextScreens;
        for (auto const& display : config.displays) {
            auto& link = screens[display.id];
            nextScreens[display.id] = link ? link : std::make_shared<ScreenLink>();
        }
        screens = std::move(nextScreens);
        media.clear();
        for (auto const& cd : config.cds)
            media[cd.id] = cd.path;
    }

    /// What the machine has taken is the next start's too.
    void changeNetwork(std::string const& id, std::function<void(vmm::NetworkConfig&)> const& change)
    {
        std::optional<vmm::NetworkConfig> changed;
        {
            std::lock_guard const guard(configMutex);
            for (auto* one : { &nextConfig, &config }) {
                for (auto& network : one->networks) {
                    if (network.id == id) {
                        change(network);
                        changed = network;
                    }
                }
            }
        }
        if (changed)
            tell(notice::NetworkChanged { *changed });
    }

    void changePlugged(std::string const& device, bool plugged)
    {
        {
            std::lock_guard const guard(configMutex);
            for (auto* one : { &nextConfig, &config }) {
                if (auto* const mark = vmm::pluggedMark(*one, device))
                    *mark = plugged;
            }
        }
        tell(notice::PluggedChanged { device, plugged });
    }

    void tell(Notice const& notice)
    {
        std::lock_guard const guard(observersMutex);
        for (auto const& [id, observer] : observers)
            observer(notice);
    }

    void setState(SessionState state, std::optional<vmm::Error> why = {})
    {
        {
            std::lock_guard const guard(configMutex);
            reason = why;
        }
        if (runner.m_state.exchange(state) != state || why)
            tell(notice::StateChanged { state, std::move(why) });
        followSchedule();
        followPlay(state);
    }

    /// Runs `task` on the loop's thread; where there can be no thread, `done` hears why.
    void post(std::function<void()> task, Completion const& done)
    {
        std::call_once(loopStarted, [this] {
            auto started = vmm::LoopThread::start("machine runner");
            if (started)
                thread = std::move(*started);
            else
                loopOutcome = vmm::fail(started.error());
        });
        if (thread)
            thread->loop().post(std::move(task));
        else if (done)
            done(loopOutcome);
    }

    SessionState restingState() const
    {
        auto const going = momentOnTheWay(runner.m_places.timelineFolder);
        bool const waits = hasSavedState(runner.m_places.stateDirectory) || (going && !going->empty());
        return waits ? SessionState::Suspended : SessionState::Off;
    }

    vmm::Machine::Listener listener()
    {
        auto const mine = ++generation;
        return [this, mine](vmm::Event const& event) { take(event, mine); };
    }

    /// On the machine's thread, or ours while a machine is being made.
    void take(vmm::Event const& event, std::uint64_t from)
    {
        if (auto const* progress = std::get_if<vmm::event::Progress>(&event)) {
            tell(notice::Progress { progress->job, progress->fraction });
        } else if (auto const* pointer = std::get_if<vmm::event::PointerModeChanged>(&event)) {
            runner.m_absolutePointer = pointer->absolute;
            tell(notice::PointerModeChanged { pointer->absolute });
        } else if (auto const* medium = std::get_if<vmm::event::MediumChanged>(&event)) {
            {
                std::lock_guard const guard(configMutex);
                media[medium->drive] = medium->path;
                for (auto& cd : nextConfig.cds) {
                    if (cd.id == medium->drive)
                        cd.path = medium->path;
                }
            }
            tell(notice::MediumChanged { medium->drive, medium->path });
        } else if (auto const* rumbled = std::get_if<vmm::event::Rumbled>(&event)) {
            post(
                [this, from, what = *rumbled] {
                    if (from == generation)
                        rumble(what);
                },
                {});
        } else if (std::holds_alternative<vmm::event::GuestRebooted>(event)) {
            tell(notice::GuestRebooted {});
        } else if (auto const* kept = std::get_if<vmm::event::MomentKept>(&event)) {
            lastKept = kept->id; // before its completion, on the same thread
            tell(notice::MomentKept { kept->id, kept->stoodStill });
        } else if (auto const* change = std::get_if<vmm::event::StateChanged>(&event)) {
            post([this, from, change = *change] { follow(change, from); }, {});
        }
    }

    void follow(vmm::event::StateChanged const& change, std::uint64_t from)
    {
        if (from != generation || !machine)
            return;
        auto const state = runner.m_state.load();
        // A suspend pauses and powers off on its way, and a start begins from Off: their completion tells the outcome.
        bool const isUnderWay
            = state == SessionState::Suspending || state == SessionState::Starting || state == SessionState::Restoring;
        if (change.state == vmm::RunState::Off) {
            if (!isUnderWay)
                end(change.reason);
        } else if (!isUnderWay || change.state == vmm::RunState::Crashed) {
            setState(sessionState(change.state), change.reason);
        }
    }

    void keep(std::unique_ptr<vmm::Machine> made)
    {
        {
            std::lock_guard const guard(machineMutex);
            machine = std::move(made);
        }
        makeSchedule();
        attach();
        connectPlay();
    }

    void attach()
    {
        std::lock_guard const guard(configMutex);
        // The machine knows best what it is made of: a restored one brings its configuration along. What it is called
        // is the person's, who may have changed it meanwhile.
        auto its = machine->config();
        its.name = nextConfig.name;
        its.notes = nextConfig.notes;
        hasMachine = true;
        takeConfig(its);
        for (auto const& [id, link] : consoles) {
            if (auto* console = machine->console(id))
                link->attach(*console);
        }
        for (auto const& [id, link] : screens) {
            if (auto* screen = machine->screen(id))
                link->attach(*screen);
        }
    }

    /// Destroys the machine and comes to rest.
    void end(std::optional<vmm::Error> why = {})
    {
        drop();
        giveBackHostUsb();
        endRedirections();
        letGo();
        runner.m_absolutePointer = false;
        setState(restingState(), std::move(why));
    }

    /// Destroys the machine.
    void drop()
    {
        schedule.reset();
        pruneTimer.reset();
        if (prunesUnasked)
            *prunesUnasked = true; // it would keep the lock
        disconnectPlay();
        {
            std::lock_guard const guard(configMutex);
            for (auto const& [id, link] : consoles)
                link->detach();
            for (auto const& [id, link] : screens)
                link->detach();
        }
        std::unique_ptr<vmm::Machine> ended;
        {
            std::lock_guard const guard(machineMutex);
            ended = std::move(machine);
        }
        ended.reset();
        {
            std::lock_guard const guard(configMutex);
            hasMachine = false;
            takeConfig(nextConfig);
        }
        ++generation;
        savedStateInUse = false;
        standsForGoing = false;
        complaint.clear();
    }

    /// The lock and the timeline, where nothing needs them any more.
    void letGo()
    {
        if (machine || timelineJobs > 0)
            return;
        timeline.reset();
        lock.reset();
    }

    vmm::Result<> takeLock()
    {
        if (!lock && !runner.m_places.lockFile.empty())
            lock = TRY(MachineLock::take(runner.m_places.lockFile));
        return {};
    }

    /// The guest is about to run: from now on its disks and the saved state part.
    vmm::Result<> dropSavedState()
    {
        auto const& directory = runner.m_places.stateDirectory;
        savedStateInUse = false;
        if (runner.m_places.keepsState || !hasSavedState(directory))
            return {};
        TRY(vmm::mendSavedMachine(directory));
        if (::unlink((directory + "/state.json").c_str()) != 0)
            return vmm::failOs(fmt::format("removing the saved state in {}", directory));
        // The disks must not move on before that is so after a power cut too: memory would meet a newer disk.
        TRY(syncDirectory(directory));
        ::unlink((directory + "/ram").c_str());
        for (auto const& [id, link] : consoleLinks())
            ::unlink(pastFile(directory, id).c_str());
        return {};
    }

    std::map<std::string, std::shared_ptr<ConsoleLink>> consoleLinks()
    {
        std::lock_guard const guard(configMutex);
        return consoles;
    }

    /// Beside the saved state, and no part of it: what the terminals showed, so that a person finds it there again.
    static std::string pastFile(std::string const& directory, std::string const& console)
    {
        return fmt::format("{}/{}{}", directory, vmm::savedCompanionPrefix, console);
    }

    void keepPasts(std::string const& directory)
    {
        for (auto const& [id, link] : consoleLinks()) {
            auto shown = link->past();
            std::uint64_t run = 0;
            link->readFrom(0, shown, run);
            if (shown.size() > vmm::Console::scrollback)
                shown.erase(shown.begin(), shown.end() - vmm::Console::scrollback);
            if (!shown.empty())
                vmm::ignore(writeWholeFile(pastFile(directory, id), shown, Durable::No));
        }
    }

    /// What comes next goes on from the saved state, where there is one.
    void readPasts()
    {
        for (auto const& [id, link] : consoleLinks()) {
            auto const text = hasSavedState(runner.m_places.stateDirectory)
                ? readWholeFile(pastFile(runner.m_places.stateDirectory, id), vmm::Console::scrollback)
                : vmm::Result<std::string>();
            link->setPast(text ? vmm::Bytes(text->begin(), text->end()) : vmm::Bytes());
        }
    }

    void start(bool paused, Completion const& done)
    {
        auto const state = runner.m_state.load();
        if (state == SessionState::Crashed && !paused)
            return forward(Action::Start, "start", vmm::command::Start {}, done);
        if (!isPossible(Action::Start, state))
            return finish(done, vmm::fail(notNow("start", state)));
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
            startHostUsb();
            return finish(done, {});
        }
        if (savedStateInUse) {
            if (auto const dropped = dropSavedState(); !dropped) {
                end();
                return finish(done, dropped);
            }
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
                        startHostUsb();
                    mendTimeline();
                    finish(done, started);
                },
                done);
        });
    }

    bool hasTimeline() const
    {
        struct stat status { };
        auto const& path = runner.m_places.timelineFolder;
        return !path.empty() && ::stat(path.c_str(), &status) == 0;
    }

    /// What an earlier process has left undone, if anything; the machine runs.
    void mendTimeline()
    {
        if (!machine || !hasTimeline())
            return;
        if (auto const opened = openTimeline(); !opened)
            return neglect(notice::PastNeglected::What::Timeline, opened.error());
        tidyLoose();
        pruneSoon();
    }

    void tidyLoose()
    {
        if (timeline && !timeline->loose().empty())
            tidyDisks();
    }

    /// What no moment needs. A saved state knows its disks as they are, to the byte, so they wait for its end.
    void tidyDisks()
    {
        if (!timeline || savedStateInUse)
            return;
        if (machine)
            machine->post(vmm::command::TidyDisks { timeline });
        else if (restingState() == SessionState::Off)
            vmm::ignore(vmm::Machine::tidyDisks(runner.config(), *timeline));
    }

    vmm::Result<> create()
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

    /// The CPU that the machine has had at an earlier start; nothing where it had none, or has another model now.
    vmm::Result<std::optional<vmm::KeptCpu>> keptCpu()
    {
        auto const& path = runner.m_places.cpuFile;
        auto kept = path.empty() ? std::nullopt : TRY(readCpuFile(path));
        if (kept && kept->model != runner.config().cpuModel)
            kept.reset();
        return kept;
    }

    /// The machine has this CPU from now on. One that comes from a saved state or a moment brings its own along.
    vmm::Result<> keepCpu(vmm::Machine const& made)
    {
        auto const& path = runner.m_places.cpuFile;
        if (path.empty())
            return {};
        vmm::KeptCpu const its { made.config().cpuModel, made.cpu() };
        if (auto const kept = readCpuFile(path); kept && *kept == its)
            return {};
        return writeCpuFile(path, its);
    }

    /// The same for one that goes on already: it does so even where that cannot be written.
    void bringCpu(vmm::Machine const& made)
    {
        if (auto const kept = keepCpu(made); !kept)
            vmm::log(vmm::LogLevel::Warning, "runner", "its CPU could not be kept: {}", kept.error().message());
    }

    vmm::Result<> restore()
    {
        setState(SessionState::Restoring);
        auto const& directory = runner.m_places.stateDirectory;
        TRY(vmm::mendSavedMachine(directory));
        readPasts();
        auto made = TRY(factory.restore(directory, listener()));
        if (made->config().uuid != runner.id())
            return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("{} holds the state of another machine", directory));
        bringCpu(*made);
        keep(std::move(made));
        savedStateInUse = true;
        noteSavedHostUsb(directory);
        return {};
    }

    /// After a step that was under way: the state is the machine's own again.
    void settle(vmm::Result<> const& outcome)
    {
        if (!machine)
            return;
        auto const state = machine->state();
        if (state == vmm::RunState::Off)
            end(outcome ? std::nullopt : std::optional(outcome.error()));
        else if (runner.m_state != SessionState::Crashed)
            setState(sessionState(state));
    }

    void suspend(std::string directory, bool thenPowerOff, Completion const& done)
    {
        auto const state = runner.m_state.load();
        if (!machine || !isPossible(Action::Suspend, state))
            return finish(done, vmm::fail(notNow("suspend", state)));
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
        setState(SessionState::Suspending);
        machine->post(vmm::command::Suspend { directory, thenPowerOff },
            [this, done, directory, thenPowerOff, mine = generation](vmm::Result<> outcome) {
                post(
                    [this, done, directory, thenPowerOff, mine, outcome] {
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

    // machine_runner_moments.cpp

    /// For writing. The machine's lock is ours.
    vmm::Result<> openTimeline();
    void keepMoment(vmm::timeline::NewMoment what, Kept const& done, Meanwhile meanwhile = Meanwhile::GoOn);
    /// The machine is off or suspended, and ours then.
    vmm::Result<vmm::timeline::Moment> keepStill(vmm::timeline::NewMoment what);
    /// It has gone to a moment at which it was that.
    void isOffNow(vmm::VmConfig then, Completion const& done);
    /// Makes the picture of a moment; empty where the machine has no screen.
    std::function<vmm::Bytes()> pictureMaker();
    void goTo(std::string const& moment, Present present, Completion const& done);
    /// It is not gone, for that reason: what has stood still for it runs on.
    void stayHere(vmm::Error const& why, Completion const& done);
    /// A goTo() is under way.
    bool isGoing();
    void forgetHeading();
    /// Whatever is in memory is gone now.
    enum class Then : std::uint8_t { Run, StandStill };
    /// Where to go, and how to go on there, when it cannot be gone to that one.
    struct Back {
        std::string moment;
        Then then;
    };
    void goThere(
        std::string const& moment, Then then, Completion const& done, std::optional<Back> const& back = std::nullopt);
    void comeBack(Back const& back, vmm::Error const& why, Completion const& done);
    /// `outcome`: what `done` hears when it does.
    void goOn(std::unique_ptr<vmm::Machine> made, Then then, vmm::Result<> const& outcome, Completion const& done);
    /// Whether it can go there, before anything of the present is touched.
    vmm::Result<> checkMoment(std::string const& moment);
    /// momentOnTheWay(), where a damaged record is made anew if that can be.
    vmm::Result<std::string> onTheWay();
    /// To where the machine is on its way, with its disks alone: what its memory was there is let go.
    vmm::Result<> arriveWithoutMemory();
    /// Does `what` while the lock and the timeline are ours.
    void withTimeline(std::function<vmm::Result<>()> const& what, Completion const& done);

    // machine_runner_automatic.cpp

    vmm::timeline::Policy policy();
    void makeSchedule();
    void keptAutomatically();
    void followSchedule();
    bool isWorthKeeping(vmm::timeline::Reason reason);
    void keepUnasked(vmm::timeline::Reason reason, Completion const& done);
    void couldNotKeep(vmm::Error const& error);
    vmm::Result<vmm::timeline::Pruned> pruneNow(
        vmm::timeline::Timeline& timeline, vmm::timeline::Policy const& policy, JobProgress const& progress);
    void prune(std::optional<vmm::timeline::Policy> const& once, PruneDone const& done);
    /// A while after the machine runs, when it has come to rest.
    void pruneSoon();
    void pruneUnasked();
    /// What no moment needs, without thinning anything out. `done` hears no error: it is tried again.
    void giveBack(Completion const& done);
    /// Tells that the machine does not do what it should for its past, once for each reason.
    void neglect(notice::PastNeglected::What what, vmm::Error const& why);

    // machine_runner_work.cpp

    void work(Pace pace, std::string const& job, Job const& what, Completion const& done);
    void workOnTimeline(std::string const& job, TimelineJob const& what, Completion const& done);
    /// Whether there was one.
    bool cancelJobs();

    // machine_runner_usb.cpp

    HostUsbDevices& hostDevices();
    UsbHolder usbHolder();
    /// None hold where they cannot be read.
    UsbRules usbRules() const;
    void attachHostUsb(std::string const& which, HostUsbDevices::Allows const& allows, Completion const& done);
    void detachHostUsb(std::string const& port, Completion const& done);
    void loseHostUsb(std::string const& port);
    void comeBackHostUsb(HadUsb had);
    void plugAnew(std::string const& port);
    void cameUpWithHostUsb(UsbFollowing::CameUp cameUp);
    void followHostUsb();
    void lookAtHostUsb();
    void takeLook(HostUsbDevices::Look looked);
    void giveBackHostUsb();
    void tellHostUsb();
    void tellUsbQuestions();
    /// The machine has been started, or has come back from its saved state.
    void startHostUsb();
    void noteSavedHostUsb(std::string const& directory);

    // machine_runner_redirected.cpp

    UsbRedirections& usbRedirections();
    void redirectUsb(UsbPeerAddress const& from, Redirected const& done);
    void listenForUsb(UsbPeerAddress const& at, Redirected const& done);
    void plugRedirected(std::string const& id, UsbRedirections::Device const& device, Redirected const& done);
    void plugRedirectedAnew();
    void endRedirection(std::string const& id, Completion const& done, std::optional<vmm::Error> const& reason = {});
    void endRedirections();
    void tellRedirected(std::string const& lost = {}, std::optional<vmm::Error> const& reason = {});

    // machine_runner_play.cpp

    void connectPlay();
    void disconnectPlay();
    void followPlay(SessionState state);
    void rumble(vmm::event::Rumbled const& what);

    /// Passes `command` to the machine; commands that let the guest run drop the saved state first.
    void forward(std::optional<Action> action, std::string_view name, vmm::Command command, Completion const& done)
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
                        end();
                    finish(done, outcome);
                },
                done);
        });
    }

    /// The next start's medium. A saved state has its own, which only the restored machine can change.
    void changeIdleMedium(std::string const& drive, std::string const& path, Completion const& done)
    {
        if (runner.m_state != SessionState::Off)
            return finish(done, vmm::fail(notNow("change a medium of", runner.m_state)));
        auto next = runner.config();
        for (auto& cd : next.cds) {
            if (cd.id != drive)
                continue;
            cd.path = path;
            setNextConfig(std::move(next));
            tell(notice::MediumChanged { drive, path });
            return finish(done, {});
        }
        finish(done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no drive called {}", drive)));
    }

    static void finish(Completion const& done, vmm::Result<> outcome)
    {
        if (done)
            done(std::move(outcome));
    }
};

}
