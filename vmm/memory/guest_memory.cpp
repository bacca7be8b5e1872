#include "vmm/memory/guest_memory.h"

#include "vmm/base/unique_fd.h"
#include "vmm/memory/pagemap.h"

#include <algorithm>
#include <cassert>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace vmm {

namespace {

constexpr std::uint64_t pageSize = AnonymousMemory::pageSize;

Result<> readPagemap(UniqueFd const& pagemap, std::uint8_t const* address, std::span<std::uint64_t> entries)
{
    auto const first = reinterpret_cast<std::uintptr_t>(address) / pageSize;
    auto const got = ::pread(
        pagemap.get(), entries.data(), entries.size_bytes(), static_cast<off_t>(first * sizeof(std::uint64_t)));
    if (got != static_cast<ssize_t>(entries.size_bytes()))
        return failOs("cannot find out which memory is in use");
    return {};
}

}

Result<std::unique_ptr<MemoryBlock>> MemoryBlock::create(std::string name, std::uint64_t size)
{
    auto memory = TRY(AnonymousMemory::create(alignUp(std::max<std::uint64_t>(size, 1), pageSize), name));
    return std::unique_ptr<MemoryBlock>(new MemoryBlock(std::move(name), memory.release()));
}

MemoryBlock::MemoryBlock(std::string name, ByteSpan memory)
    : m_name(std::move(name)), m_data(memory.data()), m_size(memory.size())
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

Result<> MemoryBlock::setInherited(bool inherited)
{
    if (::madvise(m_data, m_size, inherited ? MADV_DOFORK : MADV_DONTFORK) != 0)
        return failOs(fmt::format("cannot say whether a child has {}", m_name));
    return {};
}

void MemoryBlock::clear()
{
    if (!m_lost.exchange(false) && std::find(m_shown.begin(), m_shown.end(), true) == m_shown.end()) {
        ::madvise(m_data, m_size, MADV_DONTNEED);
        return;
    }
    // Over the file's pages comes new anonymous memory at the same place; without it the old contents would show again.
    ::mmap(m_data, m_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    ::madvise(m_data, m_size, MADV_HUGEPAGE);
    ::madvise(m_data, m_size, MADV_DONTDUMP);
    ignore(setInherited(false));
    setShown(0, m_size, false);
}

Result<> MemoryBlock::checkPart(std::uint64_t offset, std::uint64_t size) const
{
    if (offset % granule != 0 || offset > m_size || size > m_size - offset
        || (size % granule != 0 && offset + size != m_size))
        return fail(ErrorCode::InvalidArgument, fmt::format("{} has no such part", m_name));
    return {};
}

void MemoryBlock::setShown(std::uint64_t offset, std::uint64_t size, bool shown)
{
    m_shown.resize(alignUp(m_size, granule) / granule);
    auto const first = m_shown.begin() + static_cast<std::ptrdiff_t>(offset / granule);
    std::fill_n(first, alignUp(size, granule) / granule, shown);
    if (!shown && std::find(m_shown.begin(), m_shown.end(), true) == m_shown.end())
        setComplete();
}

Result<> MemoryBlock::showFile(std::uint64_t offset, std::uint64_t size, int fd, std::uint64_t fileOffset)
{
    TRY(checkPart(offset, size));
    struct stat status { };
    if (::fstat(fd, &status) != 0)
        return failOs("cannot look at the memory file");
    auto const fileSize = static_cast<std::uint64_t>(status.st_size);
    if (fileOffset % pageSize != 0 || fileOffset > fileSize || size > fileSize - fileOffset)
        return fail(ErrorCode::Corrupt, fmt::format("the memory file is too short for {}", m_name));
    if (isComplete())
        TRY(setIncomplete());
    void* const mapped = ::mmap(m_data + offset, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED,
        fd, static_cast<off_t>(fileOffset));
    if (mapped == MAP_FAILED)
        return failOs(fmt::format("cannot map the saved contents of {}", m_name));
    ::madvise(m_data + offset, size, MADV_DONTDUMP);
    ::madvise(m_data + offset, size, MADV_DONTFORK);
    setShown(offset, size, true);
    return {};
}

Result<> MemoryBlock::setIncomplete()
{
    auto guard = TRY(BusErrorGuard::watch(bytes()));
    std::lock_guard const lock(m_guardMutex);
    m_guard = std::move(guard);
    return {};
}

void MemoryBlock::setComplete()
{
    std::lock_guard const lock(m_guardMutex);
    m_guard.reset();
}

bool MemoryBlock::lostPages() const
{
    std::lock_guard const lock(m_guardMutex);
    return m_guard && m_guard->lost();
}

bool MemoryBlock::isComplete() const
{
    std::lock_guard const lock(m_guardMutex);
    return m_guard == nullptr;
}

Result<> MemoryBlock::lose(std::uint64_t offset)
{
    m_lost = true;
    UniqueFd const nothing(::memfd_create("lost", MFD_CLOEXEC));
    if (!nothing
        || ::mmap(m_data + offset, pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, nothing.get(), 0)
            == MAP_FAILED)
        return failOs(fmt::format("cannot take a page of {} away", m_name));
    ::madvise(m_data + offset, pageSize, MADV_DONTFORK);
    return {};
}

Result<> MemoryBlock::replace(std::uint64_t offset, AnonymousMemory contents)
{
    auto const size = contents.bytes().size();
    TRY(checkPart(offset, size));
    auto const pagemap = TRY(openFile("/proc/self/pagemap", O_RDONLY));
    std::vector<std::uint64_t> entries(size / pageSize);
    TRY(readPagemap(pagemap, m_data + offset, entries));
    for (std::size_t page = 0; page < entries.size(); ++page) {
        // A page of its own is one that was written to.
        if ((entries[page] & pagemapUsed) != 0 && (entries[page] & pagemapOfFile) == 0)
            std::memcpy(contents.bytes().data() + page * pageSize, m_data + offset + page * pageSize, pageSize);
    }
    // One system call: whoever reads meanwhile waits, and sees either the old pages or the new ones.
    if (::mremap(contents.bytes().data(), size, size, MREMAP_MAYMOVE | MREMAP_FIXED, m_data + offset) == MAP_FAILED)
        return failOs(fmt::format("cannot put the memory of {} in its place", m_name));
    contents.release();
    setShown(offset, size, false);
    return {};
}

Result<> MemoryBlock::visitPages(
    std::uint64_t chunk, std::function<bool(std::uint64_t, std::uint64_t)> const& visit) const
{
    auto const pagemap = TRY(openFile("/proc/self/pagemap", O_RDONLY));
    std::vector<std::uint64_t> entries(chunk / pageSize);
    auto const isShown = [&](std::uint64_t from, std::uint64_t to) {
        bool shown = false;
        for (auto at = from / granule; !m_shown.empty() && at <= (to - 1) / granule; ++at)
            shown |= m_shown[at];
        return shown;
    };
    for (std::uint64_t start = 0; start < m_size; start += chunk) {
        auto const pages = std::min(chunk, m_size - start) / pageSize;
        if (isShown(start, start + pages * pageSize))
            std::fill(entries.begin(), entries.end(), pagemapUsed);
        else
            TRY(readPagemap(pagemap, m_data + start, std::span(entries).first(pages)));
        for (std::uint64_t page = 0; page < pages;) {
            auto end = page;
            while (end < pages && (entries[end] & pagemapUsed) != 0)
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
