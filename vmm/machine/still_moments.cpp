#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/base/time_of_day.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/board.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/returning_disks.h"
#include "vmm/machine/state_file.h"
#include "vmm/timeline/moment_memory.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>

/// Moments of a machine that is off or suspended: nothing of it runs, so its files are what it is.
namespace vmm {

namespace {

Result<> goOn(Machine::StillProgress const& progress)
{
    return progress && !progress(0) ? fail(ErrorCode::Cancelled, "keeping the moment was cancelled") : Result<>();
}

/// The machine's disks that follow, open for this alone.
class StillDisks {
public:
    Result<> open(VmConfig const& config)
    {
        for (auto const& disk : config.disks) {
            if (disk.readOnly)
                continue;
            auto its = disk;
            its.format = formatNow(disk);
            auto& one = *m_disks.emplace_back(std::make_unique<One>(
                disk.id, CheckpointedDisk { m_engine, disk.path, imageOptions(its), nullptr, preferredWay(disk) }));
            one.file.image = TRY_WITHIN(disk.id, BlockImage::open(m_engine, disk.path, one.file.options));
        }
        return {};
    }

    Result<std::vector<timeline::MomentDisk>> plan(
        std::string const& moment, timeline::Timeline const& timeline, CopyProgress const& progress)
    {
        std::vector<timeline::MomentDisk> planned;
        for (auto const& disk : m_disks) {
            auto const method = TRY_WITHIN(disk->id, chooseMethod(disk->file, timeline));
            auto const checkpoint = TRY_WITHIN(disk->id, planStill(*method, disk->file, moment, progress));
            planned.push_back({ disk->id, disk->file.path, checkpoint });
        }
        return planned;
    }

    Result<> take(std::vector<timeline::MomentDisk> const& planned, std::uint64_t guestTime,
        Machine::StillProgress const& progress)
    {
        return each(planned, [&](CheckpointedDisk& disk, Checkpoint const& checkpoint) -> Result<> {
            TRY(goOn(progress));
            auto const method = CheckpointMethod::create(checkpoint.way);
            TRY(method->prepareFiles(disk, checkpoint));
            TRY(method->prepare(disk, checkpoint));
            TRY(method->take(disk, checkpoint, snapshotNow(checkpoint.id, guestTime)));
            return method->seal(disk, checkpoint);
        });
    }

    Result<> goBack(std::vector<timeline::MomentDisk> const& kept)
    {
        return each(kept, [](CheckpointedDisk& disk, Checkpoint const& checkpoint) {
            return CheckpointMethod::create(checkpoint.way)->goBack(disk, checkpoint);
        });
    }

    Result<> each(std::vector<timeline::MomentDisk> const& kept,
        std::function<Result<>(CheckpointedDisk&, Checkpoint const&)> const& what)
    {
        for (auto const& disk : m_disks) {
            auto const checkpoint = TRY_WITHIN(disk->id, checkpointOf(kept, disk->id));
            TRY_WITHIN(disk->id, what(disk->file, checkpoint));
        }
        return {};
    }

    /// Of all that the machine goes on using, those that moments leave alone.
    static std::vector<SavedFile> filesThatStay(std::vector<SavedFile> files, VmConfig const& config)
    {
        std::erase_if(files, [&](auto const& file) {
            return std::ranges::any_of(
                config.disks, [&](auto const& disk) { return !disk.readOnly && disk.path == file.path; });
        });
        return files;
    }

