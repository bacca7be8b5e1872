#include "vmm/usb/scsi_disk.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

enum Operation : std::uint8_t {
    TestUnitReady = 0x00,
    RequestSense = 0x03,
    Read6 = 0x08,
    Write6 = 0x0a,
    Inquiry = 0x12,
    ModeSense6 = 0x1a,
    StartStopUnit = 0x1b,
    SendDiagnostic = 0x1d,
    PreventAllow = 0x1e,
    ReadFormatCapacities = 0x23,
    ReadCapacity10 = 0x25,
    Read10 = 0x28,
    Write10 = 0x2a,
    Verify10 = 0x2f,
    SynchronizeCache10 = 0x35,
    ModeSense10 = 0x5a,
    Read16 = 0x88,
    Write16 = 0x8a,
    Verify16 = 0x8f,
    SynchronizeCache16 = 0x91,
    ServiceActionIn16 = 0x9e,
    ReportLuns = 0xa0,
    Read12 = 0xa8,
    Write12 = 0xaa,
};

constexpr std::uint8_t illegalRequest = 5, unitAttention = 6, dataProtect = 7;

template<typename T>
T bigAt(ScsiCommand const& command, std::size_t at)
{
    return loadBig<T>(ConstByteSpan(command.cdb).subspan(at, sizeof(T)));
}

template<typename T>
void putBig(Bytes& block, std::size_t at, T value)
{
    storeBig(ByteSpan(block).subspan(at, sizeof value), value);
}

void putText(Bytes& block, std::size_t at, std::string_view text, std::size_t length)
{
    for (std::size_t i = 0; i < length; ++i)
        block[at + i] = i < text.size() ? static_cast<std::uint8_t>(text[i]) : ' ';
}

}

ScsiDisk::ScsiDisk(BlockImage& image, std::string serial, bool readOnly)
    : m_image(&image), m_serial(std::move(serial)), m_readOnly(readOnly || image.readOnly())
{
    powerOn();
}

void ScsiDisk::powerOn()
{
    m_state = {};
    m_state.blocks = image().size() / blockSize;
}

Result<> ScsiDisk::check(ScsiDiskState const& saved) const
{
    if (saved.blocks != image().size() / blockSize)
        return vmm::fail(ErrorCode::Corrupt,
            fmt::format("the state belongs to a disk of {} sectors, and this one has {}", saved.blocks,
                image().size() / blockSize));
    return {};
}

/// SPC-4, 4.5.3 "Fixed format sense data".
Bytes ScsiDisk::senseData() const
{
    Bytes sense(18);
    sense[0] = 0x70;
    sense[2] = m_state.senseKey;
    sense[7] = 10;
    sense[12] = m_state.senseCode;
    sense[13] = m_state.senseQualifier;
    return sense;
}

void ScsiDisk::refuse(ScsiCommand& command, Sense sense)
{
    command.data = ScsiCommand::Data::None;
    command.length = 0;
    command.answer.clear();
    command.work.reset();
    command.status = ScsiCommand::checkCondition;
    m_state.senseKey = sense.key;
    m_state.senseCode = sense.code;
    m_state.senseQualifier = sense.qualifier;
}

void ScsiDisk::answer(ScsiCommand& command, Bytes data, std::uint64_t allocated)
{
    data.resize(std::min<std::uint64_t>(data.size(), allocated));
    command.data = data.empty() ? ScsiCommand::Data::None : ScsiCommand::Data::In;
    command.length = data.size();
    command.answer = std::move(data);
}

void ScsiDisk::begin(ScsiCommand& command)
{
    command.data = ScsiCommand::Data::None;
    command.length = command.offset = command.extent = 0;
    command.answer.clear();
    command.work.reset();
    command.status = ScsiCommand::good;
    auto const operation = command.cdb[0];
    bool const asksWho = operation == Inquiry || operation == ReportLuns || operation == RequestSense;
    if (command.lun != 0 && operation != Inquiry)
        return refuse(command, { illegalRequest, 0x25, 0 }); // logical unit not supported
    if (!asksWho && std::exchange(m_state.attention, false))
        return refuse(command, { unitAttention, 0x29, 0 }); // power on, reset, or bus device reset
    if (!asksWho)
        m_state.senseKey = m_state.senseCode = m_state.senseQualifier = 0;
    execute(command);
}

