#include "vmm/machine/fault_loader.h"

#include "vmm/base/give_way.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace vmm {

namespace {

constexpr std::uint64_t pageSize = AnonymousMemory::pageSize;
/// What comes along with a page that is touched: about what is packed together with it.
constexpr std::uint64_t neighbourhood = 64u << 10;
constexpr std::uint64_t atOnce = MemoryBlock::granule;
constexpr unsigned mostThreads = 4;

std::uint8_t* addressOf(RamLoader::Part const& part)
{
    return part.block->data() + part.offset;
}

/// What the source expects to be needed, as far as it is in one of the parts.
std::deque<SavedMemory::Piece> within(
    std::vector<SavedMemory::Piece> const& pieces, std::vector<RamLoader::Part> const& parts)
{
    std::deque<SavedMemory::Piece> inside;
    for (auto const& piece : pieces) {
        for (auto const& part : parts) {
            auto const from = std::max(piece.offset, part.offset);
            auto const to = std::min(piece.offset + piece.size, part.offset + part.size);
            if (piece.block == part.index && from < to)
                inside.push_back({ piece.block, from, to - from });
        }
    }
    return inside;
}

}

Result<std::unique_ptr<RamLoader>> FaultLoader::create(
    std::unique_ptr<SavedMemory> source, std::vector<Part> parts, std::unique_ptr<PageFaults> faults)
{
    std::sort(parts.begin(), parts.end(), [](auto const& a, auto const& b) { return addressOf(a) < addressOf(b); });
    for (auto const& part : parts) {
        TRY(faults->watch({ addressOf(part), part.size }));
        if (part.block->isComplete())
            TRY(part.block->setIncomplete());
    }
    return std::unique_ptr<RamLoader>(new FaultLoader(std::move(source), std::move(parts), std::move(faults)));
}

FaultLoader::FaultLoader(
    std::unique_ptr<SavedMemory> source, std::vector<Part> parts, std::unique_ptr<PageFaults> faults)
    : RamLoader(std::move(source)), m_parts(std::move(parts)), m_faults(std::move(faults))
{
    m_expected = within(m_source->expected(), m_parts);
    for (auto const& part : m_parts) {
        for (std::uint64_t at = 0; at < part.size; at += atOnce)
            m_rest.push_back({ part.index, part.offset + at, std::min(atOnce, part.size - at) });
    }
    m_server = std::thread([this] { serve(); });
}

FaultLoader::~FaultLoader()
{
    stop();
}

void FaultLoader::interrupt()
{
    m_ending = true;
}

void FaultLoader::letGo()
{
    finish();
    m_faults->stop();
    m_server.join();
}

void FaultLoader::serve()
{
    ::pthread_setname_np(::pthread_self(), "memory faults");
    for (;;) {
        auto const pages = m_faults->next();
        if (!pages) {
            // Nobody must wait for ever: what is missing is zeros now, of a machine that is not to go on.
            m_touches.failed({ ErrorCode::Corrupt, pages.error().message(), 0 });
            return unwatch();
        }
        if (pages->empty())
            return;
        for (auto* const page : *pages)
            serveTouch(page);
    }
}

void FaultLoader::serveTouch(std::uint8_t* page)
{
    auto const after = std::upper_bound(m_parts.begin(), m_parts.end(), page,
        [](std::uint8_t const* address, Part const& part) { return address < addressOf(part); });
    if (after == m_parts.begin())
        return m_faults->wake({ page, pageSize });
    auto const& part = *std::prev(after);
    auto const offset = static_cast<std::uint64_t>(page - part.block->data());
    auto const from = std::max(part.offset, alignDown(offset, neighbourhood));
    auto const to = std::min(part.offset + part.size, from + neighbourhood);
    m_touches.touched({ part.index, from, to - from });
    if (bring(part, from, to - from))
        return;
    // Without its neighbours, then.
    if (auto const alone = bring(part, offset, pageSize); !alone)
        cannotHave(part, offset, alone.error());
}

/// Said first, so that the machine is told to stop before its processors meet the hole; then nobody waits any more.
void FaultLoader::cannotHave(Part const& part, std::uint64_t offset, Error const& error)
{
    m_touches.failed({ ErrorCode::Corrupt,
        fmt::format("the memory of {} at {:#x} cannot be read: {}", part.block->name(), offset, error.message()), 0 });
    auto* const page = part.block->data() + offset;
    if (auto const lost = part.block->lose(offset); !lost)
        ignore(m_faults->give(page, Bytes(pageSize)));
    m_faults->wake({ page, pageSize });
}

Result<> FaultLoader::bring(Part const& part, std::uint64_t offset, std::uint64_t size)
{
    thread_local Bytes buffer; // kept, for the host is slow at giving a thread new memory
    if (buffer.size() < size)
        buffer.resize(size);
    auto const pages = ByteSpan(buffer).first(size);
    TRY(m_source->read(part.index, offset, pages));
    return m_faults->give(part.block->data() + offset, pages);
}

/// Several threads, for most of the work is unpacking. What is not done stays in `pieces`.
Result<> FaultLoader::bringAll(std::deque<Piece>& pieces, unsigned threads)
{
    Result<> outcome;
    auto const bringOne = [this](Piece const& piece) -> Result<> {
        auto const part = std::find_if(m_parts.begin(), m_parts.end(), [&](Part const& one) {
            return one.index == piece.block && one.offset <= piece.offset && piece.offset < one.offset + one.size;
        });
        TRY(bring(*part, piece.offset, piece.size));
        if (piece.size == atOnce)
            m_faults->complete({ part->block->data() + piece.offset, piece.size });
        return {};
    };
    auto const work = [&] {
        std::unique_lock lock(m_mutex);
        while (!pieces.empty() && outcome && !m_ending && !m_touches.failure()) {
            auto const piece = pieces.front();
            pieces.pop_front();
            lock.unlock();
            auto done = bringOne(piece);
            lock.lock();
            if (!done) {
                pieces.push_front(piece);
                outcome = std::move(done);
            }
        }
    };
    std::vector<std::thread> helpers;
    for (; threads > 1; --threads)
        helpers.emplace_back(work);
    work();
    for (auto& helper : helpers)
        helper.join();
    if (auto const failure = m_touches.failure())
        return fail(*failure);
    if (m_ending)
        return fail(ErrorCode::Cancelled, "reading the memory was cancelled");
    return outcome;
}

Result<> FaultLoader::load()
{
    using Clock = std::chrono::steady_clock;
    auto const began = Clock::now();
    auto const since
        = [&] { return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began).count(); };
    auto const expected = m_expected.size();
    m_source->readAhead({ m_expected.begin(), m_expected.end() });
    // The guest waits for these; beside the rest it shall run.
    auto const processors = std::thread::hardware_concurrency();
    TRY(bringAll(m_expected, std::clamp(processors, 1u, mostThreads)));
    log(LogLevel::Debug, "memory", "{} pieces that were needed before are here after {} ms", expected, since());
    settle();
    giveWay();
    TRY(bringAll(m_rest, std::clamp(processors / 2, 1u, mostThreads)));
    finish();
    log(LogLevel::Debug, "memory", "all of it is here after {} ms", since());
    return {};
}

void FaultLoader::unwatch()
{
    for (auto const& part : m_parts)
        m_faults->unwatch({ addressOf(part), part.size });
}

void FaultLoader::finish()
{
    unwatch();
    for (auto const& part : m_parts)
        part.block->setComplete();
}

}
