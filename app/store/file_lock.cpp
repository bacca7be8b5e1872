#include "app/store/file_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace app {

namespace {

struct flock wholeFileLock()
{
    struct flock lock { };
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

}

vmm::Result<bool> tryLockFile(int fd, std::string const& path)
{
    auto lock = wholeFileLock();
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return true;
    if (errno != EAGAIN && errno != EACCES)
        return vmm::failOs(fmt::format("locking {}", path));
    return false;
}

bool isFileLocked(int fd)
{
    auto lock = wholeFileLock();
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}
