#pragma once

#include "vmm/base/bytes.h"

#include <array>

/// What an xHCI controller and its driver write into memory: eXtensible Host Controller Interface for Universal Serial
/// Bus, Revision 1.2, chapter 6 "Data Structures". Little-endian, as the guest's memory is.
namespace vmm::xhci {

/// A Transfer Request Block, 6.4 "Transfer Request Block (TRB)".
struct Trb {
    static constexpr std::uint64_t size = 16;
    std::uint64_t parameter = 0;
    std::uint32_t status = 0, control = 0;
    std::uint64_t address = 0; ///< where it was read

    unsigned type() const { return control >> 10 & 0x3f; }
    unsigned slot() const { return control >> 24; }
    unsigned endpoint() const { return control >> 16 & 0x1f; }
    unsigned interrupter() const { return status >> 22; }
    std::uint32_t length() const { return status & 0x1ffff; }
    bool has(std::uint32_t flag) const { return (control & flag) != 0; }
};

/// 6.4.6 "TRB Types".
enum TrbType : std::uint8_t {
    Normal = 1,
    SetupStage = 2,
    DataStage = 3,
    StatusStage = 4,
    Isoch = 5,
    Link = 6,
    EventData = 7,
    NoOp = 8,
    EnableSlot = 9,
    DisableSlot = 10,
    AddressDevice = 11,
    ConfigureEndpoint = 12,
    EvaluateContext = 13,
    ResetEndpoint = 14,
    StopEndpoint = 15,
    SetTrDequeue = 16,
    ResetDevice = 17,
    ForceEvent = 18,
    NegotiateBandwidth = 19,
    SetLatencyTolerance = 20,
    GetPortBandwidth = 21,
    ForceHeader = 22,
    NoOpCommand = 23,
    GetExtendedProperty = 24,
    SetExtendedProperty = 25,
    TransferEvent = 32,
    CommandCompletion = 33,
    PortStatusChange = 34,
    HostController = 37,
    DeviceNotification = 38,
    MfindexWrap = 39,
};

/// 6.4.5 "TRB Completion Codes".
enum class Code : std::uint8_t {
    Invalid = 0,
    Success = 1,
    DataBuffer = 2,
    Babble = 3,
    Transaction = 4,
    Trb = 5,
    Stall = 6,
    Resource = 7,
    Bandwidth = 8,
    NoSlots = 9,
    InvalidStreamType = 10,
    SlotNotEnabled = 11,
    EndpointNotEnabled = 12,
    ShortPacket = 13,
    RingUnderrun = 14,
    RingOverrun = 15,
    Parameter = 17,
    ContextState = 19,
    EventRingFull = 21,
    MissedService = 23,
    CommandRingStopped = 24,
    CommandAborted = 25,
    Stopped = 26,
    StoppedLengthInvalid = 27,
    InvalidStreamId = 34,
};

// 6.4.1 "Transfer TRBs", 6.4.4.1 "Link TRB".
constexpr std::uint32_t cycleBit = 1 << 0, toggleCycle = 1 << 1, interruptOnShort = 1 << 2, chainBit = 1 << 4,
                        interruptOnCompletion = 1 << 5, immediateData = 1 << 6, blockSetAddress = 1 << 9,
                        deconfigure = 1 << 9, preserveTransferState = 1 << 9, blockEventInterrupt = 1 << 9,
                        directionIn = 1 << 16, startAsap = 1u << 31;

/// 6.2.2 "Slot Context", as it is written to the output context.
struct SlotContext {
    static constexpr std::size_t words = 4;
    std::array<std::uint32_t, words> word {};
    bool operator==(SlotContext const&) const = default;
    static void describe(auto& v, auto& s) { v.field("words", s.word); }

    std::uint32_t route() const { return word[0] & 0xfffff; }
    unsigned rootPort() const { return word[1] >> 16 & 0xff; }
    unsigned entries() const { return word[0] >> 27; }
    unsigned interrupter() const { return word[2] >> 22; }
    unsigned state() const { return word[3] >> 27; }
    void setState(unsigned state) { word[3] = (word[3] & 0x07ffffff) | state << 27; }
    void setEntries(unsigned entries) { word[0] = (word[0] & 0x07ffffff) | entries << 27; }
};
/// 4.5.3 "Slot States"; Enabled and Disabled look alike in the context.
enum SlotStateCode : std::uint8_t { SlotEnabled = 0, SlotDefault = 1, SlotAddressed = 2, SlotConfigured = 3 };

/// 6.2.3 "Endpoint Context", without the dequeue pointer, which lives in the ring.
struct EndpointContext {
    static constexpr std::size_t words = 5;
    std::array<std::uint32_t, words> word {};
    bool operator==(EndpointContext const&) const = default;
    static void describe(auto& v, auto& s) { v.field("words", s.word); }

    unsigned state() const { return word[0] & 7; }
    void setState(unsigned state) { word[0] = (word[0] & ~7u) | state; }
    unsigned maxStreams() const { return word[0] >> 10 & 0x1f; } ///< 0: none; n: an array of 2^(n+1)
    unsigned interval() const { return word[0] >> 16 & 0xff; }   ///< 2^n microframes
    unsigned type() const { return word[1] >> 3 & 7; }
    unsigned maxPacket() const { return word[1] >> 16; }
    std::uint64_t pointer() const { return std::uint64_t(word[3]) << 32 | word[2]; }
    void setPointer(std::uint64_t value)
    {
        word[2] = static_cast<std::uint32_t>(value);
        word[3] = static_cast<std::uint32_t>(value >> 32);
    }
};
/// 4.8.3 "Endpoint Context State".
enum EndpointStateCode : std::uint8_t {
    EndpointDisabled = 0,
    EndpointRunning = 1,
    EndpointHalted = 2,
    EndpointStopped = 3,
    EndpointError = 4
};
/// The endpoint types of Table "Offset 04h – Endpoint Context Field Definitions".
enum EndpointType : std::uint8_t { IsochOut = 1, BulkOut, InterruptOut, Control, IsochIn, BulkIn, InterruptIn };

constexpr std::uint64_t contextSize = 32;

// 5.4.8 "Port Status and Control Register (PORTSC)".
namespace port {
constexpr std::uint32_t connected = 1 << 0, enabled = 1 << 1, reset = 1 << 4, power = 1 << 9, linkStrobe = 1 << 16,
                        connectChange = 1 << 17, enableChange = 1 << 18, warmResetChange = 1 << 19,
                        overCurrentChange = 1 << 20, resetChange = 1 << 21, linkChange = 1 << 22, configError = 1 << 23,
                        wakeOnConnect = 1 << 25, wakeOnDisconnect = 1 << 26, wakeOnOverCurrent = 1 << 27,
                        warmReset = 1u << 31;
constexpr std::uint32_t changes
    = connectChange | enableChange | warmResetChange | overCurrentChange | resetChange | linkChange | configError;
constexpr std::uint32_t wakeBits = wakeOnConnect | wakeOnDisconnect | wakeOnOverCurrent, indicators = 3 << 14;
enum Link : std::uint8_t { U0 = 0, U1 = 1, U2 = 2, U3 = 3, Disabled = 4, RxDetect = 5, Polling = 7, Resume = 15 };
}

}
