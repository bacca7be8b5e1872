#include "vmm/devices/pflash_cfi.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <bit>

namespace vmm {

namespace {

constexpr std::uint8_t statusReady = 0x80, statusEraseError = 0x20, statusProgramError = 0x10;

}

PflashCfi::PflashCfi(MemoryMapper& mapper, GuestAddress address, MemoryBlock& contents, Writable writable, Store store)
    : m_mapper(mapper), m_address(address), m_contents(contents), m_writable(writable), m_store(std::move(store))
{
    updateMapping();
}

PflashCfi::~PflashCfi()
{
    if (m_slot)
        m_mapper.unmap(*m_slot);
}

void PflashCfi::reset()
{
    flush();
    m_state = {};
    updateMapping();
}

Section PflashCfi::save() const
{
    return state::save(m_state);
}

Result<> PflashCfi::load(Section const& section)
{
    auto loaded = TRY(state::load<State>(section));
    bool const filling = loaded.expect == Expect::BufferData;
    if (filling != (loaded.bufferLeft != 0) || loaded.buffer.size() + loaded.bufferLeft > bufferSize
        || loaded.bufferStart >= size() || loaded.buffer.size() > size() - loaded.bufferStart)
        return fail(ErrorCode::Corrupt, "pflash-cfi: a write buffer that cannot be");
    m_state = std::move(loaded);
    updateMapping();
    return {};
}

void PflashCfi::pause()
{
    std::lock_guard const lock(mutex());
    flush();
}

void PflashCfi::resume()
{
    std::lock_guard const lock(mutex());
    if (std::exchange(m_storeAgain, false) && m_store)
        m_store(0, m_contents.bytes());
}

void PflashCfi::storeAgain()
{
    std::lock_guard const lock(mutex());
    m_storeAgain = true;
}

void PflashCfi::read(std::uint64_t offset, ByteSpan data)
{
    for (std::size_t i = 0; i < data.size(); ++i) {
        auto const at = offset + i;
        switch (m_state.mode) {
        case Mode::Array: data[i] = at < size() ? m_contents.data()[at] : 0xff; break;
        case Mode::Status: data[i] = m_state.status; break;
        case Mode::Identifier: data[i] = identifier(at); break;
        case Mode::Query: data[i] = query(at); break;
        }
    }
}

void PflashCfi::write(std::uint64_t offset, ConstByteSpan data)
{
    if (data.empty() || offset >= size())
        return;
    switch (m_state.expect) {
    case Expect::Command: command(offset, data[0]); break;
    case Expect::Byte:
        program(offset, data);
        m_state.expect = Expect::Command;
        break;
    case Expect::EraseConfirm:
        m_state.expect = Expect::Command;
        if (data[0] == 0xd0)
            erase(offset);
        else
            finish(statusEraseError | statusProgramError); // a wrong sequence
        break;
    case Expect::LockConfirm:
        m_state.expect = Expect::Command;
        finish(data[0] == 0xd0 || data[0] == 0x01 || data[0] == 0x2f ? 0 : statusEraseError | statusProgramError);
        break;
    case Expect::BufferCount: {
        auto const count = std::size_t(loadLittle<std::uint16_t>(data)) + 1;
        if (count > bufferSize) {
            m_state.expect = Expect::Command;
            finish(statusEraseError | statusProgramError);
            break;
        }
        m_state.bufferLeft = static_cast<std::uint16_t>(count);
        m_state.buffer.clear();
        m_state.expect = Expect::BufferData;
        break;
    }
    case Expect::BufferData: takeBufferData(offset, data); break;
    case Expect::BufferConfirm:
        m_state.expect = Expect::Command;
        if (data[0] == 0xd0)
            program(m_state.bufferStart, std::exchange(m_state.buffer, {}));
        else
            finish(statusEraseError | statusProgramError);
        m_state.buffer.clear();
        break;
    }
    updateMapping();
}

void PflashCfi::command(std::uint64_t offset, std::uint8_t value)
{
    switch (value) {
    case 0x10:
    case 0x40:
        m_state.mode = Mode::Status;
        m_state.expect = Expect::Byte;
        break;
    case 0x20:
        m_state.mode = Mode::Status;
        m_state.expect = Expect::EraseConfirm;
        break;
    case 0x60:
        m_state.mode = Mode::Status;
        m_state.expect = Expect::LockConfirm;
        break;
    case 0xe8:
        m_state.mode = Mode::Status;
        m_state.status |= statusReady; // a buffer is available
        m_state.expect = Expect::BufferCount;
        break;
    case 0x50:
        m_state.mode = Mode::Status;
        m_state.status = 0;
        break;
    case 0x70: m_state.mode = Mode::Status; break;
    case 0x90: m_state.mode = Mode::Identifier; break;
    case 0x98: m_state.mode = Mode::Query; break;
    case 0x00:
    case 0xf0:
    case 0xff:
        m_state.mode = Mode::Array;
        flush();
        break;
    default:
        trace("pflash", "command {:#x} at {:#x} is unknown", value, offset);
        m_state.mode = Mode::Array;
        flush();
    }
}

/// Programming turns ones into zeros; only erasing turns them back.
void PflashCfi::program(std::uint64_t offset, ConstByteSpan data)
{
    if (m_writable == Writable::No)
        return finish(statusProgramError);
    auto const length = std::min<std::uint64_t>(data.size(), size() - offset);
    for (std::uint64_t i = 0; i < length; ++i)
        m_contents.data()[offset + i] &= data[i];
    changed(offset, length);
    finish(0);
}

void PflashCfi::erase(std::uint64_t offset)
{
    if (m_writable == Writable::No)
        return finish(statusEraseError);
    auto const start = alignDown(offset, sectorSize);
    std::memset(m_contents.data() + start, 0xff, sectorSize);
    changed(start, sectorSize);
    finish(0);
}

/// The first write says where the buffer begins; the data follows in order.
void PflashCfi::takeBufferData(std::uint64_t offset, ConstByteSpan data)
{
    if (m_state.buffer.empty())
        m_state.bufferStart = static_cast<std::uint32_t>(offset);
    auto const inOrder = offset == m_state.bufferStart + m_state.buffer.size();
    auto const length = std::min<std::size_t>(data.size(), m_state.bufferLeft);
    if (!inOrder || offset + length > size()) {
        m_state.expect = Expect::Command;
        m_state.bufferLeft = 0;
        m_state.buffer.clear();
        return finish(statusEraseError | statusProgramError);
    }
    m_state.buffer.insert(m_state.buffer.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(length));
    m_state.bufferLeft = static_cast<std::uint16_t>(m_state.bufferLeft - length);
    if (m_state.bufferLeft == 0)
        m_state.expect = Expect::BufferConfirm;
}

void PflashCfi::finish(std::uint8_t error)
{
    m_state.mode = Mode::Status;
    m_state.status |= statusReady | error;
}

/// No manufacturer, no device, and of each sector that it is not locked.
std::uint8_t PflashCfi::identifier(std::uint64_t) const
{
    return 0;
}

std::uint8_t PflashCfi::query(std::uint64_t offset) const
{
    auto const sectors = size() / sectorSize - 1;
    switch (offset & 0xff) {
    case 0x10: return 'Q';
    case 0x11: return 'R';
    case 0x12: return 'Y';
    case 0x13: return 0x01; // Intel's extended command set
    case 0x15: return 0x31; // where the extended table is
    case 0x1b: return 0x45; // 4.5 V to 5.5 V
    case 0x1c: return 0x55;
    case 0x1f: return 0x07; // 2^7 us for a byte, a buffer; 2^10 ms for a sector
    case 0x20: return 0x07;
    case 0x21: return 0x0a;
    case 0x23: return 0x04; // at most 2^4 times that
    case 0x24: return 0x04;
    case 0x25: return 0x04;
    case 0x27: return static_cast<std::uint8_t>(std::bit_width(size() - 1));
    case 0x28: return 0x00; // eight bits wide
    case 0x2a: return std::bit_width(bufferSize) - 1;
    case 0x2c: return 0x01; // one region of equal sectors
    case 0x2d: return static_cast<std::uint8_t>(sectors);
    case 0x2e: return static_cast<std::uint8_t>(sectors >> 8);
    case 0x2f: return static_cast<std::uint8_t>(sectorSize >> 8);
    case 0x30: return static_cast<std::uint8_t>(sectorSize >> 16);
    case 0x31: return 'P';
    case 0x32: return 'R';
    case 0x33: return 'I';
    case 0x34: return '1';
    case 0x35: return '0';
    case 0x3f: return 0x01;
    default: return 0x00;
    }
}

/// Collects what one command after the other wrote side by side: a variable is programmed byte by byte.
void PflashCfi::changed(std::uint64_t offset, std::uint64_t length)
{
    if (m_changedStart != m_changedEnd && offset != m_changedEnd)
        flush();
    if (m_changedStart == m_changedEnd)
        m_changedStart = offset;
    m_changedEnd = offset + length;
}

void PflashCfi::flush()
{
    if (m_changedStart != m_changedEnd && m_store)
        m_store(m_changedStart, { m_contents.data() + m_changedStart, m_changedEnd - m_changedStart });
    m_changedStart = m_changedEnd = 0;
}

void PflashCfi::updateMapping()
{
    bool const wanted = m_state.mode == Mode::Array && m_state.expect == Expect::Command;
    if (wanted == m_slot.has_value())
        return;
    if (!wanted) {
        m_mapper.unmap(*m_slot);
        m_slot.reset();
        return;
    }
    auto slot
        = m_mapper.map(m_address, m_contents, 0, size(), MemoryMapper::Access::ReadOnly, MemoryMapper::DirtyLog::Off);
    // Without the slot reads are answered here, slowly; code cannot run from it then.
    if (slot)
        m_slot = *slot;
    else
        log(LogLevel::Error, "pflash", "{}", slot.error().message());
}

}
