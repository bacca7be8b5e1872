#include "vmm/machine/pc_machine.h"

#include "vmm/base/log.h"
#include "vmm/block/guess_format.h"
#include "vmm/kvm/boot_cpu_state.h"
#include "vmm/machine/expected_parts.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/returning_disks.h"
#include "vmm/memory/layout.h"
#include "vmm/state/section.h"
#include "vmm/timeline/moment_memory.h"

#include <algorithm>
#include <fmt/format.h>
#include <future>
#include <nlohmann/json.hpp>
#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace vmm {

namespace {

/// Of a disk that the configuration names for the first time; what is found is part of the machine from then on.
Result<> findFormat(DiskConfig& disk)
{
    if (!disk.format) {
        auto const found = TRY_WITHIN(disk.id, guessFormat(disk.path, disk.backing));
        disk.format = found == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
    }
    return {};
}

}

PcMachine::Job::~Job()
{
    cancelled = true;
    if (worker.joinable())
        worker.join();
}

Result<std::unique_ptr<Machine>> Machine::create(VmConfig const& config, Listener listener, CpuFeatures const* cpu)
{
    auto complete = config;
    for (auto& disk : complete.disks)
        TRY(findFormat(disk));
    auto machine = TRY(PcMachine::build(complete, cpu ? std::optional(*cpu) : std::nullopt, std::move(listener)));
    TRY(machine->board().openForwards());
    TRY(machine->equip());
    return std::unique_ptr<Machine>(std::move(machine));
}

Result<std::unique_ptr<Machine>> Machine::restore(std::string const& directory, Listener listener)
{
    auto const saved = TRY(readSavedMachine(directory));
    TRY(checkParts(saved));
    TRY(checkFiles(saved.header.files));
    auto file = TRY(openRegularFile(fmt::format("{}/{}", directory, savedRamName)));
    auto memory = TRY(RamFile::open(std::move(file), saved.header.ram));
    auto machine = TRY(PcMachine::build(saved.config, saved.header.cpu, std::move(listener)));
    TRY(machine->loadState(saved, std::move(memory)));
    TRY(machine->arrive());
    return std::unique_ptr<Machine>(std::move(machine));
}

Result<std::unique_ptr<Machine>> Machine::goTo(std::shared_ptr<timeline::Timeline> timeline, std::string_view moment,
    Listener listener, MemoryWay way, Leave const& leave)
{
    auto const saved = TRY(savedMachineAt(*timeline, moment));
    TRY(checkParts(saved));
    TRY(checkFiles(saved.header.files));
    auto memory = TRY(timeline::MomentMemory::open(timeline, moment, timeline));
    auto const disks = TRY(timeline->moment(moment)).disks;
    // While the machine is put together, for much of both is waiting for the kernel.
    auto lookingAhead = std::async(std::launch::async, [&tree = memory->tree()] { tree.lookAhead(); });
    ReturningDisks returning;
    TRY(returning.bring(saved.config, disks));
    auto machine = TRY(PcMachine::build(saved.config, saved.header.cpu, std::move(listener)));
    TRY(machine->board().checkDisksHave(disks));
    // Noted while the devices take their state: what is waited for is the disk's, and the kernel's. Without disks there
    // is no way to be half gone.
    auto const present = timeline->present(), goingTo = timeline->goingTo();
    auto const note = [&] { return disks.empty() ? timeline->setPresent(moment) : timeline->setGoingTo(moment); };
    auto noted = std::async(std::launch::async, note);
    bool const isFork = goingTo == moment; // which a new one has written down
    lookingAhead.get();
    auto outcome = machine->loadMoment(saved, timeline, std::move(memory), way, isFork);
    if (auto const known = noted.get(); outcome)
        outcome = known;
    if (outcome && leave)
        outcome = leave();
    if (!outcome) {
        // Nothing has moved.
        if (disks.empty())
            ignore(timeline->setPresent(present));
        if (!disks.empty() || !goingTo.empty())
            ignore(timeline->setGoingTo(goingTo));
        return fail(outcome.error());
    }
    returning.stay();
    if (!disks.empty()) {
        TRY(machine->board().takeDisksTo(disks));
        TRY(machine->board().storeVariables()); // which go with the disks: cut off before it is there, it goes again
        TRY(timeline->setPresent(moment));
    }
    TRY(machine->arrive());
    return std::unique_ptr<Machine>(std::move(machine));
}

