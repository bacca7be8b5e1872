#include "vmm/devices/vga.h"

#include "vmm/base/log.h"
#include "vmm/devices/vga_render.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <cassert>

namespace vmm {

namespace {

constexpr std::uint64_t pageSize = 4096;
constexpr std::uint64_t registersSize = 4096;
constexpr std::uint32_t littleEndian = 0x1e1e1e1e, bigEndian = 0xbebebebe;
/// A cursor shows for 16 frames of 60 in a second, and is gone for as long.
constexpr Nanoseconds blinkTime = std::chrono::milliseconds(267);

bool anyIn(std::vector<std::uint64_t> const& bitmap, std::uint64_t offset, std::uint64_t length)
{
    for (auto page = offset / pageSize; page <= (offset + length - 1) / pageSize; ++page) {
        if (bitmap[page / 64] >> page % 64 & 1)
            return true;
    }
    return false;
}

/// Adds a row that changed; rows come in order.
void addRow(std::vector<RowRange>& rows, std::uint32_t row)
{
    if (!rows.empty() && rows.back().last == row)
        ++rows.back().last;
    else
        rows.push_back({ row, row + 1 });
}

PciIdentity cardIdentity(Vga::Legacy legacy)
{
    return { .vendor = 0x1234,
        .device = 0x1111,
        .classCode = legacy == Vga::Legacy::Yes ? 0x030000u : 0x038000u,
        .revision = 2,
        .subsystemVendor = 0x1af4,
        .subsystem = 0x1100 };
}

}

Vga::Vga(PciServices const& services, GuestTime& time, MemoryBlock& memory, Legacy legacy, MemoryBlock* bios,
    unsigned preferredWidth, unsigned preferredHeight)
    : PciFunction(services, cardIdentity(legacy)),
      m_time(time),
      m_memory(memory),
      m_edid(makeEdid(preferredWidth, preferredHeight)),
      m_core(memory.bytes()),
      m_legacy(legacy)
{
    assert(memory.size() >= minimumMemory);
    addRamBar(0, BarKind::Prefetchable32, memory, MemoryMapper::DirtyLog::On);
    addBar(2, BarKind::Memory32, registersSize);
    if (bios)
        addRom(*bios);
    if (m_legacy == Legacy::Yes) {
        [[maybe_unused]] bool const mapped = services.ports.map(portBase, portCount, m_ports)
            && services.ports.map(dispiBase, dispiCount, m_dispi)
            && services.memory.map(windowBase, VgaCore::windowSize, m_window);
        assert(mapped);
    }
}

Vga::~Vga()
{
    if (m_legacy == Legacy::Yes) {
        services().ports.unmap(m_ports);
        services().ports.unmap(m_dispi);
        services().memory.unmap(m_window);
    }
}

void Vga::reset()
{
    std::lock_guard const lock(mutex()); // a screen may be looking
    m_core.setRegisters({});
    resetPci();
    markAll();
}

Section Vga::save() const
{
    std::lock_guard const lock(mutex());
    return state::save(State { m_core.registers(), pciState() });
}

Result<> Vga::load(Section const& section)
{
    auto const loaded = TRY(state::load<State>(section));
    TRY(checkPci(loaded.pci));
    VgaCore checked(m_memory.bytes());
    checked.setRegisters(loaded.registers);
    if (checked.registers() != loaded.registers)
        return fail(ErrorCode::Corrupt, "vga: a mode that does not fit into video memory");
    std::lock_guard const lock(mutex());
    m_core.setRegisters(loaded.registers);
    loadPci(loaded.pci);
    markAll();
    return {};
}

void Vga::configWritten(unsigned, unsigned)
{
    // What the guest wrote before its memory was moved went with the old slot's log.
    if (auto const address = ramBarAddress(0); address != m_lastAddress) {
        m_lastAddress = address;
        markAll();
    }
}

void Vga::readPorts(std::uint64_t offset, ByteSpan data)
{
    for (auto& byte : data)
        byte = m_core.readPort(static_cast<std::uint16_t>(portBase + offset++));
}

void Vga::writePorts(std::uint64_t offset, ConstByteSpan data)
{
    for (auto const byte : data)
        m_core.writePort(static_cast<std::uint16_t>(portBase + offset++), byte);
}

// The extension's ports are words: the index at 0, its data at 1 and again at 2.

void Vga::readDispi(std::uint64_t offset, ByteSpan data)
{
    auto const index = m_core.registers().dispiIndex;
    storeLittle(data, offset == 0 ? index : offset < 3 ? m_core.readDispi(index) : std::uint16_t(0xffff));
}

void Vga::writeDispi(std::uint64_t offset, ConstByteSpan data)
{
    auto const value = loadLittle<std::uint16_t>(data);
    if (offset == 0)
        m_core.setDispiIndex(value);
    else if (offset < 3)
        m_core.writeDispi(m_core.registers().dispiIndex, value);
}

void Vga::readWindow(std::uint64_t offset, ByteSpan data)
{
    for (auto& byte : data)
        byte = m_core.readWindow(static_cast<std::uint32_t>(offset++));
}

void Vga::writeWindow(std::uint64_t offset, ConstByteSpan data)
{
    for (auto const byte : data)
        m_core.writeWindow(static_cast<std::uint32_t>(offset++), byte);
}

void Vga::readBar(unsigned index, std::uint64_t offset, ByteSpan data)
{
    if (index == 2)
        return readRegisters(offset, data);
    // Video memory, while its slot could not be made.
    std::ranges::fill(data, std::uint8_t(0xff));
    if (offset < m_memory.size())
        std::memcpy(
            data.data(), m_memory.data() + offset, std::min<std::size_t>(data.size(), m_memory.size() - offset));
}

void Vga::writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data)
{
    if (index == 2)
        return writeRegisters(offset, data);
    if (offset >= m_memory.size())
        return;
    auto const length = std::min<std::size_t>(data.size(), m_memory.size() - offset);
    std::memcpy(m_memory.data() + offset, data.data(), length);
    m_core.markWritten(offset, length);
}

