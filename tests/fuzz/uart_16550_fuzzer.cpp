#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/uart_16550.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeIrq irq;
    tests::FakeTime time;
    static vmm::Console console; // its ring is large; what is left in it does not matter
    vmm::Uart16550 uart(irq, time, console);
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0: console.type(input.takeBytes(input.take<std::uint8_t>())); break;
        case 1: time.advance(vmm::Nanoseconds(input.take<std::uint32_t>())); break;
        case 2:
            if (!uart.load(uart.save()))
                __builtin_trap();
            break;
        default: input.access(uart, vmm::Uart16550::size);
        }
    }
    return 0;
}
