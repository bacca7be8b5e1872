#include "app/store/machine_lock.h"

#include "app/store/file_lock.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

namespace app {

namespace {

std::optional<pid_t> pidIn(int fd)
{
    char text[32] {};
    if (::pread(fd, text, sizeof text - 1, 0) <= 0)
        return std::nullopt;
    auto const pid = std::strtol(text, nullptr, 10);
    return pid > 0 && pid <= 4194304 ? std::optional(static_cast<pid_t>(pid)) : std::nullopt;
}

}

vmm::Result<MachineLock> MachineLock::take(std::string const& path)
{
    auto fd = TRY(vmm::openFile(path, O_RDWR | O_CREAT, 0600));
    if (!TRY(tryLockFile(fd.get(), path))) {
        auto const owner = pidIn(fd.get());
        return vmm::fail(vmm::ErrorCode::Busy,
            owner ? fmt::format("process {} has the machine in memory", *owner) : "another process has the machine");
    }
    auto const text = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), text.data(), text.size(), 0) < 0)
        return vmm::failOs(fmt::format("writing {}", path));
    return MachineLock(std::move(fd));
}

/// Nobody shall take the next one who has it for us.
MachineLock::~MachineLock()
{
    if (m_fd) [[maybe_unused]]
        auto const cut = ::ftruncate(m_fd.get(), 0);
}

std::optional<pid_t> MachineLock::owner(std::string const& path)
{
    using namespace std::chrono_literals;
    constexpr auto patience = 200;
    auto const fd = vmm::openFile(path, O_RDWR);
    if (!fd)
        return std::nullopt;
    for (int attempt = 0;; ++attempt) {
        if (!isFileLocked(fd->get()))
            return std::nullopt;
        // Who has just taken it has not written its pid yet: there is none, or that of somebody who died with it.
        auto const pid = pidIn(fd->get());
        bool const isThere = pid && (::kill(*pid, 0) == 0 || errno == EPERM);
        if (isThere || attempt == patience)
            return pid.value_or(0); // somebody it is
        std::this_thread::sleep_for(1ms);
    }
}

}
