#include "vmm/memory/guest_memory.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <sys/mman.h>

namespace vmm {

namespace {

constexpr std::uint64_t pageSize = 4096;
constexpr std::uint64_t hugePageSize = 2u << 20;

}

Result<std::unique_ptr<MemoryBlock>> MemoryBlock::create(std::string name, std::uint64_t size)
{
    size = alignUp(std::max<std::uint64_t>(size, 1), pageSize);
    bool const huge = size >= hugePageSize;
    // Aligned to 2 MiB on the host as in the guest, so that both levels of page tables can use large pages.
    auto const slack = huge ? hugePageSize : 0;
    void* const mapped = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return failOs(fmt::format("cannot reserve {} MiB for {}", size >> 20, name));
    auto* data = static_cast<std::uint8_t*>(mapped);
    if (huge) {
        auto* const aligned = reinterpret_cast<std::uint8_t*>(
            alignUp(reinterpret_cast<std::uintptr_t>(data), static_cast<std::uintptr_t>(hugePageSize)));
        if (aligned != data)
            ::munmap(data, static_cast<std::size_t>(aligned - data));
        auto* const end = data + size + slack;
        if (aligned + size != end)
            ::munmap(aligned + size, static_cast<std::size_t>(end - (aligned + size)));
        data = aligned;
        ::madvise(data, size, MADV_HUGEPAGE);
    }
    ::madvise(data, size, MADV_DONTDUMP);
    return std::unique_ptr<MemoryBlock>(new MemoryBlock(std::move(name), data, size));
}

MemoryBlock::MemoryBlock(std::string name, std::uint8_t* data, std::uint64_t size)
    : m_name(std::move(name))
    , m_data(data)
    , m_size(size)
{
}

MemoryBlock::~MemoryBlock()
{
    ::munmap(m_data, m_size);
}

void MemoryBlock::clear()
{
    ::madvise(m_data, m_size, MADV_DONTNEED);
}

void GuestMemory::add(Range range)
{
    assert(range.offset + range.size <= range.block->size());
    auto const place = std::lower_bound(m_ranges.begin(), m_ranges.end(), range,
        [](Range const& a, Range const& b) { return a.address < b.address; });
    assert(place == m_ranges.end() || range.address + range.size <= place->address);
    m_ranges.insert(place, range);
}

std::uint8_t* GuestMemory::at(GuestAddress address, std::uint64_t size) const
{
    for (auto const& range : m_ranges) {
        if (address < range.address)
            return nullptr;
        auto const into = address - range.address;
        if (into < range.size)
            return size <= range.size - into ? range.block->data() + range.offset + into : nullptr;
    }
    return nullptr;
}

bool GuestMemory::read(GuestAddress address, ByteSpan data) const
{
    while (!data.empty()) {
        // Ranges may adjoin (RAM below and above the legacy area), and a copy may cross from one into the next.
        auto const toPageEnd = std::min<std::uint64_t>(data.size(), pageSize - address % pageSize);
        auto const* memory = at(address, data.size());
        auto const length = memory ? data.size() : toPageEnd;
        if (!memory && !(memory = at(address, length)))
            return false;
        std::memcpy(data.data(), memory, length);
        data = data.subspan(length);
        address += length;
    }
    return true;
}

bool GuestMemory::write(GuestAddress address, ConstByteSpan data) const
{
    while (!data.empty()) {
        auto const toPageEnd = std::min<std::uint64_t>(data.size(), pageSize - address % pageSize);
        auto* memory = at(address, data.size());
        auto const length = memory ? data.size() : toPageEnd;
        if (!memory && !(memory = at(address, length)))
            return false;
        std::memcpy(memory, data.data(), length);
        data = data.subspan(length);
        address += length;
    }
    return true;
}

}
