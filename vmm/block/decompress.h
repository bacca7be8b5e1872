#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

namespace vmm {

enum class Compression : std::uint8_t {
    Deflate, ///< raw deflate (RFC 1951), without zlib's header
    Zstd,    ///< one or more frames (RFC 8878)
};

/// Unpacks from the beginning of `packed` until `to` is full; what follows in `packed` is of no interest. Corrupt when
/// it does not yield as much.
Result<> decompress(Compression method, ConstByteSpan packed, ByteSpan to);

}
