#include "vmm/memory/guest_memory.h"

#include "vmm/base/unique_fd.h"

#include <algorithm>
#include <cassert>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

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
    void* const mapped
        = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
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
    : m_name(std::move(name)), m_data(data), m_size(size)
{
}

MemoryBlock::~MemoryBlock()
{
    ::munmap(m_data, m_size);
}

std::uint64_t MemoryBlock::residentBytes() const
{
    std::vector<unsigned char> resident(m_size / pageSize);
    if (::mincore(m_data, m_size, resident.data()) != 0)
        return 0;
    return static_cast<std::uint64_t>(std::count_if(resident.begin(), resident.end(), [](unsigned char page) {
        return (page & 1) != 0;
    })) * pageSize;
}

void MemoryBlock::clear()
{
    if (!std::exchange(m_backedByFile, false)) {
        ::madvise(m_data, m_size, MADV_DONTNEED);
        return;
    }
    // Over the file's pages comes new anonymous memory at the same place; without it the old contents would show again.
    ::mmap(m_data, m_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    ::madvise(m_data, m_size, MADV_HUGEPAGE);
    ::madvise(m_data, m_size, MADV_DONTDUMP);
}

Result<> MemoryBlock::loadLazily(int fd, std::uint64_t offset)
{
    struct stat status { };
    if (::fstat(fd, &status) != 0)
        return failOs("cannot look at the memory file");
    if (offset % pageSize != 0 || offset > static_cast<std::uint64_t>(status.st_size)
        || m_size > static_cast<std::uint64_t>(status.st_size) - offset)
        return fail(ErrorCode::Corrupt, fmt::format("the memory file is too short for {}", m_name));
    void* const mapped = ::mmap(m_data, m_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd,
        static_cast<off_t>(offset));
    if (mapped == MAP_FAILED)
        return failOs(fmt::format("cannot map the saved contents of {}", m_name));
    ::madvise(m_data, m_size, MADV_DONTDUMP);
    m_backedByFile = true;
    return {};
}

Result<> MemoryBlock::visitPages(
    std::uint64_t chunk, std::function<bool(std::uint64_t, std::uint64_t)> const& visit) const
{
    // /proc/self/pagemap has 64 bits a page (Documentation/admin-guide/mm/pagemap.rst): bit 63 present, 62 swapped.
    constexpr std::uint64_t usedBits = 3ull << 62;
    UniqueFd pagemap;
    if (!m_backedByFile)
        pagemap = TRY(openFile("/proc/self/pagemap", O_RDONLY));
    std::vector<std::uint64_t> entries(chunk / pageSize);
    for (std::uint64_t start = 0; start < m_size; start += chunk) {
        auto const pages = std::min(chunk, m_size - start) / pageSize;
        if (pagemap) {
            auto const first = (reinterpret_cast<std::uintptr_t>(m_data) + start) / pageSize;
            auto const wanted = static_cast<ssize_t>(pages * sizeof(std::uint64_t));
            if (::pread(pagemap.get(), entries.data(), static_cast<std::size_t>(wanted),
                    static_cast<off_t>(first * sizeof(std::uint64_t)))
                != wanted)
                return failOs("cannot find out which memory is in use");
        } else {
            std::fill(entries.begin(), entries.end(), usedBits);
        }
        for (std::uint64_t page = 0; page < pages;) {
            auto end = page;
            while (end < pages && (entries[end] & usedBits) != 0)
                ++end;
            if (end > page && !visit(start + page * pageSize, (end - page) * pageSize))
                return {};
            page = end + 1;
        }
    }
    return {};
}

void GuestMemory::add(Range range)
{
    assert(range.offset + range.size <= range.block->size());
    auto const place = std::lower_bound(
        m_ranges.begin(), m_ranges.end(), range, [](Range const& a, Range const& b) { return a.address < b.address; });
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
