#include "app/store/host_report.h"

#include "vmm/base/unique_fd.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace app {

namespace {

/// A "Name:   123 kB" line of /proc/meminfo in bytes.
std::uint64_t memoryLine(std::string const& text, std::string_view name)
{
    auto const at = text.find(std::string(name) + ":");
    if (at == std::string::npos)
        return 0;
    return std::strtoull(text.c_str() + at + name.size() + 1, nullptr, 10) * 1024;
}

std::string readSmall(std::string const& path)
{
    std::ifstream file(path);
    std::string text(8192, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

/// The limit of our control group (cgroup v2), where there is one.
std::uint64_t groupFile(std::string_view name)
{
    auto const group = readSmall("/proc/self/cgroup");
    if (!group.starts_with("0::"))
        return 0;
    auto const path = group.substr(3, group.find('\n') - 3);
    auto const text = readSmall(fmt::format("/sys/fs/cgroup{}/{}", path, name));
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value; // "max" is 0
}

void inspectKvm(HostReport& report)
{
    auto const fd = vmm::openFile("/dev/kvm", O_RDWR);
    if (fd) {
        report.kvm = KvmStatus::Usable;
        return;
    }
    report.kvmDetail = fd.error().message();
    switch (fd.error().osError) {
    case ENOENT:
    case ENXIO:
    case ENODEV: report.kvm = KvmStatus::Absent; break;
    case EACCES:
    case EPERM: report.kvm = KvmStatus::NoRights; break;
    default: report.kvm = KvmStatus::Unusable; break;
    }
}

bool isFile(char const* path)
{
    return ::access(path, R_OK) == 0;
}

}

HostReport inspectHost(std::string const& machinesDirectory)
{
    HostReport report;
    inspectKvm(report);
    cpu_set_t cpus;
    report.cores = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? static_cast<unsigned>(CPU_COUNT(&cpus)) : 1;
    auto const memory = readSmall("/proc/meminfo");
    report.memoryBytes = memoryLine(memory, "MemTotal");
    report.freeMemoryBytes = memoryLine(memory, "MemAvailable");
    if (auto const limit = groupFile("memory.max"); limit != 0 && limit < report.memoryBytes) {
        auto const used = groupFile("memory.current");
        report.memoryBytes = limit;
        report.freeMemoryBytes = std::min(report.freeMemoryBytes, limit > used ? limit - used : 0);
    }
    // The directory may be yet to be made: its first ancestor that is there has the same disk.
    std::filesystem::path directory(machinesDirectory);
    struct statvfs disk { };
    while (::statvfs(directory.c_str(), &disk) != 0 && directory.has_relative_path())
        directory = directory.parent_path();
    report.freeDiskBytes = std::uint64_t(disk.f_bavail) * disk.f_frsize;
    report.hasSeaBios = isFile("/usr/share/seabios/bios-256k.bin");
    report.hasOvmf = (isFile("/usr/share/OVMF/OVMF_CODE_4M.fd") && isFile("/usr/share/OVMF/OVMF_VARS_4M.fd"))
        || (isFile("/usr/share/OVMF/OVMF_CODE.fd") && isFile("/usr/share/OVMF/OVMF_VARS.fd"));
    return report;
}

std::vector<HostConcern> concerns(HostReport const& host, vmm::VmConfig const& config, std::uint64_t newDiskBytes)
{
    using Code = HostConcern::Code;
    std::vector<HostConcern> found;
    if (host.kvm != KvmStatus::Usable)
        found.push_back({ Code::NoKvm });
    if (config.cpus > host.cores)
        found.push_back({ Code::MoreCpusThanCores, config.cpus, host.cores });
    auto const memory = std::uint64_t(config.memoryMiB) << 20;
    if (memory > host.memoryBytes)
        found.push_back({ Code::MoreMemoryThanHost, memory, host.memoryBytes });
    else if (memory > host.freeMemoryBytes)
        found.push_back({ Code::MoreMemoryThanFree, memory, host.freeMemoryBytes });
    if (newDiskBytes > host.freeDiskBytes)
        found.push_back({ Code::DiskMayFill, newDiskBytes, host.freeDiskBytes });
    if ((config.firmware == vmm::Firmware::SeaBios && !host.hasSeaBios)
        || (config.firmware == vmm::Firmware::Ovmf && !host.hasOvmf))
        found.push_back({ Code::NoFirmware });
    return found;
}

}