Result<> Machine::call(Command command)
{
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<>> outcome;
    post(std::move(command), [&](Result<> result) {
        std::lock_guard const lock(mutex);
        outcome = std::move(result);
        changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return outcome.has_value(); });
    return *outcome;
}

Result<std::unique_ptr<PcMachine>> PcMachine::build(
    VmConfig const& config, std::optional<CpuFeatures> cpu, Listener listener)
{
    TRY(checkConfig(config));
    auto complete = config;
    for (auto& disk : complete.disks) {
        // Of a saved state: the machine that it is of has known it.
        if (!disk.format)
            return fail(ErrorCode::Corrupt, disk.id + ": the state does not say of which format its image is");
        disk.format = TRY(readFormatNow(disk));
    }
    std::unique_ptr<PcMachine> machine(new PcMachine(complete, std::move(listener)));
    TRY(machine->assemble(std::move(cpu)));
    return machine;
}

Result<> PcMachine::assemble(std::optional<CpuFeatures> cpu)
{
    m_kvm = TRY(Kvm::open());
    auto const supported = TRY(m_kvm->supportedCpuid());
    if (cpu) {
        TRY(checkFeatures(*cpu, supported));
        m_cpu = std::move(*cpu);
    } else {
        m_cpu = TRY(cpuFeatures(m_config.cpuModel, supported));
    }
    TRY(checkAddresses(m_cpu, layout::pci64WindowEnd(m_config.memoryMiB << 20)));
    m_vm = std::make_unique<Vm>(*m_kvm);
    m_thread = TRY(LoopThread::start("machine"));
    auto& loop = m_thread->loop();
    m_clock = std::make_unique<MachineClock>(loop);

    BoardEvents events;
    auto const request = [this, &loop](GuestRequest what) {
        m_requested = what;
        loop.post([this] { serveRequest(); });
    };
    events.resetRequested = [request] { request(GuestRequest::Reset); };
    events.powerOffRequested = [request] { request(GuestRequest::PowerOff); };
    events.crashed = [this, &loop](Error report) {
        loop.post([this, report = std::move(report), life = m_life.load()] {
            if (life == m_life)
                crashed(report);
        });
    };
    events.hostFailed
        = [this, &loop](Error error) { loop.post([this, error = std::move(error)] { hostFailed(error); }); };
    events.pointerModeChanged = [this, &loop] {
        loop.post([this] { m_listener(event::PointerModeChanged { m_board->pointerIsAbsolute() }); });
    };
    events.mediumChanged = [this, &loop](std::string const& drive, std::string const& path) {
        loop.post([this, drive, path] { m_listener(event::MediumChanged { drive, path }); });
    };
    events.rumbled = [this, &loop](std::string const& device, std::uint16_t strong, std::uint16_t weak) {
        loop.post([this, device, strong, weak] { m_listener(event::Rumbled { device, strong, weak }); });
    };
    events.forwardsMissed = [this, &loop](std::string const& network, Error const& why) {
        loop.post([this, network, why] { m_listener(event::ForwardsMissed { network, why }); });
    };
    Result<> outcome;
    loop.call([&] {
        auto board = Board::create(m_config, *m_vm, loop, *m_clock, std::move(events));
        if (board)
            m_board = std::move(*board);
        else
            outcome = fail(board.error());
    });
    TRY(outcome);
    m_pagesLost.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!m_pagesLost)
        return failOs("cannot make an eventfd");
    loop.call(
        [&] { m_pagesLostWatch = loop.watch(m_pagesLost.get(), EPOLLIN, [this](std::uint32_t) { pagesLost(); }); });
    // A machine that is off stands still like one that is paused: letRun() is the only way out of both.
    loop.call([this] {
        for (auto const& part : m_board->parts())
            part.device->pause();
    });
    return guardMemory();
}

void PcMachine::collectParts()
{
    m_parts = m_board->parts();
    m_parts.push_back({ "interrupt-chips", m_interruptChips.get() });
    m_parts.push_back({ "pit", m_pit.get() });
    m_parts.push_back({ "kvm-clock", m_kvmClock.get() });
}

