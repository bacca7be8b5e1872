#include "vmm/devices/atapi_cd.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

using Transfer = SataCommand::Transfer;

enum PacketDeviceCommand : std::uint8_t {
    DeviceReset = 0x08,
    Packet = 0xa0,
    IdentifyPacketDevice = 0xa1,
};

// MMC-5 and SPC-3.
enum Operation : std::uint8_t {
    TestUnitReady = 0x00,
    RequestSense = 0x03,
    Inquiry = 0x12,
    ModeSense6 = 0x1a,
    StartStopUnit = 0x1b,
    PreventAllow = 0x1e,
    ReadCapacity = 0x25,
    Read10 = 0x28,
    Seek10 = 0x2b,
    ReadToc = 0x43,
    GetConfiguration = 0x46,
    GetEventStatus = 0x4a,
    ReadDiscInformation = 0x51,
    ModeSense10 = 0x5a,
    Read12 = 0xa8,
    SetCdSpeed = 0xbb,
    MechanismStatus = 0xbd,
};

constexpr std::uint8_t notReady = 2, illegalRequest = 5, unitAttention = 6;
constexpr std::uint8_t inReason = 0x02, commandReason = 0x01; // the count of an answer: IO, CoD
// MMC-5, 6.7 "GET EVENT STATUS NOTIFICATION", media class.
constexpr std::uint8_t mediaClass = 4, ejectRequestEvent = 1, newMediumEvent = 2, removalEvent = 3;
constexpr std::uint64_t largestCd = 900u << 20; // bytes; what is larger is a DVD

template<typename T>
T bigAt(SataCommand const& command, std::size_t at)
{
    return loadBig<T>(ConstByteSpan(command.packet).subspan(at, sizeof(T)));
}

template<typename T, typename Block>
void putBig(Block& block, std::size_t at, T value)
{
    storeBig(ByteSpan(block).subspan(at, sizeof value), value);
}

/// An address of the table of contents: as a number or as minute, second and frame.
void putAddress(ByteSpan to, std::uint32_t block, bool minutes)
{
    if (!minutes)
        return storeBig(to, block);
    auto const frames = block + 150; // two seconds of lead-in
    to[0] = 0;
    to[1] = static_cast<std::uint8_t>(frames / (75 * 60));
    to[2] = static_cast<std::uint8_t>(frames / 75 % 60);
    to[3] = static_cast<std::uint8_t>(frames % 75);
}

}

AtapiCd::AtapiCd(EventLoop& loop, std::function<void()> ejected) : SataDevice(loop), m_ejected(std::move(ejected)) { }