void Vga::readRegisters(std::uint64_t offset, ByteSpan data)
{
    std::ranges::fill(data, std::uint8_t(0));
    if (offset < m_edid.size()) {
        std::copy_n(m_edid.begin() + static_cast<std::ptrdiff_t>(offset),
            std::min<std::size_t>(data.size(), m_edid.size() - offset), data.begin());
    } else if (offset >= 0x400 && offset < 0x420) {
        for (std::size_t i = 0; i < data.size() && offset + i < 0x420; ++i)
            data[i] = m_core.readPort(static_cast<std::uint16_t>(0x3c0 + offset + i - 0x400));
    } else if (offset >= 0x500 && offset < 0x516) {
        auto const value = m_core.readDispi(static_cast<std::uint16_t>((offset - 0x500) / 2));
        storeLittle(data, static_cast<std::uint16_t>(offset & 1 ? value >> 8 : value));
    } else if (offset == 0x600) {
        storeLittle(data, std::uint32_t(8));
    } else if (offset == 0x604) {
        storeLittle(data, m_core.registers().bigEndian ? bigEndian : littleEndian);
    }
}

void Vga::writeRegisters(std::uint64_t offset, ConstByteSpan data)
{
    if (offset >= 0x400 && offset < 0x420) {
        for (std::size_t i = 0; i < data.size() && offset + i < 0x420; ++i)
            m_core.writePort(static_cast<std::uint16_t>(0x3c0 + offset + i - 0x400), data[i]);
    } else if (offset >= 0x500 && offset < 0x516 && offset % 2 == 0) {
        m_core.writeDispi(static_cast<std::uint16_t>((offset - 0x500) / 2), loadLittle<std::uint16_t>(data));
    } else if (offset == 0x604) {
        auto const value = loadLittle<std::uint32_t>(data);
        if (value == littleEndian || value == bigEndian)
            m_core.setBigEndian(value == bigEndian);
    }
}

void Vga::markAll()
{
    for (auto& [frame, reader] : m_readers)
        reader.all = true;
}

