#include "tests/fuzz/usb_request.h"
#include "vmm/usb/hid_device.h"

/// A driver that has gone mad, while somebody moves a mouse or a pen.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    using Kind = vmm::UsbPointer::Kind;
    auto const kind = (input.take<std::uint8_t>() & 1) != 0 ? Kind::Tablet : Kind::Mouse;
    vmm::UsbPointer pointer("pointer", kind);
    {
        tests::UsbGuest guest(pointer);
        for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
            switch (input.take<std::uint8_t>() % 10) {
            case 0: fuzz::askAnything(input, guest); break;
            case 1: guest.configure(); break;
            case 2: pointer.move(vmm::AbsoluteMove { input.take<std::uint16_t>(), input.take<std::uint16_t>() }); break;
            case 3: pointer.move(vmm::RelativeMove { input.take<std::int32_t>(), input.take<std::int32_t>() }); break;
            case 4: {
                auto const button = input.take<std::uint8_t>();
                pointer.button({ static_cast<vmm::PointerButton>(button % 5), button >= 128 });
                break;
            }
            case 5: pointer.wheel({ input.take<std::int32_t>(), input.take<std::int32_t>() }); break;
            case 6:
                pointer.pause();
                if (!pointer.load(pointer.save()))
                    __builtin_trap();
                pointer.resume();
                break;
            case 7: {
                std::lock_guard const lock(guest.host.usbMutex());
                pointer.setSuspended((input.take<std::uint8_t>() & 1) != 0);
                break;
            }
            case 8: guest.host.clock.advance(std::chrono::milliseconds(input.take<std::uint8_t>())); break;
            default: {
                auto const report = guest.read(0x81, input.take<std::uint8_t>() % 20u);
                auto const length = report.data.size();
                bool const isWhole = kind == Kind::Tablet ? length == 7 : length == 5 || length == 3;
                if (report.done && report.status == vmm::UsbStatus::Success && !isWhole)
                    __builtin_trap();
            }
            }
        }
    }
    pointer.reset();
    if (pointer.save() != vmm::UsbPointer("fresh", kind).save())
        __builtin_trap();
    return 0;
}
