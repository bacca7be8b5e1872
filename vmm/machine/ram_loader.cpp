#include "vmm/machine/ram_loader.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

constexpr std::uint64_t readAtOnceBelow = 8u << 20;
constexpr std::uint64_t smallestBatch = 32u << 20;
// Each part is a mapping of its own, before and after, and the host allows a process 65530 (vm.max_map_count).
constexpr std::size_t mostParts = 4096;
constexpr std::uint64_t batchesOfAll = 1024;

}

Result<std::unique_ptr<RamLoader>> RamLoader::open(
    std::unique_ptr<SavedMemory> source, std::vector<MemoryBlock*> const& blocks)
{
    auto const& saved = source->blocks();
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

    std::unique_ptr<RamLoader> loader(new RamLoader(std::move(source)));
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const file = loader->m_source->file(places[i]);
        auto const parts = loader->partsOf(*blocks[i], places[i]);
        for (auto const& part : parts) {
            if (!file || part.block->size() < readAtOnceBelow)
                TRY(loader->m_source->read(
                    part.index, part.offset, part.block->bytes().subspan(part.offset, part.size)));
            else
                TRY(part.block->showFile(part.offset, part.size, file->fd, file->offset + part.offset));
        }
        if (blocks[i]->showsFile())
            loader->m_parts.insert(loader->m_parts.end(), parts.begin(), parts.end());
    }
    std::uint64_t total = 0;
    for (auto const& part : loader->m_parts)
        total += part.size;
    loader->m_batchSize = std::max(smallestBatch, alignUp(total / batchesOfAll, MemoryBlock::granule));
    return loader;
}

/// The parts that hold something; where there are too many, with some of the zeros between them.
std::vector<RamLoader::Part> RamLoader::partsOf(MemoryBlock& block, std::size_t index) const
{
    std::vector<Part> parts;
    for (auto step = MemoryBlock::granule;; step *= 2) {
        parts.clear();
        for (std::uint64_t at = 0; at < block.size(); at += step) {
            auto const size = std::min(step, block.size() - at);
            if (!m_source->holdsData(index, at, size))
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

RamLoader::~RamLoader()
{
    cancel();
    if (m_thread.joinable())
        m_thread.join();
}

void RamLoader::cancel()
{
    std::lock_guard const lock(m_exchange->mutex);
    m_exchange->cancelled = true;
    m_exchange->changed.notify_all();
}

void RamLoader::start(StandStill standStill, Ended ended)
{
    if (m_thread.joinable())
        m_thread.join(); // it has said that it ended
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

Result<> RamLoader::wait(std::function<bool()> const& goOn)
{
    using namespace std::chrono_literals;
    std::unique_lock lock(m_mutex);
    while (!m_stopped.wait_for(lock, 20ms, [this] { return !m_running; })) {
        if (!goOn())
            return fail(ErrorCode::Cancelled, "reading the memory was cancelled");
    }
    return m_outcome;
}

Result<> RamLoader::load()
{
    while (m_next < m_parts.size()) {
        std::vector<std::pair<Part, AnonymousMemory>> loaded;
        auto next = m_next;
        auto& first = m_parts[next];
        if (first.size > m_batchSize) {
            // The rest of it is the next one's.
            auto rest = first;
            first.size = m_batchSize;
            rest.offset += m_batchSize;
            rest.size -= m_batchSize;
            m_parts.insert(m_parts.begin() + static_cast<std::ptrdiff_t>(next) + 1, rest);
        }
        for (std::uint64_t size = 0; next < m_parts.size() && size + m_parts[next].size <= m_batchSize; ++next) {
            auto const& part = m_parts[next];
            auto memory = TRY(AnonymousMemory::create(part.size, part.block->name()));
            TRY(m_source->read(part.index, part.offset, memory.bytes()));
            size += part.size;
            loaded.emplace_back(part, std::move(memory));
        }
        TRY(exchange(std::move(loaded)));
        m_next = next;
    }
    return {};
}

/// In one moment in which the machine stands still.
Result<> RamLoader::exchange(std::vector<std::pair<Part, AnonymousMemory>> loaded)
{
    auto const shared = m_exchange;
    auto const batch = std::make_shared<decltype(loaded)>(std::move(loaded));
    m_standStill([shared, batch] {
        std::lock_guard const inner(shared->mutex);
        if (shared->cancelled)
            return;
        shared->outcome = [&]() -> Result<> {
            for (auto& [part, memory] : *batch) {
                // What is lost is lost with all that the guest wrote there.
                if (part.block->lostPages())
                    return fail(ErrorCode::Corrupt, "the memory file was cut off while it was in use");
                TRY(part.block->replace(part.offset, std::move(memory)));
            }
            return {};
        }();
        shared->done = true;
        shared->changed.notify_all();
    });
    std::unique_lock lock(shared->mutex);
    shared->changed.wait(lock, [&] { return shared->done || shared->cancelled; });
    if (!std::exchange(shared->done, false))
        return fail(ErrorCode::Cancelled, "reading the memory was cancelled");
    return shared->outcome;
}

}
