#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/i8042.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeIrq keyboard, mouse;
    tests::FakeTime time;
    vmm::I8042 chip(keyboard, mouse, time, [] {});
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 10) {
        case 0: chip.keyboard().key({ input.take<std::uint16_t>(), input.take<std::uint8_t>() % 2 == 0 }); break;
        case 1: chip.mouse().move(vmm::RelativeMove { input.take<std::int32_t>(), input.take<std::int32_t>() }); break;
        case 2:
            chip.mouse().button(
                { vmm::PointerButton(input.take<std::uint8_t>() % 5), input.take<std::uint8_t>() % 2 == 0 });
            break;
        case 3: chip.mouse().wheel({ input.take<std::int32_t>(), 0 }); break;
        case 4: time.advance(std::chrono::milliseconds(input.take<std::uint16_t>())); break;
        case 5:
            if (!chip.load(chip.save()))
                __builtin_trap();
            break;
        case 6:
        case 7: input.access(chip.commandWindow(), 1); break;
        default: input.access(chip.dataWindow(), 1);
        }
    }
    return 0;
}
