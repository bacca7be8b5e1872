#pragma once

#include "vmm/bus/bus.h"
#include "vmm/memory/guest_memory.h"

#include <array>
#include <memory>

namespace vmm {

/// Whether a segment's reads and writes go to RAM; to ROM, or nowhere, where they do not.
struct ShadowMode {
    bool readRam = false, writeRam = false;
    bool operator==(ShadowMode const&) const = default;
};

/// The memory from C0000 to FFFFF, which a PC can switch between ROM and RAM in 13 segments, and the firmware's image
/// below 4 GiB, of which the last 128 KiB are what E0000–FFFFF shows as ROM.
///
///   reads | writes  | how
///   RAM   | RAM     | RAM
///   RAM   | dropped | RAM, read-only; writes leave the guest and find nobody
///   ROM   | dropped | ROM, read-only; where there is none reads leave the guest too and see all ones
///   ROM   | RAM     | ROM, read-only; writes leave the guest and are put into the RAM behind it
///
/// Machine thread, or a vCPU thread within a configuration access.
class LegacyMemory {
public:
    static constexpr unsigned segmentCount = 13;
    using Modes = std::array<ShadowMode, segmentCount>;

    struct Segment {
        std::uint64_t address, size;
    };
    /// Twelve of 16 KiB from C0000 on, the last of 64 KiB.
    static constexpr Segment segment(unsigned index)
    {
        return index < 12 ? Segment { 0xc0000 + index * 0x4000u, 0x4000 } : Segment { 0xf0000, 0x10000 };
    }

    /// `ram` is the machine's RAM from address 0, of at least 1 MiB. `firmware` may be null (direct boot); else it has
    /// whole pages, from 64 KiB to layout::flashMaximum. All of them outlive this.
    static Result<std::unique_ptr<LegacyMemory>> create(
        MemoryMapper& mapper, Bus& bus, MemoryBlock& ram, MemoryBlock* firmware);
    ~LegacyMemory();

    /// All segments anew. Where the host has no room for it, a segment stays unmapped (traced).
    void apply(Modes const& modes);

private:
    class WriteThrough;
    LegacyMemory(MemoryMapper& mapper, Bus& bus, MemoryBlock& ram, MemoryBlock* firmware);
    void mapRun(unsigned first, unsigned end, ShadowMode mode);
    std::uint64_t romBegin() const;

    MemoryMapper& m_mapper;
    Bus& m_bus;
    MemoryBlock& m_ram;
    MemoryBlock* m_firmware;
    std::vector<MemoryMapper::Slot> m_slots;
    // One a segment for as long as this lives: a vCPU may be on its way into one that was just unmapped.
    std::vector<std::unique_ptr<WriteThrough>> m_writeThrough;
    std::optional<MemoryMapper::Slot> m_flash;
    std::optional<Modes> m_modes;
};

}
