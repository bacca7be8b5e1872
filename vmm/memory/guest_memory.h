#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"
#include "vmm/memory/anonymous_memory.h"
#include "vmm/memory/bus_error_guard.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace vmm {

using GuestAddress = std::uint64_t;

/// A run of host memory that belongs to a machine: its RAM, a display's video memory, a flash chip. Private anonymous
/// memory, so that fork() can freeze it; never-touched pages cost nothing. Named, because it is saved by name.
class MemoryBlock {
public:
    /// `size` is rounded up to pages. The memory reads as zero.
    static Result<std::unique_ptr<MemoryBlock>> create(std::string name, std::uint64_t size);
    ~MemoryBlock();
    MemoryBlock(MemoryBlock const&) = delete;
    MemoryBlock& operator=(MemoryBlock const&) = delete;

    std::string const& name() const { return m_name; }
    std::uint64_t size() const { return m_size; }
    std::uint8_t* data() { return m_data; }
    std::uint8_t const* data() const { return m_data; }
    ByteSpan bytes() { return { m_data, m_size }; }

    /// How much of it is in the host's memory.
    std::uint64_t residentBytes() const;

    /// Whether a process that is forked off us has this memory too. At first it has not: starting a program need not
    /// copy page tables of gigabytes.
    Result<> setInherited(bool inherited);

    /// Gives all pages back to the host; the block reads as zero again.
    void clear();

    /// Parts that show a file begin and end at multiples of this, or with the block.
    static constexpr std::uint64_t granule = AnonymousMemory::largePageSize;

    /// Lets a part show a file's contents from `fileOffset` (a multiple of 4096) on: pages come in as they are first
    /// used, what is written to them stays here. The file must reach that far.
    Result<> showFile(std::uint64_t offset, std::uint64_t size, int fd, std::uint64_t fileOffset);
    /// Makes such a part anonymous memory again: it takes `contents`, but for the pages that were written to since
    /// showFile(), which stay as they are. Nothing may write to it meanwhile; reading is harmless.
    Result<> replace(std::uint64_t offset, AnonymousMemory contents);
    /// Whether the file was cut off under us, and pages are gone.
    bool lostPages() const;

    /// Other memory than what is here belongs into it, and comes piece by piece (PageFaults), until setComplete().
    Result<> setIncomplete();
    void setComplete();
    /// Whether all that belongs here is here: no part shows a file, and none is still to come.
    bool isComplete() const;
    /// What belongs into that page cannot be had: whoever touches it meets an error, as where a file was cut off. Only
    /// of an incomplete block. Any thread.
    Result<> lose(std::uint64_t offset);

    /// Calls `visit` with each run of pages that may hold something other than zero, in order, without touching pages
    /// that never were. Runs do not cross a multiple of `chunk`. Ends early when `visit` returns false.
    Result<> visitPages(
        std::uint64_t chunk, std::function<bool(std::uint64_t offset, std::uint64_t size)> const& visit) const;

private:
    MemoryBlock(std::string name, ByteSpan memory);
    Result<> checkPart(std::uint64_t offset, std::uint64_t size) const;
    void setShown(std::uint64_t offset, std::uint64_t size, bool shown);

    std::string m_name;
    std::uint8_t* m_data;
    std::uint64_t m_size;
    std::vector<bool> m_shown;       // granules that show a file
    mutable std::mutex m_guardMutex; // of m_guard: who brings memory has threads
    std::unique_ptr<BusErrorGuard> m_guard;
    std::atomic<bool> m_lost { false };
};

/// How memory is put into the guest's address space so that it runs at full speed (KVM memory slots), and how its
/// writes are seen. Machine thread, or a vCPU thread within a bus access.
class MemoryMapper {
public:
    enum class Access : std::uint8_t { ReadWrite, ReadOnly };
    enum class DirtyLog : std::uint8_t { Off, On };
    using Slot = std::uint32_t;

    virtual ~MemoryMapper() = default;
    /// `address`, `offset` and `size` are multiples of 4096. Overlap with a present slot is refused.
    virtual Result<Slot> map(
        GuestAddress address, MemoryBlock& block, std::uint64_t offset, std::uint64_t size, Access, DirtyLog)
        = 0;
    virtual void unmap(Slot slot) = 0;
    /// One bit a page, set where the guest wrote since the last call; the log starts anew.
    virtual Result<> takeDirtyLog(Slot slot, std::vector<std::uint64_t>& bitmap) = 0;
};

/// The machine's RAM as devices see it: bounds-checked, and the only place that turns a guest address into a host
/// pointer. What lies outside RAM (registers, ROM, holes) is not reachable by DMA and fails. Any thread; the layout is
/// fixed once the machine is put together. The guest may write to the same bytes at any time: read once, then check.
class GuestMemory {
public:
    struct Range {
        GuestAddress address;
        std::uint64_t size;
        MemoryBlock* block;
        std::uint64_t offset;
    };

    /// Ranges must not overlap.
    void add(Range range);
    std::vector<Range> const& ranges() const { return m_ranges; }

    /// Copies; false when any byte is outside RAM (some may have been copied).
    [[nodiscard]] bool read(GuestAddress address, ByteSpan data) const;
    [[nodiscard]] bool write(GuestAddress address, ConstByteSpan data) const;

    /// The host memory behind [address, address + size), or nothing where it is not RAM all through or not contiguous
    /// on the host. For device code that hands memory to the kernel or works on it in place.
    [[nodiscard]] std::uint8_t* at(GuestAddress address, std::uint64_t size) const;

    /// A little-endian integer; nothing when it is outside RAM. Naturally aligned ones are read in one piece.
    template<typename T>
    [[nodiscard]] std::optional<T> load(GuestAddress address) const
    {
        if (auto* memory = at(address, sizeof(T)); memory && address % sizeof(T) == 0)
            return std::atomic_ref<T>(*reinterpret_cast<T*>(memory)).load(std::memory_order_acquire);
        T value {};
        if (!read(address, writableBytesOf(value)))
            return std::nullopt;
        return value;
    }
    template<typename T>
    [[nodiscard]] bool store(GuestAddress address, T value) const
    {
        if (auto* memory = at(address, sizeof(T)); memory && address % sizeof(T) == 0) {
            std::atomic_ref<T>(*reinterpret_cast<T*>(memory)).store(value, std::memory_order_release);
            return true;
        }
        return write(address, bytesOf(value));
    }

private:
    std::vector<Range> m_ranges; // sorted by address
};

}
