#include "tests/fuzz/accepted.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/machine/ram_file.h"
#include "vmm/machine/ram_loader.h"

#include <sys/mman.h>
#include <unistd.h>

/// A memory file and the record that goes with it. What is accepted in the end must be what a look at the whole file
/// accepts, and must have left what the guest wrote meanwhile.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    constexpr std::uint64_t mebibyte = 1 << 20;
    static vmm::UniqueFd const file(::memfd_create("ram", MFD_CLOEXEC));
    fuzz::Input input(data, size);
    vmm::RamFileRecord record;
    record.size = input.take<std::uint8_t>() % 32 * mebibyte;
    for (auto count = input.take<std::uint8_t>() % 4; count > 0; --count) {
        auto& block = record.blocks.emplace_back();
        block.name = input.take<std::uint8_t>() % 4 != 0 ? (count == 1 ? "ram" : "flash") : "other";
        block.offset = input.take<std::uint16_t>() * (mebibyte / 4);
        block.size
            = input.take<std::uint32_t>() % 4 != 0 ? (count == 1 ? 10 * mebibyte : 4096) : input.take<std::uint64_t>();
    }
    auto const sums = input.takeBytes(input.take<std::uint8_t>() % 4 != 0 ? record.size / mebibyte * 8 : 24);
    record.checksums.assign(sums.begin(), sums.end());
    if (input.take<std::uint8_t>() % 4 != 0)
        record.checksums.resize(record.size / mebibyte * 8);
    ::ftruncate(file.get(), 0);
    ::ftruncate(file.get(), static_cast<off_t>(input.take<std::uint8_t>() % 8 != 0 ? record.size : size));
    auto const place = input.take<std::uint32_t>() % (32 * mebibyte);
    auto const contents = input.takeBytes(size);
    if (place + contents.size() <= record.size && ::pwrite(file.get(), contents.data(), contents.size(), place) < 0)
        return 0;

    static auto const ram = std::move(*vmm::MemoryBlock::create("ram", 10 * mebibyte));
    static auto const flash = std::move(*vmm::MemoryBlock::create("flash", 4096));
    ram->clear();
    flash->clear();
    {
        auto source = vmm::RamFile::open(vmm::UniqueFd(::dup(file.get())), record);
        if (!source)
            return 0;
        auto loader = vmm::RamLoader::open(std::move(*source), { ram.get(), flash.get() });
        if (!loader)
            return 0;
        fuzz::accept();
        ram->data()[5000] = 1;
        (*loader)->start([](auto const& task) { task(); }, [](auto const&) {});
        auto const loaded = (*loader)->wait([] { return true; });
        if (loaded && ram->data()[5000] != 1)
            __builtin_trap();
    }
    ram->clear();
    return 0;
}