    Result<> appendFiles(bool isKept, std::vector<SavedFile>& files)
    {
        for (auto const& disk : m_disks) {
            if (!disk->file.image)
                return fail(ErrorCode::NotNow, disk->id + " is not open any more");
            TRY_WITHIN(disk->id, disk->file.image->flushSync());
            TRY(vmm::appendFiles(disk->id, disk->file.image->info(), isKept, files));
        }
        return {};
    }

private:
    struct One {
        std::string id;
        CheckpointedDisk file;
        One(std::string device, CheckpointedDisk disk) : id(std::move(device)), file(std::move(disk)) { }
    };
    InlineEngine m_engine;
    std::vector<std::unique_ptr<One>> m_disks;
};

Result<Bytes> readAll(std::string const& path, std::uint64_t limit)
{
    auto const file = TRY(HostFile::open(path, Access::ReadOnly, CacheMode::Writeback, HostFile::Lock::No));
    auto const size = TRY(file->size());
    if (size > limit)
        return fail(ErrorCode::Corrupt, fmt::format("{} has {} bytes, up to {} are possible", path, size, limit));
    Bytes bytes(size);
    TRY(file->read(0, bytes));
    return bytes;
}

/// What a machine without power still has in memory: its firmware's variables.
class StillVariables final : public timeline::FrozenMemory {
public:
    static Result<StillVariables> read(VmConfig const& config)
    {
        StillVariables memory;
        if (config.firmware != Firmware::Ovmf || !existsFile(config.firmwareVariables))
            return memory; // none yet: the first start makes them
        memory.m_bytes = TRY_WITHIN("the firmware's variables", readAll(config.firmwareVariables, 16u << 20));
        if (memory.m_bytes.empty())
            return memory; // as good as none
        if (memory.m_bytes.size() % timeline::pageSize != 0)
            return fail(ErrorCode::Corrupt, "the firmware's variables do not fill whole pages");
        memory.m_blocks.push_back({ firmwareVariablesBlock, memory.m_bytes.size() });
        return memory;
    }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t offset) override { return offset; }
    Result<> read(std::size_t, std::uint64_t offset, ByteSpan data) override
    {
        std::copy_n(m_bytes.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
        return {};
    }

private:
    std::vector<Block> m_blocks;
    Bytes m_bytes;
};

/// A suspended machine's memory, as a moment takes it.
class StillMemory final : public timeline::FrozenMemory {
public:
    explicit StillMemory(std::unique_ptr<SavedMemory> saved) : m_saved(std::move(saved))
    {
        for (auto const& block : m_saved->blocks())
            m_blocks.push_back({ block.name, block.size });
    }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    Result<std::uint64_t> nextUsed(std::size_t block, std::uint64_t offset) override
    {
        auto const size = m_blocks[block].size;
        for (; offset < size; offset = alignDown(offset, pieceSize) + pieceSize) {
            auto const start = alignDown(offset, pieceSize);
            if (m_saved->holdsData(block, start, std::min(pieceSize, size - start)))
                return offset;
        }
        return size;
    }
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) override
    {
        while (!data.empty()) {
            auto const start = alignDown(offset, pieceSize);
            TRY(load(block, start));
            auto const count = std::min<std::uint64_t>(data.size(), start + m_piece.size() - offset);
            std::copy_n(m_piece.begin() + static_cast<std::ptrdiff_t>(offset - start), count, data.begin());
            data = data.subspan(count);
            offset += count;
        }
        return {};
    }

private:
    static constexpr std::uint64_t pieceSize = 2u << 20; // as SavedMemory has them

    Result<> load(std::size_t block, std::uint64_t start)
    {
        if (m_block == block && m_start == start && !m_piece.empty())
            return {};
        m_piece.resize(std::min(pieceSize, m_blocks[block].size - start));
        m_block = block;
        m_start = start;
        auto const done = m_saved->read(block, start, m_piece);
        if (!done)
            m_piece.clear();
        return done;
    }