void ScsiDisk::execute(ScsiCommand& command)
{
    using Kind = BlockRequest::Kind;
    auto const& cdb = command.cdb;
    auto const six = [&](Kind kind) {
        auto const block = std::uint64_t(cdb[1] & 0x1f) << 16 | cdb[2] << 8 | cdb[3];
        transfer(command, kind, block, cdb[4] == 0 ? 256 : cdb[4]);
    };
    switch (cdb[0]) {
    case TestUnitReady:
    case StartStopUnit:
    case PreventAllow:
    case SendDiagnostic: return;
    case RequestSense:
        answer(command, senseData(), cdb[4]);
        m_state.senseKey = m_state.senseCode = m_state.senseQualifier = 0;
        return;
    case Inquiry: return inquiry(command);
    case ModeSense6: return modeSense(command, false);
    case ModeSense10: return modeSense(command, true);
    case ReadFormatCapacities: return readFormatCapacities(command);
    case ReadCapacity10: return readCapacity(command, false);
    case ServiceActionIn16:
        if ((cdb[1] & 0x1f) != 0x10)
            break;
        return readCapacity(command, true);
    case ReportLuns: {
        Bytes luns(16);
        luns[3] = 8;
        return answer(command, std::move(luns), bigAt<std::uint32_t>(command, 6));
    }
    case Read6: return six(Kind::Read);
    case Write6: return six(Kind::Write);
    case Read10:
        return transfer(command, Kind::Read, bigAt<std::uint32_t>(command, 2), bigAt<std::uint16_t>(command, 7));
    case Write10:
        return transfer(command, Kind::Write, bigAt<std::uint32_t>(command, 2), bigAt<std::uint16_t>(command, 7));
    case Read12:
        return transfer(command, Kind::Read, bigAt<std::uint32_t>(command, 2), bigAt<std::uint32_t>(command, 6));
    case Write12:
        return transfer(command, Kind::Write, bigAt<std::uint32_t>(command, 2), bigAt<std::uint32_t>(command, 6));
    case Read16:
        return transfer(command, Kind::Read, bigAt<std::uint64_t>(command, 2), bigAt<std::uint32_t>(command, 10));
    case Write16:
        return transfer(command, Kind::Write, bigAt<std::uint64_t>(command, 2), bigAt<std::uint32_t>(command, 10));
    case Verify10: return verify(command, bigAt<std::uint32_t>(command, 2), bigAt<std::uint16_t>(command, 7));
    case Verify16: return verify(command, bigAt<std::uint64_t>(command, 2), bigAt<std::uint32_t>(command, 10));
    case SynchronizeCache10:
    case SynchronizeCache16: command.work = Kind::Flush; return;
    default: break;
    }
    refuse(command, { illegalRequest, 0x20, 0 }); // invalid command operation code
}

void ScsiDisk::transfer(ScsiCommand& command, BlockRequest::Kind kind, std::uint64_t block, std::uint64_t count)
{
    if (block > m_state.blocks || count > m_state.blocks - block)
        return refuse(command, { illegalRequest, 0x21, 0 }); // logical block address out of range
    bool const writes = kind == BlockRequest::Kind::Write;
    if (writes && m_readOnly)
        return refuse(command, { dataProtect, 0x27, 0 }); // write protected
    if (count == 0)
        return;
    command.data = writes ? ScsiCommand::Data::Out : ScsiCommand::Data::In;
    command.work = kind;
    command.offset = block * blockSize;
    command.length = count * blockSize;
}

/// Without a comparison there is nothing that the host's file system would not tell at the next read.
void ScsiDisk::verify(ScsiCommand& command, std::uint64_t block, std::uint64_t count)
{
    constexpr std::uint8_t bytesAreCompared = 0x06;
    if (block > m_state.blocks || count > m_state.blocks - block)
        return refuse(command, { illegalRequest, 0x21, 0 });
    if ((command.cdb[1] & bytesAreCompared) != 0)
        return refuse(command, { illegalRequest, 0x24, 0 }); // invalid field in CDB
}

