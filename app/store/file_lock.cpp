#include "app/store/file_lock.h"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <fmt/format.h>
#include <thread>
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

vmm::Result<vmm::UniqueFd> lockForChange(std::string const& path)
{
    constexpr std::chrono::milliseconds patience(5000), pause(10);
    auto fd = TRY(vmm::openFile(path + ".lock", O_RDWR | O_CREAT, 0600));
    for (auto waited = std::chrono::milliseconds(0); !TRY(tryLockFile(fd.get(), path)); waited += pause) {
        if (waited >= patience)
            return vmm::fail(vmm::ErrorCode::Busy, fmt::format("another process does not let go of {}", path));
        std::this_thread::sleep_for(pause);
    }
    return fd;
}

bool isFileLocked(int fd)
{
    auto lock = wholeFileLock();
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}
