#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"
#include "vmm/base/unique_fd.h"

#include <memory>
#include <vector>

namespace vmm {

/// Memory whose pages are brought when somebody first touches them (userfaultfd(2), ioctl_userfaultfd(2)): the thread
/// that does, and be it the kernel for KVM or io_uring, waits until the page has been given. Any thread.
class PageFaults {
public:
    /// PermissionDenied where we may not have the kernel wait for us, as ordinary users mostly may not.
    static Result<std::unique_ptr<PageFaults>> open();

    /// From now on touching a page of private anonymous memory that is not there waits for give().
    Result<> watch(ByteSpan memory);
    /// Pages that are missing are zeros from now on; who waits for one goes on.
    void unwatch(ByteSpan memory);
    /// All of it is there: it need not be watched any more, and goes into large pages where the host has them.
    void complete(ByteSpan memory);

    /// Waits for touches: the addresses, not all different. Nothing: stop() was called.
    Result<std::vector<std::uint8_t*>> next();
    void stop();

    /// Gives whole pages. One that is there already, or is not watched any more, stays as it is.
    Result<> give(std::uint8_t* to, ConstByteSpan pages);
    /// Who waits for one of these tries again.
    void wake(ByteSpan memory);

private:
    PageFaults(UniqueFd fd, UniqueFd stopped) : m_fd(std::move(fd)), m_stopped(std::move(stopped)) { }
    Result<> givePart(std::uint8_t* to, ConstByteSpan pages, bool zeros);

    UniqueFd const m_fd, m_stopped;
};

}
