#include "vmm/base/iovec.h"
#include "vmm/base/log.h"
#include "vmm/devices/ahci_port.h"

#include <algorithm>
#include <bit>

// AHCI 1.3.1: 4.2.1 "Received FIS Structure", 4.2.2 "Command List Structure", 4.2.3 "Command Table", 5.3 "HBA Port
// State Machine"; Serial ATA Revision 3.x, "FIS Types".

namespace vmm {

using namespace ahci;

namespace {

constexpr std::uint64_t headerSize = 32, countOffset = 4, fisSize = 20, packetOffset = 0x40, regionsOffset = 0x80,
                        regionSize = 16;
constexpr std::uint64_t mostBytes = 64u << 20; // more than any command asks for
constexpr unsigned pioSetupOffset = 0x20, registersOffset = 0x40, setBitsOffset = 0x58;
constexpr std::uint8_t hostFis = 0x27, registersFis = 0x34, pioSetupFis = 0x5f, setBitsFis = 0xa1;
constexpr std::uint8_t interruptBit = 1 << 6, fromDevice = 1 << 5;

SataRegisters registersOf(ConstByteSpan fis)
{
    SataRegisters registers;
    registers.command = fis[2];
    registers.features = static_cast<std::uint16_t>(fis[3] | fis[11] << 8);
    registers.device = fis[7];
    for (unsigned i = 0; i < 3; ++i) {
        registers.lba |= std::uint64_t(fis[4 + i]) << 8 * i;
        registers.lba |= std::uint64_t(fis[8 + i]) << 8 * (i + 3);
    }
    registers.count = static_cast<std::uint16_t>(fis[12] | fis[13] << 8);
    return registers;
}

/// What the two kinds of FIS with registers have in common.
std::array<std::uint8_t, fisSize> fisOf(std::uint8_t type, std::uint8_t flags, SataRegisters const& registers)
{
    std::array<std::uint8_t, fisSize> fis { type, flags, registers.status, registers.error };
    for (unsigned i = 0; i < 3; ++i) {
        fis[4 + i] = static_cast<std::uint8_t>(registers.lba >> 8 * i);
        fis[8 + i] = static_cast<std::uint8_t>(registers.lba >> 8 * (i + 3));
    }
    fis[7] = registers.device;
    fis[12] = static_cast<std::uint8_t>(registers.count);
    fis[13] = static_cast<std::uint8_t>(registers.count >> 8);
    return fis;
}

std::uint16_t taskFileOf(SataRegisters const& registers)
{
    return static_cast<std::uint16_t>(registers.error << 8 | registers.status);
}

bool isWrite(SataCommand const& command)
{
    return command.transfer == SataCommand::Transfer::PioOut || command.transfer == SataCommand::Transfer::DmaOut;
}

}

/// Begins what can be begun.
void AhciController::serve(Port& port)
{
    auto& state = port.state;
    while (
        !m_paused && isBusMaster() && (state.command & start) != 0 && state.linked && !state.halted && !port.stopping) {
        auto const taken = port.flying | port.kept;
        if ((taken & ~state.accepted) != 0)
            return; // one that is not queued is alone
        // Queued ones that were interrupted by a pause come first.
        auto const waiting = (state.accepted & ~taken) != 0 ? state.accepted & ~taken : state.issued & ~taken;
        if (waiting == 0 || !begin(port, static_cast<unsigned>(std::countr_zero(waiting))))
            return;
    }
}

/// False where the command must wait or the port stands still.
bool AhciController::begin(Port& port, unsigned index)
{
    auto& state = port.state;
    auto& pointer = port.slots[index];
    if (!pointer) {
        pointer = std::make_unique<Slot>();
        pointer->slot = index;
        pointer->port = &port;
        pointer->io.completed = [this, slot = pointer.get()](Result<> result) { completed(*slot, std::move(result)); };
    }
    auto& slot = *pointer;
    auto const bit = 1u << index;
    bool const resumed = (state.accepted & bit) != 0;
    if (!fetch(port, slot))
        return (state.issued & bit) == 0;
    // A command in memory may have become another one meanwhile.
    if (!port.device->isQueued(slot.in) && (port.flying | port.kept) != 0)
        return false;
    collectRegions(slot);
    port.device->begin(slot);
    if (!slot.isQueued)
        state.accepted &= ~bit;
    state.command = (state.command & ~currentSlot) | index << 8;
    if (slot.overflow)
        state.interrupts |= overflowInterrupt;
    if (slot.fault) {
        fatal(port, hostBusInterrupt);
        return false;
    }
    if (slot.isQueued && (slot.out.status & SataRegisters::failed) == 0 && !resumed) {
        SataRegisters taken = slot.out;
        receiveRegisters(port, taken, false);
        state.issued &= ~bit;
        state.accepted |= bit;
    }
    if (state.halted)
        return false;
    if (slot.steps.empty()) {
        finish(port, slot);
        slot.shrink();
        return !state.halted;
    }
    launch(port, slot);
    return true;
}

/// Reads the command. False where there is none: it was a software reset, or the structures are not in RAM.
bool AhciController::fetch(Port& port, Slot& slot)
{
    auto& state = port.state;
    auto const& ram = services().ram;
    std::array<std::uint8_t, headerSize / 2> header {};
    std::array<std::uint8_t, fisSize> fis {};
    if (!ram.read(state.commandList + slot.slot * headerSize, header)) {
        fatal(port, hostBusInterrupt);
        return false;
    }
    constexpr std::uint16_t lengthMask = 0x1f, isPacket = 1 << 5;
    constexpr std::uint64_t tableAlignment = 128;
    auto const flags = loadLittle<std::uint16_t>(header);
    auto const table = alignDown(loadLittle<std::uint64_t>(ConstByteSpan(header).subspan(8)), tableAlignment);
    slot.packet = {};
    if (!ram.read(table, fis) || ((flags & isPacket) != 0 && !ram.read(table + packetOffset, slot.packet))) {
        fatal(port, hostBusInterrupt);
        return false;
    }
    if ((flags & lengthMask) < 2 || (flags & lengthMask) > 16 || fis[0] != hostFis) {
        fatal(port, interfaceInterrupt);
        return false;
    }
    constexpr std::uint8_t isCommand = 1 << 7, resetBit = 1 << 2;
    if ((fis[1] & isCommand) == 0) {
        state.issued &= ~(1u << slot.slot);
        state.accepted &= ~(1u << slot.slot);
        softReset(port, (fis[15] & resetBit) != 0);
        return false;
    }
    slot.in = registersOf(fis);
    slot.table = table + regionsOffset;
    slot.descriptors = loadLittle<std::uint16_t>(ConstByteSpan(header).subspan(2));
    return true;
}

/// 4.2.3.3 "Physical Region Descriptor Table".
void AhciController::collectRegions(Slot& slot) const
{
    slot.regions.clear();
    slot.regionBytes = 0;
    slot.regionsBroken = slot.descriptorInterrupt = false;
    auto const& ram = services().ram;
    for (unsigned i = 0; i < slot.descriptors && slot.regionBytes < mostBytes; ++i) {
        std::array<std::uint8_t, regionSize> entry {};
        slot.regionsBroken = !ram.read(slot.table + i * regionSize, entry);
        if (slot.regionsBroken)
            return;
        constexpr std::uint32_t countMask = 0x3fffff, interrupt = 1u << 31;
        auto const address = loadLittle<std::uint64_t>(entry) & ~std::uint64_t(1);
        auto const last = loadLittle<std::uint32_t>(ConstByteSpan(entry).subspan(12));
        auto const length = std::uint64_t((last & countMask) | 1) + 1; // even
        auto* const memory = ram.at(address, length);
        slot.regionsBroken = memory == nullptr;
        if (slot.regionsBroken)
            return;
        slot.descriptorInterrupt |= (last & interrupt) != 0;
        slot.regions.push_back({ memory, length });
        slot.regionBytes += length;
    }
}

void AhciController::softReset(Port& port, bool asserted)
{
    bool const released = port.state.inSoftReset && !asserted;
    port.state.inSoftReset = asserted;
    if (asserted) {
        abandon(port);
        port.state.accepted = 0;
        port.state.taskFile = SataRegisters::busy;
    } else if (released) {
        sendSignature(port);
    }
}

// On the device's loop, and back

void AhciController::launch(Port& port, Slot& slot)
{
    if (!slot.isQueued)
        port.state.taskFile = SataRegisters::busy | SataRegisters::ready;
    port.flying |= 1u << slot.slot;
    ++m_inFlight;
    slot.abandoned = false;
    slot.step = 0;
    port.device->loop().post([this, &slot] { submit(slot); });
}

/// Without mutex(): what flies belongs to the loop.
void AhciController::submit(Slot& slot)
{
    auto const& step = slot.steps[slot.step];
    slot.io.kind = step.kind;
    slot.io.offset = step.offset;
    slot.io.length = step.length;
    slot.buffers.clear();
    if (step.kind == BlockRequest::Kind::Read || step.kind == BlockRequest::Kind::Write)
        slicePieces(slot.regions, 0, step.length, slot.buffers);
    slot.io.buffers = slot.buffers;
    slot.image->submit(slot.io);
}

void AhciController::completed(Slot& slot, Result<> result)
{
    std::lock_guard const lock(mutex());
    auto& port = *slot.port;
    auto const bit = 1u << slot.slot;
    if (!result && result.error().code == ErrorCode::Unsupported && slot.io.kind == BlockRequest::Kind::Discard)
        result = {}; // It was only advice.
    bool const wanted = !slot.abandoned && !port.state.halted;
    if (wanted && result && ++slot.step < slot.steps.size())
        return port.device->loop().post([this, &slot] { submit(slot); });
    if (wanted && !result) {
        port.kept |= bit;
        if (!std::exchange(port.errorReported, true)) {
            log(LogLevel::Warning, "ahci", "port {}: {}", port.index, result.error().message());
            if (m_hostError)
                m_hostError(port.index, result.error());
        }
    }
    if (wanted && result) {
        (isWrite(slot) ? m_bytesWritten : m_bytesRead) += slot.transferred;
        finish(port, slot);
    }
    slot.shrink();
    landed(port, bit);
    serve(port);
    updateInterrupt();
}

// Answers

void AhciController::finish(Port& port, Slot& slot)
{
    if (slot.isQueued)
        return finishQueued(port, slot);
    auto& state = port.state;
    auto const bit = 1u << slot.slot;
    bool const failed = (slot.out.status & SataRegisters::failed) != 0;
    auto const transferred = static_cast<std::uint32_t>(slot.transferred);
    if (!services().ram.store(state.commandList + slot.slot * headerSize + countOffset, transferred))
        return fatal(port, hostBusInterrupt);
    if (slot.descriptorInterrupt && transferred != 0)
        state.interrupts |= descriptorInterrupt;
    bool const reads = slot.transfer == SataCommand::Transfer::PioIn && !failed;
    if (reads || (slot.transfer == SataCommand::Transfer::PioOut && !failed))
        receivePioSetup(port, slot, reads);
    // The last PIO setup of a read is also its end; everything else ends with the registers.
    if (!reads || slot.isPacket)
        receiveRegisters(port, slot.out, true);
    if (state.halted)
        return;
    if (!failed) {
        state.issued &= ~bit;
        return;
    }
    state.interrupts |= taskFileInterrupt;
    state.halted = true;
}

void AhciController::finishQueued(Port& port, Slot& slot)
{
    auto& state = port.state;
    auto const bit = 1u << slot.slot;
    bool const failed = (slot.out.status & SataRegisters::failed) != 0;
    constexpr std::uint8_t statusBits = 0x77; // BSY and DRQ are not in this FIS
    std::array<std::uint8_t, 8> fis { setBitsFis, interruptBit, static_cast<std::uint8_t>(slot.out.status & statusBits),
        slot.out.error };
    if (!failed) {
        storeLittle(ByteSpan(fis).subspan(4), bit);
        state.accepted &= ~bit;
        state.active &= ~bit;
    }
    receive(port, setBitsOffset, fis);
    state.taskFile = taskFileOf(slot.out);
    state.interrupts |= setBitsInterrupt;
    if (!failed)
        return;
    port.device->queuedFailed(slot);
    state.interrupts |= taskFileInterrupt;
    state.halted = true;
}

/// The port stands still until the driver stops it (6.1.2 "Errors that Halt Execution").
void AhciController::fatal(Port& port, std::uint32_t interrupt)
{
    trace("ahci", "port {}: error {:#x}", port.index, interrupt);
    port.state.interrupts |= interrupt;
    port.state.halted = true;
}

void AhciController::receive(Port& port, unsigned offset, ConstByteSpan fis)
{
    if ((port.state.command & receiveEnable) != 0 && !services().ram.write(port.state.receivedFis + offset, fis))
        fatal(port, hostBusInterrupt);
}

void AhciController::receiveRegisters(Port& port, SataRegisters const& registers, bool interrupt)
{
    receive(port, registersOffset, fisOf(registersFis, interrupt ? interruptBit : 0, registers));
    port.state.taskFile = taskFileOf(registers);
    if (interrupt)
        port.state.interrupts |= registerInterrupt;
}

/// One for the whole transfer, whatever its length: a driver sees the last one only.
void AhciController::receivePioSetup(Port& port, Slot const& slot, bool interrupt)
{
    auto registers = slot.out;
    registers.status = SataRegisters::ready | SataRegisters::wantsData;
    auto const flags = static_cast<std::uint8_t>((isWrite(slot) ? 0 : fromDevice) | (interrupt ? interruptBit : 0));
    auto fis = fisOf(pioSetupFis, flags, registers);
    fis[15] = slot.out.status;
    storeLittle(ByteSpan(fis).subspan(16, 2), static_cast<std::uint16_t>(slot.transferred));
    receive(port, pioSetupOffset, fis);
    port.state.taskFile = taskFileOf(slot.out);
    if (interrupt)
        port.state.interrupts |= pioInterrupt;
}

void AhciController::deliverSignature(Port& port)
{
    if (!port.state.signatureWaits || (port.state.command & receiveEnable) == 0 || !isBusMaster())
        return;
    port.state.signatureWaits = false;
    SataRegisters registers;
    registers.status = static_cast<std::uint8_t>(port.state.taskFile);
    registers.error = static_cast<std::uint8_t>(port.state.taskFile >> 8);
    registers.count = port.state.signature & 0xff;
    registers.lba = port.state.signature >> 8;
    receive(port, registersOffset, fisOf(registersFis, 0, registers));
}

}
