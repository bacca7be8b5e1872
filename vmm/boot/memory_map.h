#pragma once

#include "vmm/base/bytes.h"

namespace vmm {

/// One entry of the map that firmware gives to operating systems (ACPI Specification 6.4, 15 "System Address Map
/// Interfaces").
struct MemoryMapEntry {
    enum class Type : std::uint32_t { Ram = 1, Reserved = 2 };
    std::uint64_t address, size;
    Type type;
    bool operator==(MemoryMapEntry const&) const = default;
};

/// What "etc/e820" says to firmware: RAM, and what KVM needs for itself; firmware adds what it takes.
std::vector<MemoryMapEntry> firmwareMemoryMap(std::uint64_t ramSize);
/// What a directly booted kernel gets: firmware's part of the work is done.
std::vector<MemoryMapEntry> directBootMemoryMap(std::uint64_t ramSize);

constexpr std::string_view memoryMapFile = "etc/e820";
/// Entries of 20 bytes, as the file and the Linux boot protocol have them.
Bytes memoryMapBytes(std::vector<MemoryMapEntry> const& map);

}
