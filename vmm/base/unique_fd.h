#pragma once

#include "vmm/base/result.h"

#include <string>
#include <unistd.h>
#include <utility>

namespace vmm {

/// Owns one file descriptor.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : m_fd(fd) { }
    UniqueFd(UniqueFd&& other) noexcept : m_fd(std::exchange(other.m_fd, -1)) { }
    UniqueFd& operator=(UniqueFd&& other) noexcept
    {
        if (this != &other)
            reset(std::exchange(other.m_fd, -1));
        return *this;
    }
    UniqueFd(UniqueFd const&) = delete;
    UniqueFd& operator=(UniqueFd const&) = delete;
    ~UniqueFd() { reset(); }

    int get() const { return m_fd; }
    explicit operator bool() const { return m_fd >= 0; }
    int release() { return std::exchange(m_fd, -1); }
    void reset(int fd = -1)
    {
        if (m_fd >= 0)
            ::close(m_fd);
        m_fd = fd;
    }

private:
    int m_fd = -1;
};

/// open(2) with O_CLOEXEC; the error names the path.
Result<UniqueFd> openFile(std::string const& path, int flags, unsigned mode = 0666);

/// The same for a file that is to be read whole: InvalidArgument for what is none. Waits for nobody, also where the
/// path names a FIFO.
Result<UniqueFd> openRegularFile(std::string const& path);

/// A non-blocking eventfd, counter 0.
Result<UniqueFd> makeEventFd();

/// Adds one to an eventfd's counter.
void signalEventFd(int fd);

/// Takes the counter of an eventfd back to 0 and returns what it was (0 when it was not signalled).
std::uint64_t drainEventFd(int fd);

}
