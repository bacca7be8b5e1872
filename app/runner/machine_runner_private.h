#pragma once

#include "app/runner/disk_jobs.h"
#include "app/runner/host_usb_passthrough.h"
#include "app/runner/long_jobs.h"
#include "app/runner/machine_configs.h"
#include "app/runner/machine_play.h"
#include "app/runner/machine_runner.h"
#include "app/runner/own_usb_devices.h"
#include "app/runner/redirected_usb_devices.h"
#include "app/runner/unasked_moments.h"
#include "app/store/cpu_file.h"
#include "app/store/machine_lock.h"
#include "app/store/whole_file.h"
#include "vmm/base/log.h"
#include "vmm/machine/saved_machine.h"

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

/// Everything here belongs to the loop's thread, besides what a mutex is named for.
struct MachineRunner::Private {
    MachineRunner& runner;
    MachineFactory factory;

    MachineConfigs configs;
    std::mutex reasonMutex;
    std::optional<vmm::Error> reason;

    /// The pointer. Shared by who looks at the machine from other threads, so that nobody there waits for another;
    /// alone when it is set.
    std::shared_mutex machineMutex;
    std::unique_ptr<vmm::Machine> machine;
    std::uint64_t generation = 0; // of the machine; what an earlier one had posted is void
    std::optional<MachineLock> lock;
    std::atomic<bool> savedStateInUse { false };       // the machine came from it and has not run since
    std::shared_ptr<vmm::timeline::Timeline> timeline; // open for writing, for as long as we have the lock
    std::string lastKept;                              // the machine's thread
    /// How often keeping was cancelled. What was asked for before the last time is not kept.
    std::atomic<unsigned> keepingCancelled { 0 };
    unsigned keptBackAt = 0; // what that was when one of those was given up that wait, or hold up the thread

    /// What the machine does until a moment of it is stored.
    enum class Meanwhile : std::uint8_t { GoOn, StandStill };
    std::vector<std::function<void()>> whenStored; // by the machine, which is off: see endWhenStored()
    bool standsForGoing = false;                   // the machine ran until goTo() had its present kept
    std::string complaint;                         // of neglect(), told once
    std::vector<Completion> discards;              // of the discardState() under way
    UnaskedThinning thinning;
    UnaskedMoments unasked;
    std::mutex headingMutex;
    std::string heading; // the moment that goTo() will arrive at: it must not be thinned out
    /// What disks kept for moments when pruneNow() last looked. The patient worker's.
    struct OnDisks {
        std::uint64_t bytes;
        vmm::Nanoseconds at;
    };
    std::optional<OnDisks> onDisks;

    std::mutex observersMutex;
    std::map<ObserverId, Observer> observers;
    ObserverId nextObserver = 1;

    unsigned timelineJobs = 0; ///< under way: the lock and the timeline stay

    HostUsbPassthrough hostUsb;
    HadUsb hadHostUsb; // in the state that is restored, until the machine has come up
    RedirectedUsbDevices redirectedUsb;
    MachinePlay play;
    OwnUsbDevices ownUsb;

    std::once_flag loopStarted;
    vmm::Result<> loopOutcome;
    std::unique_ptr<vmm::LoopThread> thread; // after what it uses, so that it ends before
    LongJobs jobs;                           // they post to `thread`
    DiskJobs disks;
    std::atomic<unsigned> keepsAsked { 0 }; // under way in the machine: moments that it does not keep by itself

    Private(MachineRunner& owner, vmm::VmConfig initial, MachineFactory machines, vmm::Nanoseconds minute);

    // machine_runner.cpp

