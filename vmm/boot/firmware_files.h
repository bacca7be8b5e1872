#pragma once

#include "vmm/boot/byte_source.h"

#include <string_view>

/// Firmware's files, checked: the host's may be of another release, cut off or something else, and what a machine has
/// kept may come from anywhere. `name` is what an error calls the file.
namespace vmm {

/// The image that ends at 4 GiB: 64 KiB to 8 MiB of whole pages.
Result<Bytes> readFirmware(ByteSource const& file, std::string_view name);

/// The variables that firmware of `codeSize` bytes begins with: whole sectors of the flash chip below it.
Result<Bytes> readFirstVariables(ByteSource const& file, std::string_view name, std::uint64_t codeSize);

/// What a machine has kept of its variables: as many bytes as `first`, or none where the file is empty, which is what
/// one that was cut off used to leave.
Result<Bytes> readKeptVariables(ByteSource const& file, std::string_view name, Bytes const& first);

/// A display's expansion ROM, filled up to the size that its BAR can have.
Result<Bytes> readDisplayBios(ByteSource const& file, std::string_view name);

}
