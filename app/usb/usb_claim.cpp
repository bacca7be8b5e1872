#include "app/usb/usb_claim.h"

#include "app/control/protocol.h"
#include "app/store/file_lock.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace app {

namespace {

std::string pathOf(std::string port)
{
    std::replace(port.begin(), port.end(), '/', '-');
    return UsbClaim::directory() + "/" + port;
}

/// What stands in a claim: three lines. It may be under way, and then is nobody by name.
UsbHolder holderIn(int fd)
{
    std::array<char, 1024> bytes {};
    auto const got = ::pread(fd, bytes.data(), bytes.size(), 0);
    std::string_view text(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    auto const line = [&] {
        auto const end = std::min(text.find('\n'), text.size());
        std::string const found(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        return found;
    };
    UsbHolder holder { line(), line() };
    auto const process = line();
    std::from_chars(process.data(), process.data() + process.size(), holder.process);
    return holder;
}

bool isStill(int fd, std::string const& path)
{
    struct stat ours {
    }, there {};
    return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino
        && ours.st_dev == there.st_dev;
}

}

std::string UsbClaim::directory()
{
    return control::runtimeDirectory() + "/usb";
}

vmm::Result<> UsbClaim::makeDirectory()
{
    TRY(control::makeRuntimeDirectory(control::runtimeDirectory()));
    return control::makeRuntimeDirectory(directory());
}

vmm::Result<UsbClaim> UsbClaim::take(std::string const& port, UsbHolder const& holder)
{
    TRY(makeDirectory());
    auto path = pathOf(port);
    for (;;) {
        auto fd = TRY(vmm::openFile(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
        if (!TRY(tryLockFile(fd.get(), path))) {
            auto const other = holderIn(fd.get());
            return vmm::fail(vmm::ErrorCode::Busy,
                other.name.empty() ? "another machine has it" : fmt::format("the machine {} has it", other.name));
        }
        // Whoever had it may have removed the file while we opened it.
        if (!isStill(fd.get(), path))
            continue;
        auto name = holder.name.substr(0, 512);
        std::replace(name.begin(), name.end(), '\n', ' ');
        auto const text = fmt::format("{}\n{}\n{}\n", holder.machine, name, holder.process);
        if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), text.data(), text.size(), 0) < 0)
            return vmm::failOs(fmt::format("writing {}", path));
        return UsbClaim(std::move(path), std::move(fd));
    }
}

std::optional<UsbHolder> UsbClaim::holder(std::string const& port)
{
    auto const fd = vmm::openFile(pathOf(port), O_RDWR | O_NOFOLLOW);
    if (!fd || !isFileLocked(fd->get()))
        return std::nullopt;
    return holderIn(fd->get());
}

UsbClaim::~UsbClaim()
{
    if (m_fd)
        ::unlink(m_path.c_str()); // before the lock goes: nobody else has it yet
}

}
