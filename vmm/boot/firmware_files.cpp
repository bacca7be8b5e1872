#include "vmm/boot/firmware_files.h"

#include "vmm/devices/pflash_cfi.h"
#include "vmm/memory/layout.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace vmm {

namespace {

constexpr std::size_t maximumRom = 256u << 10, smallestFirmware = 64u << 10, pageSize = 4096;

Result<Bytes> readWhole(ByteSource const& file, std::string_view name, std::uint64_t limit)
{
    if (file.size() == 0 || file.size() > limit)
        return fail(
            ErrorCode::Corrupt, fmt::format("{} has {} bytes, up to {} are possible", name, file.size(), limit));
    Bytes data(file.size());
    TRY(file.read(0, data));
    return data;
}

}

Result<Bytes> readFirmware(ByteSource const& file, std::string_view name)
{
    auto contents = TRY(readWhole(file, name, layout::flashMaximum));
    // A block has whole pages, and would put the end of another size before 4 GiB.
    if (contents.size() < smallestFirmware || contents.size() % pageSize != 0) {
        return fail(ErrorCode::Corrupt,
            fmt::format("{} has {} bytes; a firmware has 64 KiB to 8 MiB of whole pages", name, contents.size()));
    }
    return contents;
}

Result<Bytes> readFirstVariables(ByteSource const& file, std::string_view name, std::uint64_t codeSize)
{
    auto contents = TRY(readWhole(file, name, layout::flashMaximum - codeSize));
    if (contents.size() % PflashCfi::sectorSize != 0)
        return fail(
            ErrorCode::Corrupt, fmt::format("{} has {} bytes, which do not fill whole sectors", name, contents.size()));
    return contents;
}

Result<Bytes> readKeptVariables(ByteSource const& file, std::string_view name, Bytes const& first)
{
    if (file.size() == 0)
        return first;
    if (file.size() != first.size()) {
        return fail(ErrorCode::Corrupt,
            fmt::format("{} has {} bytes, where the firmware wants {}. Delete it, and the machine begins with the "
                        "firmware's own variables",
                name, file.size(), first.size()));
    }
    Bytes contents(first.size());
    TRY(file.read(0, contents));
    return contents;
}

Result<Bytes> readDisplayBios(ByteSource const& file, std::string_view name)
{
    auto contents = TRY(readWhole(file, name, maximumRom));
    // How an expansion ROM begins: a signature, and its length in units of 512 bytes.
    if (contents.size() < 3 || contents[0] != 0x55 || contents[1] != 0xaa || contents[2] == 0
        || contents[2] * 512u > contents.size())
        return fail(ErrorCode::Corrupt, fmt::format("{} is not a whole display BIOS", name));
    contents.resize(std::max<std::size_t>(std::bit_ceil(contents.size()), pageSize));
    return contents;
}

}
