#include "vmm/memory/anonymous_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

namespace vmm {

Result<AnonymousMemory> AnonymousMemory::create(std::uint64_t size, std::string const& purpose)
{
    bool const large = size >= largePageSize;
    auto const slack = large ? largePageSize : 0;
    void* const mapped
        = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return failOs(fmt::format("cannot reserve {} MiB for {}", size >> 20, purpose));
    auto* data = static_cast<std::uint8_t*>(mapped);
    if (large) {
        auto* const aligned = reinterpret_cast<std::uint8_t*>(
            alignUp(reinterpret_cast<std::uintptr_t>(data), static_cast<std::uintptr_t>(largePageSize)));
        if (aligned != data)
            ::munmap(data, static_cast<std::size_t>(aligned - data));
        auto* const end = data + size + slack;
        if (aligned + size != end)
            ::munmap(aligned + size, static_cast<std::size_t>(end - (aligned + size)));
        data = aligned;
        ::madvise(data, size, MADV_HUGEPAGE);
    }
    ::madvise(data, size, MADV_DONTDUMP);
    ::madvise(data, size, MADV_DONTFORK);
    AnonymousMemory memory;
    memory.m_bytes = { data, size };
    return memory;
}

AnonymousMemory::~AnonymousMemory()
{
    if (!m_bytes.empty())
        ::munmap(m_bytes.data(), m_bytes.size());
}

}
