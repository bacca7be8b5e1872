#include "vmm/machine/new_directory.h"

#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"

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

void removeParts(fs::path const& directory)
{
    std::error_code ignored;
    for (fs::directory_iterator entry(folderOf(directory.string()), ignored), end; entry != end;
         entry.increment(ignored)) {
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

}

fs::path withoutSlash(std::string const& directory)
{
    fs::path const path(directory);
    return path.has_filename() ? path : path.parent_path();
}

Result<UniqueFd> lockParent(fs::path const& directory)
{
    auto folder = TRY(openFile(folderOf(directory.string()), O_RDONLY | O_DIRECTORY));
    ::flock(folder.get(), LOCK_EX);
    return folder;
}

Result<> makeDirectory(std::string const& name, std::function<Result<>(std::string const& fresh)> const& write)
{
    auto const directory = withoutSlash(name);
    std::error_code unknown;
    if (fs::exists(fs::symlink_status(directory, unknown)))
        return fail(ErrorCode::AlreadyExists, directory.string() + " is there already");
    fs::path const fresh = fmt::format("{}.{}{}", directory.string(), makeUuid(), ending);
    UniqueFd made;
    {
        // One at a time, so that nobody looks at what has not been locked yet.
        auto const turn = TRY(lockParent(directory));
        removeParts(directory);
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
        TRY(syncFolder(fresh.string() + "/"));
        TRY(place(fresh, directory));
        at = directory; // until it is sure to stay there
        return syncFolder(directory.string());
    }();
    if (!outcome)
        fs::remove_all(at, unknown);
    return outcome;
}

}
