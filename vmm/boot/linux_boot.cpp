#include "vmm/boot/direct_boot.h"
#include "vmm/boot/memory_map.h"
#include "vmm/memory/layout.h"

#include <algorithm>
#include <fmt/format.h>

// Linux, Documentation/x86/boot.rst, "The Linux/x86 Boot Protocol": "The Real-Mode Kernel Header" and "64-bit Boot
// Protocol"; Documentation/x86/zero-page.rst, "Zero Page".

namespace vmm {

namespace {

constexpr std::size_t zeroPageSize = 4096;

// Offsets in the file, and the same in the zero page.
constexpr std::size_t headerBegin = 0x1f1, headerLimit = 0x290, setupSectors = 0x1f1, payloadParagraphs = 0x1f4,
                      bootFlag = 0x1fe, jumpLength = 0x201, magic = 0x202, protocolVersion = 0x206, loaderType = 0x210,
                      initrdAddress = 0x218, initrdSize = 0x21c, commandLinePointer = 0x228, initrdMaximum = 0x22c,
                      kernelAlignment = 0x230, relocatable = 0x234, loadFlags64 = 0x236, commandLineSize = 0x238,
                      preferredAddress = 0x258, initSize = 0x260;
// In the zero page only.
constexpr std::size_t rsdpPointer = 0x70, mapCount = 0x1e8, mapBegin = 0x2d0;

constexpr std::uint32_t headerMagic = 0x53726448; // "HdrS"
constexpr std::uint16_t oldestVersion = 0x020c;   // with the 64-bit flags
constexpr std::uint16_t has64BitEntry = 1 << 0;
constexpr std::uint64_t entryOffset64 = 0x200;

template<typename T>
T get(ConstByteSpan header, std::size_t offset)
{
    return loadLittle<T>(header.subspan(offset, sizeof(T)));
}

template<typename T>
void put(ByteSpan page, std::size_t offset, T value)
{
    storeLittle(page.subspan(offset, sizeof(T)), value);
}

/// The zero page with the kernel's own header in it, checked.
Result<Bytes> readHeader(ByteSource const& kernel)
{
    Bytes page(zeroPageSize);
    if (kernel.size() < headerLimit)
        return fail(ErrorCode::Unsupported, "the file is neither a Linux bzImage nor an ELF file");
    TRY(kernel.read(headerBegin, ByteSpan(page).subspan(headerBegin, headerLimit - headerBegin)));
    if (get<std::uint16_t>(page, bootFlag) != 0xaa55 || get<std::uint32_t>(page, magic) != headerMagic)
        return fail(ErrorCode::Unsupported, "the file is neither a Linux bzImage nor an ELF file");
    auto const version = get<std::uint16_t>(page, protocolVersion);
    if (version < oldestVersion || (get<std::uint16_t>(page, loadFlags64) & has64BitEntry) == 0)
        return fail(ErrorCode::Unsupported,
            fmt::format("the Linux kernel (boot protocol {}.{:02}) has no 64-bit entry", version >> 8, version & 0xff));
    // The header ends where its jump goes; what the file has behind it is code.
    auto const end = std::clamp<std::size_t>(magic + page[jumpLength], initSize + 4, headerLimit);
    std::fill(page.begin() + static_cast<std::ptrdiff_t>(end), page.end(), std::uint8_t(0));
    return page;
}

/// Where the kernel goes: where it prefers, else at the lowest place that its alignment allows.
Result<std::uint64_t> chooseAddress(ConstByteSpan header, std::uint64_t size, std::uint64_t lowRam)
{
    auto const fits = [&](std::uint64_t address) {
        return address >= bootlayout::kernel && address <= lowRam && size <= lowRam - address;
    };
    auto const preferred = get<std::uint64_t>(header, preferredAddress);
    if (fits(preferred))
        return preferred;
    std::uint64_t const alignment = get<std::uint32_t>(header, kernelAlignment);
    if (header[relocatable] != 0 && alignment != 0) {
        if (auto const address = alignUp(bootlayout::kernel, alignment); fits(address))
            return address;
    }
    return fail(ErrorCode::InvalidArgument,
        fmt::format(
            "the kernel needs {} MiB at {:#x}, and the machine has {} MiB", (size >> 20) + 1, preferred, lowRam >> 20));
}

}

Result<BootCpuState> loadLinux(
    GuestMemory const& ram, BootImages const& images, std::uint64_t ramSize, std::uint64_t rsdpAddress)
{
    auto page = TRY(readHeader(images.kernel));
    auto const lowRam = layout::lowRamSize(ramSize);

    auto const sectors = page[setupSectors] == 0 ? 4u : page[setupSectors];
    auto const payload = (sectors + 1) * 512u;
    auto const payloadSize = std::uint64_t(get<std::uint32_t>(page, payloadParagraphs)) * 16;
    // The last paragraph need not be whole.
    if (payloadSize == 0 || images.kernel.size() < payload || payloadSize - 15 > images.kernel.size() - payload)
        return fail(ErrorCode::Corrupt,
            fmt::format("the kernel says that it has {} bytes, and the file has {}", payload + payloadSize,
                images.kernel.size()));
    auto const inFile = std::min(payloadSize, images.kernel.size() - payload);
    auto const needed = std::max<std::uint64_t>(get<std::uint32_t>(page, initSize), inFile);
    auto const address = TRY(chooseAddress(page, needed, lowRam));
    TRY(readIntoRam(ram, images.kernel, payload, address, inFile));

    TRY(placeCommandLine(ram, images.commandLine, get<std::uint32_t>(page, commandLineSize)));
    put(page, commandLinePointer, static_cast<std::uint32_t>(bootlayout::commandLine));
    if (images.initrd && images.initrd->size() != 0) {
        auto const limit = std::min(lowRam, std::uint64_t(get<std::uint32_t>(page, initrdMaximum)) + 1);
        auto const at = TRY(placeInitrd(ram, *images.initrd, alignUp<std::uint64_t>(address + needed, 4096), limit));
        put(page, initrdAddress, static_cast<std::uint32_t>(at));
        put(page, initrdSize, static_cast<std::uint32_t>(images.initrd->size()));
    }

    page[loaderType] = 0xff; // one without a number of its own
    put(page, rsdpPointer, rsdpAddress);
    auto const map = directBootMemoryMap(ramSize);
    page[mapCount] = static_cast<std::uint8_t>(map.size());
    auto const mapBytes = memoryMapBytes(map);
    std::copy(mapBytes.begin(), mapBytes.end(), page.begin() + mapBegin);
    TRY(writeToRam(ram, bootlayout::zeroPage, page));

    BootCpuState state;
    TRY(enterMode(ram, state, BootCpuState::Mode::Long64));
    state.rip = address + entryOffset64;
    state.rsi = bootlayout::zeroPage;
    return state;
}

}
