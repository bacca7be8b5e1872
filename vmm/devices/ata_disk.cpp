#include "vmm/devices/ata_disk.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

using Transfer = SataCommand::Transfer;
using Kind = BlockRequest::Kind;

constexpr std::uint64_t sectorSize = BlockImage::sectorSize;
constexpr std::uint8_t useLba = 1 << 6, queueDepth = 32;
constexpr std::uint16_t trimBlocks = 8; // of 64 ranges each
constexpr std::uint64_t lba28Sectors = 1 << 28;

// ACS-3, Table "Command codes (sorted by command code)".
enum Command : std::uint8_t {
    DataSetManagement = 0x06,
    ReadSectors = 0x20,
    ReadSectorsOld = 0x21,
    ReadSectorsExt = 0x24,
    ReadDmaExt = 0x25,
    ReadMultipleExt = 0x29,
    ReadLogExt = 0x2f,
    WriteSectors = 0x30,
    WriteSectorsOld = 0x31,
    WriteSectorsExt = 0x34,
    WriteDmaExt = 0x35,
    WriteMultipleExt = 0x39,
    WriteDmaFuaExt = 0x3d,
    ReadVerify = 0x40,
    ReadVerifyOld = 0x41,
    ReadVerifyExt = 0x42,
    ReadFpdmaQueued = 0x60,
    WriteFpdmaQueued = 0x61,
    Seek = 0x70,
    InitializeParameters = 0x91,
    ReadMultiple = 0xc4,
    WriteMultiple = 0xc5,
    SetMultipleMode = 0xc6,
    ReadDma = 0xc8,
    ReadDmaOld = 0xc9,
    WriteDma = 0xca,
    WriteDmaOld = 0xcb,
    WriteMultipleFuaExt = 0xce,
    FlushCacheExt = 0xea,
};

/// The last byte of a block is such that all of them add up to zero.
void putChecksum(ByteSpan block)
{
    block.back() = 0;
    unsigned sum = 0;
    for (auto const byte : block)
        sum += byte;
    block.back() = static_cast<std::uint8_t>(0x100 - (sum & 0xff));
}

}

struct AtaDisk::Range {
    std::uint64_t sector, count;
    bool addressable; // CHS addresses are not served

    static Range of28(SataRegisters const& in)
    {
        auto const count = in.count & 0xffu;
        return { (in.lba & 0xffffff) | std::uint64_t(in.device & 0xf) << 24, count != 0 ? count : 256,
            (in.device & useLba) != 0 };
    }
    static Range of48(SataRegisters const& in) { return { in.lba, in.count != 0 ? in.count : 65536u, true }; }
    bool isInside(std::uint64_t sectors) const { return sector <= sectors && count <= sectors - sector; }
};

AtaDisk::AtaDisk(EventLoop& loop, BlockImage& image, std::string serial, bool readOnly)
    : SataDevice(loop), m_image(&image), m_serial(std::move(serial)), m_readOnly(readOnly || image.readOnly())
{
    powerOn();
}

void AtaDisk::powerOn()
{
    m_state = {};
    m_state.sectors = m_image->size() / sectorSize;
}

void AtaDisk::reset()
{
    m_state.failedTag = AtaDiskState {}.failedTag;
}

Result<> AtaDisk::check(SataDeviceState const& saved) const
{
    if (!saved.disk || saved.cd)
        return fail(ErrorCode::Corrupt, "the state is not one of a disk");
    if (saved.disk->sectors != m_state.sectors)
        return fail(ErrorCode::Corrupt,
            fmt::format("the state belongs to a disk of {} sectors, and this one has {}", saved.disk->sectors,
                m_state.sectors));
    return {};
}

bool AtaDisk::isQueued(SataRegisters const& in) const
{
    return in.command == ReadFpdmaQueued || in.command == WriteFpdmaQueued;
}