Result<> PcMachine::guardMemory()
{
    m_guards.clear();
    for (auto* block : m_board->memoryBlocks())
        m_guards.push_back(TRY(BusErrorGuard::watch(block->bytes(), m_pagesLost.get())));
    return {};
}

Result<> PcMachine::equip()
{
    TRY(m_vm->open());
    TRY(m_vm->createInterruptControllers());
    m_interruptChips = std::make_unique<KvmInterruptChips>(*m_vm);
    m_pit = std::make_unique<KvmPit>(*m_vm);
    m_kvmClock = std::make_unique<KvmClock>(*m_vm);
    TRY(m_vm->connect());
    collectParts();
    for (auto* chip : std::array<Device*, 3> { m_interruptChips.get(), m_pit.get(), m_kvmClock.get() })
        chip->pause();
    for (unsigned index = 0; index < m_config.cpus; ++index)
        m_vcpus.push_back(TRY(m_vm->createVcpu(index, cpuidFor(m_cpu, index, m_config.cpus))));
    for (auto& vcpu : m_vcpus) {
        m_threads.push_back(
            std::make_unique<VcpuThread>(*vcpu, m_board->ports(), m_board->memory(), [this](VcpuExit const& exit) {
                m_thread->loop().post([this, exit, life = m_life.load()] {
                    if (life == m_life)
                        vcpuStopped(exit);
                });
            }));
    }
    return {};
}

PcMachine::~PcMachine()
{
    if (!m_thread)
        return;
    // What is under way is cancelled, and its worker waited for out here: it posts its end to the loop, which then
    // finds no job any more.
    std::array<std::unique_ptr<Job>, 4> jobs;
    decltype(m_usbChanges) usbChanges;
    decltype(m_suspendToCome) suspendToCome;
    m_thread->loop().call([&] {
        jobs = { std::move(m_job), std::move(m_keeping), std::move(m_tidying), std::move(m_merging) };
        m_whenLeftAlone.clear();
        usbChanges = std::move(m_usbChanges);
        suspendToCome = std::exchange(m_suspendToCome, std::nullopt);
    });
    if (suspendToCome && suspendToCome->second)
        suspendToCome->second(fail(ErrorCode::Cancelled, "the machine is gone"));
    for (auto const& [command, done] : usbChanges) {
        if (done)
            done(fail(ErrorCode::Cancelled, "the machine is gone"));
    }
    // All first: they wait for each other.
    for (auto const& job : jobs) {
        if (job)
            job->cancelled = true;
    }
    for (auto& job : jobs) {
        if (!job)
            continue;
        auto const done = std::move(job->done);
        job.reset();
        if (done)
            done(fail(ErrorCode::Cancelled, "the machine is gone"));
    }
    m_thread->loop().call([this] {
        // In this order: what has not come yet is zeros without a loader.
        if (m_board && state() == RunState::Running)
            stopRunning();
        endLoading();
        m_pagesLostWatch.reset();
        m_pagesLostDue.reset();
    });
    // First the thread, then what its tasks refer to.
    m_thread->end();
    m_threads.clear();
    m_vcpus.clear();
    m_parts.clear();
    m_guards.clear();
    m_board.reset();
}

void PcMachine::post(Command command, Completion done)
{
    m_thread->loop().post([this, command = std::move(command), done = std::move(done)] {
        auto const finish = [&](Result<> const& outcome) {
            if (done)
                done(outcome);
        };
        // What is unplugged may be gone already; of the state that is being saved it is no part.
        bool const isAlwaysPossible = std::holds_alternative<command::CancelJob>(command)
            || std::holds_alternative<command::UnplugUsb>(command)
            || std::holds_alternative<command::SendInput>(command);
        if (m_job && !isAlwaysPossible)
            return finish(fail(ErrorCode::Busy, fmt::format("the machine is busy with: {}", m_job->name)));
        if (auto const* suspendCommand = std::get_if<command::Suspend>(&command))
            return suspend(*suspendCommand, done);
        if (auto const* keep = std::get_if<command::KeepMoment>(&command))
            return keepMoment(*keep, done);
        if (auto const* tidy = std::get_if<command::TidyDisks>(&command))
            return tidyDisks(tidy->timeline, done);
        if (auto const* stream = std::get_if<command::StreamDisk>(&command))
            return streamDisk(*stream, done);
        if (auto const* commit = std::get_if<command::CommitDisk>(&command))
            return commitDisk(*commit, done);
        if (std::holds_alternative<command::AddUsb>(command) || std::holds_alternative<command::RemoveUsb>(command))
            return changeUsb(command, done);
        finish(carryOut(command));
    });
}