    std::unique_ptr<SavedMemory> m_saved;
    std::vector<Block> m_blocks;
    std::size_t m_block = 0;
    std::uint64_t m_start = 0;
    Bytes m_piece;
};

/// What both kinds have in common. `before` and `after` the disks keep it.
Result<timeline::Moment> keepStill(timeline::Timeline& timeline, StillDisks& disks, SavedMachine const& saved,
    timeline::NewMoment what, timeline::FrozenMemory& memory, Machine::StillProgress const& progress,
    std::function<Result<>()> const& before, std::function<Result<>()> const& after)
{
    what.id = makeUuid();
    what.time = saved.header.savedAt;
    what.state = savedMachineText(saved, timeline.path());
    TRY_WITHIN("the state could not be read back", savedMachineFromText(what.state, timeline.path()));
    auto const partOf = [](std::uint64_t done, std::uint64_t total) {
        return total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    };
    double begins = 0; // where files below a disk are merged, that is the first half of what is told
    auto const merging = [&](std::uint64_t done, std::uint64_t total) {
        begins = 0.5;
        return !progress || progress(begins * partOf(done, total));
    };
    Machine::StillProgress const rest
        = [&](double part) { return !progress || progress(begins + (1 - begins) * part); };
    what.disks = TRY(disks.plan(what.id, timeline, merging));
    TRY(timeline.setLoose({ what.id, what.disks }));
    return [&]() -> Result<timeline::Moment> {
        TRY(before());
        TRY(disks.take(what.disks, static_cast<std::uint64_t>(saved.header.guestTime), rest));
        TRY(after());
        TRY(goOn(rest)); // there may be no memory that would ask
        return timeline.take(
            what, memory, [&](std::uint64_t done, std::uint64_t total) { return rest(partOf(done, total)); });
    }();
}

/// What disks have kept for a moment that has come to nothing.
template<typename T>
Result<T> tidied(Result<T> outcome, VmConfig const& config, timeline::Timeline& timeline)
{
    if (!outcome)
        ignore(Machine::tidyDisks(config, timeline));
    return outcome;
}

bool hasVariables(VmConfig const& config)
{
    return config.firmware == Firmware::Ovmf && !config.firmwareVariables.empty();
}

/// Empty: the machine had not been started yet.
Result<Bytes> variablesAt(std::shared_ptr<timeline::Timeline> const& timeline, std::string_view moment)
{
    auto const memory = TRY(timeline::MomentMemory::open(timeline, moment));
    if (memory->blocks().empty())
        return Bytes();
    auto const found = std::ranges::find(memory->blocks(), firmwareVariablesBlock, &SavedMemory::Block::name);
    if (found == memory->blocks().end() || found->size > (16u << 20))
        return fail(ErrorCode::Corrupt, "the moment does not have the firmware's variables");
    Bytes bytes(found->size);
    TRY(memory->read(static_cast<std::size_t>(found - memory->blocks().begin()), 0, bytes));
    return bytes;
}

Result<> writeVariables(VmConfig const& config, Bytes const& bytes)
{
    if (!hasVariables(config))
        return {};
    if (bytes.empty())
        return removeFile(config.firmwareVariables);
    return replaceFile(config.firmwareVariables, bytes);
}

}

Result<timeline::Moment> Machine::keepOff(
    VmConfig const& config, timeline::Timeline& timeline, timeline::NewMoment what, StillProgress const& progress)
{
    SavedMachine saved;
    saved.config = config;
    saved.header.program = CHRONOVISOR_VERSION_TEXT;
    saved.header.savedAt = timeOfDay();
    auto memory = TRY(StillVariables::read(config));
    what.power = timeline::Power::Off;
    auto const kept = [&]() -> Result<timeline::Moment> {
        StillDisks disks;
        TRY(disks.open(config));
        TRY(disks.appendFiles(true, saved.header.files));
        auto const nothing = [] { return Result<>(); };
        return keepStill(timeline, disks, saved, std::move(what), memory, progress, nothing, nothing);
    }();
    return tidied(kept, config, timeline);
}

