#include "vmm/devices/legacy_memory.h"

#include "vmm/base/log.h"
#include "vmm/memory/layout.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

/// Writes that the read-only ROM does not take end here, in the RAM behind it.
class LegacyMemory::WriteThrough final : public BusHandler {
public:
    WriteThrough(ByteSpan ram, ConstByteSpan rom) : m_ram(ram), m_rom(rom) { }
    void read(std::uint64_t offset, ByteSpan data) override
    {
        std::fill(data.begin(), data.end(), std::uint8_t(0xff));
        if (offset < m_rom.size()) {
            auto const length = std::min<std::uint64_t>(data.size(), m_rom.size() - offset);
            std::copy_n(m_rom.begin() + static_cast<std::ptrdiff_t>(offset), length, data.begin());
        }
    }
    void write(std::uint64_t offset, ConstByteSpan data) override
    {
        if (offset >= m_ram.size())
            return;
        auto const length = std::min<std::uint64_t>(data.size(), m_ram.size() - offset);
        std::copy_n(data.begin(), length, m_ram.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    std::mutex& busMutex() const override { return m_mutex; }

private:
    mutable std::mutex m_mutex;
    ByteSpan m_ram;
    ConstByteSpan m_rom;
};

LegacyMemory::LegacyMemory(MemoryMapper& mapper, Bus& bus, MemoryBlock& ram, MemoryBlock* firmware)
    : m_mapper(mapper), m_bus(bus), m_ram(ram), m_firmware(firmware)
{
    for (unsigned i = 0; i < segmentCount; ++i) {
        auto const [address, size] = segment(i);
        auto const rom = address >= romBegin()
            ? ConstByteSpan(m_firmware->bytes().subspan(m_firmware->size() - (layout::legacyEnd - address), size))
            : ConstByteSpan();
        m_writeThrough.push_back(std::make_unique<WriteThrough>(ram.bytes().subspan(address, size), rom));
    }
}

Result<std::unique_ptr<LegacyMemory>> LegacyMemory::create(
    MemoryMapper& mapper, Bus& bus, MemoryBlock& ram, MemoryBlock* firmware)
{
    if (ram.size() < layout::legacyEnd)
        return fail(ErrorCode::InvalidArgument, "a machine needs at least 1 MiB of memory");
    if (firmware
        && (firmware->size() < 0x10000 || firmware->size() % 4096 != 0 || firmware->size() > layout::flashMaximum))
        return fail(ErrorCode::InvalidArgument,
            fmt::format("a firmware of {} bytes: it must be 64 KiB to 8 MiB of whole pages", firmware->size()));
    std::unique_ptr<LegacyMemory> memory(new LegacyMemory(mapper, bus, ram, firmware));
    if (firmware)
        memory->m_flash = TRY_WITHIN("mapping the firmware",
            mapper.map(layout::flashEnd - firmware->size(), *firmware, 0, firmware->size(),
                MemoryMapper::Access::ReadOnly, MemoryMapper::DirtyLog::Off));
    memory->apply({});
    return memory;
}

LegacyMemory::~LegacyMemory()
{
    for (auto const slot : m_slots)
        m_mapper.unmap(slot);
    for (auto const& handler : m_writeThrough)
        m_bus.unmap(*handler);
    if (m_flash)
        m_mapper.unmap(*m_flash);
}

void LegacyMemory::apply(Modes const& modes)
{
    if (m_modes == modes)
        return;
    m_modes = modes;
    for (auto const slot : m_slots)
        m_mapper.unmap(slot);
    m_slots.clear();
    for (auto const& handler : m_writeThrough)
        m_bus.unmap(*handler);

    // Neighbours that are alike become one slot. A run that sees ROM does not begin before it.
    for (unsigned first = 0; first < segmentCount;) {
        auto end = first + 1;
        while (end < segmentCount && modes[end] == modes[first]
            && (modes[first].readRam || segment(end).address != romBegin()))
            ++end;
        mapRun(first, end, modes[first]);
        first = end;
    }
}

/// Where the ROM begins: E0000, or F0000 where the firmware is smaller than 128 KiB.
std::uint64_t LegacyMemory::romBegin() const
{
    if (!m_firmware)
        return layout::legacyEnd;
    return m_firmware->size() >= 0x20000 ? layout::legacyBios : 0xf0000;
}

void LegacyMemory::mapRun(unsigned first, unsigned end, ShadowMode mode)
{
    auto const address = segment(first).address;
    auto const size = segment(end - 1).address + segment(end - 1).size - address;
    auto const map = [&](MemoryBlock& block, std::uint64_t offset, MemoryMapper::Access access) {
        auto const slot = m_mapper.map(address, block, offset, size, access, MemoryMapper::DirtyLog::Off);
        if (slot)
            m_slots.push_back(*slot);
        else
            log(LogLevel::Warning, "memory", "{:#x} is not mapped: {}", address, slot.error().message());
    };
    if (mode.readRam) {
        map(m_ram, address, mode.writeRam ? MemoryMapper::Access::ReadWrite : MemoryMapper::Access::ReadOnly);
        return;
    }
    if (address >= romBegin()) {
        auto const offset = m_firmware->size() - (layout::legacyEnd - address);
        map(*m_firmware, offset, MemoryMapper::Access::ReadOnly);
    }
    for (auto i = first; i < end && mode.writeRam; ++i)
        ignore(m_bus.map(segment(i).address, segment(i).size, *m_writeThrough[i], BusPriority::Window));
}

}
