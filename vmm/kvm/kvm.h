#pragma once

#include "vmm/base/unique_fd.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// Linux' KVM (Documentation/virt/kvm/api.rst, "The Definitive KVM (Kernel-based Virtual Machine) API Documentation").
/// This folder alone includes <linux/kvm.h>; its headers do not, so that nobody sees the kernel's structures by
/// accident.
namespace vmm {

/// One CPUID leaf as the guest sees it.
struct CpuidEntry {
    std::uint32_t function = 0, index = 0;
    bool indexed = false; ///< the sub-leaf in ECX matters
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    bool operator==(CpuidEntry const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("function", s.function);
        v.field("index", s.index);
        v.field("indexed", s.indexed);
        v.field("eax", s.eax);
        v.field("ebx", s.ebx);
        v.field("ecx", s.ecx);
        v.field("edx", s.edx);
    }
};

/// /dev/kvm, opened and found good enough for a machine of ours.
class Kvm {
public:
    /// The error says what is missing: the device, the right to it (PermissionDenied), or a capability (NoKvm).
    static Result<Kvm> open();

    int fd() const { return m_fd.get(); }
    /// KVM_CHECK_EXTENSION of the system descriptor.
    int capability(unsigned number) const;
    std::size_t vcpuMappingSize() const { return m_vcpuMappingSize; }

    /// What KVM can show to a guest on this host.
    Result<std::vector<CpuidEntry>> supportedCpuid() const;
    /// The MSRs that KVM keeps for a vCPU and that must be saved.
    Result<std::vector<std::uint32_t>> savedMsrs() const;

private:
    UniqueFd m_fd;
    std::size_t m_vcpuMappingSize = 0;
};

}
