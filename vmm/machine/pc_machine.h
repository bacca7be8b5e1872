#pragma once

#include "vmm/kvm/chips.h"
#include "vmm/kvm/cpu_model.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/board.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_clock.h"
#include "vmm/machine/ram_loader.h"
#include "vmm/machine/vcpu_thread.h"
#include "vmm/memory/change_sampler.h"
#include "vmm/timeline/forked_memory.h"
#include "vmm/timeline/moment_memory.h"

#include <atomic>
#include <future>
#include <thread>

namespace vmm {

/// The machine: its processors, its board, and the commands. All below `private` belongs to the machine's thread,
/// except where it is atomic.
class PcMachine final : public Machine {
public:
    /// A board with memory, which is to be equipped before it can run.
    static Result<std::unique_ptr<PcMachine>> build(
        VmConfig const& config, std::optional<CpuFeatures> cpu, Listener listener);
    ~PcMachine() override;

    /// Has KVM make the virtual machine around the board as it is by now, with the kernel's chips and the processors.
    Result<> equip();
    /// Equips it with a saved state. On an error the machine is good for nothing but to be destroyed.
    Result<> loadState(SavedMachine const& saved, std::unique_ptr<SavedMemory> memory, MemoryWay way = MemoryWay::Best);
    /// The same from a moment of a timeline, to whose pages later moments can refer.
    Result<> loadMoment(SavedMachine const& saved, std::shared_ptr<timeline::Timeline> const& timeline,
        std::unique_ptr<timeline::MomentMemory> memory, MemoryWay way, bool isShared);
    /// Then, with the disks in their places: the guest and the network hear that it is back.
    Result<> arrive();
    Board& board() { return *m_board; }

    void post(Command command, Completion done) override;
    RunState state() const override { return m_state.load(); }
    VmConfig const& config() const override { return m_config; }
    CpuFeatures const& cpu() const override { return m_cpu; }
    MachineStatistics statistics() const override;
    std::optional<double> memoryChangeRate() override;
    Console* console(std::string_view id) override { return m_board->console(id); }
    Screen* screen(std::string_view id) override { return m_board->screen(id); }
    AudioPort* audio(std::string_view id) override { return m_board->audio(id); }
    std::vector<Error> saveObstacles() override;

private:
    /// A command that goes on after its function has returned.
    struct Job {
        std::string name;
        std::atomic<bool> cancelled { false };
        bool givesWay = true; // to a suspend
        Completion done;
        std::thread worker;
        ~Job();
    };

    /// The machine at one instant, running on behind it.
    struct Instant {
        SavedMachine saved;
        std::unique_ptr<timeline::ForkedMemory> memory;
        std::future<Result<>> disks; // when they have it
        std::chrono::nanoseconds stoodStill {};
    };

    /// Where the memory comes from that may not be here yet.
    struct Origin {
        std::shared_ptr<timeline::Timeline> timeline;
        timeline::MemoryTree memory; // the loader holds it
        bool isShared = false;       // with the machine that this one was forked off: what nobody touches stays there
    };

    PcMachine(VmConfig const& config, Listener listener) : m_config(config), m_listener(std::move(listener)) { }
    Result<> assemble(std::optional<CpuFeatures> cpu);

    Result<> carryOut(Command const& command);
    Result<> execute(command::Start const&);
    Result<> execute(command::Pause const&);
    Result<> execute(command::Resume const&);
    Result<> execute(command::Reset const&);
    Result<> execute(command::PressPowerButton const&);
    Result<> execute(command::PowerOff const&);
    Result<> execute(command::InsertMedium const&);
    Result<> execute(command::EjectMedium const&);
    Result<> execute(command::SetForwards const&);
    Result<> execute(command::SetConnected const&);
    Result<> execute(command::SetPlugged const&);
    Result<> execute(command::AddUsb const&);
    Result<> execute(command::RemoveUsb const&);
    Result<> execute(command::PlugUsb const&);
    Result<> execute(command::UnplugUsb const&);
    Result<> execute(command::SendInput const&);
    Result<> execute(command::CancelJob const&);
    Result<> execute(command::CancelKeeping const&);
    void suspend(command::Suspend const& command, Completion done);
    void keepMoment(command::KeepMoment const& command, Completion done);
    Result<event::MomentKept> keep(Job const& job, RamLoader* loader, command::KeepMoment const& command);
    /// Tells how far a part of keeping is, from 0 to 1, each percent of the whole once.
    timeline::Room roomFor(Job const& job, timeline::Timeline const& timeline, timeline::Reason reason) const;
    CopyProgress tellKeeping(Job const& job, double begins, double ends);
    /// What the instant needs is there and durable: the moment is written.
    Result<timeline::Moment> store(timeline::Timeline& timeline, timeline::NewMoment& what, Instant& instant,
        CopyProgress const& progress, timeline::Room room);
    void finishKeeping(Result<event::MomentKept> const& kept, std::shared_ptr<timeline::Timeline> const& timeline);
    void tidyDisks(std::shared_ptr<timeline::Timeline> const& timeline, Completion done);
    /// On a worker, with m_checkpoints held.
    Result<> tidy(timeline::Timeline& timeline, std::function<bool()> const& goOn);
    void streamDisk(command::StreamDisk const& command, Completion done);
    void commitDisk(command::CommitDisk const& command, Completion done);
    /// Of one disk: `work`, beside the machine.
    void putFilesTogether(char const* name, std::function<Result<>(std::function<bool(double)> const& goOn)> work,
        std::function<bool(double)> progress, Completion done);
    void finishAside(std::unique_ptr<Job>& which, Result<> const& outcome); // m_tidying or m_merging
    /// Suspends when no worker changes disks any more.
    void suspendLater(command::Suspend const& command, Completion done);
    void leftAlone();
    /// AddUsb or RemoveUsb, at once or when no worker has to do with which disks there are: one that keeps a moment
    /// has, until they have kept what they hold.
    void changeUsb(Command const& command, Completion const& done);
    bool isAboutStick(Command const& command) const;
    void disksAreKept();
    void collectParts();
    void takeDevices(VmConfig& next);
    void finishSuspend(Result<> const& outcome, bool wasRunning, bool thenPowerOff);

