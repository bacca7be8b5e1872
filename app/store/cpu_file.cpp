#include "app/store/cpu_file.h"

#include "app/store/whole_file.h"

#include <cerrno>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace app {

constexpr std::uint64_t cpuFileLimit = 1u << 20;

vmm::Result<std::optional<vmm::KeptCpu>> readCpuFile(std::string const& path)
{
    auto const text = readWholeFile(path, cpuFileLimit);
    if (!text && text.error().code == vmm::ErrorCode::NotFound)
        return std::optional<vmm::KeptCpu>();
    if (!text)
        return vmm::fail(text.error());
    return std::optional(TRY_WITHIN(path, vmm::keptCpuFromText(*text)));
}

vmm::Result<> writeCpuFile(std::string const& path, vmm::KeptCpu const& cpu)
{
    auto const text = vmm::keptCpuToText(cpu);
    return writeWholeFile(path, vmm::bytesOf(text));
}

vmm::Result<bool> removeCpuFile(std::string const& path)
{
    if (::unlink(path.c_str()) == 0) {
        TRY(syncDirectory(std::filesystem::path(path).parent_path()));
        return true;
    }
    if (errno == ENOENT)
        return false;
    return vmm::failOs(fmt::format("removing {}", path));
}

}
