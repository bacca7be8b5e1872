#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <string>
#include <utility>

namespace vmm {

/// Private anonymous memory of the host: reads as zero, costs nothing until it is touched, is not dumped, and
/// no child process gets it. From 2 MiB on
/// it is aligned to that, and made of large pages where the host has them.
class AnonymousMemory {
public:
    static constexpr std::uint64_t pageSize = 4096, largePageSize = 2u << 20;

    AnonymousMemory() = default;
    /// `size` is a multiple of pageSize; `purpose` is for the message.
    static Result<AnonymousMemory> create(std::uint64_t size, std::string const& purpose);
    ~AnonymousMemory();
    AnonymousMemory(AnonymousMemory&& other) noexcept { *this = std::move(other); }
    AnonymousMemory& operator=(AnonymousMemory&& other) noexcept
    {
        std::swap(m_bytes, other.m_bytes);
        return *this;
    }

    ByteSpan bytes() const { return m_bytes; }
    /// Gives it out of hand: somebody else unmaps it, or has moved it.
    ByteSpan release() { return std::exchange(m_bytes, {}); }

private:
    ByteSpan m_bytes;
};

}
