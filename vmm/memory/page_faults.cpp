#include "vmm/memory/page_faults.h"

#include "vmm/memory/anonymous_memory.h"
#include "vmm/memory/large_pages.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace vmm {

namespace {

constexpr std::uint64_t pageSize = AnonymousMemory::pageSize;

uffdio_range rangeOf(ConstByteSpan memory)
{
    return { reinterpret_cast<std::uintptr_t>(memory.data()), memory.size() };
}

/// The device is for whoever its mode lets in; the system call asks for CAP_SYS_PTRACE or a setting of the host.
Result<UniqueFd> openUserFaults()
{
    constexpr int flags = O_CLOEXEC | O_NONBLOCK;
#ifdef USERFAULTFD_IOC_NEW
    if (auto const device = openFile("/dev/userfaultfd", O_RDWR)) {
        if (int const fd = ::ioctl(device->get(), USERFAULTFD_IOC_NEW, flags); fd >= 0)
            return UniqueFd(fd);
    }
#endif
    auto const fd = static_cast<int>(::syscall(SYS_userfaultfd, flags));
    if (fd < 0)
        return failOs("the host does not let us bring pages as they are touched (userfaultfd)");
    return UniqueFd(fd);
}

}

Result<std::unique_ptr<PageFaults>> PageFaults::open()
{
    auto fd = TRY(openUserFaults());
    uffdio_api api { .api = UFFD_API };
    if (::ioctl(fd.get(), UFFDIO_API, &api) != 0)
        return failOs("the host has another kind of userfaultfd");
    auto stopped = TRY(makeEventFd());
    return std::unique_ptr<PageFaults>(new PageFaults(std::move(fd), std::move(stopped)));
}

Result<> PageFaults::watch(ByteSpan memory)
{
    uffdio_register what { .range = rangeOf(memory), .mode = UFFDIO_REGISTER_MODE_MISSING };
    if (::ioctl(m_fd.get(), UFFDIO_REGISTER, &what) != 0)
        return failOs("the host cannot watch the machine's memory");
    constexpr auto needed = 1ull << _UFFDIO_COPY | 1ull << _UFFDIO_ZEROPAGE | 1ull << _UFFDIO_WAKE;
    if ((what.ioctls & needed) != needed)
        return fail(ErrorCode::Unsupported, "the host can watch memory, but not fill it");
    return {};
}

void PageFaults::unwatch(ByteSpan memory)
{
    auto range = rangeOf(memory);
    ::ioctl(m_fd.get(), UFFDIO_UNREGISTER, &range);
}

void PageFaults::complete(ByteSpan memory)
{
    unwatch(memory);
    makeLarge(memory);
}

Result<std::vector<std::uint8_t*>> PageFaults::next()
{
    std::vector<std::uint8_t*> touched;
    while (touched.empty()) {
        std::array<pollfd, 2> ready { { { m_fd.get(), POLLIN, 0 }, { m_stopped.get(), POLLIN, 0 } } };
        if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR)
            return failOs("cannot wait for accesses to memory");
        if (ready[1].revents != 0)
            return touched;
        std::array<uffd_msg, 32> messages {};
        auto const got = ::read(m_fd.get(), messages.data(), sizeof messages);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return failOs("cannot hear of accesses to memory");
        for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got) / sizeof(uffd_msg); ++i) {
            if (messages[i].event == UFFD_EVENT_PAGEFAULT)
                touched.push_back(reinterpret_cast<std::uint8_t*>(
                    alignDown<std::uint64_t>(messages[i].arg.pagefault.address, pageSize)));
        }
    }
    return touched;
}

void PageFaults::stop()
{
    signalEventFd(m_stopped.get());
}

Result<> PageFaults::give(std::uint8_t* to, ConstByteSpan pages)
{
    for (std::size_t at = 0; at < pages.size();) {
        bool const zeros = isZero(pages.subspan(at, pageSize));
        auto end = at + pageSize;
        while (end < pages.size() && isZero(pages.subspan(end, pageSize)) == zeros)
            end += pageSize;
        TRY(givePart(to + at, pages.subspan(at, end - at), zeros));
        at = end;
    }
    return {};
}

Result<> PageFaults::givePart(std::uint8_t* to, ConstByteSpan pages, bool zeros)
{
    while (!pages.empty()) {
        auto const range = rangeOf({ to, pages.size() });
        uffdio_copy copy { .dst = range.start, .src = rangeOf(pages).start, .len = range.len };
        uffdio_zeropage zero { .range = range };
        auto const outcome
            = zeros ? ::ioctl(m_fd.get(), UFFDIO_ZEROPAGE, &zero) : ::ioctl(m_fd.get(), UFFDIO_COPY, &copy);
        if (outcome == 0)
            return {};
        auto const done = zeros ? zero.zeropage : copy.copy;
        // A part of them, as far as a page that was there, or until something else about the memory was changed.
        auto given = done > 0 ? static_cast<std::size_t>(done) : 0;
        if (given == 0 && errno == EEXIST)
            given = pageSize;
        else if (given == 0 && errno == ENOENT)
            return {};
        else if (given == 0 && errno != EAGAIN)
            return failOs("cannot give the machine a page of its memory");
        to += given;
        pages = pages.subspan(given);
    }
    return {};
}

void PageFaults::wake(ByteSpan memory)
{
    auto range = rangeOf(memory);
    ::ioctl(m_fd.get(), UFFDIO_WAKE, &range);
}

}