    /// What the machine has taken is the next start's too.
    vmm::Result<> changeNetwork(std::string const& id, std::function<void(vmm::NetworkConfig&)> const& change);
    /// Has the machine in memory do it, and then `note` it; of a machine that is off there is but the next start.
    void changeWhatIsKept(std::string_view name, vmm::Command command, std::function<vmm::Result<>()> const& note,
        Completion const& done);
    void setForwards(vmm::command::SetForwards const& command, Completion const& done);
    void tell(Notice const& notice);
    void setState(SessionState state, std::optional<vmm::Error> why = {});
    /// Null where there can be no thread. Any thread.
    vmm::EventLoop* loop();
    /// Runs `task` on the loop's thread; where there can be no thread, `done` hears why.
    void post(std::function<void()> task, Completion const& done);
    SessionState restingState() const;
    /// Passes `command` to the machine; commands that let the guest run drop the saved state first.
    void forward(std::optional<Action> action, std::string_view name, vmm::Command command, Completion const& done);
    /// The next start's medium. A saved state has its own, which only the restored machine can change.
    void changeIdleMedium(std::string const& drive, std::string const& path, Completion const& done);
    static void finish(Completion const& done, vmm::Result<> outcome);
    LongJobs::Calls jobCalls();

    // machine_runner_life.cpp

    vmm::Machine::Listener listener();
    /// On the machine's thread, or ours while a machine is being made.
    void take(vmm::Event const& event, std::uint64_t from);
    void follow(vmm::event::StateChanged const& change, std::uint64_t from);
    /// `origin`: the moment that it went to.
    void keep(std::unique_ptr<vmm::Machine> made, std::optional<RunOrigin> const& origin = {});
    /// Destroys the machine and comes to rest.
    void end(std::optional<vmm::Error> why = {});
    /// The machine is off: it ends, and `then` is called, when the moments that were asked for are stored.
    void endWhenStored(std::optional<vmm::Error> const& why, std::function<void()> const& then = {});
    /// Destroys the machine.
    void drop();
    /// The lock and the timeline, where nothing needs them any more.
    void letGo();
    vmm::Result<> takeLock();
    /// The guest is about to run: from now on its disks and the saved state part.
    vmm::Result<> dropSavedState();
    /// Beside the saved state, and no part of it: what the terminals showed, so that a person finds it there again.
    static std::string pastFile(std::string const& directory, std::string const& console);
    void keepPasts(std::string const& directory);
    static vmm::Bytes shownOn(ConsoleLink const& console);
    /// What comes next goes on from the saved state, where there is one.
    void readPasts();
    void start(bool paused, Completion const& done);
    bool hasTimeline() const;
    /// What an earlier process has left undone, if anything; the machine runs.
    void mendTimeline();
    void tidyLoose(Completion const& done = {});
    /// What no moment needs. A saved state knows its disks as they are, to the byte, so they wait for its end.
    void tidyDisks(Completion const& done = {});
    vmm::Result<> create();
    /// The CPU that the machine has had at an earlier start; nothing where it had none, or has another model now.
    vmm::Result<std::optional<vmm::KeptCpu>> keptCpu();
    /// The machine has this CPU from now on. One that comes from a saved state or a moment brings its own along.
    vmm::Result<> keepCpu(vmm::Machine const& made);
    /// The same for one that goes on already: it does so even where that cannot be written.
    void bringCpu(vmm::Machine const& made);
    vmm::Result<> restore();
    /// After a step that was under way: the state is the machine's own again.
    void settle(vmm::Result<> const& outcome);
    void suspend(std::string directory, bool thenPowerOff, Completion const& done);
    void suspendAfterAutomatic(std::string const& directory, bool thenPowerOff, Completion const& done);

    // machine_runner_moments.cpp

