#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/timeline/memory_tree.h"

#include <sys/types.h>

namespace vmm::timeline {

/// The memory of a machine as it was at one instant, while the machine runs on: a child process that does nothing but
/// be there. fork() gives it the same pages, the kernel copies those that either changes, and we read the child's. It
/// takes milliseconds, no rights, and costs nothing between moments. Each page that changes while the child has it
/// costs the guest a fault and a copy, so the child lets go of what has been read at once; at worst, for a short while,
/// the machine's memory is there twice.
///
/// The alternatives, measured: write protection through userfaultfd needs a right that ordinary users lack and leaves
/// the guest 13 % of its speed; KVM's dirty log costs for as long as it is on.
class ForkedMemory final : public FrozenMemory {
public:
    /// While nothing writes to the blocks; they may change as soon as it returns. NotNow where a block still shows a
    /// file.
    static Result<std::unique_ptr<ForkedMemory>> freeze(std::vector<MemoryBlock*> const& blocks);
    ~ForkedMemory() override;
    ForkedMemory(ForkedMemory const&) = delete;
    ForkedMemory& operator=(ForkedMemory const&) = delete;

    std::vector<Block> const& blocks() const override { return m_blocks; }
    Result<std::uint64_t> nextUsed(std::size_t block, std::uint64_t offset) override;
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) override;
    void letGo(std::size_t block, std::uint64_t offset, std::uint64_t size) override;

private:
    ForkedMemory() = default;
    Result<> fork(std::vector<MemoryBlock*> const& blocks);

    std::vector<Block> m_blocks;
    std::vector<std::uint8_t const*> m_addresses; // of the blocks, the same in the child
    pid_t m_child = 0;
    UniqueFd m_leash;                     // the child ends when this is closed
    UniqueFd m_pagemap, m_contents;       // the child's
    std::vector<std::uint64_t> m_entries; // of the pagemap, that were read last
    std::uint64_t m_entriesFrom = 0;      // as a page's number in the child's address space
};

}
