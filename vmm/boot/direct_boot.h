#pragma once

#include "vmm/boot/acpi.h"
#include "vmm/boot/byte_source.h"
#include "vmm/boot/smbios.h"
#include "vmm/memory/guest_memory.h"

/// Booting a kernel without firmware: we put it and what it wants to know into RAM, and the first processor begins in
/// it.
namespace vmm {

/// How the first processor begins; all other registers are 0, interrupts are off, RFLAGS is 2. Segments are flat: base
/// 0, limit 4 GiB, as in the table at `gdtBase`, which is in RAM.
struct BootCpuState {
    enum class Mode : std::uint8_t {
        Protected32, ///< CR0.PE alone
        Long64,      ///< CR0.PE and PG, CR4.PAE, EFER.LME and LMA; cr3 maps the first 4 GiB to themselves
    };
    Mode mode = Mode::Protected32;
    std::uint64_t rip = 0, rsp = 0, rbx = 0, rsi = 0, cr3 = 0;
    std::uint64_t gdtBase = 0;
    std::uint16_t gdtLimit = 0;
    std::uint16_t codeSelector = 0x10; ///< execute and read; 64-bit or 32-bit by mode
    std::uint16_t dataSelector = 0x18; ///< read and write: DS, ES, FS, GS, SS
    std::uint16_t taskSelector = 0x20; ///< TR: a busy 32/64-bit TSS, base 0, limit 67h
    bool operator==(BootCpuState const&) const = default;
};

struct BootImages {
    ByteSource const& kernel;
    ByteSource const* initrd = nullptr;
    std::string_view commandLine;
};

/// Loads a Linux bzImage or a PVH ELF, whichever `kernel` is, with the ACPI and SMBIOS tables. `ram` has the machine's
/// RAM of acpi.ramSize bytes, laid out as layout.h says; C0000–FFFFF must be RAM. To be called again after each reset.
Result<BootCpuState> bootDirectly(
    GuestMemory const& ram, BootImages const& images, AcpiConfig const& acpi, SmbiosConfig const& smbios);

/// Parts of bootDirectly(). Errors: Corrupt where the file contradicts its format, Unsupported where it is of a kind
/// that we cannot boot, InvalidArgument where it does not fit into this machine.
Result<BootCpuState> loadLinux(
    GuestMemory const& ram, BootImages const& images, std::uint64_t ramSize, std::uint64_t rsdpAddress);
Result<BootCpuState> loadPvh(
    GuestMemory const& ram, BootImages const& images, std::uint64_t ramSize, std::uint64_t rsdpAddress);

/// Where the parts of it are. Kernels are above 1 MiB.
namespace bootlayout {

constexpr std::uint64_t gdt = 0x500, startInfo = 0x6000, zeroPage = 0x7000, stackTop = 0x9000, pageTables = 0x9000;
constexpr std::uint64_t commandLine = 0x20000, commandLineMaximum = 0x10000; ///< with its zero
constexpr std::uint64_t rsdp = 0xe0000, acpiTables = 0xe1000, smbiosAnchor = 0xf0000, smbiosTables = 0xf0020;
constexpr std::uint64_t kernel = 0x100000;

}

/// Used by both loaders: copies from a file into RAM that is there; puts the command line in place; finds room for the
/// initrd as high as it may be (below `limit`, above `floor`) and reads it; writes descriptors and page tables.
Result<> readIntoRam(
    GuestMemory const& ram, ByteSource const& source, std::uint64_t offset, GuestAddress address, std::uint64_t size);
Result<> placeCommandLine(GuestMemory const& ram, std::string_view text, std::uint64_t maximum);
Result<GuestAddress> placeInitrd(
    GuestMemory const& ram, ByteSource const& initrd, std::uint64_t floor, std::uint64_t limit);
Result<> writeToRam(GuestMemory const& ram, GuestAddress address, ConstByteSpan data);
Result<> enterMode(GuestMemory const& ram, BootCpuState& state, BootCpuState::Mode mode);

}
