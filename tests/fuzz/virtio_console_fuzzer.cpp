#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/virtio/console_port.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board;
    tests::ManualLoop loop;
    static vmm::Console console; // its ring is large; what is left in it does not matter
    vmm::virtio::ConsolePort device(board.pci, loop, console);
    fuzz::driveVirtio(
        input, board, loop, device, [&] { console.type(input.takeBytes(input.take<std::uint8_t>())); }, [] {});
    return 0;
}
