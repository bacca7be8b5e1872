#include "vmm/base/unique_fd.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

namespace vmm {

Result<UniqueFd> openFile(std::string const& path, int flags, unsigned mode)
{
    int fd = -1;
    do
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return failOs("cannot open " + path);
    return UniqueFd(fd);
}

Result<UniqueFd> openRegularFile(std::string const& path)
{
    auto fd = TRY(openFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat status { };
    if (::fstat(fd.get(), &status) != 0)
        return failOs("cannot look at " + path);
    if (!S_ISREG(status.st_mode))
        return fail(ErrorCode::InvalidArgument, path + " is not a file");
    return fd;
}

Result<UniqueFd> makeEventFd()
{
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd)
        return failOs("cannot create an eventfd");
    return fd;
}

void signalEventFd(int fd)
{
    std::uint64_t const one = 1;
    // Fails only with EAGAIN at a counter of 2^64-2, where it is signalled anyway.
    [[maybe_unused]] auto const written = ::write(fd, &one, sizeof one);
}

std::uint64_t drainEventFd(int fd)
{
    std::uint64_t count = 0;
    if (::read(fd, &count, sizeof count) != sizeof count)
        return 0;
    return count;
}

}
