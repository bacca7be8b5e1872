#include "vmm/machine/ram_loader.h"

#include "vmm/base/log.h"
#include "vmm/machine/fault_loader.h"
#include "vmm/machine/file_loader.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace vmm {

namespace {

constexpr std::uint64_t readAtOnceBelow = 8u << 20;
// Each part is a mapping of its own, before and after, and the host allows a process 65530 (vm.max_map_count).
constexpr std::size_t mostParts = 4096;

/// Which of the source's blocks each is.
Result<std::vector<std::size_t>> findPlaces(SavedMemory const& source, std::vector<MemoryBlock*> const& blocks)
{
    auto const& saved = source.blocks();
    std::vector<std::size_t> places;
    for (auto const* block : blocks) {
        auto const found
            = std::find_if(saved.begin(), saved.end(), [&](auto const& one) { return one.name == block->name(); });
        if (found == saved.end())
            return fail(ErrorCode::Corrupt, fmt::format("the memory of {} was not saved", block->name()));
        if (found->size != block->size()) {
            return fail(ErrorCode::Corrupt,
                fmt::format("{} has {} bytes here, and {} were saved", block->name(), block->size(), found->size));
        }
        places.push_back(static_cast<std::size_t>(found - saved.begin()));
    }
    if (saved.size() != blocks.size())
        return fail(ErrorCode::Corrupt, "memory was saved of a device that the machine does not have");
    return places;
}

/// The parts that hold something; where there are too many, with some of the zeros between them.
std::vector<RamLoader::Part> partsOf(SavedMemory const& source, MemoryBlock& block, std::size_t index)
{
    std::vector<RamLoader::Part> parts;
    for (auto step = MemoryBlock::granule;; step *= 2) {
        parts.clear();
        for (std::uint64_t at = 0; at < block.size(); at += step) {
            auto const size = std::min(step, block.size() - at);
            if (!source.holdsData(index, at, size))
                continue;
            if (!parts.empty() && parts.back().offset + parts.back().size == at)
                parts.back().size += size;
            else
                parts.push_back({ &block, index, at, size });
        }
        if (parts.size() <= mostParts)
            return parts;
    }
}

}

Result<std::unique_ptr<RamLoader>> RamLoader::open(
    std::unique_ptr<SavedMemory> source, std::vector<MemoryBlock*> const& blocks, MemoryWay way)
{
    auto const places = TRY(findPlaces(*source, blocks));
    std::vector<Part> small, large;
    bool hasFiles = true;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const parts = partsOf(*source, *blocks[i], places[i]);
        bool const isSmall = blocks[i]->size() < readAtOnceBelow;
        auto& list = isSmall ? small : large;
        list.insert(list.end(), parts.begin(), parts.end());
        hasFiles = hasFiles && (isSmall || source->file(places[i]));
    }
    TRY(readAtOnce(*source, small));
    auto const latecomers = large;
    auto loader = TRY([&]() -> Result<std::unique_ptr<RamLoader>> {
        if (!hasFiles && (way == MemoryWay::Best || way == MemoryWay::Faults)) {
            if (auto faults = PageFaults::open())
                return FaultLoader::create(std::move(source), std::move(large), std::move(*faults));
            else
                log(LogLevel::Info, "memory", "{}", faults.error().message());
        }
        return FileLoader::create(std::move(source), std::move(large), way);
    }());
    loader->m_latecomers = latecomers;
    return loader;
}

Result<> RamLoader::readAtOnce(SavedMemory const& source, std::vector<Part> const& parts)
{
    for (auto const& part : parts)
        TRY(source.read(part.index, part.offset, part.block->bytes().subspan(part.offset, part.size)));
    return {};
}

void RamLoader::joinThread()
{
    if (m_thread.joinable())
        m_thread.join();
}

void RamLoader::stop()
{
    if (std::exchange(m_isStopped, true))
        return;
    interrupt();
    m_touches.hurry();
    joinThread();
    letGo();
    std::lock_guard const lock(m_mutex);
    m_outcome = fail(ErrorCode::Cancelled, "reading the memory was cancelled");
}

void RamLoader::start(StandStill standStill, Ended ended)
{
    joinThread(); // it has said that it ended
    m_standStill = std::move(standStill);
    {
        std::lock_guard const lock(m_mutex);
        m_running = true;
    }
    m_thread = std::thread([this, ended = std::move(ended)] {
        ::pthread_setname_np(::pthread_self(), "memory loader");
        auto outcome = load();
        {
            std::lock_guard const lock(m_mutex);
            m_running = false;
            m_outcome = outcome;
            m_stopped.notify_all();
        }
        ended(std::move(outcome));
    });
}

bool RamLoader::isUnderWay() const
{
    std::lock_guard const lock(m_mutex);
    return m_running;
}

Result<> RamLoader::check() const
{
    if (auto const failure = m_touches.failure())
        return fail(*failure);
    std::lock_guard const lock(m_mutex);
    return m_running ? Result<>() : m_outcome;
}

void RamLoader::settle()
{
    m_touches.waitUntilSettled();
    rememberTouches();
    if (m_leavesRest)
        m_touches.waitForHurry();
}

void RamLoader::rememberTouches()
{
    auto const needed = m_touches.take();
    if (needed.empty() || m_touches.failure())
        return;
    // Of what came ahead nobody knows whether it was needed this time; it stays.
    auto all = m_source->expected();
    std::set<SavedMemory::Piece> known(all.begin(), all.end());
    for (auto const& piece : needed) {
        if (known.insert(piece).second)
            all.push_back(piece);
    }
    m_source->remember(all);
}

Result<> RamLoader::wait(std::function<bool()> const& goOn)
{
    using namespace std::chrono_literals;
    m_touches.hurry();
    std::unique_lock lock(m_mutex);
    while (!m_stopped.wait_for(lock, 20ms, [this] { return !m_running; })) {
        if (!goOn())
            return fail(ErrorCode::Cancelled, "reading the memory was cancelled");
    }
    return m_outcome;
}

}
