#pragma once

#include "vmm/base/bytes.h"

#include <algorithm>
#include <cstring>
#include <sys/uio.h>
#include <vector>

/// Memory in pieces, as a guest's requests have it.
namespace vmm {

/// Calls `visit` with each piece of memory from `offset` on and up to `length` bytes, and where its bytes are among
/// those; how many there were.
template<typename Visit>
std::size_t forEachPiece(std::span<iovec const> parts, std::uint64_t offset, std::uint64_t length, Visit const& visit)
{
    std::size_t done = 0;
    for (auto const& part : parts) {
        if (done == length)
            break;
        if (offset >= part.iov_len) {
            offset -= part.iov_len;
            continue;
        }
        auto const count = std::min<std::uint64_t>(length - done, part.iov_len - offset);
        visit(static_cast<std::uint8_t*>(part.iov_base) + offset, done, count);
        done += count;
        offset = 0;
    }
    return done;
}

/// Copies to `data` what begins `offset` bytes into the pieces; how many bytes there were.
inline std::size_t copyFromPieces(std::span<iovec const> parts, std::uint64_t offset, ByteSpan data)
{
    return forEachPiece(parts, offset, data.size(), [&](std::uint8_t const* memory, std::size_t at, std::size_t count) {
        std::memcpy(data.data() + at, memory, count);
    });
}

/// The other way; how many bytes there was room for.
inline std::size_t copyToPieces(std::span<iovec const> parts, std::uint64_t offset, ConstByteSpan data)
{
    return forEachPiece(parts, offset, data.size(),
        [&](std::uint8_t* memory, std::size_t at, std::size_t count) { std::memcpy(memory, data.data() + at, count); });
}

/// What begins `offset` bytes into the pieces and is `length` bytes long, appended to `into`.
inline void slicePieces(
    std::span<iovec const> parts, std::uint64_t offset, std::uint64_t length, std::vector<iovec>& into)
{
    forEachPiece(parts, offset, length, [&](std::uint8_t* memory, std::size_t, std::size_t count) {
        into.push_back({ memory, count });
    });
}

}
