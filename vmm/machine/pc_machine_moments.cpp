#include "vmm/base/give_way.h"
#include "vmm/base/random.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/pc_machine.h"
#include "vmm/memory/large_pages.h"

#include <algorithm>
#include <pthread.h>

/// Keeping the present as a moment, what disks keep for moments that are no more, and disks that take over what is
/// below them. All on workers beside the machine, one at a time: each changes what disks keep.
namespace vmm {

void PcMachine::keepMoment(command::KeepMoment const& command, Completion done)
{
    if (m_keeping || m_suspendToCome) {
        if (done)
            done(fail(ErrorCode::Busy,
                m_keeping ? "another moment is still being kept" : "the machine is about to be suspended"));
        return;
    }
    if (m_merging) {
        if (done)
            done(fail(ErrorCode::Busy,
                "the files of a disk are being put together: to keep a moment wait for that, or cancel it"));
        return;
    }
    if (m_tidying)
        m_tidying->cancelled = true; // it goes on after that
    m_disksAreBeingKept = true;
    m_keeping = std::make_unique<Job>();
    m_keeping->name = "keep";
    m_keeping->givesWay = command.what.reason == timeline::Reason::Automatic;
    m_keeping->done = std::move(done);
    m_keeping->worker = std::thread([this, &job = *m_keeping, loader = m_loader, command] {
        ::pthread_setname_np(::pthread_self(), "keep moment");
        std::unique_lock turn(m_checkpoints);
        auto const kept = keep(job, loader.get(), command);
        turn.unlock();
        m_thread->loop().post([this, kept, timeline = command.timeline] { finishKeeping(kept, timeline); });
    });
}

/// On the job's worker, beside the machine.
Result<event::MomentKept> PcMachine::keep(Job const& job, RamLoader* loader, command::KeepMoment const& command)
{
    auto& timeline = *command.timeline;
    auto origin = loader ? TRY(originFor(timeline, *loader)) : std::nullopt;
    // What is not the timeline's own must be here before an instant of it can be held.
    if (loader && !origin)
        TRY(loader->wait([&] { return !job.cancelled.load(); }));
    auto what = command.what;
    what.id = makeUuid();
    bool merged = false; // files below a disk: that is the first half of what is told
    auto const merging = [&merged, tell = tellKeeping(job, 0, 0.5)](std::uint64_t done, std::uint64_t total) {
        merged = true;
        return tell(done, total);
    };
    what.disks = TRY(m_board->planDisks(what.id, timeline, merging));
    // What a crash may leave of it is known from here on.
    TRY(timeline.setLoose({ what.id, what.disks }));
    auto const kept = [&]() -> Result<event::MomentKept> {
        TRY(m_board->prepareDisks(what.disks));
        auto room = roomFor(job, timeline, what.reason);
        Result<Instant> held = fail(ErrorCode::Internal, "no instant was held");
        m_thread->loop().call([&] { held = holdInstant(what.disks, std::move(origin)); });
        auto instant = TRY(std::move(held));
        if (command.picture)
            what.picture = command.picture();
        TRY(instant.disks.get());
        TRY(m_board->sealDisks(what.disks));
        m_thread->loop().post([this] { disksAreKept(); });
        auto const progress = tellKeeping(job, merged ? 0.5 : 0, 1);
        auto const id = TRY(store(timeline, what, instant, progress, std::move(room))).id;
        instant.memory.reset();
        for (auto* const block : m_board->memoryBlocks()) {
            if (!loader)
                joinPages(block->bytes(), [&] { return !job.cancelled.load(); });
        }
        return event::MomentKept { id, instant.stoodStill };
    }();
    if (!kept) {
        m_thread->loop().call([this] { m_disksAreBeingKept = true; });
        ignore(tidy(timeline, {}));
    }
    return kept;
}

/// What the guest would wait for once its memory is held. Nobody's instant comes much later for it: a person means the
/// present, and who leaves it waits for us.
timeline::Room PcMachine::roomFor(Job const& job, timeline::Timeline const& timeline, timeline::Reason reason) const
{
    using namespace std::chrono_literals;
    bool const isByItself = reason == timeline::Reason::Automatic;
    if (!isByItself && reason != timeline::Reason::Kept)
        return {};
    std::uint64_t memory = 0;
    for (auto const* block : m_board->memoryBlocks())
        memory += block->size();
    auto const until = std::chrono::steady_clock::now() + (isByItself ? 1000ms : 200ms);
    return timeline.roomFor(memory, [&] { return !job.cancelled.load() && std::chrono::steady_clock::now() < until; });
}

CopyProgress PcMachine::tellKeeping(Job const& job, double begins, double ends)
{
    return [this, &job, begins, ends, told = begins](std::uint64_t done, std::uint64_t total) mutable {
        auto const fraction = begins + (ends - begins) * static_cast<double>(done) / static_cast<double>(total);
        if (fraction >= told + 0.01) {
            told = fraction;
            m_thread->loop().post([this, fraction] { m_listener(event::Progress { "keep", fraction }); });
        }
        return !job.cancelled.load();
    };
}

Result<timeline::Moment> PcMachine::store(timeline::Timeline& timeline, timeline::NewMoment& what, Instant& instant,
    CopyProgress const& progress, timeline::Room room)
{
    what.state = savedMachineText(instant.saved, timeline.path());
    TRY_WITHIN("the state could not be read back", savedMachineFromText(what.state, timeline.path()));
    what.time = instant.saved.header.savedAt;
    return timeline.take(what, *instant.memory, progress, std::move(room));
}

Result<std::optional<timeline::ForkedMemory::Origin>> PcMachine::originFor(
    timeline::Timeline const& timeline, RamLoader const& loader) const
{
    TRY(loader.check());
    if (!m_origin || m_origin->timeline.get() != &timeline)
        return std::nullopt;
    auto const blocks = m_board->memoryBlocks();
    timeline::ForkedMemory::Origin origin { m_origin->memory, {} };
    for (auto const& part : loader.latecomers()) {
        auto const place = std::find(blocks.begin(), blocks.end(), part.block);
        origin.parts.push_back({ static_cast<std::size_t>(place - blocks.begin()), part.offset, part.size });
    }
    return origin;
}

Result<PcMachine::Instant> PcMachine::holdInstant(
    std::vector<timeline::MomentDisk> const& disks, std::optional<timeline::ForkedMemory::Origin> origin)
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
        auto memory = TRY(timeline::ForkedMemory::freeze(m_board->memoryBlocks(), std::move(origin)));
        if (hasLostPages())
            return fail(lostPage());
        auto const kept = std::make_shared<std::promise<Result<>>>();
        m_board->keepDisks(disks, static_cast<std::uint64_t>(m_clock->now().count()),
            [kept](Result<> outcome) { kept->set_value(std::move(outcome)); });
        return Instant { std::move(saved), std::move(memory), kept->get_future() };
    }();
    if (running)
        letRunOn();
    if (instant)
        instant->stoodStill = std::chrono::steady_clock::now() - began;
    return instant;
}

