#include "vmm/bus/pci.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <fmt/format.h>

// PCI Local Bus Specification, Rev. 3.0: 6.1 "Configuration Space Organization", 6.2.5 "Base Addresses" (6.2.5.2
// "Expansion ROM Base Address Register" within), 6.8.2 "MSI-X Capability and Table Structures".

namespace vmm {

namespace {

constexpr unsigned commandOffset = 0x04, statusOffset = 0x06, headerTypeOffset = 0x0e, barOffset = 0x10, barEnd = 0x28,
                   romOffset = 0x30, romEnd = 0x34, capabilityPointer = 0x34;
/// How the ROM is numbered among the BARs, for it works like one.
constexpr unsigned romIndex = 6;
constexpr std::uint8_t romEnable = 1 << 0;
constexpr std::uint16_t commandPorts = 1 << 0, commandMemory = 1 << 1, commandMaster = 1 << 2,
                        commandInterruptDisable = 1 << 10;
// Ports, memory, bus master, parity response, SERR#, interrupt disable.
constexpr std::uint16_t commandWritable = 0x0547;
constexpr std::uint8_t statusInterrupt = 1 << 3, statusCapabilities = 1 << 4;
constexpr std::uint8_t msixId = 0x11;
constexpr std::uint16_t msixEnable = 1 << 15, msixFunctionMask = 1 << 14;
constexpr std::uint64_t msixEntrySize = 16;

bool overlaps(unsigned offset, std::size_t size, unsigned low, unsigned high)
{
    return offset < high && offset + size > low;
}

std::array<std::uint8_t, msixEntrySize> entryBytes(MsixEntry const& entry)
{
    std::array<std::uint8_t, msixEntrySize> bytes {};
    storeLittle(ByteSpan(bytes).subspan(0, 8), entry.address);
    storeLittle(ByteSpan(bytes).subspan(8, 4), entry.data);
    bytes[12] = entry.masked ? 1 : 0;
    return bytes;
}

}

struct PciFunction::Bar {
    unsigned index;
    BarKind kind;
    std::uint64_t size;
    bool msix = false;
    MemoryBlock* block = nullptr;
    MemoryMapper::DirtyLog log = MemoryMapper::DirtyLog::Off;
    std::unique_ptr<Window> window {}; // none for RAM
    std::optional<std::uint64_t> mapped {};
    MemoryMapper::Slot slot = 0;        // while RAM is mapped
    std::vector<Doorbell> doorbells {}; // that are registered

