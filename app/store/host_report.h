#pragma once

#include "vmm/config/vm_config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace app {

enum class KvmStatus : std::uint8_t {
    Usable,
    Absent,   ///< no /dev/kvm: no virtualization in this CPU, firmware or kernel
    NoRights, ///< /dev/kvm is there, and this user may not open it
    Unusable, ///< it opens, and is not the interface that is needed
};

/// What this host has to give, asked now. `ui` makes the sentences.
struct HostReport {
    KvmStatus kvm = KvmStatus::Absent;
    std::string kvmDetail;             ///< of what is not Usable, for "show details"
    unsigned cores = 1;                ///< that this process may run on
    std::uint64_t memoryBytes = 0;     ///< installed (or the limit of our control group, where that is less)
    std::uint64_t freeMemoryBytes = 0; ///< that can be had without swapping
    std::uint64_t freeDiskBytes = 0;   ///< where machines are kept
    bool hasSeaBios = false, hasOvmf = false;
};
HostReport inspectHost(std::string const& machinesDirectory);

/// Something that stands against a machine on this host.
struct HostConcern {
    enum class Code : std::uint8_t {
        NoKvm,              ///< see HostReport::kvm
        MoreCpusThanCores,  ///< wanted, there: works, slowly
        MoreMemoryThanFree, ///< bytes wanted, bytes free: may be refused
        MoreMemoryThanHost, ///< bytes wanted, bytes installed: cannot work
        DiskMayFill,        ///< bytes the disks can grow to, bytes free
        NoFirmware,         ///< the firmware chosen is not installed
    };
    Code code;
    std::uint64_t wanted = 0, there = 0;
    bool operator==(HostConcern const&) const = default;
};
/// `newDiskBytes`: what disks that are yet to be made can grow to.
std::vector<HostConcern> concerns(HostReport const& host, vmm::VmConfig const& config, std::uint64_t newDiskBytes = 0);

}
