#include "tests/fakes/fake_board.h"
#include "tests/fuzz/accepted.h"
#include "vmm/boot/direct_boot.h"

/// A kernel file of either kind from anywhere. The first byte chooses, and the marks that every such file has are put
/// in, so that the time goes into what is behind them.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    constexpr std::uint64_t ramSize = 8 << 20;
    static tests::FakeBoard board(ramSize);
    static vmm::Bytes const initrdBytes(3000, 0x1d);
    if (size == 0)
        return 0;
    vmm::Bytes file(data + 1, data + size);
    auto const mark = [&](std::size_t offset, auto value) {
        if (offset + sizeof value <= file.size())
            vmm::storeLittle(vmm::ByteSpan(file).subspan(offset, sizeof value), value);
    };
    bool const elf = (data[0] & 1) != 0;
    if (elf) {
        mark(0, std::uint32_t(0x464c457f));
        mark(4, std::uint8_t(data[0] & 2 ? 2 : 1));
        mark(5, std::uint8_t(1));
        mark(18, std::uint16_t(data[0] & 2 ? 62 : 3));
        mark(data[0] & 2 ? 54 : 42, std::uint16_t(data[0] & 2 ? 56 : 32));
    } else {
        file.resize(std::max<std::size_t>(file.size(), 0x400));
        mark(0x1fe, std::uint16_t(0xaa55));
        mark(0x202, std::uint32_t(0x53726448));
        mark(0x206, std::uint16_t(0x020f));
        mark(0x236, std::uint16_t(1));
    }
    vmm::MemorySource const kernel(file), initrd(initrdBytes);
    auto const load = elf ? vmm::loadPvh : vmm::loadLinux;
    auto const state = load(board.ram, { kernel, &initrd, "quiet" }, ramSize, vmm::bootlayout::rsdp);
    if (state)
        fuzz::accept();
    if (state && !board.ram.at(state->rip & ~std::uint64_t(0xfff), 1))
        __builtin_trap();
    return 0;
}
