#include "vmm/base/time_of_day.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/pc_machine.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <span>

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

}

std::vector<Error> PcMachine::saveObstacles()
{
    std::vector<Error> found;
    m_thread->loop().call([&] { found = obstacles(); });
    return found;
}

std::vector<Error> PcMachine::obstacles() const
{
    std::vector<Error> found;
    for (auto const& all : { m_parts, m_board->visitors() }) {
        for (auto const& part : all) {
            if (auto const can = part.device->canSave(); !can)
                found.push_back(Error(can.error()).within(part.id));
        }
    }
    return found;
}

void PcMachine::suspend(command::Suspend const& command, Completion done)
{
    auto const finish = [&](Result<> const& outcome) {
        if (done)
            done(outcome);
    };
    if (state() != RunState::Running && state() != RunState::Paused)
        return finish(fail(ErrorCode::NotNow, "only a machine that is on can be suspended"));
    if (m_job)
        return finish(fail(ErrorCode::Busy, fmt::format("the machine is busy with: {}", m_job->name)));
    if (auto const free = checkStateDirectory(command.directory); !free)
        return finish(free);
    if (auto const can = checkCanSave(); !can)
        return finish(can);
    if (m_suspendToCome)
        return finish(fail(ErrorCode::Busy, "the machine is about to be suspended already"));
    // The state remembers its disks to the byte.
    if (m_keeping || m_tidying || m_merging)
        return suspendLater(command, std::move(done));
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
            if (hasLostPages())
                return fail(lostPage());
            auto const text = savedMachineText(saved, directory);
            auto const readable = TRY_WITHIN("the state could not be read back", savedMachineFromText(text, directory));
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
    } else if (hasLostPages()) {
        memoryLost();
    } else if (wasRunning && state() == RunState::Paused) {
        letRun();
        setState(RunState::Running);
    }
    if (job->done)
        job->done(outcome);
}

void PcMachine::suspendLater(command::Suspend const& command, Completion done)
{
    for (auto* job : { m_keeping.get(), m_tidying.get(), m_merging.get() }) {
        if (job && job->givesWay)
            job->cancelled = true;
    }
    m_suspendToCome.emplace(command, std::move(done));
}

Result<> PcMachine::checkCanSave() const
{
    auto const found = obstacles();
    return found.empty() ? Result<>() : fail(found.front());
}

/// The state of every part, and all that the file says besides the memory.
Result<SavedMachine> PcMachine::captureState(Board::Disks files) const
{
    SavedMachine saved;
    saved.config = m_config;
    m_board->describeMedia(saved.config);
    saved.header.program = CHRONOVISOR_VERSION_TEXT;
    saved.header.savedAt = timeOfDay();
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
    // That the parts are the configuration's is known (checkParts()); this is what the board was really made of.
    std::vector<VcpuState> processors;
    for (unsigned index = 0; index < m_config.cpus; ++index) {
        auto const* part = findPart(saved.parts, vcpuId(index));
        if (!part)
            return fail(ErrorCode::Corrupt, fmt::format("the state lacks {}", vcpuId(index)));
        processors.push_back(TRY_WITHIN(part->id, state::load<VcpuState>(part->section)));
        TRY_WITHIN(part->id, Vcpu::check(processors.back()));
    }
    auto const load = [&](std::span<Board::Part const> parts) -> Result<> {
        for (auto const& own : parts) {
            auto const* part = findPart(saved.parts, own.id);
            if (!part)
                return fail(ErrorCode::Corrupt, fmt::format("the state lacks {}", own.id));
            TRY_WITHIN(own.id, own.device->load(part->section));
        }
        return {};
    };

    Result<> outcome;
    m_thread->loop().call([&] {
        outcome = [&]() -> Result<> {
            // Memory first: devices look into it as they load (the rings of their queues).
            m_loader = TRY(RamLoader::open(std::move(memory), m_board->memoryBlocks(), way));
            if (m_origin && m_origin->isShared)
                m_loader->leaveTheRest();
            m_clock->set(Nanoseconds(saved.header.guestTime));
            auto const& ofBoard = m_board->parts();
            TRY(load(ofBoard));
            TRY(equip()); // KVM begins here: what is left is what it alone can say
            TRY(load(std::span(m_parts).subspan(ofBoard.size())));
            for (std::size_t i = 0; i < m_vcpus.size(); ++i)
                TRY_WITHIN(vcpuId(m_vcpus[i]->index()), m_vcpus[i]->load(processors[i]));
            m_wasStopped = true;
            m_requested = saved.header.requested;
            setState(RunState::Paused);
            loadMemory();
            return {};
        }();
    });
    return outcome;
}

Result<> PcMachine::loadMoment(SavedMachine const& saved, std::shared_ptr<timeline::Timeline> const& timeline,
    std::unique_ptr<timeline::MomentMemory> memory, MemoryWay way, bool isShared)
{
    m_origin.emplace(Origin { timeline, memory->tree(), isShared });
    return loadState(saved, std::move(memory), way);
}

Result<> PcMachine::arrive()
{
    Result<> outcome;
    m_thread->loop().call([&] { outcome = m_board->restored(); });
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
                letRunOn();
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
    if (outcome.error().code == ErrorCode::Corrupt || hasLostPages())
        m_memoryIsLost = true;
    if (m_memoryIsLost || state() != RunState::Crashed)
        setState(m_memoryIsLost ? RunState::Crashed : RunState::Paused, outcome.error());
}

}
