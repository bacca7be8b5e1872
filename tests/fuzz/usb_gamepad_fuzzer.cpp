#include "tests/fuzz/usb_request.h"
#include "vmm/usb/usb_gamepad.h"

/// A driver that has gone mad, while somebody plays.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    int motors = 0;
    vmm::UsbGamepad pad("pad", [&](std::uint16_t strong, std::uint16_t weak) { motors = strong + weak; });
    {
        tests::UsbGuest guest(pad);
        for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
            switch (input.take<std::uint8_t>() % 8) {
            case 0: fuzz::askAnything(input, guest); break;
            case 1: guest.configure(); break;
            case 2:
                pad.set({ input.take<std::uint32_t>(), input.take<std::int16_t>(), input.take<std::int16_t>(),
                    input.take<std::int16_t>(), input.take<std::int16_t>(), input.take<std::uint8_t>(),
                    input.take<std::uint8_t>() });
                break;
            case 3: { // what the motors are to do
                auto const report = input.takeBytes(input.take<std::uint8_t>() % 10u);
                guest.put({ 0x21, 9, 5, 2, 0, 0, static_cast<std::uint8_t>(report.size()), 0 },
                    { report.begin(), report.end() });
                break;
            }
            case 4:
                pad.pause();
                if (!pad.load(pad.save()))
                    __builtin_trap();
                pad.resume();
                break;
            case 5: {
                std::lock_guard const lock(guest.host.usbMutex());
                pad.setSuspended((input.take<std::uint8_t>() & 1) != 0);
                break;
            }
            case 6: guest.host.clock.advance(std::chrono::milliseconds(input.take<std::uint8_t>())); break;
            default: guest.read(0x81, input.take<std::uint8_t>() % 20u);
            }
        }
    }
    pad.reset();
    if (motors != 0)
        __builtin_trap();
    return 0;
}
