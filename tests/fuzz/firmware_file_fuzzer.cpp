#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/legacy_memory.h"
#include "vmm/devices/pflash_cfi.h"

/// A firmware image of any contents and whole-page size below 4 GiB, and a file of variables below it, switched about
/// and written to as a guest can.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board(2 << 20);
    auto const pages = 16 + input.take<std::uint8_t>();
    auto const contents = input.takeBytes(input.take<std::uint16_t>());
    auto const firmware = std::move(*vmm::MemoryBlock::create("firmware", pages * 4096u));
    std::copy_n(contents.begin(), std::min<std::size_t>(contents.size(), firmware->size()), firmware->data());
    auto const before = vmm::Bytes(firmware->data(), firmware->data() + firmware->size());
    auto legacy = vmm::LegacyMemory::create(board.mapper, board.memory, *board.ramBlock, firmware.get());
    if (!legacy)
        return 0;
    vmm::BusView view(board.memory);
    while (!input.empty()) {
        vmm::LegacyMemory::Modes modes {};
        for (auto& mode : modes) {
            auto const bits = input.take<std::uint8_t>();
            mode = { (bits & 1) != 0, (bits & 2) != 0 };
        }
        (*legacy)->apply(modes);
        for (int i = 0; i < 8; ++i) {
            auto const address = 0xc0000 + input.take<std::uint32_t>() % 0x40000;
            std::uint64_t value = input.take<std::uint64_t>();
            auto const length = std::size_t(1) << (value & 3);
            if (value & 4)
                view.write(address, vmm::bytesOf(value).first(length));
            else
                view.read(address, vmm::writableBytesOf(value).first(length));
        }
    }
    // A guest cannot change it.
    if (!std::equal(before.begin(), before.end(), firmware->data()))
        __builtin_trap();
    return 0;
}