void PcMachine::finishKeeping(
    Result<event::MomentKept> const& kept, std::shared_ptr<timeline::Timeline> const& timeline)
{
    auto const job = std::move(m_keeping);
    if (!job)
        return; // the machine is being destroyed
    job->worker.join();
    if (kept)
        m_listener(*kept);
    if (job->done)
        job->done(kept ? Result<>() : fail(kept.error()));
    disksAreKept();
    leftAlone();
    tidyDisks(timeline, {});
}

void PcMachine::disksAreKept()
{
    m_disksAreBeingKept = false;
    if (m_tidying)
        return; // which ends soon
    for (auto const& [command, done] : std::exchange(m_usbChanges, {})) {
        auto const outcome = carryOut(command);
        if (done)
            done(outcome);
    }
}

/// Whether a command of these changes which disks there are.
bool PcMachine::isAboutStick(Command const& command) const
{
    if (auto const* added = std::get_if<command::AddUsb>(&command))
        return std::holds_alternative<DiskConfig>(added->device);
    auto const& id = std::get<command::RemoveUsb>(command).device;
    return std::ranges::any_of(m_config.disks, [&](DiskConfig const& disk) { return disk.id == id; });
}

void PcMachine::changeUsb(Command const& command, Completion const& done)
{
    if (m_merging && isAboutStick(command)) {
        if (done)
            done(fail(ErrorCode::Busy,
                "the files of a disk are being put together: to add or remove a stick wait for that, or cancel it"));
        return;
    }
    m_usbChanges.emplace_back(command, done);
    if (!m_disksAreBeingKept)
        disksAreKept();
    if (m_tidying && !m_tidying->cancelled.exchange(true)) // it goes on after that
        m_whenLeftAlone.push_back([this, timeline = m_tidied] { tidyDisks(timeline, {}); });
}

void PcMachine::leftAlone()
{
    if (m_keeping || m_tidying || m_merging)
        return;
    if (auto const next = std::exchange(m_suspendToCome, std::nullopt))
        suspend(next->first, next->second);
    for (auto const& task : std::exchange(m_whenLeftAlone, {}))
        task();
}