Result<> PcMachine::carryOut(Command const& command)
{
    return std::visit(
        [this](auto const& one) -> Result<> {
            if constexpr (requires { execute(one); })
                return execute(one);
            else
                return {}; // has a way of its own
        },
        command);
}

Result<> PcMachine::execute(command::Start const&)
{
    if (state() != RunState::Off && state() != RunState::Crashed)
        return fail(ErrorCode::NotNow, "the machine is already on");
    TRY(resetAll());
    letRun();
    setState(RunState::Running);
    return {};
}

Result<> PcMachine::execute(command::Pause const&)
{
    if (state() != RunState::Running)
        return fail(ErrorCode::NotNow, "the machine does not run");
    stopRunning();
    setState(RunState::Paused);
    return {};
}

Result<> PcMachine::execute(command::Resume const&)
{
    if (state() != RunState::Paused)
        return fail(ErrorCode::NotNow, "the machine is not paused");
    if (hasLostPages())
        return fail(lostPage());
    letRun();
    setState(RunState::Running);
    return {};
}

Result<> PcMachine::execute(command::Reset const&)
{
    if (state() == RunState::Off)
        return fail(ErrorCode::NotNow, "the machine is off");
    TRY(restart());
    setState(RunState::Running);
    return {};
}

Result<> PcMachine::execute(command::PressPowerButton const&)
{
    if (state() != RunState::Running)
        return fail(ErrorCode::NotNow, "the machine does not run");
    m_board->pressPowerButton();
    return {};
}

Result<> PcMachine::execute(command::PowerOff const&)
{
    if (state() == RunState::Off)
        return fail(ErrorCode::NotNow, "the machine is off");
    if (state() == RunState::Running)
        stopRunning();
    endLoading();
    m_board->forgetMemory();
    setState(RunState::Off);
    return {};
}

Result<> PcMachine::execute(command::InsertMedium const& command)
{
    return m_board->insertMedium(command.drive, command.path);
}

Result<> PcMachine::execute(command::EjectMedium const& command)
{
    return m_board->ejectMedium(command.drive, command.force);
}

Result<> PcMachine::execute(command::SetForwards const& command)
{
    auto next = m_config;
    for (auto& network : next.networks) {
        if (network.id == command.network)
            network.forwards = command.forwards;
    }
    TRY(checkConfig(next));
    TRY(m_board->setForwards(command.network, command.forwards));
    m_config.networks.swap(next.networks);
    return {};
}

Result<> PcMachine::execute(command::SetConnected const& command)
{
    TRY(m_board->setConnected(command.network, command.connected));
    for (auto& network : m_config.networks) {
        if (network.id == command.network)
            network.connected = command.connected;
    }
    return {};
}

Result<> PcMachine::execute(command::AddUsb const& command)
{
    auto addition = command.device;
    if (auto* const stick = std::get_if<DiskConfig>(&addition)) {
        TRY(findFormat(*stick));
        stick->format = TRY(readFormatNow(*stick));
    }
    // The configuration knows its own ids; a saved state has the other parts beside them.
    if (std::ranges::any_of(m_parts, [&](auto const& part) { return part.id == idOf(addition); }))
        return fail(ErrorCode::AlreadyExists, fmt::format("the machine has a part called {} already", idOf(addition)));
    TRY(m_board->chooseConnector(addition));
    auto next = m_config;
    TRY(vmm::addUsb(next, addition));
    TRY(m_board->addUsb(addition));
    takeDevices(next);
    if (state() != RunState::Running) {
        auto const added = std::ranges::find_if(m_parts, [&](auto const& part) { return part.id == idOf(addition); });
        added->device->pause();
    }
    m_listener(event::UsbAdded { addition });
    return {};
}