    bool isPort() const { return kind == BarKind::Port; }
    bool isRom() const { return index == romIndex; }
    unsigned offset() const { return isRom() ? romOffset : barOffset + 4 * index; }
    bool is64() const { return kind == BarKind::Memory64 || kind == BarKind::Prefetchable64; }
    DoorbellRegistry::Space space() const
    {
        return isPort() ? DoorbellRegistry::Space::Port : DoorbellRegistry::Space::Memory;
    }
};

class PciFunction::Window final : public BusHandler {
public:
    Window(PciFunction& owner, Bar const& bar) : m_owner(owner), m_bar(bar) { }
    void read(std::uint64_t offset, ByteSpan data) override
    {
        if (m_bar.msix)
            m_owner.readMsix(offset, data);
        else
            m_owner.readBar(m_bar.index, offset, data);
    }
    void write(std::uint64_t offset, ConstByteSpan data) override
    {
        if (m_bar.msix)
            m_owner.writeMsix(offset, data);
        else
            m_owner.writeBar(m_bar.index, offset, data);
    }
    std::mutex& busMutex() const override { return m_owner.mutex(); }

private:
    PciFunction& m_owner;
    Bar const& m_bar;
};

PciFunction::PciFunction(PciServices const& services, PciIdentity const& identity)
    : m_services(services), m_identity(identity)
{
    auto const set = [this](unsigned offset, auto value, std::uint32_t writable = 0) {
        setInitial(offset, bytesOf(value), bytesOf(writable));
    };
    set(0x00, identity.vendor);
    set(0x02, identity.device);
    set(commandOffset, std::uint16_t(0), commandWritable);
    set(0x08, std::uint32_t(identity.classCode << 8 | identity.revision));
    set(0x0c, std::uint8_t(0), 0xff); // cache line size
    set(0x2c, identity.subsystemVendor);
    set(0x2e, identity.subsystem);
    set(0x3c, std::uint8_t(0), 0xff); // interrupt line
    set(0x3d, std::uint8_t(identity.hasInterruptPin ? 1 : 0));
}

PciFunction::~PciFunction()
{
    for (auto& bar : m_bars)
        unmapBar(*bar);
}

void PciFunction::setInitial(unsigned offset, ConstByteSpan initial, ConstByteSpan writable)
{
    assert(offset + initial.size() <= m_pci.config.size());
    for (std::size_t i = 0; i < initial.size(); ++i) {
        m_initial[offset + i] = m_pci.config[offset + i] = initial[i];
        m_writable[offset + i] = i < writable.size() ? writable[i] : 0;
    }
}

void PciFunction::markMultifunction()
{
    auto const type = static_cast<std::uint8_t>(m_initial[headerTypeOffset] | 0x80);
    setInitial(headerTypeOffset, bytesOf(type), {});
}

void PciFunction::addRegisters(unsigned offset, ConstByteSpan initial, ConstByteSpan writable)
{
    setInitial(offset, initial, writable);
}

void PciFunction::addBar(unsigned index, BarKind kind, std::uint64_t size)
{
    assert(std::has_single_bit(size) && size >= (kind == BarKind::Port ? 4u : 16u));
    auto bar = std::make_unique<Bar>(Bar { .index = index, .kind = kind, .size = size });
    assert(index + (bar->is64() ? 1u : 0u) < romIndex && !findBar(index));
    bar->window = std::make_unique<Window>(*this, *bar);

    std::uint64_t type = 0;
    switch (kind) {
    case BarKind::Port: type = 0x1; break;
    case BarKind::Memory32: type = 0x0; break;
    case BarKind::Memory64: type = 0x4; break;
    case BarKind::Prefetchable32: type = 0x8; break;
    case BarKind::Prefetchable64: type = 0xc; break;
    }
    auto const writable = ~(size - 1);
    auto const width = bar->is64() ? 8u : 4u;
    setInitial(bar->offset(), bytesOf(type).first(width), bytesOf(writable).first(width));
    m_bars.push_back(std::move(bar));
}

void PciFunction::addRamBar(unsigned index, BarKind kind, MemoryBlock& block, MemoryMapper::DirtyLog log)
{
    addBar(index, kind, std::bit_ceil(block.size()));
    auto& bar = *m_bars.back();
    bar.window.reset();
    bar.block = &block;
    bar.log = log;
}

void PciFunction::addRom(MemoryBlock& rom)
{
    assert(std::has_single_bit(rom.size()) && rom.size() >= 4096 && !findBar(romIndex));
    auto bar = std::make_unique<Bar>(
        Bar { .index = romIndex, .kind = BarKind::Memory32, .size = rom.size(), .block = &rom });
    auto const writable = static_cast<std::uint32_t>(~(rom.size() - 1)) | romEnable;
    setInitial(bar->offset(), bytesOf(std::uint32_t(0)), bytesOf(writable));
    m_bars.push_back(std::move(bar));
}

unsigned PciFunction::addCapability(std::uint8_t id, ConstByteSpan body, ConstByteSpan writable)
{
    auto const offset = m_capabilityEnd;
    assert(offset + 2 + body.size() <= m_pci.config.size());
    std::array<std::uint8_t, 2> const header { id, 0 };
    setInitial(offset, header, {});
    setInitial(offset + 2, body, writable);
    auto const place = static_cast<std::uint8_t>(offset);
    setInitial(m_lastCapability ? m_lastCapability + 1 : capabilityPointer, bytesOf(place), {});
    setInitial(statusOffset, bytesOf(statusCapabilities), {});
    m_lastCapability = offset;
    m_capabilityEnd = alignUp(static_cast<unsigned>(offset + 2 + body.size()), 4u);
    return offset;
}

void PciFunction::addMsix(unsigned index, unsigned vectors)
{
    assert(vectors >= 1 && vectors <= 2048 && m_msixVectors == 0);
    m_msixVectors = vectors;
    m_pendingOffset = std::max<std::uint64_t>(2048, std::bit_ceil(vectors * msixEntrySize));
    addBar(index, BarKind::Memory32, 2 * m_pendingOffset);
    m_bars.back()->msix = true;

    std::array<std::uint8_t, 10> body {}, writable {};
    storeLittle(ByteSpan(body).subspan(0, 2), static_cast<std::uint16_t>(vectors - 1));
    storeLittle(ByteSpan(body).subspan(2, 4), static_cast<std::uint32_t>(index));
    storeLittle(ByteSpan(body).subspan(6, 4), static_cast<std::uint32_t>(m_pendingOffset | index));
    storeLittle(ByteSpan(writable).subspan(0, 2), static_cast<std::uint16_t>(msixEnable | msixFunctionMask));
    m_msixCapability = addCapability(msixId, body, writable);

    m_pci.msix.resize(vectors);
    m_pci.pending.resize((vectors + 63) / 64);
}

bool PciFunction::isBusMaster() const
{
    return (m_pci.config[commandOffset] & commandMaster) != 0;
}

void PciFunction::readConfig(unsigned offset, ByteSpan data)
{
    constexpr std::size_t spaceSize = 4096;
    if (offset >= spaceSize || data.size() > spaceSize - offset) {
        std::fill(data.begin(), data.end(), std::uint8_t(0xff));
        return;
    }
    beforeConfigRead(offset, static_cast<unsigned>(data.size()));
    for (std::size_t i = 0; i < data.size(); ++i) {
        auto const at = offset + i;
        data[i] = at < m_pci.config.size() ? m_pci.config[at] : 0; // no extended capabilities
        if (at == statusOffset && m_pci.intx)
            data[i] |= statusInterrupt;
    }
}

void PciFunction::writeConfig(unsigned offset, ConstByteSpan data)
{
    if (offset >= m_pci.config.size() || data.size() > m_pci.config.size() - offset)
        return;
    for (std::size_t i = 0; i < data.size(); ++i) {
        auto& byte = m_pci.config[offset + i];
        auto const mask = m_writable[offset + i];
        byte = static_cast<std::uint8_t>((byte & ~mask) | (data[i] & mask));
    }
    if (overlaps(offset, data.size(), commandOffset, commandOffset + 2)) {
        updateMappings();
        updateInterrupt();
    }
    if (overlaps(offset, data.size(), barOffset, barEnd) || overlaps(offset, data.size(), romOffset, romEnd))
        updateMappings();
    if (hasMsix() && overlaps(offset, data.size(), m_msixCapability + 2, m_msixCapability + 4)) {
        for (unsigned vector = 0; vector < m_msixVectors; ++vector)
            sendPending(vector);
        updateInterrupt();
    }
    configWritten(offset, static_cast<unsigned>(data.size()));
}

void PciFunction::readBar(unsigned, std::uint64_t, ByteSpan data)
{
    std::fill(data.begin(), data.end(), std::uint8_t(0xff));
}

void PciFunction::writeBar(unsigned, std::uint64_t, ConstByteSpan) { }

std::vector<Doorbell> PciFunction::doorbells(unsigned)
{
    return {};
}

void PciFunction::configWritten(unsigned, unsigned) { }
void PciFunction::beforeConfigRead(unsigned, unsigned) { }

PciFunction::Bar* PciFunction::findBar(unsigned index) const
{
    for (auto const& bar : m_bars) {
        if (bar->index == index)
            return bar.get();
    }
    return nullptr;
}

/// Where the guest wants the BAR; nothing while decoding is off, at address 0 (how unprogrammed BARs look), and for the
/// all-ones of a size probe; the ROM also while it is not enabled.
std::optional<std::uint64_t> PciFunction::wantedAddress(Bar const& bar) const
{
    auto const command = loadLittle<std::uint16_t>(ConstByteSpan(m_pci.config).subspan(commandOffset, 2));
    if ((command & (bar.isPort() ? commandPorts : commandMemory)) == 0)
        return std::nullopt;
    auto const place = ConstByteSpan(m_pci.config).subspan(bar.offset(), bar.is64() ? 8 : 4);
    if (bar.isRom() && (place[0] & romEnable) == 0)
        return std::nullopt;
    auto const address = loadLittle<std::uint64_t>(place) & ~(bar.size - 1);
    auto const last = address + (bar.size - 1);
    std::uint64_t const limit = bar.isPort() ? 0xffff : bar.is64() ? ~std::uint64_t(0) : 0xffffffff;
    if (address == 0 || last < address || last >= limit)
        return std::nullopt;
    return address;
}

void PciFunction::updateMappings()
{
    // All that leaves its place does so before anything takes one: BARs may change places in one write.
    for (auto& bar : m_bars) {
        if (bar->mapped && bar->mapped != wantedAddress(*bar))
            unmapBar(*bar);
    }
    for (auto& bar : m_bars) {
        if (auto const address = wantedAddress(*bar); address && !bar->mapped)
            mapBar(*bar, *address);
    }
}

void PciFunction::mapBar(Bar& bar, std::uint64_t address)
{
    Result<> mapped;
    if (bar.block) {
        auto const access = bar.isRom() ? MemoryMapper::Access::ReadOnly : MemoryMapper::Access::ReadWrite;
        auto const slot = m_services.mapper.map(address, *bar.block, 0, bar.block->size(), access, bar.log);
        if (slot)
            bar.slot = *slot;
        else
            mapped = fail(slot.error());
    } else {
        auto& bus = bar.isPort() ? m_services.ports : m_services.memory;
        mapped = bus.map(address, bar.size, *bar.window, BusPriority::Window);
    }
    if (!mapped) {
        trace("pci", "{:04x}:{:04x} BAR {} cannot be at {:#x}: {}", m_identity.vendor, m_identity.device, bar.index,
            address, mapped.error().message());
        return;
    }
    bar.mapped = address;
    addDoorbells(bar);
}

void PciFunction::unmapBar(Bar& bar)
{
    if (!bar.mapped)
        return;
    removeDoorbells(bar);
    if (bar.block)
        m_services.mapper.unmap(bar.slot);
    else
        (bar.isPort() ? m_services.ports : m_services.memory).unmap(*bar.window);
    bar.mapped.reset();
}

void PciFunction::addDoorbells(Bar& bar)
{
    if (bar.block || bar.msix)
        return;
    for (auto const& doorbell : doorbells(bar.index)) {
        assert(doorbell.offset < bar.size && doorbell.size <= bar.size - doorbell.offset);
        if (auto added = m_services.doorbells.add(bar.space(), *bar.mapped + doorbell.offset, doorbell); added)
            bar.doorbells.push_back(doorbell);
        else // The write then reaches writeBar(), which does the same more slowly.
            trace("pci", "no doorbell at {:#x}: {}", *bar.mapped + doorbell.offset, added.error().message());
    }
}

void PciFunction::removeDoorbells(Bar& bar)
{
    for (auto const& doorbell : bar.doorbells)
        m_services.doorbells.remove(bar.space(), *bar.mapped + doorbell.offset, doorbell);
    bar.doorbells.clear();
}

std::optional<MemoryMapper::Slot> PciFunction::ramBarSlot(unsigned index) const
{
    auto const* bar = findBar(index);
    return bar && bar->block && bar->mapped ? std::optional(bar->slot) : std::nullopt;
}

std::optional<GuestAddress> PciFunction::ramBarAddress(unsigned index) const
{
    auto const* bar = findBar(index);
    return bar && bar->block ? bar->mapped : std::nullopt;
}

void PciFunction::setInterrupt(bool level)
{
    m_pci.intx = level;
    updateInterrupt();
}

void PciFunction::updateInterrupt()
{
    if (!m_intxLine)
        return;
    auto const command = loadLittle<std::uint16_t>(ConstByteSpan(m_pci.config).subspan(commandOffset, 2));
    m_intxLine->set(m_pci.intx && (command & commandInterruptDisable) == 0 && !msixEnabled());
}

bool PciFunction::msixEnabled() const
{
    return hasMsix() && (m_pci.config[m_msixCapability + 3] & (msixEnable >> 8)) != 0;
}

bool PciFunction::msixMasked(unsigned vector) const
{
    return (m_pci.config[m_msixCapability + 3] & (msixFunctionMask >> 8)) != 0 || m_pci.msix[vector].masked;
}

void PciFunction::sendMsix(unsigned vector)
{
    if (vector >= m_msixVectors || !msixEnabled())
        return;
    if (msixMasked(vector)) {
        m_pci.pending[vector / 64] |= std::uint64_t(1) << vector % 64;
        return;
    }
    if (isBusMaster()) // An MSI is a write to memory.
        m_services.msi.send({ m_pci.msix[vector].address, m_pci.msix[vector].data });
}

/// What waited for the unmasking.
void PciFunction::sendPending(unsigned vector)
{
    auto& word = m_pci.pending[vector / 64];
    auto const bit = std::uint64_t(1) << vector % 64;
    if ((word & bit) == 0 || !msixEnabled() || msixMasked(vector))
        return;
    word &= ~bit;
    sendMsix(vector);
}

void PciFunction::readMsix(std::uint64_t offset, ByteSpan data) const
{
    for (std::size_t i = 0; i < data.size(); ++i) {
        auto const at = offset + i;
        if (at < m_msixVectors * msixEntrySize)
            data[i] = entryBytes(m_pci.msix[at / msixEntrySize])[at % msixEntrySize];
        else if (at >= m_pendingOffset && at - m_pendingOffset < m_pci.pending.size() * 8)
            data[i] = static_cast<std::uint8_t>(
                m_pci.pending[(at - m_pendingOffset) / 8] >> (at - m_pendingOffset) % 8 * 8);
        else
            data[i] = 0;
    }
}

void PciFunction::writeMsix(std::uint64_t offset, ConstByteSpan data)
{
    while (!data.empty() && offset < m_msixVectors * msixEntrySize) {
        auto const vector = static_cast<unsigned>(offset / msixEntrySize);
        auto& entry = m_pci.msix[vector];
        auto bytes = entryBytes(entry);
        auto const into = offset % msixEntrySize;
        auto const length = std::min<std::uint64_t>(data.size(), msixEntrySize - into);
        std::copy_n(data.begin(), length, bytes.begin() + static_cast<std::ptrdiff_t>(into));
        entry.address = loadLittle<std::uint64_t>(bytes) & ~std::uint64_t(3);
        entry.data = loadLittle<std::uint32_t>(ConstByteSpan(bytes).subspan(8, 4));
        entry.masked = (bytes[12] & 1) != 0;
        sendPending(vector);
        data = data.subspan(length);
        offset += length;
    }
}

void PciFunction::resetPci()
{
    std::copy_n(m_initial.begin(), m_pci.config.size(), m_pci.config.begin());
    std::fill(m_pci.msix.begin(), m_pci.msix.end(), MsixEntry {});
    std::fill(m_pci.pending.begin(), m_pci.pending.end(), 0);
    m_pci.intx = false;
    updateMappings();
    updateInterrupt();
}

Result<> PciFunction::checkPci(PciState const& saved) const
{
    auto const refuse = [this](std::string what) {
        return fail(ErrorCode::Corrupt,
            fmt::format("PCI function {:04x}:{:04x}: {}", m_identity.vendor, m_identity.device, what));
    };
    for (std::size_t i = 0; i < saved.config.size(); ++i) {
        auto const fixed = static_cast<std::uint8_t>(~m_writable[i]);
        if (((saved.config[i] ^ m_initial[i]) & fixed) != 0)
            return refuse(
                fmt::format("configuration byte {:#04x} is {:#04x}, which this function cannot have ({:#04x})", i,
                    saved.config[i], m_initial[i]));
    }
    if (saved.msix.size() != m_pci.msix.size() || saved.pending.size() != m_pci.pending.size())
        return refuse(fmt::format("{} MSI-X vectors, and this function has {}", saved.msix.size(), m_msixVectors));
    if (m_msixVectors % 64 != 0 && saved.pending.back() >> m_msixVectors % 64 != 0)
        return refuse("an MSI-X vector is pending that does not exist");
    for (auto const& entry : saved.msix) {
        if ((entry.address & 3) != 0)
            return refuse(fmt::format("MSI-X address {:#x} is not aligned", entry.address));
    }
    return {};
}

void PciFunction::loadPci(PciState const& saved)
{
    m_pci = saved;
    updateMappings();
    updateInterrupt();
}

}