void PcMachine::tidyDisks(std::shared_ptr<timeline::Timeline> const& timeline, Completion done)
{
    if (m_job || m_suspendToCome || !m_whenLeftAlone.empty())
        return done ? done(fail(ErrorCode::Busy, "the disks must be left alone now")) : void();
    if (m_tidying) { // anew, with what it does not know yet
        m_tidying->cancelled = true;
        m_whenLeftAlone.push_back([this, timeline, done] { tidyDisks(timeline, done); });
        return;
    }
    m_tidying = std::make_unique<Job>();
    m_tidying->name = "tidy";
    m_tidied = timeline;
    m_tidying->done = std::move(done);
    m_tidying->worker = std::thread([this, &job = *m_tidying, timeline] {
        ::pthread_setname_np(::pthread_self(), "tidy disks");
        giveWay();
        std::unique_lock turn(m_checkpoints);
        auto const outcome = tidy(*timeline, [&] { return !job.cancelled.load(); });
        turn.unlock();
        m_thread->loop().post([this, outcome] {
            m_tidied.reset();
            finishAside(m_tidying, outcome);
        });
    });
}

Result<> PcMachine::tidy(timeline::Timeline& timeline, std::function<bool()> const& goOn)
{
    DiskTidier::How how;
    how.forget = [this](timeline::MomentDisk const& disk, std::vector<std::string> const& backing) {
        auto const forgotten = m_board->forgetDisk(disk);
        return forgotten ? *forgotten : forgetAside(disk, backing);
    };
    how.belowChanged = [this](std::string const& path) { return m_board->openBelowAgain(path); };
    if (goOn) {
        how.merge = OverlayFiles::MayMerge::Yes;
        how.goOn = goOn;
    }
    VmConfig config; // which changes while this is under way: sticks are plugged in
    m_thread->loop().call([&] { config = m_config; });
    return DiskTidier(timeline, config, std::move(how)).run();
}

void PcMachine::finishAside(std::unique_ptr<Job>& which, Result<> const& outcome)
{
    auto const job = std::move(which);
    if (!job)
        return; // the machine is being destroyed
    job->worker.join();
    if (job->done)
        job->done(outcome);
    if (!m_disksAreBeingKept)
        disksAreKept();
    leftAlone();
}

void PcMachine::streamDisk(command::StreamDisk const& command, Completion done)
{
    auto const stream = [this, disk = command.disk, onto = command.onto](
                            std::function<bool(double)> const& goOn) { return m_board->streamDisk(disk, onto, goOn); };
    putFilesTogether("stream", stream, command.progress, std::move(done));
}

void PcMachine::commitDisk(command::CommitDisk const& command, Completion done)
{
    auto const its = std::ranges::find(m_config.disks, command.disk, &DiskConfig::id);
    bool const isRaw = its != m_config.disks.end() && its->format == DiskFormat::Raw;
    Board::CommitHow how { command.files, isRaw ? ImageFormat::Raw : ImageFormat::Qcow2, command.mayChange };
    auto const commit = [this, disk = command.disk, how = std::move(how)](
                            std::function<bool(double)> const& goOn) { return m_board->commitDisk(disk, how, goOn); };
    putFilesTogether("commit", commit, command.progress, std::move(done));
}

void PcMachine::putFilesTogether(char const* name,
    std::function<Result<>(std::function<bool(double)> const& goOn)> work, std::function<bool(double)> progress,
    Completion done)
{
    if (m_merging || m_suspendToCome || !m_whenLeftAlone.empty() || !m_usbChanges.empty()) {
        if (done)
            done(fail(ErrorCode::Busy,
                m_merging ? "the files of another disk are being put together" : "the disks must be left alone now"));
        return;
    }
    if (m_tidying)
        m_tidying->cancelled = true; // whoever asked for this asks for that again
    m_merging = std::make_unique<Job>();
    m_merging->name = name;
    m_merging->done = std::move(done);
    m_merging->worker = std::thread([this, &job = *m_merging, work = std::move(work), progress = std::move(progress)] {
        ::pthread_setname_np(::pthread_self(), "merge files");
        std::unique_lock turn(m_checkpoints);
        auto const outcome = work([&](double part) { return !job.cancelled && (!progress || progress(part)); });
        turn.unlock();
        m_thread->loop().post([this, outcome] { finishAside(m_merging, outcome); });
    });
}

Result<> Machine::tidyDisks(VmConfig const& config, timeline::Timeline& timeline)
{
    return DiskTidier(timeline, config, {}).run();
}

}
