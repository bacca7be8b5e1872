#include "vmm/boot/memory_map.h"

#include "vmm/memory/layout.h"

namespace vmm {

namespace {

using Type = MemoryMapEntry::Type;

void addHigh(std::vector<MemoryMapEntry>& map, std::uint64_t ramSize)
{
    map.push_back({ layout::kvmIdentityMap, 0x4000, Type::Reserved });
    if (auto const size = layout::highRamSize(ramSize); size != 0)
        map.push_back({ layout::highRam, size, Type::Ram });
}

}

std::vector<MemoryMapEntry> firmwareMemoryMap(std::uint64_t ramSize)
{
    std::vector<MemoryMapEntry> map { { 0, layout::lowRamSize(ramSize), Type::Ram } };
    addHigh(map, ramSize);
    return map;
}

std::vector<MemoryMapEntry> directBootMemoryMap(std::uint64_t ramSize)
{
    std::vector<MemoryMapEntry> map {
        { 0, layout::lowMemoryEnd, Type::Ram },
        { layout::lowMemoryEnd, layout::legacyVga - layout::lowMemoryEnd, Type::Reserved },
        { layout::legacyBios, layout::legacyEnd - layout::legacyBios, Type::Reserved },
        { layout::legacyEnd, layout::lowRamSize(ramSize) - layout::legacyEnd, Type::Ram },
        { layout::ecam, layout::ecamSize, Type::Reserved },
        { layout::generationId, 0x1000, Type::Reserved },
    };
    addHigh(map, ramSize);
    return map;
}

Bytes memoryMapBytes(std::vector<MemoryMapEntry> const& map)
{
    Bytes bytes;
    auto const append = [&](auto value) {
        auto const part = bytesOf(value);
        bytes.insert(bytes.end(), part.begin(), part.end());
    };
    for (auto const& entry : map) {
        append(entry.address);
        append(entry.size);
        append(static_cast<std::uint32_t>(entry.type));
    }
    return bytes;
}

}
