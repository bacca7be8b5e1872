#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/devices/ich9_lpc.h"

/// Configuration space and all ports of the LPC bridge, with time passing and events coming in.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board(4096);
    std::array<tests::FakeIrq, 24> gsi;
    std::array<vmm::IrqLine*, 24> lines {};
    for (std::size_t i = 0; i < lines.size(); ++i)
        lines[i] = &gsi[i];
    vmm::Ich9Lpc lpc(board.pci, board.time, lines, {});
    vmm::PciBus bus(board.ports, board.memory, lpc.pirqs());
    bus.setResetControl(lpc.resetControl());
    ignore(bus.plug(31, 0, lpc));
    lpc.setUpLikeFirmware();
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0: board.time.advance(vmm::Nanoseconds(input.take<std::uint32_t>())); break;
        case 1: lpc.pressPowerButton(); break;
        case 2: lpc.raiseGpe(input.take<std::uint8_t>()); break;
        case 3: lpc.pirqs()[input.take<std::uint8_t>() % 8]->set(input.take<std::uint8_t>() & 1); break;
        case 4:
            if (!lpc.load(lpc.save()))
                __builtin_trap();
            break;
        case 5: input.access(bus, 8); break;
        default: {
            auto const port = input.take<std::uint16_t>();
            auto const value = input.take<std::uint32_t>();
            board.ports.write(port, vmm::bytesOf(value).first(std::size_t(1) << (value >> 30 & 1)));
            std::uint64_t read = 0;
            board.ports.read(port, vmm::writableBytesOf(read));
        }
        }
    }
    return 0;
}