Result<timeline::Moment> Machine::keepSuspended(
    std::string const& directory, timeline::Timeline& timeline, timeline::NewMoment what, StillProgress const& progress)
{
    auto state = TRY(readSavedMachine(directory));
    TRY(checkFiles(state.header.files));
    auto file = TRY(openRegularFile(fmt::format("{}/{}", directory, savedRamName)));
    auto ram = TRY(RamFile::open(std::move(file), state.header.ram));
    StillMemory memory(std::move(ram));
    auto saved = state;
    saved.header.ram = {};
    saved.header.files = StillDisks::filesThatStay(state.header.files, state.config);
    // The state knows its disks by their times, which change as they keep what they hold. Between the two it does not
    // ask: a crash there must not make it worthless.
    bool asks = true;
    auto const doNotAsk = [&] {
        asks = false;
        auto unasked = state;
        unasked.header.files = saved.header.files;
        return replaceState(directory, unasked);
    };
    auto const ask = [&](StillDisks& disks) -> Result<> {
        state.header.files = saved.header.files;
        std::vector<SavedFile> own;
        TRY(disks.appendFiles(false, own));
        for (auto& one : own) {
            if (std::ranges::find(state.header.files, one) == state.header.files.end())
                state.header.files.push_back(std::move(one));
        }
        TRY(replaceState(directory, state));
        asks = true;
        return {};
    };
    auto const kept = [&]() -> Result<timeline::Moment> {
        StillDisks disks;
        TRY(disks.open(state.config));
        auto whole = keepStill(
            timeline, disks, saved, std::move(what), memory, progress, doNotAsk, [&] { return ask(disks); });
        if (!whole)
            ignore(ask(disks)); // they read as before, and are asked for again
        return whole;
    }();
    if (!asks) { // what has once failed to be made durable is so only where it is opened anew
        StillDisks disks;
        if (disks.open(state.config))
            ignore(ask(disks));
    }
    return kept; // what it leaves is tidied when the machine is not suspended any more
}

Result<VmConfig> Machine::goToOff(
    std::shared_ptr<timeline::Timeline> const& timeline, std::string_view moment, Leave const& leave)
{
    auto const known = TRY(timeline->moment(moment));
    if (known.power != timeline::Power::Off)
        return fail(ErrorCode::InvalidArgument, "the machine was on at that moment");
    auto const saved = TRY(savedMachineAt(*timeline, moment));
    TRY(checkFiles(saved.header.files));
    ReturningDisks returning;
    TRY(returning.bring(saved.config, known.disks));
    StillDisks disks;
    TRY(disks.open(saved.config));
    TRY(disks.each(known.disks, &checkHas));
    auto const variables = hasVariables(saved.config) ? TRY(variablesAt(timeline, moment)) : Bytes();
    auto const goingTo = timeline->goingTo();
    TRY(timeline->setGoingTo(moment));
    if (auto const left = leave ? leave() : Result<>(); !left) {
        ignore(timeline->setGoingTo(goingTo));
        return fail(left.error());
    }
    returning.stay();
    TRY(disks.goBack(known.disks));
    TRY(writeVariables(saved.config, variables));
    TRY(timeline->setPresent(moment));
    return saved.config;
}

Result<> Machine::arriveOff(VmConfig const& config, std::shared_ptr<timeline::Timeline> const& timeline)
{
    auto const moment = TRY(timeline->moment(timeline->goingTo()));
    auto const saved = savedMachineAt(*timeline, moment.id);
    auto const& then = saved ? saved->config : config;
    ReturningDisks returning;
    TRY(returning.bring(then, moment.disks));
    StillDisks disks;
    TRY(disks.open(then));
    TRY(disks.each(moment.disks, &checkHas));
    auto const variables = hasVariables(then) ? variablesAt(timeline, moment.id) : Result<Bytes>();
    returning.stay();
    TRY(disks.goBack(moment.disks));
    if (variables)
        TRY(writeVariables(then, *variables));
    else
        log(LogLevel::Warning, "machine", "the firmware's variables stay: {}", variables.error().message());
    return timeline->setPresent(moment.id);
}

}
