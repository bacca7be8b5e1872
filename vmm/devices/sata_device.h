#pragma once

#include "vmm/block/image.h"

#include <array>
#include <optional>
#include <vector>

namespace vmm {

/// The task file of a command as it arrives, and of its answer (Serial ATA Revision 3.x, "Register Host to Device FIS"
/// and "Register Device to Host FIS").
struct SataRegisters {
    std::uint8_t command = 0, status = 0, error = 0, device = 0;
    std::uint16_t features = 0, count = 0;
    std::uint64_t lba = 0; ///< 48 bits

    // What `status` and `error` are made of.
    static constexpr std::uint8_t busy = 0x80, ready = 0x50, wantsData = 0x08, failed = 0x01; // DRDY with DSC
    static constexpr std::uint8_t aborted = 0x04, idNotFound = 0x10;
};

/// A command in one slot of a port: what the controller has fetched of it, and what the device makes of it.
struct SataCommand {
    enum class Transfer : std::uint8_t { None, PioIn, PioOut, DmaIn, DmaOut };
    /// A piece of work on the image; after all of them the command is done.
    struct Step {
        BlockRequest::Kind kind;
        std::uint64_t offset = 0, length = 0; ///< bytes
    };

    // What the controller has read.
    unsigned slot = 0;
    SataRegisters in;
    std::array<std::uint8_t, 16> packet {};
    std::vector<iovec> regions;    ///< the guest's memory for the data
    std::uint64_t regionBytes = 0; ///< in all of them
    bool regionsBroken = false;    ///< more was described, and is not RAM

    // What the device answers.
    SataRegisters out;
    Transfer transfer = Transfer::None;
    bool isPacket = false, isQueued = false;
    std::uint64_t transferred = 0; ///< bytes
    bool overflow = false;         ///< there is more data than memory for it
    bool fault = false;            ///< the memory is none
    BlockImage* image = nullptr;   ///< what the steps are done on
    std::vector<Step> steps;

    /// Forgets the last use; the regions stay.
    void begin();
    void succeed() { out.status = SataRegisters::ready; }
    /// Ends in `error`; nothing is done.
    void refuse(std::uint8_t error);
    /// Gives the guest as much of `data` as it has memory for.
    void answer(Transfer how, ConstByteSpan data);
    /// Takes data from the guest; false, with the command refused, where it gives less.
    bool take(Transfer how, ByteSpan data);
    /// A read or write of the image with the guest's memory; refused where that is too small.
    void transferImage(
        BlockImage& disk, BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length, Transfer how);

private:
    bool hasMemoryFor(std::uint64_t length);
};

struct AtaDiskState {
    std::uint64_t sectors = 0; ///< of 512 bytes; a restored disk must be as large
    std::uint8_t multiple = 16;
    bool writeCache = true;
    // What log page 10h says of the last queued command that failed.
    std::uint8_t failedTag = 0x80, failedStatus = 0, failedError = 0;
    std::uint64_t failedLba = 0;
    bool operator==(AtaDiskState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("sectors", s.sectors);
        v.field("multiple", s.multiple);
        v.field("writeCache", s.writeCache);
        v.field("failedTag", s.failedTag);
        v.field("failedStatus", s.failedStatus);
        v.field("failedError", s.failedError);
        v.field("failedLba", s.failedLba);
    }
};

struct AtapiCdState {
    bool medium = false;
    std::uint32_t blocks = 0; ///< of 2048 bytes; a restored medium must be as large
    bool locked = false, trayOpen = false;
    std::uint8_t senseKey = 0, senseCode = 0, senseQualifier = 0;
    bool resetAttention = true, mediumAttention = false; ///< to be told before anything else
    std::uint8_t mediumEvent = 0;                        ///< for GET EVENT STATUS NOTIFICATION
    bool operator==(AtapiCdState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("medium", s.medium);
        v.field("blocks", s.blocks);
        v.field("locked", s.locked);
        v.field("trayOpen", s.trayOpen);
        v.field("senseKey", s.senseKey);
        v.field("senseCode", s.senseCode);
        v.field("senseQualifier", s.senseQualifier);
        v.field("resetAttention", s.resetAttention);
        v.field("mediumAttention", s.mediumAttention);
        v.field("mediumEvent", s.mediumEvent);
    }
};

/// One of the two.
struct SataDeviceState {
    std::optional<AtaDiskState> disk;
    std::optional<AtapiCdState> cd;
    bool operator==(SataDeviceState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("disk", s.disk);
        v.field("cd", s.cd);
    }
};

/// What hangs on a port of the controller. Called with the controller's mutex held.
class SataDevice {
public:
    /// `loop` is where its images live.
    explicit SataDevice(EventLoop& loop) : m_loop(loop) { }
    SataDevice(SataDevice const&) = delete;
    SataDevice& operator=(SataDevice const&) = delete;
    virtual ~SataDevice() = default;

    EventLoop& loop() const { return m_loop; }
    /// What it says of itself after a reset: signature (PxSIG) and status.
    virtual std::uint32_t signature() const = 0;
    virtual std::uint8_t statusAfterReset() const = 0;

    virtual void powerOn() = 0;
    /// COMRESET or a software reset.
    virtual void reset() = 0;
    /// Whether it runs beside others.
    virtual bool isQueued(SataRegisters const& in) const { return (void)in, false; }
    /// Answers the command, or says with which steps it is done and what the answer is then.
    virtual void begin(SataCommand& command) = 0;
    /// A queued command has failed, begun or not.
    virtual void queuedFailed(SataCommand const& command) { (void)command; }

    /// Another image of the same size and contents.
    virtual void replaceImage(BlockImage& image) { (void)image; }

    virtual SataDeviceState state() const = 0;
    virtual Result<> check(SataDeviceState const& saved) const = 0;
    /// Takes over what check() accepted.
    virtual void load(SataDeviceState const& saved) = 0;

private:
    EventLoop& m_loop;
};

/// The commands that disks and packet devices share (ACS-3, Table "Command codes (sorted by command code)").
enum AtaCommand : std::uint8_t {
    ExecuteDiagnostic = 0x90,
    StandbyImmediate = 0xe0,
    IdleImmediate = 0xe1,
    Standby = 0xe2,
    Idle = 0xe3,
    CheckPowerMode = 0xe5,
    Sleep = 0xe6,
    FlushCache = 0xe7,
    IdentifyDevice = 0xec,
    SetFeatures = 0xef,
};

/// The answer to IDENTIFY (PACKET) DEVICE with what both kinds say: who they are, and the transfer modes of serial ATA.
class AtaIdentity {
public:
    AtaIdentity(std::string_view serial, std::string_view model);
    /// In as many words as it has.
    void put(unsigned index, auto value) { storeLittle(ByteSpan(m_block).subspan(index * 2, sizeof value), value); }
    void word(unsigned index, unsigned value) { put(index, static_cast<std::uint16_t>(value)); }
    ByteSpan block() { return m_block; }

private:
    std::array<std::uint8_t, 512> m_block {};
};

}
