#include "vmm/boot/direct_boot.h"
#include "vmm/boot/memory_map.h"
#include "vmm/memory/layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

// Xen, docs/misc/pvh.pandoc, "x86/HVM direct boot ABI"; System V gABI, chapters 4 and 5, "ELF Header", "Program Header"
// and "Note Section".

namespace vmm {

namespace {

constexpr std::uint8_t elf32 = 1, elf64 = 2, littleEndian = 1;
constexpr std::uint32_t loadSegment = 1, noteSegment = 4;
constexpr std::uint32_t entryNote = 18; // XEN_ELFNOTE_PHYS32_ENTRY
constexpr unsigned maximumSegments = 64;
constexpr std::uint64_t maximumNotes = 64 * 1024;

struct Segment {
    std::uint32_t type;
    std::uint64_t offset, address, fileSize, memorySize;
};

Result<std::vector<Segment>> readSegments(ByteSource const& file)
{
    auto const kind = TRY(file.load<std::uint8_t>(4));
    auto const order = TRY(file.load<std::uint8_t>(5));
    if ((kind != elf32 && kind != elf64) || order != littleEndian)
        return fail(ErrorCode::Unsupported, "the ELF file is not one of x86");
    bool const wide = kind == elf64;
    auto const machine = TRY(file.load<std::uint16_t>(18));
    if (machine != 3 && machine != 62)
        return fail(ErrorCode::Unsupported, fmt::format("the ELF file is for machine {}, not x86", machine));
    auto const tableOffset = wide ? TRY(file.load<std::uint64_t>(32)) : TRY(file.load<std::uint32_t>(28));
    auto const entrySize = TRY(file.load<std::uint16_t>(wide ? 54 : 42));
    auto const count = TRY(file.load<std::uint16_t>(wide ? 56 : 44));
    if (count == 0 || count > maximumSegments || entrySize != (wide ? 56 : 32))
        return fail(ErrorCode::Corrupt, fmt::format("the ELF file has {} segments of {} bytes", count, entrySize));

    Bytes table(std::size_t(count) * entrySize);
    TRY(file.read(tableOffset, table));
    std::vector<Segment> segments;
    for (unsigned i = 0; i < count; ++i) {
        auto const entry = ConstByteSpan(table).subspan(std::size_t(i) * entrySize, entrySize);
        auto const get = [&](std::size_t at32, std::size_t at64) {
            return wide ? loadLittle<std::uint64_t>(entry.subspan(at64, 8))
                        : loadLittle<std::uint32_t>(entry.subspan(at32, 4));
        };
        segments.push_back({ loadLittle<std::uint32_t>(entry), get(4, 8), get(12, 24), get(16, 32), get(20, 40) });
    }
    return segments;
}

/// The entry point that the note of name "Xen" and type 18 gives.
Result<std::optional<std::uint64_t>> findEntry(ByteSource const& file, Segment const& notes)
{
    if (notes.fileSize > maximumNotes)
        return fail(ErrorCode::Corrupt, fmt::format("the ELF file has {} bytes of notes", notes.fileSize));
    Bytes bytes(notes.fileSize);
    TRY(file.read(notes.offset, bytes));
    ConstByteSpan rest(bytes);
    while (rest.size() >= 12) {
        std::uint64_t const nameSize = loadLittle<std::uint32_t>(rest.subspan(0, 4));
        std::uint64_t const valueSize = loadLittle<std::uint32_t>(rest.subspan(4, 4));
        auto const type = loadLittle<std::uint32_t>(rest.subspan(8, 4));
        auto const valueAt = 12 + alignUp<std::uint64_t>(nameSize, 4);
        auto const end = valueAt + alignUp<std::uint64_t>(valueSize, 4);
        if (valueAt + valueSize > rest.size())
            return fail(ErrorCode::Corrupt, "a note of the ELF file reaches over its end");
        constexpr std::string_view owner("Xen\0", 4);
        if (type == entryNote && nameSize == owner.size() && std::equal(owner.begin(), owner.end(), rest.begin() + 12)
            && (valueSize == 4 || valueSize == 8))
            return std::optional(loadLittle<std::uint64_t>(rest.subspan(valueAt, valueSize)));
        rest = rest.subspan(std::min<std::uint64_t>(end, rest.size()));
    }
    return std::optional<std::uint64_t>();
}

class Record {
public:
    template<typename T>
    Record& value(T value)
    {
        auto const part = bytesOf(value);
        m_bytes.insert(m_bytes.end(), part.begin(), part.end());
        return *this;
    }
    Bytes const& bytes() const { return m_bytes; }

private:
    Bytes m_bytes;
};

}

Result<BootCpuState> loadPvh(
    GuestMemory const& ram, BootImages const& images, std::uint64_t ramSize, std::uint64_t rsdpAddress)
{
    auto const lowRam = layout::lowRamSize(ramSize);
    auto const segments = TRY(readSegments(images.kernel));
    std::optional<std::uint64_t> entry;
    std::uint64_t kernelEnd = bootlayout::kernel;
    for (auto const& segment : segments) {
        if (segment.type == noteSegment && !entry)
            entry = TRY(findEntry(images.kernel, segment));
        if (segment.type != loadSegment || segment.memorySize == 0)
            continue;
        if (segment.fileSize > segment.memorySize)
            return fail(ErrorCode::Corrupt,
                fmt::format(
                    "a segment of the ELF file has {} bytes in a place of {}", segment.fileSize, segment.memorySize));
        if (segment.address < bootlayout::kernel || segment.address > lowRam
            || segment.memorySize > lowRam - segment.address)
            return fail(ErrorCode::InvalidArgument,
                fmt::format("the kernel wants {} bytes at {:#x}, which must be between 1 MiB and {} MiB",
                    segment.memorySize, segment.address, lowRam >> 20));
        TRY(readIntoRam(ram, images.kernel, segment.offset, segment.address, segment.fileSize));
        auto const zeroes = segment.memorySize - segment.fileSize;
        if (auto* const memory = ram.at(segment.address + segment.fileSize, zeroes); memory && zeroes != 0)
            std::fill_n(memory, zeroes, std::uint8_t(0));
        kernelEnd = std::max(kernelEnd, segment.address + segment.memorySize);
    }
    if (!entry)
        return fail(ErrorCode::Unsupported, "the ELF file has no entry for direct boot (no PVH note)");
    if (*entry < bootlayout::kernel || *entry >= kernelEnd)
        return fail(ErrorCode::Corrupt, fmt::format("the kernel's entry {:#x} is outside of it", *entry));

    TRY(placeCommandLine(ram, images.commandLine, bootlayout::commandLineMaximum - 1));
    // The start info, then the list of modules (the initrd), then the memory map.
    constexpr std::uint64_t moduleAt = bootlayout::startInfo + 0x40, mapAt = bootlayout::startInfo + 0x80;
    bool const hasInitrd = images.initrd && images.initrd->size() != 0;
    if (hasInitrd) {
        auto const at = TRY(placeInitrd(ram, *images.initrd, alignUp<std::uint64_t>(kernelEnd, 4096), lowRam));
        Record const module
            = Record().value(at).value(images.initrd->size()).value(std::uint64_t(0)).value(std::uint64_t(0));
        TRY(writeToRam(ram, moduleAt, module.bytes()));
    }
    auto const map = directBootMemoryMap(ramSize);
    Record mapRecord;
    for (auto const& range : map)
        mapRecord.value(range.address).value(range.size).value(range.type).value(std::uint32_t(0));
    TRY(writeToRam(ram, mapAt, mapRecord.bytes()));
    Record const info = Record()
                            .value(std::uint32_t(0x336ec578))
                            .value(std::uint32_t(1))
                            .value(std::uint32_t(0))
                            .value(std::uint32_t(hasInitrd ? 1 : 0))
                            .value(std::uint64_t(hasInitrd ? moduleAt : 0))
                            .value(bootlayout::commandLine)
                            .value(rsdpAddress)
                            .value(mapAt)
                            .value(static_cast<std::uint32_t>(map.size()))
                            .value(std::uint32_t(0));
    TRY(writeToRam(ram, bootlayout::startInfo, info.bytes()));

    BootCpuState state;
    TRY(enterMode(ram, state, BootCpuState::Mode::Protected32));
    state.rip = *entry;
    state.rbx = bootlayout::startInfo;
    return state;
}

}
