#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/rtc_mc146818.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeIrq irq;
    tests::FakeTime time;
    vmm::RtcMc146818 rtc(irq, time);
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0: time.advance(vmm::Nanoseconds(input.take<std::uint32_t>() % 100'000'000)); break;
        case 1: time.wallClockAtStart += std::chrono::seconds(input.take<std::int16_t>()); break;
        case 2:
            if (!rtc.load(rtc.save()))
                __builtin_trap();
            break;
        default: input.access(rtc, vmm::RtcMc146818::size);
        }
    }
    return 0;
}