void AtaDisk::begin(SataCommand& command)
{
    command.begin();
    auto const& in = command.in;
    auto const short28 = Range::of28(in);
    auto const long48 = Range::of48(in);
    switch (in.command) {
    case ReadSectors:
    case ReadSectorsOld:
    case ReadMultiple: return transfer(command, short28, false, Transfer::PioIn, false);
    case ReadSectorsExt:
    case ReadMultipleExt: return transfer(command, long48, false, Transfer::PioIn, false);
    case ReadDma:
    case ReadDmaOld: return transfer(command, short28, false, Transfer::DmaIn, false);
    case ReadDmaExt: return transfer(command, long48, false, Transfer::DmaIn, false);
    case WriteSectors:
    case WriteSectorsOld:
    case WriteMultiple: return transfer(command, short28, true, Transfer::PioOut, false);
    case WriteSectorsExt:
    case WriteMultipleExt: return transfer(command, long48, true, Transfer::PioOut, false);
    case WriteMultipleFuaExt: return transfer(command, long48, true, Transfer::PioOut, true);
    case WriteDma:
    case WriteDmaOld: return transfer(command, short28, true, Transfer::DmaOut, false);
    case WriteDmaExt: return transfer(command, long48, true, Transfer::DmaOut, false);
    case WriteDmaFuaExt: return transfer(command, long48, true, Transfer::DmaOut, true);
    case ReadFpdmaQueued: return queued(command, false);
    case WriteFpdmaQueued: return queued(command, true);
    case ReadVerify:
    case ReadVerifyOld: return verify(command, short28);
    case ReadVerifyExt: return verify(command, long48);
    case FlushCache:
    case FlushCacheExt:
    case StandbyImmediate:
    case Standby:
    case Sleep: return flush(command);
    case DataSetManagement: return trim(command);
    case IdentifyDevice: return identify(command);
    case SetFeatures: return setFeatures(command);
    case ReadLogExt: return readLog(command);
    case SetMultipleMode:
        if (in.count > 16 || (in.count & (in.count - 1)) != 0)
            return command.refuse(SataRegisters::aborted);
        m_state.multiple = static_cast<std::uint8_t>(in.count);
        return;
    case CheckPowerMode: command.out.count = 0xff; return; // active or idle
    case ExecuteDiagnostic:
        command.out.error = 1; // passed
        command.out.count = 1;
        command.out.lba = 1;
        return;
    case Seek:
    case InitializeParameters:
    case IdleImmediate:
    case Idle: return;
    default: return command.refuse(SataRegisters::aborted);
    }
}

void AtaDisk::transfer(SataCommand& command, Range const& range, bool write, Transfer how, bool durable)
{
    if ((write && m_readOnly) || !range.addressable)
        return command.refuse(SataRegisters::aborted);
    if (!range.isInside(m_state.sectors))
        return command.refuse(SataRegisters::idNotFound | SataRegisters::aborted);
    command.transferImage(
        *m_image, write ? Kind::Write : Kind::Read, range.sector * sectorSize, range.count * sectorSize, how);
    if (write && (durable || !m_state.writeCache) && !command.steps.empty())
        command.steps.push_back({ Kind::Flush });
}

void AtaDisk::queued(SataCommand& command, bool write)
{
    // Serial ATA, "READ FPDMA QUEUED": the features carry the count, the count the tag; FUA is in the device.
    auto const& in = command.in;
    command.isQueued = true;
    if (unsigned(in.count & 0xff) >> 3 != command.slot)
        return command.refuse(SataRegisters::aborted);
    Range const range { in.lba, in.features != 0 ? in.features : 65536u, true };
    transfer(command, range, write, write ? Transfer::DmaOut : Transfer::DmaIn, (in.device & 0x80) != 0);
}

void AtaDisk::queuedFailed(SataCommand const& command)
{
    m_state.failedTag = static_cast<std::uint8_t>(command.slot);
    m_state.failedStatus = command.out.status;
    m_state.failedError = command.out.error;
    m_state.failedLba = command.in.lba;
}

void AtaDisk::verify(SataCommand& command, Range const& range)
{
    if (!range.addressable || !range.isInside(m_state.sectors))
        command.refuse(SataRegisters::idNotFound | SataRegisters::aborted);
}

void AtaDisk::flush(SataCommand& command)
{
    if (m_readOnly)
        return;
    command.image = m_image;
    command.steps.push_back({ Kind::Flush });
}

/// ACS-3, 7.6 "DATA SET MANAGEMENT": blocks of 64 entries, 48 bits of LBA and 16 of length each.
void AtaDisk::trim(SataCommand& command)
{
    constexpr std::uint16_t trimBit = 1;
    auto const blocks = command.in.count;
    if ((command.in.features & trimBit) == 0 || blocks == 0 || blocks > trimBlocks || m_readOnly)
        return command.refuse(SataRegisters::aborted);
    Bytes list(blocks * sectorSize);
    if (!command.take(Transfer::DmaOut, list))
        return;
    for (std::size_t at = 0; at < list.size(); at += 8) {
        auto const entry = loadLittle<std::uint64_t>(ConstByteSpan(list).subspan(at, 8));
        Range const range { entry & 0xffff'ffff'ffff, entry >> 48, true };
        if (range.count == 0)
            continue;
        if (!range.isInside(m_state.sectors))
            return command.refuse(SataRegisters::idNotFound | SataRegisters::aborted);
        command.steps.push_back({ Kind::Discard, range.sector * sectorSize, range.count * sectorSize });
    }
    command.image = m_image;
}