    UnaskedMoments::Calls unaskedCalls();
    /// For writing. The machine's lock is ours.
    vmm::Result<> openTimeline();
    /// Tells that the machine does not do what it should for its past, once for each reason.
    void neglect(notice::PastNeglected::What what, vmm::Error const& why);
    /// `asked`: what keepingCancelled was when somebody wanted it.
    void keepMoment(
        unsigned asked, vmm::timeline::NewMoment what, Kept const& done, Meanwhile meanwhile = Meanwhile::GoOn);
    /// The machine is off or suspended, and ours then.
    vmm::Result<vmm::timeline::Moment> keepStill(unsigned asked, vmm::timeline::NewMoment what);
    /// It has gone to a moment at which it was that.
    void isOffNow(vmm::VmConfig then, Completion const& done);
    /// Makes the picture of a moment; empty where the machine has no screen.
    std::function<vmm::Bytes()> pictureMaker();
    void goTo(unsigned asked, std::string const& moment, Present present, Completion const& done);
    /// Tells where the present went, if the machine has left it, and then `done`.
    enum class WasIn : std::uint8_t { Memory, Files };
    Completion left(vmm::timeline::Moment const& present, WasIn wasIn, Completion const& done);
    std::string whereItIsInstead(std::string const& kept, WasIn wasIn) const;
    /// It is not gone, for that reason: what has stood still for it runs on.
    void stayHere(vmm::Error const& why, Completion const& done);
    /// A moment that was asked for is being kept, or waits for an automatic one.
    bool keepsWhatWasAsked() const { return keepsAsked > 0 || unasked.isWaitedFor(); }
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
    void goOn(std::unique_ptr<vmm::Machine> made, std::optional<RunOrigin> const& origin, Then then,
        vmm::Result<> const& outcome, Completion const& done);
    /// Whether it can go there, before anything of the present is touched.
    vmm::Result<> checkMoment(std::string const& moment);
    /// momentOnTheWay(), where a damaged record is made anew if that can be.
    vmm::Result<std::string> onTheWay();
    /// To where the machine is on its way, with its disks alone: what its memory was there is let go.
    vmm::Result<> arriveWithoutMemory();
    void discardState(Really really, Completion const& done);
    /// Does `what` while the lock and the timeline are ours.
    void withTimeline(std::function<vmm::Result<>()> const& what, Completion const& done);
    void workOnTimeline(std::string const& job, TimelineJob const& what, Completion const& done);

    // machine_runner_pruning.cpp

    /// On a worker, as long as `goOn` says so: tidyLoose(), and waits for it.
    void tidyAndWait(std::function<bool()> const& goOn);
    enum class Disks : std::uint8_t { Asked, LeftOut };
    /// On the patient worker. With disks left out the budget is of the timeline's files alone.
    vmm::Result<vmm::timeline::Pruned> pruneNow(vmm::timeline::Timeline& timeline, vmm::timeline::Policy const& policy,
        JobProgress const& progress, Disks which);
    /// The same where it is due. What disks keep takes long to tell, so it is asked only if the budget is in doubt.
    vmm::Result<> thinOutNow(vmm::timeline::Timeline& timeline, JobProgress const& progress);
    void prune(std::optional<vmm::timeline::Policy> const& once, PruneDone const& done);
    /// As the timeline's policy has it, if that is due.
    void thinOut(std::shared_ptr<std::atomic<bool> const> const& stop, std::function<void()> const& ended);
    /// What no moment needs, without thinning anything out. `done` hears no error: it is tried again.
    void giveBack(Completion const& done);

    // machine_runner_disks.cpp

    DiskJobs::Calls diskCalls();
    /// The lock of a machine that is off, and its timeline, where it has one.
    vmm::Result<> takeStill();
    /// On a worker: has the machine do it, and waits.
    vmm::Result<> carryOut(vmm::Command const& command);
    /// NotNow while a machine stands still as it came back from its saved state, which knows its disks to the byte.
    vmm::Result<> savedStateIsLeft() const;

    // machine_runner_usb.cpp

    /// `attaching`: what is refused where there is no machine.
    UsbPorts usbPorts(std::string const& attaching);
    HostUsbPassthrough::Events hostUsbEvents();
    OwnUsbDevices::Calls ownUsbCalls();
    /// What would keep a stick from being kept once more is found out while the guest still has it.
    vmm::Result<> disksMayGo() const;
};

}
