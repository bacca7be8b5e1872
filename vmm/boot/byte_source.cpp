#include "vmm/boot/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vmm {

namespace {

bool isInside(std::uint64_t offset, std::uint64_t length, std::uint64_t size)
{
    return offset <= size && length <= size - offset;
}

tl::unexpected<Error> endsTooEarly(std::uint64_t offset, std::uint64_t length, std::uint64_t size)
{
    return fail(
        ErrorCode::Corrupt, fmt::format("{} bytes at {:#x} are wanted of a file of {} bytes", length, offset, size));
}

}

Result<FileSource> FileSource::open(std::string const& path)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd)
        return failOs(fmt::format("cannot open {}", path));
    struct stat status { };
    if (::fstat(fd.get(), &status) != 0)
        return failOs(fmt::format("cannot look at {}", path));
    if (!S_ISREG(status.st_mode))
        return fail(ErrorCode::InvalidArgument, fmt::format("{} is not a file", path));
    return FileSource(path, std::move(fd), static_cast<std::uint64_t>(status.st_size));
}

FileSource::FileSource(std::string path, UniqueFd fd, std::uint64_t size)
    : m_path(std::move(path)), m_fd(std::move(fd)), m_size(size)
{
}

Result<> FileSource::read(std::uint64_t offset, ByteSpan data) const
{
    if (!isInside(offset, data.size(), m_size))
        return fail(Error(endsTooEarly(offset, data.size(), m_size).value()).within(m_path));
    while (!data.empty()) {
        auto const got = ::pread(m_fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failOs(fmt::format("cannot read {}", m_path));
        if (got == 0)
            return fail(ErrorCode::IoError, fmt::format("{} became shorter while it was read", m_path));
        data = data.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

Result<> MemorySource::read(std::uint64_t offset, ByteSpan data) const
{
    if (!isInside(offset, data.size(), m_data.size()))
        return endsTooEarly(offset, data.size(), m_data.size());
    std::copy_n(m_data.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
    return {};
}

}
