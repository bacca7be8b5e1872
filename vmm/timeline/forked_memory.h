#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/timeline/memory_tree.h"

#include <optional>
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
    /// A part of the blocks that may not have come yet, by its block's place in the list.
    struct Part {
        std::size_t block;
        std::uint64_t offset, size; ///< multiples of a leaf's size, but for the block's end
    };
    /// Where memory comes from that is still on its way, and which memory that is. A page of it has come when the host
    /// has given us one of our own for it; a file's is only shown.
    struct Origin {
        MemoryTree tree; ///< whoever freezes holds it
        std::vector<Part> parts;
    };

    /// While nothing writes to the blocks; they may change as soon as it returns. NotNow where a block is not complete
    /// and has no `origin`.
    static Result<std::unique_ptr<ForkedMemory>> freeze(
        std::vector<MemoryBlock*> const& blocks, std::optional<Origin> origin = {});
    ~ForkedMemory() override;
    ForkedMemory(ForkedMemory const&) = delete;
    ForkedMemory& operator=(ForkedMemory const&) = delete;

    std::vector<Block> const& blocks() const override { return m_blocks; }
    Result<std::uint64_t> nextUsed(std::size_t block, std::uint64_t offset) override;
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) override;
    MemoryTree const* origin() const override { return m_origin ? &m_origin->tree : nullptr; }
    Result<std::uint64_t> away(std::size_t block, std::uint64_t offset) override;
    void letGo(std::size_t block, std::uint64_t offset, std::uint64_t size) override;

private:
    explicit ForkedMemory(std::optional<Origin> origin) : m_origin(std::move(origin)) { }
    Result<> fork(std::vector<MemoryBlock*> const& blocks);
    /// What the pagemap says of a page, and read ahead of those up to `end`; numbers in the child's address space.
    Result<std::uint64_t> entryOf(std::uint64_t page, std::uint64_t end);

    std::vector<Block> m_blocks;
    std::optional<Origin> const m_origin;
    std::vector<std::uint8_t const*> m_addresses; // of the blocks, the same in the child
    pid_t m_child = 0;
    UniqueFd m_leash;                     // the child ends when this is closed
    UniqueFd m_pagemap, m_contents;       // the child's
    std::vector<std::uint64_t> m_entries; // of the pagemap, that were read last
    std::uint64_t m_entriesFrom = 0;      // as a page's number in the child's address space
};

}