Result<> PcMachine::execute(command::RemoveUsb const& command)
{
    auto next = m_config;
    TRY(vmm::removeUsb(next, command.device));
    auto const removed = m_board->removeUsb(command.device);
    if (removed)
        takeDevices(next);
    else
        *pluggedMark(m_config, command.device) = false;
    m_listener(event::UsbRemoved { command.device, removed.has_value() });
    return removed;
}

/// The board has come to have those of `next`.
void PcMachine::takeDevices(VmConfig& next)
{
    m_config.usbDevices.swap(next.usbDevices);
    m_config.disks.swap(next.disks);
    m_config.bootOrder.swap(next.bootOrder);
    collectParts();
    m_board->usbChanged();
}

Result<> PcMachine::execute(command::PlugUsb const& command)
{
    TRY(m_board->plugUsb(command.id, command.device));
    if (state() != RunState::Running) {
        for (auto const& visitor : m_board->visitors())
            visitor.device->pause();
    }
    return {};
}

Result<> PcMachine::execute(command::UnplugUsb const& command)
{
    return m_board->unplugUsb(command.id);
}

Result<> PcMachine::execute(command::SetPlugged const& command)
{
    auto* const mark = pluggedMark(m_config, command.device);
    if (!mark)
        return fail(ErrorCode::NotFound, fmt::format("there is no USB device {}", command.device));
    TRY(m_board->setPlugged(command.device, command.plugged));
    *mark = command.plugged;
    return {};
}

Result<> PcMachine::execute(command::SendInput const& command)
{
    if (state() == RunState::Running)
        m_board->input(command.input);
    return {};
}

Result<> PcMachine::execute(command::CancelJob const&)
{
    if (auto const waits = std::exchange(m_suspendToCome, std::nullopt)) {
        if (waits->second)
            waits->second(fail(ErrorCode::Cancelled, "suspending was cancelled"));
        return {};
    }
    if (!m_job)
        return execute(command::CancelKeeping {});
    m_job->cancelled = true;
    return {};
}

Result<> PcMachine::execute(command::CancelKeeping const&)
{
    if (!m_keeping)
        return fail(ErrorCode::NotNow, "nothing is under way");
    m_keeping->cancelled = true;
    return {};
}

Result<> PcMachine::restart()
{
    if (state() == RunState::Running)
        stopRunning();
    if (auto const done = resetAll(); !done) {
        setState(RunState::Crashed, done.error());
        return done;
    }
    letRun();
    return {};
}

Result<> PcMachine::resetAll()
{
    // What the guest did before is of an earlier life.
    m_requested = GuestRequest::None;
    m_crash.reset();
    ++m_life;
    m_pagesLostDue.reset();
    if (m_memoryIsLost || hasLostPages()) {
        endLoading();
        m_board->forgetMemory();
        TRY(guardMemory());
        m_memoryIsLost = false;
    }
    for (auto const& all : { m_board->visitors(), m_parts }) {
        for (auto const& part : all)
            part.device->reset();
    }
    for (auto& vcpu : m_vcpus)
        TRY(vcpu->reset());
    auto const boot = TRY(m_board->prepareBoot());
    if (boot)
        TRY(m_vcpus.front()->setBootState(*boot));
    return {};
}

/// At once, and whoever holds the loader too, as one who keeps a moment does, waits no longer for what is not to come.
void PcMachine::endLoading()
{
    if (auto const loader = std::exchange(m_loader, nullptr))
        loader->stop();
}

void PcMachine::stopRunning()
{
    for (auto& thread : m_threads)
        thread->requestPark();
    for (auto& thread : m_threads)
        thread->waitUntilParked();
    m_clock->stop();
    for (auto const& all : { m_board->visitors(), m_parts }) {
        for (auto const& part : all)
            part.device->pause();
    }
    m_wasStopped = true;
}

void PcMachine::letRun()
{
    if (m_loader && !m_loader->isUnderWay())
        loadMemory();
    for (auto const& all : { m_board->visitors(), m_parts }) {
        for (auto const& part : all)
            part.device->resume();
    }
    m_clock->start();
    if (std::exchange(m_wasStopped, false)) {
        for (auto& vcpu : m_vcpus)
            vcpu->markStopped();
    }
    for (auto& thread : m_threads)
        thread->run();
    if (m_requested != GuestRequest::None)
        m_thread->loop().post([this] { serveRequest(); });
    if (m_crash)
        m_thread->loop().post([this, report = *std::exchange(m_crash, std::nullopt)] { crashed(report); });
}

