#include "vmm/base/random.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/pc_machine.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

/// Suspending and restoring. The machine stands still from the first line of suspend() until its worker has written
/// the memory; the worker touches nothing else.
namespace vmm {

namespace {

SavedPart const* findPart(std::vector<SavedPart> const& parts, std::string_view id)
{
    for (auto const& part : parts) {
        if (part.id == id)
            return &part;
    }
    return nullptr;
}

std::string vcpuId(unsigned index)
{
    return fmt::format("vcpu{}", index);
}

std::uint64_t timeOfDayNow()
{
    timespec now {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}

std::vector<Error> PcMachine::saveObstacles()
{
    std::vector<Error> obstacles;
    m_thread->loop().call([&] {
        for (auto const& part : m_parts) {
            if (auto const can = part.device->canSave(); !can)
                obstacles.push_back(Error(can.error()).within(part.id));
        }
    });
    return obstacles;
}

void PcMachine::suspend(command::Suspend const& command, Completion done)
{
    auto const finish = [&](Result<> const& outcome) {
        if (done)
            done(outcome);
    };
    if (state() != RunState::Running && state() != RunState::Paused)
        return finish(fail(ErrorCode::NotNow, "only a machine that is on can be suspended"));
    if (auto const free = checkStateDirectory(command.directory); !free)
        return finish(free);
    if (auto const can = checkCanSave(); !can)
        return finish(can);
    bool const wasRunning = state() == RunState::Running;
    if (wasRunning) {
        stopRunning();
        setState(RunState::Paused);
    }

    auto captured = captureState(Board::Disks::All);
    if (!captured) {
        if (wasRunning) {
            letRun();
            setState(RunState::Running);
        }
        return finish(fail(captured.error()));
    }
    m_job = std::make_unique<Job>();
    m_job->name = "suspend";
    m_job->done = std::move(done);
    auto const blocks = m_board->memoryBlocks();
    m_job->worker = std::thread([this, &job = *m_job, blocks, loader = m_loader, saved = std::move(*captured),
                                    wasRunning, directory = command.directory, off = command.thenPowerOff]() mutable {
        auto const progress = [&](double fraction) {
            m_thread->loop().post([this, fraction] { m_listener(event::Progress { "suspend", fraction }); });
            return !job.cancelled.load();
        };
        auto outcome = replaceDirectory(directory, [&](std::string const& fresh) -> Result<> {
            if (loader)
                TRY(loader->wait([&] { return !job.cancelled.load(); }));
            saved.header.ram = TRY(writeRamFile(fmt::format("{}/{}", fresh, savedRamName), blocks, progress));
            auto const text = state::toText(savedMachineToJson(saved), 1) + "\n";
            auto const json = TRY_WITHIN("the state could not be read back", state::parseJson(text));
            auto const readable = TRY_WITHIN("the state could not be read back", savedMachineFromJson(json));
            // The names of backing files come out of images, with whatever bytes.
            if (readable.header != saved.header)
                return fail(ErrorCode::Unsupported, "the path of an image is not UTF-8, and cannot be kept");
            return writeFileSynced(fmt::format("{}/{}", fresh, savedStateName), text);
        });
        m_thread->loop().post([this, outcome, wasRunning, off] { finishSuspend(outcome, wasRunning, off); });
    });
}

void PcMachine::finishSuspend(Result<> const& outcome, bool wasRunning, bool thenPowerOff)
{
    auto const job = std::move(m_job);
    if (!job)
        return; // the machine is being destroyed
    job->worker.join();
    if (outcome && thenPowerOff) {
        ignore(execute(command::PowerOff {}));
    } else if (wasRunning && state() == RunState::Paused) {
        letRun();
        setState(RunState::Running);
    }
    if (job->done)
        job->done(outcome);
}

void PcMachine::keepMoment(command::KeepMoment const& command, Completion done)
{
    if (m_keeping) {
        if (done)
            done(fail(ErrorCode::Busy, "another moment is still being kept"));
        return;
    }
    m_keeping = std::make_unique<Job>();
    m_keeping->name = "keep";
    m_keeping->done = std::move(done);
    m_keeping->worker = std::thread([this, &job = *m_keeping, loader = m_loader, command] {
        ::pthread_setname_np(::pthread_self(), "keep moment");
        auto const kept = keep(job, loader.get(), command);
        m_thread->loop().post([this, kept] { finishKeeping(kept); });
    });
}

/// On the job's worker, beside the machine.
Result<event::MomentKept> PcMachine::keep(Job const& job, RamLoader* loader, command::KeepMoment const& command)
{
    // A restored machine's memory must be here before an instant of it can be held.
    if (loader)
        TRY(loader->wait([&] { return !job.cancelled.load(); }));
    TRY(m_board->checkDisksFollow());
    TRY(m_board->prepareDisks());
    auto what = command.what;
    what.id = makeUuid();
    Result<Instant> held = fail(ErrorCode::Internal, "no instant was held");
    m_thread->loop().call([&] { held = holdInstant(what.id); });
    auto instant = TRY(std::move(held));
    if (command.picture)
        what.picture = command.picture();
    TRY(instant.disks.get());

    auto const taken = [&]() -> Result<timeline::Moment> {
        auto const json = savedMachineToJson(instant.saved);
        TRY_WITHIN("the state could not be read back", savedMachineFromJson(json));
        what.state = state::toText(json, 1) + "\n";
        what.time = instant.saved.header.savedAt;
        double told = 0;
        return command.timeline->take(what, *instant.memory, [&](std::uint64_t bytes, std::uint64_t total) {
            auto const fraction = static_cast<double>(bytes) / static_cast<double>(total);
            if (fraction >= told + 0.01) {
                told = fraction;
                m_thread->loop().post([this, fraction] { m_listener(event::Progress { "keep", fraction }); });
            }
            return !job.cancelled.load();
        });
    }();
    if (!taken) {
        ignore(m_board->forgetDisks(what.id));
        return fail(taken.error());
    }
    return event::MomentKept { taken->id, instant.stoodStill };
}

Result<PcMachine::Instant> PcMachine::holdInstant(std::string const& moment)
{
    if (m_job || (state() != RunState::Running && state() != RunState::Paused))
        return fail(ErrorCode::NotNow, "only a machine that is on has a present to keep");
    TRY(checkCanSave());
    auto const began = std::chrono::steady_clock::now();
    bool const running = state() == RunState::Running;
    if (running)
        stopRunning();
    auto instant = [&]() -> Result<Instant> {
        auto saved = TRY(captureState(Board::Disks::ThoseThatStay));
        auto memory = TRY(timeline::ForkedMemory::freeze(m_board->memoryBlocks()));
        auto const kept = std::make_shared<std::promise<Result<>>>();
        m_board->keepDisks(moment, static_cast<std::uint64_t>(m_clock->now().count()),
            [kept](Result<> outcome) { kept->set_value(std::move(outcome)); });
        return Instant { std::move(saved), std::move(memory), kept->get_future() };
    }();
    if (running)
        letRun();
    if (instant)
        instant->stoodStill = std::chrono::steady_clock::now() - began;
    return instant;
}

void PcMachine::finishKeeping(Result<event::MomentKept> const& kept)
{
    auto const job = std::move(m_keeping);
    if (!job)
        return; // the machine is being destroyed
    job->worker.join();
    if (kept)
        m_listener(*kept);
    if (job->done)
        job->done(kept ? Result<>() : fail(kept.error()));
}

Result<> PcMachine::checkCanSave() const
{
    for (auto const& part : m_parts)
        TRY_WITHIN(part.id, part.device->canSave());
    return {};
}

/// The state of every part, and all that the file says besides the memory.
Result<SavedMachine> PcMachine::captureState(Board::Disks files) const
{
    SavedMachine saved;
    saved.config = m_config;
    m_board->describeMedia(saved.config);
    saved.header.program = CHRONOVISOR_VERSION_TEXT;
    saved.header.savedAt = timeOfDayNow();
    saved.header.guestTime = m_clock->now().count();
    saved.header.requested = m_requested;
    saved.header.cpu = m_cpu;
    saved.header.files = TRY(m_board->files(files));
    for (auto const& part : m_parts)
        saved.parts.push_back({ part.id, part.device->save() });
    for (auto const& vcpu : m_vcpus) {
        auto const registers = TRY(vcpu->save());
        saved.parts.push_back({ vcpuId(vcpu->index()), state::save(registers) });
    }
    return saved;
}

Result<> PcMachine::loadState(SavedMachine const& saved, std::unique_ptr<SavedMemory> memory, MemoryWay way)
{
    // All of the file is understood before anything is taken from it.
    if (saved.parts.size() != m_parts.size() + m_vcpus.size()) {
        for (auto const& part : saved.parts) {
            bool known = false;
            for (auto const& own : m_parts)
                known |= own.id == part.id;
            for (auto const& vcpu : m_vcpus)
                known |= vcpuId(vcpu->index()) == part.id;
            if (!known)
                return fail(
                    ErrorCode::Corrupt, fmt::format("the state has a part \"{}\" that we do not know", part.id));
        }
    }
    std::vector<VcpuState> processors;
    for (auto const& vcpu : m_vcpus) {
        auto const* part = findPart(saved.parts, vcpuId(vcpu->index()));
        if (!part)
            return fail(ErrorCode::Corrupt, fmt::format("the state lacks {}", vcpuId(vcpu->index())));
        processors.push_back(TRY_WITHIN(part->id, state::load<VcpuState>(part->section)));
    }
    for (auto const& own : m_parts) {
        if (!findPart(saved.parts, own.id))
            return fail(ErrorCode::Corrupt, fmt::format("the state lacks {}", own.id));
    }

    Result<> outcome;
    m_thread->loop().call([&] {
        outcome = [&]() -> Result<> {
            // Memory first: devices look into it as they load (the rings of their queues).
            m_loader = TRY(RamLoader::open(std::move(memory), m_board->memoryBlocks(), way));
            m_clock->set(Nanoseconds(saved.header.guestTime));
            for (auto const& own : m_parts)
                TRY_WITHIN(own.id, own.device->load(findPart(saved.parts, own.id)->section));
            for (std::size_t i = 0; i < m_vcpus.size(); ++i)
                TRY_WITHIN(vcpuId(m_vcpus[i]->index()), m_vcpus[i]->load(processors[i]));
            TRY(m_board->restored());
            m_wasStopped = true;
            m_requested = saved.header.requested;
            setState(RunState::Paused);
            loadMemory();
            return {};
        }();
    });
    return outcome;
}

void PcMachine::loadMemory()
{
    auto const standStill = [this](std::function<void()> task) {
        m_thread->loop().post([this, task = std::move(task)] {
            bool const running = state() == RunState::Running;
            if (running)
                stopRunning();
            task();
            if (running)
                letRun();
        });
    };
    m_loader->start(standStill,
        [this](Result<> const& outcome) { m_thread->loop().post([this, outcome] { memoryLoaded(outcome); }); });
}

void PcMachine::memoryLoaded(Result<> const& outcome)
{
    if (!m_loader)
        return;
    if (outcome) {
        m_loader.reset();
        return;
    }
    if (outcome.error().code == ErrorCode::Cancelled)
        return;
    if (state() == RunState::Running)
        stopRunning();
    m_memoryIsLost = outcome.error().code == ErrorCode::Corrupt;
    setState(m_memoryIsLost ? RunState::Crashed : RunState::Paused, outcome.error());
}

}
