#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/pflash_cfi.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    static auto const contents = std::move(*vmm::MemoryBlock::create("variables", 16 << 10));
    static auto const copy = std::move(*vmm::MemoryBlock::create("file", 16 << 10));
    contents->clear();
    copy->clear();
    // What a machine's file has held so far.
    auto const stored = input.takeBytes(input.take<std::uint16_t>() % contents->size());
    std::copy(stored.begin(), stored.end(), contents->data());
    std::copy(stored.begin(), stored.end(), copy->data());
    tests::FakeMapper mapper;
    vmm::PflashCfi flash(mapper, 0xffc00000, *contents, vmm::PflashCfi::Writable::Yes,
        [](std::uint64_t offset, vmm::ConstByteSpan bytes) {
            std::memcpy(copy->bytes().subspan(offset, bytes.size()).data(), bytes.data(), bytes.size());
        });
    while (!input.empty()) {
        input.access(flash, flash.size());
        if (input.take<std::uint8_t>() == 0 && !flash.load(flash.save()))
            __builtin_trap();
    }
    flash.pause();
    // What was stored must be what is there.
    if (std::memcmp(contents->data(), copy->data(), contents->size()) != 0)
        __builtin_trap();
    return 0;
}
