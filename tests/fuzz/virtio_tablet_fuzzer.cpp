#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/virtio/tablet.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board;
    tests::ManualLoop loop;
    vmm::virtio::Tablet device(board.pci, loop);
    auto const person = [&] {
        switch (input.take<std::uint8_t>() % 3) {
        case 0: device.move(vmm::AbsoluteMove { input.take<std::uint16_t>(), input.take<std::uint16_t>() }); break;
        case 1:
            device.button(
                { vmm::PointerButton(input.take<std::uint8_t>() % 5), (input.take<std::uint8_t>() & 1) != 0 });
            break;
        default: device.wheel({ input.take<std::int8_t>(), input.take<std::int8_t>() });
        }
    };
    fuzz::driveVirtio(input, board, loop, device, person, [] {});
    return 0;
}