std::uint32_t AtapiCd::blocks() const
{
    return m_image ? static_cast<std::uint32_t>(std::min<std::uint64_t>(m_image->size() / blockSize, 0xffff'fffe)) : 0;
}

void AtapiCd::powerOn()
{
    m_state = {};
    m_state.medium = m_image != nullptr;
    m_state.blocks = blocks();
}

void AtapiCd::reset()
{
    m_state.locked = false;
    m_state.resetAttention = true;
    m_state.senseKey = m_state.senseCode = m_state.senseQualifier = 0;
}

void AtapiCd::noteEjectRequest()
{
    m_state.mediumEvent = ejectRequestEvent;
}

void AtapiCd::setMedium(BlockImage* image)
{
    bool const had = m_state.medium;
    m_image = image;
    m_state.medium = image != nullptr;
    m_state.blocks = blocks();
    m_state.trayOpen = image == nullptr;
    if (image == nullptr)
        m_state.locked = false;
    if (!had && image == nullptr)
        return;
    m_state.mediumEvent = image ? newMediumEvent : removalEvent;
    m_state.mediumAttention = image != nullptr;
}

Result<> AtapiCd::check(SataDeviceState const& saved) const
{
    if (!saved.cd || saved.disk)
        return vmm::fail(ErrorCode::Corrupt, "the state is not one of a CD drive");
    if (saved.cd->blocks != (saved.cd->medium ? blocks() : 0) || (saved.cd->medium && m_image == nullptr))
        return vmm::fail(ErrorCode::Corrupt,
            fmt::format("the state belongs to a drive with a disc of {} blocks, and here it has {}", saved.cd->blocks,
                blocks()));
    return {};
}

void AtapiCd::load(SataDeviceState const& saved)
{
    m_state = *saved.cd;
    if (!m_state.medium)
        m_image = nullptr;
}

void AtapiCd::begin(SataCommand& command)
{
    command.begin();
    switch (command.in.command) {
    case Packet: return begunPacket(command);
    case IdentifyPacketDevice: return identify(command);
    case DeviceReset:
        reset();
        command.out.status = 0;
        [[fallthrough]];
    case ExecuteDiagnostic:
        command.out.error = 1; // passed
        command.out.count = 1;
        command.out.lba = signature() >> 8;
        return;
    case IdentifyDevice: // The answer tells what it is.
        command.refuse(SataRegisters::aborted);
        command.out.count = 1;
        command.out.lba = signature() >> 8;
        return;
    case SetFeatures:
        if ((command.in.features & 0xff) != 0x03) // transfer mode
            command.refuse(SataRegisters::aborted);
        return;
    case CheckPowerMode: command.out.count = 0xff; return;
    case StandbyImmediate:
    case IdleImmediate:
    case Standby:
    case Idle:
    case Sleep:
    case FlushCache: return;
    default: return command.refuse(SataRegisters::aborted);
    }
}

/// ACS-3, 7.13 "IDENTIFY PACKET DEVICE".
void AtapiCd::identify(SataCommand& command) const
{
    AtaIdentity identity("1", "CHRONOVISOR DVD-ROM");
    auto const word = [&](unsigned index, unsigned value) { identity.word(index, value); };
    word(0, 0x85c0);  // ATAPI, a CD drive, removable, DRQ within 50 us, packets of 12 bytes
    word(49, 0x0f00); // LBA, DMA, IORDY
    word(76, 0x000e);
    word(80, 0x01f0);
    word(82, 0x4218); // NOP, DEVICE RESET, PACKET, power management
    word(83, 0x4000);
    word(84, 0x4000);
    word(85, 0x4218);
    word(87, 0x4000);
    command.answer(Transfer::PioIn, identity.block());
}

void AtapiCd::begunPacket(SataCommand& command)
{
    command.out.lba = 0;
    command.out.count = inReason | commandReason;
    execute(command);
    command.isPacket = true;
}

void AtapiCd::fail(SataCommand& command, Sense sense)
{
    m_state.senseKey = sense.key;
    m_state.senseCode = sense.code;
    m_state.senseQualifier = sense.qualifier;
    command.refuse(static_cast<std::uint8_t>(sense.key << 4 | SataRegisters::aborted));
    command.transfer = Transfer::None;
}

/// After a reset or a change of medium the next command fails once with the reason (SPC-3, 5.6.5 "Unit attention").
bool AtapiCd::reportAttention(SataCommand& command)
{
    if (std::exchange(m_state.resetAttention, false)) {
        fail(command, { unitAttention, 0x29, 0 });
        return true;
    }
    if (std::exchange(m_state.mediumAttention, false)) {
        fail(command, { unitAttention, 0x28, 0 });
        return true;
    }
    return false;
}

bool AtapiCd::reportNoMedium(SataCommand& command)
{
    if (m_state.medium)
        return false;
    fail(command, { notReady, 0x3a, static_cast<std::uint8_t>(m_state.trayOpen ? 2 : 1) });
    return true;
}

void AtapiCd::answer(SataCommand& command, ConstByteSpan data, std::uint64_t allocated)
{
    bool const dma = (command.in.features & 1) != 0;
    data = data.first(std::min<std::uint64_t>(data.size(), allocated));
    command.answer(dma ? Transfer::DmaIn : Transfer::PioIn, data);
    if (data.empty())
        command.transfer = Transfer::None;
}

void AtapiCd::execute(SataCommand& command)
{
    auto const& packet = command.packet;
    auto const operation = packet[0];
    // These answer whatever there is to tell.
    switch (operation) {
    case RequestSense: return requestSense(command);
    case Inquiry: return inquiry(command);
    case GetConfiguration: return getConfiguration(command);
    case GetEventStatus: return getEventStatus(command);
    default: break;
    }
    if (reportAttention(command))
        return;
    m_state.senseKey = m_state.senseCode = m_state.senseQualifier = 0;
    switch (operation) {
    case ModeSense6: return modeSense(command, false);
    case ModeSense10: return modeSense(command, true);
    case StartStopUnit: return startStop(command);
    case PreventAllow: m_state.locked = (packet[4] & 1) != 0; return;
    case MechanismStatus: return mechanismStatus(command);
    case SetCdSpeed: return;
    case TestUnitReady:
    case ReadCapacity:
    case Read10:
    case Read12:
    case Seek10:
    case ReadToc:
    case ReadDiscInformation: break;
    default:
        trace("atapi-cd", "command {:#x} is not known", operation);
        return fail(command, { illegalRequest, 0x20, 0 });
    }
    if (reportNoMedium(command))
        return;
    switch (operation) {
    case ReadCapacity: {
        if (m_state.blocks == 0)
            return fail(command, { 3, 0x30, 0 }); // a medium that is none
        std::array<std::uint8_t, 8> block {};
        putBig(block, 0, m_state.blocks - 1);
        putBig(block, 4, static_cast<std::uint32_t>(blockSize));
        return answer(command, block, block.size());
    }
    case Read10: return read(command, bigAt<std::uint32_t>(command, 2), bigAt<std::uint16_t>(command, 7));
    case Read12: return read(command, bigAt<std::uint32_t>(command, 2), bigAt<std::uint32_t>(command, 6));
    case Seek10:
        if (bigAt<std::uint32_t>(command, 2) >= m_state.blocks)
            return fail(command, { illegalRequest, 0x21, 0 });
        return;
    case ReadToc: return readToc(command);
    case ReadDiscInformation: return readDiscInformation(command);
    default: return; // ready
    }
}

void AtapiCd::requestSense(SataCommand& command)
{
    if (m_state.senseKey == 0 && reportAttention(command))
        command.begin();
    std::array<std::uint8_t, 18> block {};
    block[0] = 0x70; // current, fixed format
    block[2] = m_state.senseKey;
    block[7] = 10; // more bytes
    block[12] = m_state.senseCode;
    block[13] = m_state.senseQualifier;
    m_state.senseKey = m_state.senseCode = m_state.senseQualifier = 0;
    command.out.lba = 0;
    command.out.count = inReason | commandReason;
    answer(command, block, command.packet[4]);
}

void AtapiCd::inquiry(SataCommand& command)
{
    if ((command.packet[1] & 1) != 0 || command.packet[2] != 0) // vital product data
        return fail(command, { illegalRequest, 0x24, 0 });
    std::array<std::uint8_t, 36> block {};
    block[0] = 0x05; // a CD drive
    block[1] = 0x80; // removable
    block[3] = 0x21; // ATAPI's response format
    block[4] = static_cast<std::uint8_t>(block.size() - 5);
    auto const text = [&](std::size_t at, std::size_t length, std::string_view what) {
        std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(at), length, ' ');
        std::copy_n(what.begin(), std::min(length, what.size()), block.begin() + static_cast<std::ptrdiff_t>(at));
    };
    text(8, 8, "CHRONO");
    text(16, 16, "VISOR DVD-ROM");
    text(32, 4, "1.0");
    answer(command, block, bigAt<std::uint16_t>(command, 3));
}

void AtapiCd::read(SataCommand& command, std::uint32_t block, std::uint32_t count)
{
    if (block > m_state.blocks || count > m_state.blocks - block)
        return fail(command, { illegalRequest, 0x21, 0 });
    if (count == 0)
        return;
    bool const dma = (command.in.features & 1) != 0;
    command.transferImage(*m_image, BlockRequest::Kind::Read, block * blockSize, count * blockSize,
        dma ? Transfer::DmaIn : Transfer::PioIn);
    if (command.overflow)
        fail(command, { illegalRequest, 0x24, 0 });
}

/// MMC-5, 6.27 "READ TOC/PMA/ATIP Command": formats 0 (tracks) and 1 (sessions) of a disc with one data track.
void AtapiCd::readToc(SataCommand& command)
{
    constexpr std::uint8_t leadOut = 0xaa, dataTrack = 0x14;
    auto const& packet = command.packet;
    bool const minutes = (packet[1] & 2) != 0;
    auto const format = (packet[2] & 0xf) != 0 ? packet[2] & 0xf : packet[9] >> 6; // drives of old had it there
    auto const first = packet[6];
    std::array<std::uint8_t, 20> block {};
    std::size_t size = 4;
    auto const add = [&](std::uint8_t track, std::uint32_t address) {
        block[size + 1] = dataTrack;
        block[size + 2] = track;
        putAddress(ByteSpan(block).subspan(size + 4, 4), address, minutes);
        size += 8;
    };
    if (format > 1 || (format == 0 && first > 1 && first != leadOut))
        return fail(command, { illegalRequest, 0x24, 0 });
    if (format == 1 || first <= 1)
        add(1, 0);
    if (format == 0)
        add(leadOut, m_state.blocks);
    putBig(block, 0, static_cast<std::uint16_t>(size - 2));
    block[2] = block[3] = 1; // first and last track or session
    answer(command, ConstByteSpan(block).first(size), bigAt<std::uint16_t>(command, 7));
}

void AtapiCd::readDiscInformation(SataCommand& command)
{
    std::array<std::uint8_t, 34> block {};
    putBig(block, 0, static_cast<std::uint16_t>(block.size() - 2));
    block[2] = 0x0e;                               // complete, its last session too
    block[3] = block[4] = block[5] = block[6] = 1; // first track, sessions, first and last track of the last one
    block[7] = 0x20;                               // for unrestricted use
    answer(command, block, bigAt<std::uint16_t>(command, 7));
}

void AtapiCd::modeSense(SataCommand& command, bool wide)
{
    constexpr std::uint8_t recovery = 0x01, capabilities = 0x2a, all = 0x3f;
    auto const page = command.packet[2] & 0x3f;
    auto const control = command.packet[2] >> 6;
    if (control == 3)
        return fail(command, { illegalRequest, 0x39, 0 }); // no saved values
    if (page != recovery && page != capabilities && page != all)
        return fail(command, { illegalRequest, 0x24, 0 });
    Bytes block(wide ? 8 : 4);
    auto const add = [&](std::uint8_t code, std::vector<std::uint8_t> const& body) {
        block.push_back(code);
        block.push_back(static_cast<std::uint8_t>(body.size()));
        for (auto const byte : body)
            block.push_back(control == 1 ? 0 : byte); // nothing can be changed
    };
    if (page != capabilities)
        add(recovery, { 0, 5, 0, 0, 0, 0, 0, 0, 0, 0 }); // five retries
    if (page != recovery) {
        auto const locks = static_cast<std::uint8_t>(0x29 | (m_state.locked ? 2 : 0)); // a tray that locks and ejects
        // Reads CD-R, CD-RW and DVD-ROM; 5645 kB/s (32x), a buffer of 512 KiB.
        add(capabilities, { 0x0b, 0, 0x60, 0, locks, 0, 0x16, 0x0d, 0, 0, 2, 0, 0x16, 0x0d, 0, 0, 0, 0 });
    }
    if (wide)
        putBig(block, 0, static_cast<std::uint16_t>(block.size() - 2));
    else
        block[0] = static_cast<std::uint8_t>(block.size() - 1);
    answer(command, block, wide ? bigAt<std::uint16_t>(command, 7) : command.packet[4]);
}

/// MMC-5, 6.6 "GET CONFIGURATION Command".
void AtapiCd::getConfiguration(SataCommand& command)
{
    constexpr std::uint16_t cdRom = 0x0008, dvdRom = 0x0010;
    auto const requested = command.packet[1] & 3;
    auto const first = bigAt<std::uint16_t>(command, 2);
    std::uint16_t profile = 0;
    if (m_state.medium)
        profile = m_state.blocks * blockSize > largestCd ? dvdRom : cdRom;
    if (requested == 3)
        return fail(command, { illegalRequest, 0x24, 0 });
    Bytes block(8);
    putBig(block, 6, profile);
    auto const add = [&](std::uint16_t feature, bool current, std::uint8_t version, std::vector<std::uint8_t> body) {
        // 0: all from the first on, 1: the current of them, 2: the first alone.
        if (requested == 2 ? feature != first : feature < first || (requested == 1 && !current))
            return;
        block.push_back(static_cast<std::uint8_t>(feature >> 8));
        block.push_back(static_cast<std::uint8_t>(feature));
        block.push_back(static_cast<std::uint8_t>(version << 2 | 2 | (current ? 1 : 0))); // persistent
        block.push_back(static_cast<std::uint8_t>(body.size()));
        block.insert(block.end(), body.begin(), body.end());
    };
    auto const isCurrent = [&](std::uint16_t of) { return static_cast<std::uint8_t>(profile == of ? 1 : 0); };
    add(0x0000, true, 0, { 0, dvdRom, isCurrent(dvdRom), 0, 0, cdRom, isCurrent(cdRom), 0 }); // profiles
    add(0x0001, true, 2, { 0, 0, 0, 7, 1, 0, 0, 0 });                                         // core: SATA, device busy
    add(0x0003, true, 0, { 0x29, 0, 0, 0 });                                                  // removable medium
    add(0x0010, m_state.medium, 0, { 0, 0, 8, 0, 0, 16, 0, 0 });                              // random reads
    putBig(block, 0, static_cast<std::uint32_t>(block.size() - 4));
    answer(command, block, bigAt<std::uint16_t>(command, 7));
}

void AtapiCd::getEventStatus(SataCommand& command)
{
    bool const polled = (command.packet[1] & 1) != 0;
    if (!polled)
        return fail(command, { illegalRequest, 0x24, 0 });
    std::array<std::uint8_t, 8> block {};
    std::size_t size = 4;
    block[3] = 1 << mediaClass; // the classes that there are
    if ((command.packet[4] & 1 << mediaClass) != 0) {
        block[2] = mediaClass;
        block[4] = std::exchange(m_state.mediumEvent, std::uint8_t(0));
        block[5] = static_cast<std::uint8_t>((m_state.trayOpen ? 1 : 0) | (m_state.medium ? 2 : 0));
        size = block.size();
    } else {
        block[2] = 0x80; // nothing of these
    }
    putBig(block, 0, static_cast<std::uint16_t>(size - 2));
    answer(command, ConstByteSpan(block).first(size), bigAt<std::uint16_t>(command, 7));
}

void AtapiCd::mechanismStatus(SataCommand& command)
{
    std::array<std::uint8_t, 8> block {};
    block[1] = m_state.trayOpen ? 0x10 : 0;
    answer(command, block, bigAt<std::uint16_t>(command, 8));
}

void AtapiCd::startStop(SataCommand& command)
{
    constexpr std::uint8_t start = 1, loadOrEject = 2, powerCondition = 0xf0;
    auto const what = command.packet[4];
    if ((what & powerCondition) != 0 || (what & loadOrEject) == 0)
        return;
    if ((what & start) != 0) {
        m_state.trayOpen = false;
        return;
    }
    if (m_state.locked)
        return fail(command, { illegalRequest, 0x53, 2 });
    bool const had = m_state.medium;
    setMedium(nullptr);
    if (had && m_ejected)
        m_ejected();
}

}
