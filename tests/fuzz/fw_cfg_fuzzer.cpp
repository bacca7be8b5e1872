#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/fw_cfg.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    static tests::FakeBoard board(64 << 10);
    vmm::FwCfg device(board.ram);
    device.addFile("bootorder", vmm::Bytes(20));
    device.addFile("etc/acpi/tables", {}, [&](vmm::Bytes& contents) { contents.resize(input.take<std::uint8_t>()); });
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 5) {
        case 0: input.access(device.dataWindow(), vmm::FwCfg::dataSize); break;
        case 1: input.access(device.dmaWindow(), vmm::FwCfg::dmaSize); break;
        case 2:
            if (!device.load(device.save()))
                __builtin_trap();
            break;
        default: {
            // A request of the guest's making, most often near the end of its memory.
            auto const request = input.takeBytes(16);
            auto const address = (64 << 10) - 20 + input.take<std::uint8_t>() % 24;
            static_cast<void>(board.ram.write(static_cast<vmm::GuestAddress>(address), request));
            std::array<std::uint8_t, 8> where;
            vmm::storeBig(where, std::uint64_t(address));
            device.dmaWindow().write(0, where);
        }
        }
    }
    return 0;
}