void PcMachine::letRunOn()
{
    m_clock->catchUp();
    m_kvmClock->catchUp();
    letRun();
}

void PcMachine::setState(RunState newState, std::optional<Error> reason)
{
    m_state = newState;
    m_listener(event::StateChanged { newState, std::move(reason) });
}

void PcMachine::vcpuStopped(VcpuExit const& exit)
{
    if (exit.error && exit.error->code == ErrorCode::OutOfMemory)
        return hostFailed(*exit.error);
    crashed(exit.error.value_or(Error { ErrorCode::Internal, "a vCPU stopped without a reason", 0 }));
}

void PcMachine::serveRequest()
{
    if (state() != RunState::Running || m_job)
        return;
    switch (m_requested.exchange(GuestRequest::None)) {
    case GuestRequest::None: break;
    case GuestRequest::Reset:
        if (restart())
            m_listener(event::GuestRebooted {});
        break;
    case GuestRequest::PowerOff:
        stopRunning();
        endLoading();
        m_board->forgetMemory();
        // With a reason: nobody out here asked for it.
        setState(RunState::Off, Error { ErrorCode::Cancelled, "the guest powered off", 0 });
    }
}

void PcMachine::crashed(Error report)
{
    if (state() == RunState::Paused)
        m_crash = report; // letRun() comes back to it
    if (state() != RunState::Running)
        return;
    stopRunning();
    report = { report.code, report.message(), 0 };
    for (auto const& vcpu : m_vcpus)
        report.detail += "\n" + vcpu->whereabouts();
    log(LogLevel::Info, "machine", "{}", report.message());
    setState(RunState::Crashed, report);
}

void PcMachine::hostFailed(Error const& error)
{
    if (state() != RunState::Running)
        return;
    stopRunning();
    setState(RunState::Paused, error);
}

void PcMachine::pagesLost()
{
    std::uint64_t count = 0;
    static_cast<void>(::read(m_pagesLost.get(), &count, sizeof count) == sizeof count);
    if (!m_loader)
        return memoryLost();
    // While memory comes in, who brings it knows more of what is missing, and says it first. Meanwhile nothing of the
    // zeros that are there instead goes anywhere.
    if (hasLostPages() && state() == RunState::Running) {
        stopRunning();
        setState(RunState::Paused);
    }
    m_pagesLostDue = m_thread->loop().at(EventLoop::now() + std::chrono::seconds(1), [this] { memoryLost(); });
}

bool PcMachine::hasLostPages() const
{
    return std::any_of(m_guards.begin(), m_guards.end(), [](auto const& guard) { return guard->lost(); });
}

void PcMachine::memoryLost()
{
    if (state() == RunState::Off || !hasLostPages())
        return;
    bool const isKnown = std::exchange(m_memoryIsLost, true) && state() == RunState::Crashed;
    if (isKnown)
        return;
    if (m_keeping)
        m_keeping->cancelled = true;
    if (m_job)
        return; // which ends in an error
    if (state() == RunState::Running)
        stopRunning();
    setState(RunState::Crashed, lostPage());
}

MachineStatistics PcMachine::statistics() const
{
    MachineStatistics statistics;
    for (auto const& thread : m_threads)
        statistics.cpuNanoseconds += thread->cpuNanoseconds();
    auto const traffic = m_board->traffic();
    statistics.diskBytesRead = traffic.diskRead;
    statistics.diskBytesWritten = traffic.diskWritten;
    statistics.networkBytesReceived = traffic.networkReceived;
    statistics.networkBytesSent = traffic.networkSent;
    for (auto const* block : m_board->memoryBlocks())
        statistics.residentBytes += block->residentBytes();
    return statistics;
}

std::optional<double> PcMachine::memoryChangeRate()
{
    std::optional<double> rate;
    m_thread->loop().call(
        [&] { rate = m_changes.look(m_board->memoryBlocks(), std::chrono::steady_clock::now().time_since_epoch()); });
    return rate;
}

}
