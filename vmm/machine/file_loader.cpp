#include "vmm/machine/file_loader.h"

#include "vmm/base/give_way.h"
#include "vmm/base/log.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint64_t smallestBatch = 32u << 20;
constexpr std::uint64_t batchesOfAll = 1024;

}

Result<std::unique_ptr<RamLoader>> FileLoader::create(
    std::unique_ptr<SavedMemory> source, std::vector<Part> parts, MemoryWay way)
{
    std::unique_ptr<FileLoader> loader(new FileLoader(std::move(source)));
    auto const isNowhere = [&](Part const& part) { return !loader->m_source->file(part.index); };
    if (std::any_of(parts.begin(), parts.end(), isNowhere)) {
        auto const wanted = way == MemoryWay::Best || way == MemoryWay::File;
        if (auto const made
            = wanted ? loader->makeFiles() : Result<>(fail(ErrorCode::Unsupported, "so it was asked for"));
            !made) {
            log(LogLevel::Info, "memory", "all of it is read before the machine runs: {}", made.error().message());
            TRY(readAtOnce(*loader->m_source, parts));
            return loader;
        }
    }
    std::uint64_t total = 0;
    for (auto const& part : parts) {
        auto const file = loader->m_source->file(part.index);
        TRY(part.block->showFile(part.offset, part.size, file->fd, file->offset + part.offset));
        total += part.size;
    }
    loader->m_parts = std::move(parts);
    loader->m_batchSize = std::max(smallestBatch, alignUp(total / batchesOfAll, MemoryBlock::granule));
    return loader;
}

Result<> FileLoader::makeFiles()
{
    TRY(m_source->makeFiles({ [this](SavedMemory::Piece piece) { m_touches.touched(piece); },
        [this](Error error) { m_touches.failed(std::move(error)); } }));
    m_filesAreMade = true;
    return {};
}

FileLoader::~FileLoader()
{
    stop();
}

void FileLoader::interrupt()
{
    std::lock_guard const lock(m_exchange->mutex);
    m_exchange->cancelled = true;
    m_exchange->changed.notify_all();
}

Result<> FileLoader::load()
{
    if (m_filesAreMade)
        settle();
    giveWay();
    while (m_next < m_parts.size()) {
        if (auto const failure = m_touches.failure())
            return fail(*failure);
        Loaded loaded;
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
Result<> FileLoader::exchange(Loaded loaded)
{
    auto const shared = m_exchange;
    auto const batch = std::make_shared<Loaded>(std::move(loaded));
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
