#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/vga.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    static tests::FakeBoard board(64 << 10);
    static auto const memory = std::move(*vmm::MemoryBlock::create("display", 1 << 20));
    vmm::Vga vga(board.pci, board.time, *memory);
    vmm::Frame frames[2];
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 10) {
        case 0: vga.refresh(frames[input.take<std::uint8_t>() % 2]); break;
        case 1: vga.forget(frames[0]); break;
        case 2:
            if (!vga.load(vga.save()))
                __builtin_trap();
            break;
        case 3: input.access(vga.memoryWindow(), vmm::VgaCore::windowSize); break;
        case 4:
        case 5: input.access(vga.dispiWindow(), vmm::Vga::dispiCount); break;
        case 6: {
            std::lock_guard const lock(vga.mutex());
            vga.writeConfig(input.take<std::uint8_t>() & ~3u, input.takeBytes(4));
            break;
        }
        case 7: board.time.advance(std::chrono::milliseconds(input.take<std::uint8_t>())); break;
        default: input.access(vga.portWindow(), vmm::Vga::portCount);
        }
    }
    vga.portWindow().write(0x10, vmm::bytesOf(std::uint8_t(0x20)));
    vga.refresh(frames[0]);
    return 0;
}
