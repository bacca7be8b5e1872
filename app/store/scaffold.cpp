#include "app/store/scaffold.h"

#include "app/store/machine_store.h"
#include "app/store/whole_file.h"
#include "vmm/base/bytes.h"
#include "vmm/config/config_paths.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>
#include <utility>

namespace app {

namespace files = std::filesystem;

vmm::Result<Scaffold> Scaffold::make(std::string path)
{
    TRY(makeDirectories(path));
    Scaffold made(std::move(path));
    made.m_lock = TRY(MachineLock::take(made.m_path + "/machine.lock"));
    return made;
}

Scaffold::Scaffold(Scaffold&& other) noexcept
    : m_path(std::exchange(other.m_path, {})), m_lock(std::exchange(other.m_lock, std::nullopt))
{
}

Scaffold::~Scaffold()
{
    if (!m_path.empty())
        removeTree(m_path);
}

vmm::Result<> Scaffold::moveTo(std::string const& directory)
{
    TRY(moveDirectory(m_path, directory));
    m_path = directory;
    return syncDirectory(files::path(directory).parent_path());
}

void Scaffold::keep()
{
    m_path.clear();
    m_lock.reset();
}

vmm::Result<StoredMachine> adopt(MachineStore const& store, Scaffold made, std::string const& id)
{
    TRY(made.moveTo(store.directoryOf(id)));
    auto machine = TRY(store.load(id));
    made.keep();
    machine.owner.reset(); // that was who has made it
    return machine;
}

bool isWithin(std::string const& path, std::string const& directory)
{
    return path.starts_with(directory + "/");
}

void makePathsRelative(vmm::VmConfig& config, std::string const& directory)
{
    vmm::forEachPath(config, [&](std::string& path) {
        if (isWithin(path, directory))
            path = path.substr(directory.size() + 1);
    });
}

vmm::Result<> writeConfig(vmm::VmConfig config, std::string const& directory)
{
    makePathsRelative(config, directory);
    return writeWholeFile(directory + "/machine.json", vmm::bytesOf(vmm::configToText(config)));
}

vmm::Result<> makeDirectories(std::string const& path)
{
    std::error_code error;
    files::create_directories(path, error);
    if (error)
        return vmm::fail(vmm::osError(fmt::format("making the directory {}", path), error.value()));
    return {};
}

vmm::Result<> moveDirectory(std::string const& from, std::string const& to)
{
    auto moved = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
    // Not every file system has the flag (ZFS since 2.2). Without it a directory with something in it is not replaced
    // either, but a file is.
    if (moved != 0 && (errno == EINVAL || errno == ENOSYS)) {
        struct stat status { };
        if (::lstat(to.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
            return vmm::fail(vmm::osError(fmt::format("moving {} to {}", from, to), EEXIST));
        moved = ::rename(from.c_str(), to.c_str());
    }
    if (moved != 0)
        return vmm::failOs(fmt::format("moving {} to {}", from, to));
    return {};
}

void removeTree(std::string const& path)
{
    std::error_code ignored;
    files::remove_all(path, ignored);
}

}
