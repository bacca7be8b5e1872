#pragma once

#include <cstdint>

namespace vmm {

/// Where the boot processor begins when a kernel is loaded without firmware: flat segments over all memory, interrupts
/// off. What is not named here is as after power-on.
struct BootCpuState {
    enum class Mode : std::uint8_t {
        Protected32, ///< paging off; PVH's entry and Linux' 32-bit entry
        Long64,      ///< paging on, with the tables at `cr3`; Linux' 64-bit entry
    };
    Mode mode = Mode::Protected32;
    std::uint64_t rip = 0, rsp = 0, rbx = 0, rsi = 0;
    std::uint64_t cr3 = 0;        ///< Long64: identity mapping of at least what is loaded
    std::uint64_t gdtAddress = 0; ///< a table in guest memory that has the selectors below at their places
    std::uint16_t gdtLimit = 0;
    std::uint16_t codeSelector = 0x10, dataSelector = 0x18, taskSelector = 0x20;
};

}
