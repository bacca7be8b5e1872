#include "tests/fakes/fake_board.h"
#include "tests/fuzz/accepted.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/boot/firmware_files.h"
#include "vmm/devices/legacy_memory.h"
#include "vmm/devices/pflash_cfi.h"
#include "vmm/memory/layout.h"

#include <bit>

namespace {

/// A file of any size up to one that is too large for all of them; the input says how it begins.
vmm::Bytes takeFile(fuzz::Input& input)
{
    vmm::Bytes file(input.take<std::uint32_t>() % (vmm::layout::flashMaximum + 8192));
    auto const start = input.takeBytes(input.take<std::uint16_t>());
    std::copy_n(start.begin(), std::min(start.size(), file.size()), file.begin());
    return file;
}

std::unique_ptr<vmm::MemoryBlock> blockOf(vmm::Bytes const& contents)
{
    auto block = std::move(*vmm::MemoryBlock::create("firmware", contents.size()));
    std::ranges::copy(contents, block->data());
    return block;
}

/// What is taken can be mapped, and switched about and written to as a guest can, who cannot change it.
void asFirmware(fuzz::Input& input)
{
    auto const contents = vmm::readFirmware(vmm::MemorySource(takeFile(input)), "file");
    if (!contents)
        return;
    fuzz::accept();
    tests::FakeBoard board(2 << 20);
    auto const firmware = blockOf(*contents);
    auto legacy = vmm::LegacyMemory::create(board.mapper, board.memory, *board.ramBlock, firmware.get());
    if (!legacy)
        __builtin_trap();
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
    if (!std::ranges::equal(*contents, firmware->bytes()))
        __builtin_trap();
}

/// The firmware's own variables below its code, and what a machine has kept of them. What is taken fills the flash chip
/// that firmware looks for, with room for it.
void asVariables(fuzz::Input& input)
{
    auto const codeSize = input.take<std::uint32_t>() % (vmm::layout::flashMaximum + 1);
    auto const first = vmm::readFirstVariables(vmm::MemorySource(takeFile(input)), "file", codeSize);
    if (!first)
        return;
    if (first->size() > vmm::layout::flashMaximum - codeSize)
        __builtin_trap();
    auto const kept = vmm::readKeptVariables(vmm::MemorySource(takeFile(input)), "kept", *first);
    if (!kept)
        return;
    fuzz::accept();
    if (kept->size() != first->size())
        __builtin_trap();
    auto const contents = blockOf(*kept);
    tests::FakeMapper mapper;
    vmm::PflashCfi chip(
        mapper, vmm::layout::flashEnd - codeSize - contents->size(), *contents, vmm::PflashCfi::Writable::Yes);
    while (!input.empty())
        input.access(chip, chip.size());
}

/// What is taken is the file, in a BAR's size.
void asDisplayBios(fuzz::Input& input)
{
    auto const file = takeFile(input);
    auto const contents = vmm::readDisplayBios(vmm::MemorySource(file), "file");
    if (!contents)
        return;
    fuzz::accept();
    if (!std::has_single_bit(contents->size()) || contents->size() < 4096 || contents->size() < (*contents)[2] * 512u
        || !std::equal(file.begin(), file.end(), contents->begin()))
        __builtin_trap();
}

}

/// The files that firmware comes in. The first byte says which.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    switch (input.take<std::uint8_t>() % 3) {
    case 0: asFirmware(input); break;
    case 1: asVariables(input); break;
    default: asDisplayBios(input); break;
    }
    return 0;
}