void AtaDisk::setFeatures(SataCommand& command)
{
    switch (command.in.features & 0xff) {
    case 0x02: m_state.writeCache = true; return;
    case 0x82: m_state.writeCache = false; return flush(command);
    case 0x03: // transfer mode
    case 0x55: // look-ahead off, on
    case 0xaa: return;
    default: return command.refuse(SataRegisters::aborted);
    }
}

/// ACS-3, 7.12.7 "Input Data" of IDENTIFY DEVICE. Only what deserves a word has one.
void AtaDisk::identify(SataCommand& command) const
{
    AtaIdentity identity(m_serial, "CHRONOVISOR DISK");
    auto const word = [&](unsigned index, unsigned value) { identity.word(index, value); };
    constexpr unsigned heads = 16, perTrack = 63, mostCylinders = 16383;
    word(0, 0x0040); // a fixed ATA device
    word(1, static_cast<unsigned>(std::min<std::uint64_t>(m_state.sectors / (heads * perTrack), mostCylinders)));
    word(3, heads);
    word(6, perTrack);
    word(47, 0x8010); // READ MULTIPLE of up to 16 sectors
    word(49, 0x2f00); // LBA, DMA, IORDY, standard standby timer
    word(50, 0x4000);
    word(59, m_state.multiple != 0 ? 0x0100u | m_state.multiple : 0);
    identity.put(60, static_cast<std::uint32_t>(std::min(m_state.sectors, lba28Sectors - 1)));
    word(75, queueDepth - 1);
    word(76, 0x010e); // queued commands, 1.5 to 6 Gb/s
    word(80, 0x03f0); // ATA/ATAPI-4 to ACS-2
    constexpr unsigned writeCache = 1 << 5, commandSets = 0x4048, extended = 0x7400, more = 0x4060;
    word(82, commandSets | writeCache); // look-ahead, power management
    word(83, extended);                 // 48-bit addresses, FLUSH CACHE (EXT)
    word(84, more);                     // FUA, logs
    word(85, commandSets | (m_state.writeCache ? writeCache : 0));
    word(86, extended & 0x3fff);
    word(87, more);
    identity.put(100, m_state.sectors);
    word(105, m_readOnly ? 0 : trimBlocks);
    word(106, 0x6003); // physical sectors of 8 logical ones
    word(169, m_readOnly ? 0 : 1);
    word(209, 0x4000); // aligned
    word(217, 1);      // does not turn
    word(255, 0xa5);   // 7.12.7.91: with a checksum
    putChecksum(identity.block());
    command.answer(Transfer::PioIn, identity.block());
}

/// The directory of logs, and page 10h, with which a driver finds out which queued command failed (ACS-3, A.14 "NCQ
/// Command Error log").
void AtaDisk::readLog(SataCommand& command)
{
    constexpr std::uint8_t directory = 0x00, queuedErrors = 0x10;
    auto const log = command.in.lba & 0xff;
    auto const page = (command.in.lba >> 8 & 0xff) | (command.in.lba >> 32 & 0xff) << 8;
    if ((log != directory && log != queuedErrors) || page != 0 || command.in.count != 1)
        return command.refuse(SataRegisters::aborted);
    std::array<std::uint8_t, 512> block {};
    if (log == directory) {
        block[0] = 1; // version
        block[queuedErrors * 2] = 1;
        return command.answer(Transfer::PioIn, block);
    }
    block[0] = m_state.failedTag;
    block[2] = m_state.failedStatus;
    block[3] = m_state.failedError;
    for (unsigned i = 0; i < 3; ++i) {
        block[4 + i] = static_cast<std::uint8_t>(m_state.failedLba >> 8 * i);
        block[8 + i] = static_cast<std::uint8_t>(m_state.failedLba >> 8 * (i + 3));
    }
    block[7] = useLba;
    putChecksum(block);
    m_state.failedTag = AtaDiskState {}.failedTag;
    command.answer(Transfer::PioIn, block);
}

}
