#include "vmm/timeline/forked_memory.h"

#include "vmm/memory/pagemap.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vmm::timeline {

namespace {

constexpr std::size_t entriesAtOnce = 2048;

/// What the child is told at the other end of its leash.
struct Range {
    std::uint64_t address, size;
};

/// All that the child does: it lets go of every descriptor but its leash, then of the memory that it is told, and
/// waits until the leash is let loose. Other threads held locks as it was made, so it only makes system calls.
[[noreturn]] void stand(int leash)
{
    ::syscall(SYS_dup2, leash, 0);
    ::syscall(SYS_close_range, 1u, ~0u, 0u);
    Range range {};
    for (;;) {
        auto const got = ::syscall(SYS_read, 0, &range, sizeof range);
        if (got == sizeof range)
            ::syscall(SYS_madvise, range.address, range.size, MADV_DONTNEED);
        else if (got >= 0)
            ::syscall(SYS_exit_group, 0);
    }
}

/// A process of which nothing is left reads as one without memory.
Error ended()
{
    return { ErrorCode::OutOfMemory, "the host has ended what held the memory as it was: it may be short of memory",
        0 };
}

}

Result<std::unique_ptr<ForkedMemory>> ForkedMemory::freeze(
    std::vector<MemoryBlock*> const& blocks, std::optional<Origin> origin)
{
    std::unique_ptr<ForkedMemory> memory(new ForkedMemory(std::move(origin)));
    for (auto const* block : blocks) {
        if (!block->isComplete() && !memory->m_origin) {
            return fail(ErrorCode::NotNow,
                fmt::format(
                    "{} is not complete yet: it is still being read from where it was restored from", block->name()));
        }
        memory->m_blocks.push_back({ block->name(), block->size() });
        memory->m_addresses.push_back(block->data());
    }
    TRY(memory->fork(blocks));
    memory->m_pagemap = TRY(openFile(fmt::format("/proc/{}/pagemap", memory->m_child), O_RDONLY));
    memory->m_contents = TRY(openFile(fmt::format("/proc/{}/mem", memory->m_child), O_RDONLY));
    return memory;
}

Result<> ForkedMemory::fork(std::vector<MemoryBlock*> const& blocks)
{
    std::array<int, 2> ends {};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return failOs("cannot make a pair of sockets");
    UniqueFd const leash(ends[0]);
    m_leash = UniqueFd(ends[1]);
    auto const leave = [&] {
        for (auto* block : blocks)
            ignore(block->setInherited(false));
    };
    for (auto* block : blocks) {
        if (auto const done = block->setInherited(true); !done) { // the child would have none, which reads as zeros
            leave();
            return done;
        }
    }
    // What is meant for us is not for the child, whose handlers would act on what is ours.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    // Not fork(), which runs the handlers of libraries, and waits for their locks. No signal tells us of its end.
    auto const child = static_cast<pid_t>(::syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr));
    if (child == 0)
        stand(leash.get());
    auto const error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    leave();
    if (child < 0)
        return fail(osError("the host cannot hold the machine's memory twice, if only for a while", error));
    m_child = child;
    // Where the host runs out of memory the moment goes, and not the machine.
    if (auto const score = openFile(fmt::format("/proc/{}/oom_score_adj", child), O_WRONLY))
        static_cast<void>(::write(score->get(), "1000", 4));
    return {};
}

ForkedMemory::~ForkedMemory()
{
    if (m_child == 0)
        return;
    ::kill(m_child, SIGKILL);
    while (::waitpid(m_child, nullptr, __WALL) < 0 && errno == EINTR) { }
}

Result<std::uint64_t> ForkedMemory::nextUsed(std::size_t block, std::uint64_t offset)
{
    auto const base = reinterpret_cast<std::uintptr_t>(m_addresses[block]) / pageSize;
    auto const end = base + m_blocks[block].size / pageSize;
    for (auto page = base + offset / pageSize; page < end; ++page) {
        if ((TRY(entryOf(page, end)) & pagemapUsed) != 0)
            return (page - base) * pageSize;
    }
    return m_blocks[block].size;
}

Result<std::uint64_t> ForkedMemory::away(std::size_t block, std::uint64_t offset)
{
    auto const isWithin = [&](Part const& part) {
        return part.block == block && part.offset <= offset && offset < part.offset + part.size;
    };
    std::uint64_t away = 0;
    if (!m_origin || std::ranges::none_of(m_origin->parts, isWithin))
        return away;
    auto const base = reinterpret_cast<std::uintptr_t>(m_addresses[block]) / pageSize;
    auto const end = base + m_blocks[block].size / pageSize, first = base + offset / pageSize;
    for (auto page = first; page < std::min(first + pagesPerLeaf, end); ++page) {
        auto const entry = TRY(entryOf(page, end));
        if ((entry & pagemapUsed) == 0 || (entry & pagemapOfFile) != 0)
            away |= 1ull << (page - first);
    }
    return away;
}

Result<std::uint64_t> ForkedMemory::entryOf(std::uint64_t page, std::uint64_t end)
{
    if (page < m_entriesFrom || page >= m_entriesFrom + m_entries.size()) {
        m_entries.resize(std::min<std::uint64_t>(entriesAtOnce, end - page));
        auto const size = m_entries.size() * sizeof(std::uint64_t);
        auto const got
            = ::pread(m_pagemap.get(), m_entries.data(), size, static_cast<off_t>(page * sizeof(std::uint64_t)));
        if (got != static_cast<ssize_t>(size)) {
            m_entries.clear();
            return got < 0 ? failOs("cannot find out which memory is in use") : fail(ended());
        }
        m_entriesFrom = page;
    }
    return m_entries[page - m_entriesFrom];
}

/// Not process_vm_readv(): it pins pages, and the kernel gives the child a copy of each that it shares with us before.
Result<> ForkedMemory::read(std::size_t block, std::uint64_t offset, ByteSpan data)
{
    auto const address = reinterpret_cast<std::uintptr_t>(m_addresses[block]);
    while (!data.empty()) {
        auto const got = ::pread(m_contents.get(), data.data(), data.size(), static_cast<off_t>(address + offset));
        if (got < 0)
            return failOs(fmt::format("cannot read the memory of {} as it was", m_blocks[block].name));
        if (got == 0)
            return fail(ended());
        data = data.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

/// Where that cannot be said just now the child has it for as long as it lives, which is slower and nothing else.
void ForkedMemory::letGo(std::size_t block, std::uint64_t offset, std::uint64_t size)
{
    Range const range { reinterpret_cast<std::uintptr_t>(m_addresses[block]) + offset, size };
    ::send(m_leash.get(), &range, sizeof range, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}
