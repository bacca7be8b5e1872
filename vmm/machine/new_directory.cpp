#include "vmm/machine/new_directory.h"

#include "vmm/base/random.h"
#include "vmm/base/unique_fd.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace vmm {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view ending = ".part";

bool isPartOf(std::string_view directory, std::string_view name)
{
    if (!name.starts_with(directory) || !name.ends_with(ending))
        return false;
    name.remove_prefix(directory.size());
    name.remove_suffix(std::min(name.size(), ending.size()));
    return name.starts_with('.') && isUuid(name.substr(1));
}

Result<UniqueFd> openDirectory(fs::path const& path)
{
    return openFile(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/// What is being made is locked, so that nobody takes it for a leftover. Where there are no locks nothing is one.
bool tryLock(UniqueFd const& directory)
{
    return ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0;
}

void removeParts(fs::path const& directory, fs::path const& parent)
{
    std::error_code ignored;
    for (fs::directory_iterator entry(parent, ignored), end; entry != end; entry.increment(ignored)) {
        if (!isPartOf(directory.filename().string(), entry->path().filename().string()))
            continue;
        if (auto const open = openDirectory(entry->path()); open && tryLock(*open))
            fs::remove_all(entry->path(), ignored);
    }
}

/// Replaces nothing but an empty one, where the file system cannot help it.
Result<> place(fs::path const& fresh, fs::path const& directory)
{
    auto moved = ::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, directory.c_str(), RENAME_NOREPLACE);
    if (moved != 0 && (errno == EINVAL || errno == ENOSYS))
        moved = ::rename(fresh.c_str(), directory.c_str());
    return moved == 0 ? Result<>() : failOs(fmt::format("cannot rename {} to {}", fresh.string(), directory.string()));
}

Result<> sync(UniqueFd const& directory, fs::path const& path)
{
    return ::fsync(directory.get()) == 0 ? Result<>() : failOs("cannot sync " + path.string());
}

}

Result<> makeDirectory(std::string const& name, std::function<Result<>(std::string const& fresh)> const& write)
{
    auto directory = fs::path(name);
    if (!directory.has_filename())
        directory = directory.parent_path(); // "/a/b/" is /a/b
    std::error_code unknown;
    if (fs::exists(fs::symlink_status(directory, unknown)))
        return fail(ErrorCode::AlreadyExists, directory.string() + " is there already");
    auto const parent = directory.has_parent_path() ? directory.parent_path() : fs::path(".");
    auto const folder = TRY(openFile(parent, O_RDONLY | O_DIRECTORY));
    fs::path const fresh = fmt::format("{}.{}{}", directory.string(), makeUuid(), ending);
    UniqueFd made;
    {
        // One at a time, so that nobody looks at what has not been locked yet.
        auto const turn = TRY(openFile(parent, O_RDONLY | O_DIRECTORY));
        ::flock(turn.get(), LOCK_EX);
        removeParts(directory, parent);
        if (::mkdir(fresh.c_str(), 0700) != 0)
            return failOs("cannot create " + fresh.string());
        auto open = openDirectory(fresh);
        if (!open) {
            fs::remove(fresh, unknown);
            return fail(open.error());
        }
        made = std::move(*open);
        tryLock(made);
    }
    auto at = fresh;
    auto const outcome = [&]() -> Result<> {
        TRY(write(fresh.string()));
        TRY(sync(made, fresh));
        TRY(place(fresh, directory));
        at = directory; // until it is sure to stay there
        return sync(folder, parent);
    }();
    if (!outcome)
        fs::remove_all(at, unknown);
    return outcome;
}

}
