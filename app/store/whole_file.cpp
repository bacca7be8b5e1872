#include "app/store/whole_file.h"

#include "vmm/base/unique_fd.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace app {

namespace {

vmm::Result<> writeAll(int fd, vmm::ConstByteSpan data, std::string const& path)
{
    while (!data.empty()) {
        auto const written = ::write(fd, data.data(), data.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return vmm::failOs(fmt::format("writing {}", path));
        data = data.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

vmm::Result<> writeAndRename(
    int fd, std::string const& temporary, std::string const& path, vmm::ConstByteSpan data, Durable durable)
{
    TRY(writeAll(fd, data, path));
    if (durable == Durable::Yes && ::fsync(fd) != 0)
        return vmm::failOs(fmt::format("writing {}", path));
    if (::rename(temporary.c_str(), path.c_str()) != 0)
        return vmm::failOs(fmt::format("replacing {}", path));
    if (durable == Durable::Yes) {
        auto const slash = path.rfind('/');
        TRY(syncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
    }
    return {};
}

}

vmm::Result<> writeWholeFile(std::string const& path, vmm::ConstByteSpan data, Durable durable)
{
    auto temporary = path + ".XXXXXX";
    vmm::UniqueFd const fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd)
        return vmm::failOs(fmt::format("making {}", path));
    auto outcome = writeAndRename(fd.get(), temporary, path, data, durable);
    if (!outcome)
        ::unlink(temporary.c_str());
    return outcome;
}

vmm::Result<> syncDirectory(std::string const& path)
{
    auto const directory = TRY(vmm::openFile(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(directory.get()) != 0 && errno != EINVAL)
        return vmm::failOs(fmt::format("writing the directory {}", path));
    return {};
}

vmm::Result<std::string> readWholeFile(std::string const& path, std::uint64_t limit)
{
    // A FIFO must not make us wait for its writer.
    auto const fd = TRY(vmm::openFile(path, O_RDONLY | O_NONBLOCK));
    struct stat status { };
    if (::fstat(fd.get(), &status) != 0)
        return vmm::failOs(fmt::format("reading {}", path));
    if (!S_ISREG(status.st_mode))
        return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} is not a file", path));
    auto const tooLarge = [&] {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("{} has more than the {} bytes that are possible here", path, limit));
    };
    if (static_cast<std::uint64_t>(status.st_size) > limit)
        return tooLarge();
    std::string text;
    char buffer[16384];
    for (;;) {
        auto const got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vmm::failOs(fmt::format("reading {}", path));
        if (got == 0)
            return text;
        text.append(buffer, static_cast<std::size_t>(got));
        if (text.size() > limit)
            return tooLarge();
    }
}

}
