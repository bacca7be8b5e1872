#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/isa_debug.h"
#include "vmm/devices/pvpanic.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    static vmm::Console console;
    vmm::IsaDebugConsole debug(console);
    vmm::IsaDebugExit exit([](std::uint32_t) {});
    vmm::PvPanic panic([](std::uint8_t events) {
        if (events == 0 || events > 3)
            __builtin_trap();
    });
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 3) {
        case 0: input.access(debug, vmm::IsaDebugConsole::size); break;
        case 1: input.access(exit, vmm::IsaDebugExit::size); break;
        default: input.access(panic, vmm::PvPanic::size);
        }
    }
    return 0;
}
