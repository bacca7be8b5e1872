#include "vmm/boot/direct_boot.h"

#include "vmm/memory/layout.h"

#include <array>
#include <fmt/format.h>

namespace vmm {

Result<> writeToRam(GuestMemory const& ram, GuestAddress address, ConstByteSpan data)
{
    if (!ram.write(address, data))
        return fail(ErrorCode::InvalidArgument,
            fmt::format("{} bytes at {:#x} do not fit into this machine's memory", data.size(), address));
    return {};
}

Result<> readIntoRam(
    GuestMemory const& ram, ByteSource const& source, std::uint64_t offset, GuestAddress address, std::uint64_t size)
{
    if (size == 0)
        return {};
    auto* const memory = ram.at(address, size);
    if (!memory)
        return fail(ErrorCode::InvalidArgument,
            fmt::format("{} bytes at {:#x} do not fit into this machine's memory", size, address));
    return source.read(offset, { memory, size });
}

Result<> placeCommandLine(GuestMemory const& ram, std::string_view text, std::uint64_t maximum)
{
    maximum = std::min(maximum, bootlayout::commandLineMaximum - 1);
    if (text.size() > maximum)
        return fail(ErrorCode::InvalidArgument,
            fmt::format("the kernel's command line has {} bytes, and it takes {}", text.size(), maximum));
    Bytes bytes(text.begin(), text.end());
    bytes.push_back(0);
    return writeToRam(ram, bootlayout::commandLine, bytes);
}

Result<GuestAddress> placeInitrd(
    GuestMemory const& ram, ByteSource const& initrd, std::uint64_t floor, std::uint64_t limit)
{
    constexpr std::uint64_t page = 4096;
    if (floor > limit || initrd.size() > limit - floor || alignDown(limit - initrd.size(), page) < floor)
        return fail(ErrorCode::InvalidArgument,
            fmt::format("an initrd of {} bytes does not fit between {:#x} and {:#x}", initrd.size(), floor, limit));
    auto const address = alignDown(limit - initrd.size(), page);
    TRY_WITHIN("reading the initrd", readIntoRam(ram, initrd, 0, address, initrd.size()));
    return address;
}

Result<> enterMode(GuestMemory const& ram, BootCpuState& state, BootCpuState::Mode mode)
{
    // Flat code and data at 10h and 18h, as both boot protocols want them; a TSS, since a processor cannot be without.
    bool const wide = mode == BootCpuState::Mode::Long64;
    std::array<std::uint64_t, 6> const descriptors { 0, 0, wide ? 0x00af9b000000ffffu : 0x00cf9b000000ffffu,
        0x00cf93000000ffff, 0x00008b0000000067, 0 };
    TRY(writeToRam(ram, bootlayout::gdt, bytesOf(descriptors)));
    state.mode = mode;
    state.gdtBase = bootlayout::gdt;
    state.gdtLimit = sizeof descriptors - 1;
    state.rsp = bootlayout::stackTop;
    if (!wide)
        return {};

    // Four tables of 512 pages of 2 MiB each, under one table of tables, under the top.
    constexpr std::uint64_t presentWritable = 0x3, largePage = 0x80, pageSize = 4096;
    constexpr unsigned entries = 512, gigabytes = 4;
    std::vector<std::uint64_t> tables(entries * (2 + gigabytes));
    tables[0] = (bootlayout::pageTables + pageSize) | presentWritable;
    for (unsigned i = 0; i < gigabytes; ++i)
        tables[entries + i] = (bootlayout::pageTables + (2 + i) * pageSize) | presentWritable;
    for (std::uint64_t i = 0; i < entries * gigabytes; ++i)
        tables[2 * entries + i] = i << 21 | presentWritable | largePage;
    state.cr3 = bootlayout::pageTables;
    return writeToRam(ram, bootlayout::pageTables,
        { reinterpret_cast<std::uint8_t const*>(tables.data()), tables.size() * sizeof tables[0] });
}

Result<BootCpuState> bootDirectly(
    GuestMemory const& ram, BootImages const& images, AcpiConfig const& acpi, SmbiosConfig const& smbiosConfig)
{
    auto tables = buildAcpi(acpi);
    placeAcpi(tables, bootlayout::acpiTables);
    TRY(writeToRam(ram, bootlayout::rsdp, tables.rsdp));
    TRY(writeToRam(ram, bootlayout::acpiTables, tables.tables));
    auto smbios = TRY(buildSmbios(smbiosConfig));
    smbios.place(bootlayout::smbiosTables);
    TRY(writeToRam(ram, bootlayout::smbiosAnchor, smbios.anchor));
    TRY(writeToRam(ram, bootlayout::smbiosTables, smbios.tables));

    constexpr std::uint32_t elfMagic = 0x464c457f;
    auto const magic = TRY_WITHIN("reading the kernel", images.kernel.load<std::uint32_t>(0));
    auto const load = magic == elfMagic ? loadPvh : loadLinux;
    return TRY_WITHIN("loading the kernel", load(ram, images, acpi.ramSize, bootlayout::rsdp));
}

}
