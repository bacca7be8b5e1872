#pragma once

#include <cstdint>

/// Where things are in the guest's physical address space. The same as on QEMU's Q35, because SeaBIOS and OVMF are
/// built for that.
///
///   0               low RAM (with the legacy area A0000–FFFFF in it)
///   lowRamEnd       32-bit PCI window; ECAM lies inside it, where the firmware puts it
///   FEC00000        IOAPIC, LAPIC, …
///   …FFFFFFFF       the firmware's image, its end at 4 GiB
///   100000000       high RAM, then the 64-bit PCI window
namespace vmm::layout {

constexpr std::uint64_t fourGiB = std::uint64_t(1) << 32;

/// RAM that an operating system may use below the legacy area; the last KiB before it is the BIOS's data area.
constexpr std::uint64_t lowMemoryEnd = 0x9fc00;
constexpr std::uint64_t legacyVga = 0xa0000, legacyVgaEnd = 0xc0000;
/// Option ROMs and the BIOS: RAM or ROM, as the PAM registers say.
constexpr std::uint64_t legacyBios = 0xe0000, legacyEnd = 0x100000;

/// RAM that fits below this is all low; what does not fit is split at lowRamSplit.
constexpr std::uint64_t lowRamMaximum = 0xb0000000, lowRamSplit = 0x80000000;
constexpr std::uint64_t highRam = fourGiB;

constexpr std::uint64_t lowRamSize(std::uint64_t ramSize)
{
    return ramSize <= lowRamMaximum ? ramSize : lowRamSplit;
}
constexpr std::uint64_t highRamSize(std::uint64_t ramSize)
{
    return ramSize - lowRamSize(ramSize);
}

/// ECAM under direct boot; firmware chooses by itself (PCIEXBAR). One MiB for each of 256 buses.
constexpr std::uint64_t ecam = 0xb0000000, ecamSize = 0x10000000;

/// The end of the 32-bit PCI window.
constexpr std::uint64_t pciWindowEnd = 0xfec00000;

/// A page of the board's that holds the VM generation id.
constexpr std::uint64_t generationId = 0xfed80000;
constexpr std::uint64_t ioApic = 0xfec00000, localApic = 0xfee00000;
/// Three pages that KVM on Intel processors needs for real mode (KVM_SET_TSS_ADDR), and one for its identity map.
constexpr std::uint64_t kvmTss = 0xfeffd000, kvmIdentityMap = 0xfeffc000;
/// The firmware's image (and OVMF's variables below it) ends here, and is no larger than flashMaximum.
constexpr std::uint64_t flashEnd = fourGiB, flashMaximum = 0x800000;

/// The 64-bit PCI window: from the first GiB boundary above RAM to the end of an aligned 32 GiB, which is where OVMF
/// puts its 64-bit BARs.
constexpr std::uint64_t pci64Window(std::uint64_t ramSize)
{
    constexpr std::uint64_t giB = std::uint64_t(1) << 30;
    return (highRam + highRamSize(ramSize) + giB - 1) / giB * giB;
}
constexpr std::uint64_t pci64WindowEnd(std::uint64_t ramSize)
{
    constexpr std::uint64_t size = std::uint64_t(32) << 30;
    return (pci64Window(ramSize) + size - 1) / size * size + size;
}

}
