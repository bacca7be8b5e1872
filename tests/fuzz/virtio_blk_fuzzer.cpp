#include "tests/fakes/fake_block_file.h"
#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/virtio/block_device.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board;
    tests::ManualLoop loop;
    vmm::InlineEngine engine;
    tests::FakeDisk disk(vmm::Bytes(64 << 10));
    auto image = vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(disk),
        { .access = vmm::Access::ReadWrite, .format = vmm::ImageFormat::Raw }, {});
    if (!image)
        __builtin_trap();
    vmm::virtio::BlockOptions const options { .serial = "fuzz", .queues = 2 };
    vmm::virtio::BlockDevice device(board.pci, loop, **image, options, [](vmm::Error const&) {});
    auto const finish = [&] {
        while (engine.wait()) { }
        loop.turn();
    };
    auto const host = [&] {
        disk.fault
            = (input.take<std::uint8_t>() & 1) != 0 ? tests::FakeDisk::Fault::Fail : tests::FakeDisk::Fault::None;
        disk.faultAt = disk.operations;
        disk.faultStays = true;
    };
    fuzz::driveVirtio(input, board, loop, device, host, finish);
    return 0;
}