    /// From running or standing still to running anew; Crashed with the reason where that fails.
    Result<> restart();
    /// Everything as after power-on, with what boots in memory.
    Result<> resetAll();
    /// The barrier: returns when no vCPU runs, no queue is served and no DMA is in flight.
    void stopRunning();
    void letRun();
    /// The same after a stop of our own, of milliseconds, which is no pause: the guest's clocks have gone on. They
    /// would lose each of them, and beside the TSC, which goes on in any case, a guest calls one of both unstable.
    void letRunOn();
    void setState(RunState state, std::optional<Error> reason = {});
    void vcpuStopped(VcpuExit const& exit);
    /// Does what the guest has asked its board for, unless the machine stands still: then it waits for letRun().
    void serveRequest();
    /// Adds where each vCPU stands.
    void crashed(Error report);
    void hostFailed(Error const& error);
    std::vector<Error> obstacles() const;
    Result<> checkCanSave() const;
    Result<SavedMachine> captureState(Board::Disks files) const;
    Result<Instant> holdInstant(
        std::vector<timeline::MomentDisk> const& disks, std::optional<timeline::ForkedMemory::Origin> origin);
    /// What a moment can refer to instead of waiting for it; nothing: all must be here first.
    Result<std::optional<timeline::ForkedMemory::Origin>> originFor(
        timeline::Timeline const& timeline, RamLoader const& loader) const;
    /// Starts reading the rest of a restored machine's memory, or goes on where an error has stopped it.
    void loadMemory();
    void endLoading();
    void memoryLoaded(Result<> const& outcome);
    /// From now on a page of the board's memory that breaks ends the guest, and not the process.
    Result<> guardMemory();
    void pagesLost();
    void memoryLost();
    bool hasLostPages() const;
    static Error lostPage() { return { ErrorCode::IoError, "the host has lost a page of the guest's memory", 0 }; }

    VmConfig m_config;
    Listener m_listener;
    std::atomic<RunState> m_state { RunState::Off };
    CpuFeatures m_cpu;
    std::optional<Kvm> m_kvm;
    std::unique_ptr<Vm> m_vm;
    std::unique_ptr<LoopThread> m_thread;
    std::unique_ptr<MachineClock> m_clock;
    std::unique_ptr<Board> m_board;
    std::unique_ptr<KvmInterruptChips> m_interruptChips;
    std::unique_ptr<KvmPit> m_pit;
    std::unique_ptr<KvmClock> m_kvmClock;
    ChangeSampler m_changes;
    std::vector<Board::Part> m_parts; // the board's and the kernel's chips, in the order of saving
    std::vector<std::unique_ptr<Vcpu>> m_vcpus;
    std::unique_ptr<Job> m_job;                   // the machine stands still meanwhile
    std::unique_ptr<Job> m_keeping;               // of a moment, while the machine does what it wants
    std::unique_ptr<Job> m_tidying;               // of disks, as well
    std::unique_ptr<Job> m_merging;               // of one disk, as well: a stream or a commit
    std::mutex m_checkpoints;                     // held by that of the three whose turn it is
    std::shared_ptr<timeline::Timeline> m_tidied; // that of m_tidying
    std::optional<std::pair<command::Suspend, Completion>> m_suspendToCome; // when the disks are left alone; then …
    std::vector<std::function<void()>> m_whenLeftAlone;
    std::vector<std::pair<Command, Completion>> m_usbChanges; // that wait for the disks
    bool m_disksAreBeingKept = false;
    std::atomic<unsigned> m_life { 0 }; // how often it was reset: what a vCPU reports may be of an earlier one
    std::optional<Error> m_crash;       // reported while the machine stood still
    std::atomic<GuestRequest> m_requested { GuestRequest::None }; // set by a vCPU's thread
    std::shared_ptr<RamLoader> m_loader;                          // while a restored machine's memory is not complete
    std::optional<Origin> m_origin;                               // since a moment was loaded
    UniqueFd m_pagesLost;                                         // an eventfd
    EventLoop::Handle m_pagesLostWatch, m_pagesLostDue;
    std::vector<std::unique_ptr<BusErrorGuard>> m_guards;
    bool m_memoryIsLost = false; // a part of it could not be read: only a reset helps
    bool m_wasStopped = false;   // the guest's watchdogs must be told at the next letRun()
    std::vector<std::unique_ptr<VcpuThread>> m_threads;
};

}
