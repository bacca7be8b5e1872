#include "tests/fakes/manual_loop.h"
#include "tests/fuzz/usb_request.h"
#include "vmm/usb/usb_serial.h"

/// A driver that has gone mad, while somebody types.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::ManualLoop loop;
    static vmm::Console console; // its ring is large; what is left in it does not matter
    vmm::UsbSerial serial("port", loop, console);
    tests::UsbGuest guest(serial);
    for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0: fuzz::askAnything(input, guest); break;
        case 1: guest.configure(); break;
        case 2: console.type(input.takeBytes(input.take<std::uint8_t>())); break;
        case 3: loop.turn(); break;
        case 4:
            if (!serial.load(serial.save()))
                __builtin_trap();
            break;
        case 5: {
            std::lock_guard const lock(guest.host.usbMutex());
            serial.setSuspended((input.take<std::uint8_t>() & 1) != 0);
            break;
        }
        case 6: guest.write(input.take<std::uint8_t>() % 5, vmm::Bytes(input.take<std::uint8_t>())); break;
        default:
            guest.read(static_cast<std::uint8_t>(0x80 + input.take<std::uint8_t>() % 5), input.take<std::uint8_t>());
        }
    }
    return 0;
}
