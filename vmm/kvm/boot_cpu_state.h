#pragma once

#include <cstdint>

namespace vmm {

/// How the first processor begins; all other registers are 0, interrupts are off, RFLAGS is 2. Segments are flat: base
/// 0, limit 4 GiB, as in the table at `gdtBase`, which is in RAM.
struct BootCpuState {
    enum class Mode : std::uint8_t {
        Protected32, ///< CR0.PE alone
        Long64,      ///< CR0.PE and PG, CR4.PAE, EFER.LME and LMA; cr3 maps the first 4 GiB to themselves
    };
    Mode mode = Mode::Protected32;
    std::uint64_t rip = 0, rsp = 0, rbx = 0, rsi = 0, cr3 = 0;
    std::uint64_t gdtBase = 0;
    std::uint16_t gdtLimit = 0;
    std::uint16_t codeSelector = 0x10; ///< execute and read; 64-bit or 32-bit by mode
    std::uint16_t dataSelector = 0x18; ///< read and write: DS, ES, FS, GS, SS
    std::uint16_t taskSelector = 0x20; ///< TR: a busy 32/64-bit TSS, base 0, limit 67h
    bool operator==(BootCpuState const&) const = default;
};

}
