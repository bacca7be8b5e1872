#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/devices/ahci_driver.h"

/// A driver that has gone mad: registers, command structures and commands as the input says, discs and host errors too.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::AhciSetup s;
    s.startPort(0);
    s.startPort(1);
    while (!input.empty()) {
        auto const port = input.take<std::uint8_t>() % 2u;
        auto const slot = input.take<std::uint8_t>() % 8u;
        switch (input.take<std::uint8_t>() % 12) {
        case 0: s.setPort(port, input.take<std::uint8_t>() % 0x40u, input.take<std::uint32_t>()); break;
        case 1: s.write(input.take<std::uint16_t>() % 0x1000u, input.take<std::uint32_t>()); break;
        case 2: s.read(input.take<std::uint16_t>() % 0x1000u); break;
        case 3: { // anything in the structures
            auto const bytes = input.takeBytes(input.take<std::uint8_t>() % 64u);
            auto const at = tests::AhciSetup::listAt + input.take<std::uint16_t>() % 0x7000u;
            std::copy(bytes.begin(), bytes.end(), s.ram(at));
            break;
        }
        case 4: s.config(4, input.take<std::uint8_t>()); break;
        case 5: s.startPort(port); break;
        case 6: s.recover(port); break;
        case 7: {
            s.settle();
            s.controller.pause();
            auto const saved = s.controller.save();
            if (!s.controller.load(saved) || !(s.controller.save() == saved))
                __builtin_trap();
            s.controller.resume();
            break;
        }
        case 8: {
            s.settle();
            bool const present = (input.take<std::uint8_t>() & 1) != 0;
            s.controller.changeDevice(1, [&] { s.drive->setMedium(present ? s.cdImage.get() : nullptr); });
            break;
        }
        case 9:
            s.diskFile.fault
                = (input.take<std::uint8_t>() & 1) != 0 ? tests::FakeDisk::Fault::Fail : tests::FakeDisk::Fault::None;
            s.diskFile.faultAt = 0;
            s.diskFile.faultStays = true;
            break;
        default: { // a command that makes sense, nearly
            auto const code = port == 1 ? std::uint8_t(0xa0) : input.take<std::uint8_t>();
            auto const fis = tests::AhciSetup::fis(code, input.take<std::uint16_t>(), input.take<std::uint8_t>(),
                input.take<std::uint8_t>(), input.take<std::uint8_t>());
            auto const packet = input.takeBytes(port == 1 ? 12 : 0);
            s.prepare(port, slot, fis,
                { { tests::AhciSetup::dataAt, input.take<std::uint16_t>() + 1u },
                    { tests::AhciSetup::dataAt + 0x10000, input.take<std::uint16_t>() + 1u } },
                { packet.begin(), packet.end() });
            s.setPort(port, tests::AhciSetup::Sact, input.take<std::uint8_t>());
            s.issue(port, 1u << slot | input.take<std::uint8_t>());
            if ((input.take<std::uint8_t>() & 1) != 0)
                s.settle();
            break;
        }
        }
    }
    s.settle();
    return 0;
}
