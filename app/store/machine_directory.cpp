#include "app/store/machine_directory.h"

#include "app/store/whole_file.h"
#include "vmm/config/config_paths.h"
#include "vmm/machine/moment_disks.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace app {

namespace files = std::filesystem;

bool isMachineId(std::string const& text)
{
    return text.size() == 36 && text.find_first_not_of("0123456789abcdef-") == std::string::npos;
}

vmm::Result<vmm::VmConfig> readWrittenConfig(std::string const& directory, std::string const& id)
{
    constexpr std::uint64_t configLimit = 4u << 20;
    auto const path = directory + "/machine.json";
    auto const text = TRY(readWholeFile(path, configLimit));
    auto config = TRY_WITHIN(path, vmm::configFromText(text));
    if (config.uuid != id)
        return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("{} says that it is machine {}", path, config.uuid));
    makePathsAbsolute(config, directory);
    return config;
}

vmm::Result<vmm::VmConfig> readConfigIn(std::string const& directory, std::string const& id)
{
    auto config = TRY(readWrittenConfig(directory, id));
    for (auto& disk : config.disks)
        disk.format = vmm::readFormatNow(disk).value_or(disk.format); // a moment may have made a raw one qcow2
    return config;
}

std::string freePath(std::string const& directory, files::path const& name)
{
    auto const stem = name.stem().string(), ending = name.extension().string();
    auto path = fmt::format("{}/{}{}", directory, stem, ending);
    for (unsigned number = 2; ::access(path.c_str(), F_OK) == 0; ++number)
        path = fmt::format("{}/{}-{}{}", directory, stem, number, ending);
    return path;
}

std::uint64_t bytesIn(std::string const& directory)
{
    std::uint64_t bytes = 0;
    std::error_code error;
    // What goes meanwhile (a suspend replaces its directory) has no bytes. In a range-for the steps would throw.
    for (files::directory_iterator item(directory, error), end; item != end; item.increment(error)) {
        struct stat status { };
        if (::lstat(item->path().c_str(), &status) != 0)
            continue;
        bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
        if (S_ISDIR(status.st_mode))
            bytes += bytesIn(item->path());
    }
    return bytes;
}

}
