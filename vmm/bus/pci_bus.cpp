#include "vmm/bus/pci_bus.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

constexpr std::uint16_t firstPort = 0xcf8;
constexpr unsigned portCount = 8, resetOffset = 1, dataOffset = 4;
constexpr std::uint32_t enable = std::uint32_t(1) << 31;
// Reserved bits of the address read as zero.
constexpr std::uint32_t addressMask = 0x80fffffc;

/// Cuts an access into pieces that do not cross a dword, as configuration space has them.
template<typename Span, typename Access>
void byDword(std::uint64_t offset, Span data, Access const& access)
{
    while (!data.empty()) {
        auto const length = std::min<std::size_t>(data.size(), 4 - offset % 4);
        access(offset, data.first(length));
        data = data.subspan(length);
        offset += length;
    }
}

}

PciBus::PciBus(Bus& ports, Bus& memory, std::array<IrqLine*, pirqCount> const& pirqs) : m_ports(ports), m_memory(memory)
{
    for (auto* pirq : pirqs)
        m_pirqs.emplace_back(*pirq);
    ignore(m_ports.map(firstPort, portCount, *this)); // a range that is right by itself
}

PciBus::~PciBus()
{
    m_ports.unmap(*this);
    m_memory.unmap(m_ecam);
}

Result<> PciBus::plug(unsigned slot, unsigned function, PciFunction& device)
{
    if (slot >= slotCount || function >= functionCount)
        return fail(ErrorCode::InvalidArgument, fmt::format("there is no PCI slot {}.{}", slot, function));
    auto& place = m_functions[slot * functionCount + function];
    if (place)
        return fail(ErrorCode::AlreadyExists, fmt::format("PCI slot {}.{} is taken", slot, function));
    place = &device;
    if (device.identity().hasInterruptPin)
        device.connectInterrupt(m_pirqs[pirqOf(slot, 0)].addSource());
    auto* const first = m_functions[slot * functionCount];
    auto const others = std::span(m_functions).subspan(slot * functionCount + 1, functionCount - 1);
    if (first && std::any_of(others.begin(), others.end(), [](auto* other) { return other != nullptr; }))
        first->markMultifunction();
    return {};
}

void PciBus::moveEcam(std::optional<std::uint64_t> base, unsigned buses)
{
    m_memory.unmap(m_ecam);
    if (!base)
        return;
    if (auto mapped = m_memory.map(*base, std::uint64_t(buses) << 20, m_ecam, BusPriority::Window); !mapped)
        trace("pci", "ECAM cannot be at {:#x}: {}", *base, mapped.error().message());
}

Section PciBus::save() const
{
    return state::save(m_state);
}

Result<> PciBus::load(Section const& section)
{
    m_state = TRY(state::load<State>(section));
    return {};
}

PciFunction* PciBus::find(unsigned bus, unsigned devfn) const
{
    return bus == 0 ? m_functions[devfn] : nullptr;
}

void PciBus::read(std::uint64_t offset, ByteSpan data)
{
    std::fill(data.begin(), data.end(), std::uint8_t(0xff));
    if (offset == resetOffset && data.size() == 1 && m_resetControl) {
        std::lock_guard const lock(m_resetControl->busMutex());
        m_resetControl->read(0, data);
    } else if (offset < dataOffset) {
        if (offset == 0 && data.size() == 4)
            storeLittle(data, m_state.address);
    } else if ((m_state.address & enable) != 0) {
        auto* const function = find(m_state.address >> 16 & 0xff, m_state.address >> 8 & 0xff);
        if (!function)
            return;
        std::lock_guard const lock(function->mutex());
        function->readConfig((m_state.address & 0xfc) + static_cast<unsigned>(offset - dataOffset),
            data.first(std::min<std::size_t>(data.size(), portCount - offset)));
    }
}

void PciBus::write(std::uint64_t offset, ConstByteSpan data)
{
    if (offset == resetOffset && data.size() == 1 && m_resetControl) {
        std::lock_guard const lock(m_resetControl->busMutex());
        m_resetControl->write(0, data);
    } else if (offset < dataOffset) {
        if (offset == 0 && data.size() == 4)
            m_state.address = loadLittle<std::uint32_t>(data) & addressMask;
    } else if ((m_state.address & enable) != 0) {
        auto* const function = find(m_state.address >> 16 & 0xff, m_state.address >> 8 & 0xff);
        if (!function)
            return;
        std::lock_guard const lock(function->mutex());
        function->writeConfig((m_state.address & 0xfc) + static_cast<unsigned>(offset - dataOffset),
            data.first(std::min<std::size_t>(data.size(), portCount - offset)));
    }
}

void PciBus::readEcam(std::uint64_t offset, ByteSpan data)
{
    byDword(offset, data, [this](std::uint64_t at, ByteSpan part) {
        std::fill(part.begin(), part.end(), std::uint8_t(0xff));
        auto* const function = find(static_cast<unsigned>(at >> 20), at >> 12 & 0xff);
        if (!function)
            return;
        std::lock_guard const lock(function->mutex());
        function->readConfig(at & 0xfff, part);
    });
}

void PciBus::writeEcam(std::uint64_t offset, ConstByteSpan data)
{
    byDword(offset, data, [this](std::uint64_t at, ConstByteSpan part) {
        auto* const function = find(static_cast<unsigned>(at >> 20), at >> 12 & 0xff);
        if (!function)
            return;
        std::lock_guard const lock(function->mutex());
        function->writeConfig(at & 0xfff, part);
    });
}

}
