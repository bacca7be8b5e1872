#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/virtio/random_generator.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board;
    tests::ManualLoop loop;
    vmm::virtio::RandomGenerator device(board.pci, loop);
    fuzz::driveVirtio(
        input, board, loop, device, [&] { loop.runTimers(); }, [] {});
    return 0;
}
