#include "vmm/block/checkpoint_files.h"

#include "vmm/base/bytes.h"
#include "vmm/base/unique_fd.h"
#include "vmm/base/write_behind.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vmm {

std::string folderOf(std::string const& path)
{
    auto const slash = path.rfind('/');
    return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

std::string nameOf(std::string const& path)
{
    return path.substr(path.rfind('/') + 1);
}

Result<> syncFolder(std::string const& path)
{
    auto const folder = TRY(openFile(folderOf(path), O_RDONLY | O_DIRECTORY));
    if (::fsync(folder.get()) != 0)
        return failOs("cannot make the names in " + folderOf(path) + " durable");
    return {};
}

Result<> writeFileSynced(std::string const& path, std::string_view text)
{
    auto const file = TRY(openFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    while (!text.empty()) {
        auto const written = ::write(file.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return failOs("cannot write " + path);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(file.get()) != 0)
        return failOs("cannot write " + path + " to the disk");
    return {};
}

Result<> replaceFile(std::string const& path, ConstByteSpan contents)
{
    auto const fresh = path + ".new";
    auto const replaced = [&]() -> Result<> {
        TRY(writeFileSynced(fresh, { reinterpret_cast<char const*>(contents.data()), contents.size() }));
        return renameFile(fresh, path);
    }();
    if (!replaced) {
        ignore(removeFile(fresh));
        return replaced;
    }
    return syncFolder(path);
}

namespace {

Result<> copyPermissions(UniqueFd const& from, UniqueFd const& to, std::string const& name)
{
    struct stat status { };
    if (::fstat(from.get(), &status) != 0)
        return failOs("cannot examine " + name);
    auto mode = status.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
    struct stat made { };
    if (::fchown(to.get(), static_cast<uid_t>(-1), status.st_gid) != 0
        && (::fstat(to.get(), &made) != 0 || made.st_gid != status.st_gid))
        mode &= ~static_cast<mode_t>(S_IRWXG); // it would be another group's
    if (::fchmod(to.get(), mode | S_IRUSR | S_IWUSR) != 0)
        return failOs("cannot set the permissions of what follows " + name);
    return {};
}

}

Result<> copyPermissions(std::string const& from, std::string const& to)
{
    return copyPermissions(TRY(openFile(from, O_RDONLY)), TRY(openFile(to, O_RDONLY)), from);
}

Result<> cloneFile(std::string const& from, std::string const& to)
{
    auto const source = TRY(openFile(from, O_RDONLY));
    auto const target = TRY(openFile(to, O_WRONLY | O_CREAT | O_EXCL, 0600));
    if (::ioctl(target.get(), FICLONE, source.get()) == 0) {
        auto const permitted = copyPermissions(source, target, from);
        if (!permitted)
            ::unlink(to.c_str());
        return permitted;
    }
    auto error = osError("sharing the blocks of " + from);
    if (error.osError == EOPNOTSUPP || error.osError == ENOTTY || error.osError == EINVAL || error.osError == EXDEV)
        error = { ErrorCode::Unsupported, "the file system of " + from + " cannot share blocks between files",
            error.osError };
    ::unlink(to.c_str());
    return fail(std::move(error));
}

namespace {

/// How much was copied, or as write() has it. The kernel does it where it can, which is not between file systems of two
/// kinds.
ssize_t copyPiece(int source, int target, off_t at, std::size_t length)
{
    off_t in = at, out = at;
    auto const copied = ::copy_file_range(source, &in, target, &out, length, 0);
    if (copied >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP))
        return copied;
    Bytes piece(std::min<std::size_t>(length, 1u << 20));
    auto const got = ::pread(source, piece.data(), piece.size(), at);
    return got <= 0 ? got : ::pwrite(target, piece.data(), static_cast<std::size_t>(got), at);
}

}

Result<> copyFile(std::string const& from, std::string const& to, CopyProgress const& progress)
{
    if (cloneFile(from, to))
        return syncFile(to);
    auto const source = TRY(openFile(from, O_RDONLY));
    auto const target = TRY(openFile(to, O_WRONLY | O_CREAT | O_EXCL, 0600));
    auto const copied = [&]() -> Result<> {
        TRY(copyPermissions(source, target, from));
        struct stat status { };
        if (::fstat(source.get(), &status) != 0 || ::ftruncate(target.get(), status.st_size) != 0)
            return failOs("copying " + from);
        if (!S_ISREG(status.st_mode))
            return fail(ErrorCode::Unsupported, from + " is no regular file");
        constexpr off_t step = 8 << 20;
        WriteBehind behind(target.get());
        for (off_t at = 0; at < status.st_size;) {
            if (progress && !progress(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(status.st_size)))
                return fail(ErrorCode::Cancelled, "copying " + from + " was cancelled");
            auto const data = ::lseek(source.get(), at, SEEK_DATA);
            if (data < 0 && errno == ENXIO)
                break; // only a hole is left
            auto const hole = data < 0 ? -1 : ::lseek(source.get(), data, SEEK_HOLE);
            auto const count = hole < 0
                ? -1
                : copyPiece(source.get(), target.get(), data, static_cast<std::size_t>(std::min(hole - data, step)));
            if (count < 0 && errno == EINTR)
                continue;
            if (count <= 0)
                return failOs("copying " + from + " to " + to);
            at = data + count;
            behind.wroteUpTo(static_cast<std::uint64_t>(at));
        }
        if (::fsync(target.get()) != 0)
            return failOs("cannot make " + to + " durable");
        return {};
    }();
    if (!copied)
        ::unlink(to.c_str());
    return copied;
}

bool isSameFile(std::string const& one, std::string const& other)
{
    struct stat first {
    }, second {};
    return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 && first.st_dev == second.st_dev
        && first.st_ino == second.st_ino;
}

Result<> syncFile(std::string const& path)
{
    auto const file = TRY(openFile(path, O_RDONLY));
    if (::fsync(file.get()) != 0)
        return failOs("cannot make " + path + " durable");
    return {};
}

Result<> renameFile(std::string const& from, std::string const& to)
{
    if (std::rename(from.c_str(), to.c_str()) != 0)
        return failOs("cannot rename " + from + " to " + to);
    return {};
}

Result<> exchangeFiles(std::string const& one, std::string const& other)
{
    if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) != 0) {
        auto error = osError("cannot exchange " + one + " and " + other);
        if (error.osError == EINVAL || error.osError == ENOSYS)
            error.code = ErrorCode::Unsupported;
        return fail(std::move(error));
    }
    return {};
}

bool existsFile(std::string const& path)
{
    struct stat status { };
    return ::stat(path.c_str(), &status) == 0;
}

Result<> removeFile(std::string const& path)
{
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return failOs("cannot remove " + path);
    return {};
}

}