/// SPC-4, 6.4 "INQUIRY command"; SBC-3, 6.5 "Vital product data (VPD) parameters".
void ScsiDisk::inquiry(ScsiCommand& command)
{
    auto const page = command.cdb[2];
    auto const allocated = bigAt<std::uint16_t>(command, 3);
    bool const vital = (command.cdb[1] & 1) != 0;
    std::uint8_t const type = command.lun == 0 ? 0x00 : 0x7f; // a disk, or nothing there
    if (!vital) {
        if (page != 0)
            return refuse(command, { illegalRequest, 0x24, 0 });
        Bytes data(36);
        data[0] = type;
        data[1] = 0x80; // removable, as sticks are
        data[2] = 6;    // SPC-4
        data[3] = 2;
        data[4] = static_cast<std::uint8_t>(data.size() - 5);
        putText(data, 8, "Chronos", 8);
        putText(data, 16, "USB Stick", 16);
        putText(data, 32, "1.0", 4);
        return answer(command, std::move(data), allocated);
    }
    Bytes data { type, page, 0, 0 };
    switch (page) {
    case 0x00: data.insert(data.end(), { 0x00, 0x80, 0x83, 0xb0, 0xb1 }); break;
    case 0x80: data.insert(data.end(), m_serial.begin(), m_serial.end()); break;
    case 0x83: {
        auto const name = "Chronos " + m_serial;
        data.insert(data.end(), { 0x02, 0x01, 0x00, static_cast<std::uint8_t>(name.size()) });
        data.insert(data.end(), name.begin(), name.end());
        break;
    }
    case 0xb0: // block limits
        data.resize(64);
        putBig(data, 8, std::uint32_t(2048));  // most blocks of a transfer
        putBig(data, 12, std::uint32_t(2048)); // the best
        break;
    case 0xb1: // block device characteristics: it does not turn
        data.resize(64);
        data[5] = 1;
        break;
    default: return refuse(command, { illegalRequest, 0x24, 0 });
    }
    putBig(data, 2, static_cast<std::uint16_t>(data.size() - 4));
    answer(command, std::move(data), allocated);
}

/// SPC-4, 6.11 "MODE SENSE(6) command"; SBC-3, 6.4.5 "Caching mode page".
void ScsiDisk::modeSense(ScsiCommand& command, bool wide)
{
    constexpr std::uint8_t caching = 0x08, all = 0x3f;
    constexpr std::uint8_t writeProtected = 0x80, writeCache = 1 << 2;
    auto const page = command.cdb[2] & 0x3f, control = command.cdb[2] >> 6;
    if (page != caching && page != all && page != 0x1c && page != 0x00)
        return refuse(command, { illegalRequest, 0x24, 0 });
    Bytes data(wide ? 8 : 4);
    data[wide ? 3 : 2] = m_readOnly ? writeProtected : 0;
    if (page == caching || page == all) {
        auto const at = data.size();
        data.resize(at + 20);
        data[at] = caching;
        data[at + 1] = 18;
        data[at + 2] = control == 1 ? 0 : writeCache; // 1: what can be changed
    }
    if (wide)
        putBig(data, 0, static_cast<std::uint16_t>(data.size() - 2));
    else
        data[0] = static_cast<std::uint8_t>(data.size() - 1);
    answer(command, std::move(data), wide ? bigAt<std::uint16_t>(command, 7) : command.cdb[4]);
}

void ScsiDisk::readCapacity(ScsiCommand& command, bool wide)
{
    auto const last = m_state.blocks - 1;
    Bytes data(wide ? 32 : 8);
    if (wide) {
        putBig(data, 0, last);
        putBig(data, 8, static_cast<std::uint32_t>(blockSize));
        return answer(command, std::move(data), bigAt<std::uint32_t>(command, 10));
    }
    putBig(data, 0, static_cast<std::uint32_t>(std::min<std::uint64_t>(last, 0xffffffff)));
    putBig(data, 4, static_cast<std::uint32_t>(blockSize));
    answer(command, std::move(data), data.size());
}

/// MMC-5, 6.24 "READ FORMAT CAPACITIES", which Windows asks of sticks.
void ScsiDisk::readFormatCapacities(ScsiCommand& command)
{
    constexpr std::uint8_t formatted = 2;
    Bytes data(12);
    data[3] = 8;
    putBig(data, 4, static_cast<std::uint32_t>(std::min<std::uint64_t>(m_state.blocks, 0xffffffff)));
    putBig(data, 8, static_cast<std::uint32_t>(formatted << 24 | blockSize));
    answer(command, std::move(data), bigAt<std::uint16_t>(command, 7));
}

}