/// Gives every reader what was written since the last time. The log starts anew, so that it is taken for all at once.
void Vga::collectDirty()
{
    auto const add = [this](Bitmap const& bitmap) {
        for (auto& [frame, reader] : m_readers) {
            auto const words = std::min(bitmap.size(), reader.dirty.size());
            for (std::size_t i = 0; i < words; ++i)
                reader.dirty[i] |= bitmap[i];
        }
    };
    add(m_core.written());
    std::ranges::fill(m_core.written(), 0);
    if (auto const slot = ramBarSlot(0)) {
        Bitmap bitmap;
        if (auto taken = services().mapper.takeDirtyLog(*slot, bitmap)) {
            add(bitmap);
        } else {
            log(LogLevel::Warning, "vga", "{}", taken.error().message());
            markAll();
        }
    }
}

std::vector<RowRange> Vga::refresh(Frame& frame)
{
    Bitmap dirty;
    Reader* reader = nullptr;
    bool all = false, changed = false;
    {
        std::lock_guard const lock(mutex());
        auto const [entry, isNew] = m_readers.try_emplace(&frame);
        reader = &entry->second;
        if (isNew)
            reader->dirty.resize(m_core.written().size());
        collectDirty();
        auto const now = m_core.picture(m_time.now() / blinkTime % 2 == 0);
        changed = now != reader->picture;
        all = std::exchange(reader->all, false) || now.width != frame.width || now.height != frame.height
            || frame.pixels.size() != std::size_t(now.width) * now.height;
        dirty = std::exchange(reader->dirty, Bitmap(reader->dirty.size()));
        reader->picture = now;
        if (now.isLegacy()) {
            if (!all && !changed && !anyIn(dirty, 0, m_memory.size()))
                return {};
            // Windows and planes are written under the mutex, a copy is quick, and drawing then takes its time.
            auto const large = now.depth == 4 ? std::size_t(now.stride) * now.height + now.start : 0;
            auto const length = std::min<std::size_t>(std::max<std::size_t>(planeMemory, large), m_memory.size());
            reader->legacy.assign(m_memory.data(), m_memory.data() + alignDown<std::size_t>(length, 4));
        }
    }
    auto const& picture = reader->picture;
    if (all) {
        frame.width = picture.width;
        frame.height = picture.height;
        frame.pixels.assign(std::size_t(picture.width) * picture.height, 0);
    }
    return picture.isLegacy() ? refreshLegacy(frame, *reader, all)
                              : refreshLinear(frame, *reader, dirty, all || changed);
}

/// Draws all of a small picture, and finds out which rows came out different.
std::vector<RowRange> Vga::refreshLegacy(Frame& frame, Reader& reader, bool resized)
{
    std::vector<RowRange> rows;
    std::vector<std::uint32_t> row(frame.width);
    for (std::uint32_t y = 0; y < frame.height; ++y) {
        std::ranges::fill(row, 0xff000000); // where no whole character fits
        renderRow(reader.picture, reader.legacy, y, row.data());
        auto* const there = frame.pixels.data() + std::size_t(y) * frame.width;
        if (!resized && std::equal(row.begin(), row.end(), there))
            continue;
        std::ranges::copy(row, there);
        addRow(rows, y);
    }
    return rows;
}

std::vector<RowRange> Vga::refreshLinear(Frame& frame, Reader& reader, Bitmap const& dirty, bool all)
{
    std::vector<RowRange> rows;
    auto const memory = ConstByteSpan(m_memory.data(), m_memory.size());
    for (std::uint32_t y = 0; y < frame.height; ++y) {
        auto const bytes = rowBytes(reader.picture, y, memory.size());
        if (!all && (!bytes || !anyIn(dirty, bytes->offset, bytes->length)))
            continue;
        renderRow(reader.picture, memory, y, frame.pixels.data() + std::size_t(y) * frame.width);
        addRow(rows, y);
    }
    return rows;
}

void Vga::forget(Frame const& frame)
{
    std::lock_guard const lock(mutex());
    m_readers.erase(&frame);
}

}
