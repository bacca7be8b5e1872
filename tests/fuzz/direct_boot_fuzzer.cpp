#include "tests/fakes/fake_board.h"
#include "vmm/boot/direct_boot.h"

/// A kernel file, of either kind, from anywhere.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    constexpr std::uint64_t ramSize = 8 << 20;
    static tests::FakeBoard board(ramSize);
    static vmm::Bytes const initrdBytes(3000, 0x1d);
    vmm::MemorySource const kernel({ data, size }), initrd(initrdBytes);
    auto const load = size > 0 && data[0] == 0x7f ? vmm::loadPvh : vmm::loadLinux;
    if (auto const state = load(board.ram, { kernel, &initrd, "quiet" }, ramSize, vmm::bootlayout::rsdp);
        state && !board.ram.at(state->rip & ~std::uint64_t(0xfff), 1))
        __builtin_trap();
    return 0;
}
