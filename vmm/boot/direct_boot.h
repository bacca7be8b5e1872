#pragma once

#include "vmm/boot/acpi.h"
#include "vmm/boot/byte_source.h"
#include "vmm/boot/smbios.h"
#include "vmm/kvm/boot_cpu_state.h"
#include "vmm/memory/guest_memory.h"

/// Booting a kernel without firmware: we put it and what it wants to know into RAM, and the first processor begins in
/// it.
namespace vmm {

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
