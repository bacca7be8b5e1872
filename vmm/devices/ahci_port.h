#pragma once

#include "vmm/devices/ahci_controller.h"

// What the two source files of the controller share.

namespace vmm {

namespace ahci {

// PxCMD, AHCI 1.3.1, 3.3.7 "Port x Command and Status".
constexpr std::uint32_t start = 1 << 0, spinUp = 1 << 1, powerOn = 1 << 2, listOverride = 1 << 3,
                        receiveEnable = 1 << 4, currentSlot = 0x1f << 8, receiveRunning = 1 << 14,
                        listRunning = 1 << 15, atapi = 1 << 24, driveLed = 1 << 25;
constexpr std::uint32_t commandWritable = start | receiveEnable | atapi | driveLed;

// PxIS, 3.3.5 "Port x Interrupt Status".
constexpr std::uint32_t registerInterrupt = 1 << 0, pioInterrupt = 1 << 1, setBitsInterrupt = 1 << 3,
                        descriptorInterrupt = 1 << 5, connectInterrupt = 1 << 6, phyInterrupt = 1 << 22,
                        overflowInterrupt = 1 << 24, interfaceInterrupt = 1 << 27, hostBusInterrupt = 1 << 29,
                        taskFileInterrupt = 1 << 30;
constexpr std::uint32_t interruptBits = 0xfdc000ff;

// PxSERR, 3.3.12 "Port x Serial ATA Error".
constexpr std::uint32_t phyChanged = 1 << 16, exchanged = 1 << 26;

}

struct AhciController::Slot : SataCommand {
    Port* port = nullptr;
    bool abandoned = false;  // what becomes of it is of no interest any more
    std::uint64_t table = 0; // of its physical region descriptors
    unsigned descriptors = 0;
    bool descriptorInterrupt = false;
    std::size_t step = 0;
    BlockRequest io;
    std::vector<iovec> buffers;

    /// Where a driver describes its memory in very many regions, the room for them is not kept.
    void shrink()
    {
        constexpr std::size_t usual = 1024;
        for (auto* list : { &regions, &buffers }) {
            if (list->capacity() > usual)
                std::vector<iovec>().swap(*list);
        }
    }
};

struct AhciController::Port {
    unsigned index = 0;
    std::unique_ptr<SataDevice> device;
    AhciPortState state {};
    std::array<std::unique_ptr<Slot>, slotCount> slots {};
    std::uint32_t flying = 0;  // slots whose work is with the host
    std::uint32_t awaited = 0; // of those, the ones that changeDevice() waits for
    std::uint32_t kept = 0;    // slots that the host has refused, until the machine resumes
    bool stopping = false;     // what flies is abandoned
    bool wantsLink = false;    // once nothing flies
    bool errorReported = false;
    std::uint32_t asked = 0; // interrupts that were enabled and pending when last looked at
};

}
