#include "vmm/kvm/kvm.h"

#include "vmm/kvm/ioctl.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>

namespace vmm {

namespace {

/// What no machine of ours can do without. All are in every KVM since Linux 5.4 on x86.
struct Needed {
    unsigned capability;
    char const* name;
};
constexpr auto needed = std::to_array<Needed>({
    { KVM_CAP_IRQCHIP, "in-kernel interrupt controllers" },
    { KVM_CAP_PIT2, "in-kernel timer" },
    { KVM_CAP_PIT_STATE2, "timer state" },
    { KVM_CAP_USER_MEMORY, "user memory" },
    { KVM_CAP_READONLY_MEM, "read-only memory" },
    { KVM_CAP_IOEVENTFD, "ioeventfd" },
    { KVM_CAP_IRQ_ROUTING, "interrupt routing" },
    { KVM_CAP_SIGNAL_MSI, "message-signalled interrupts" },
    { KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
    { KVM_CAP_ADJUST_CLOCK, "clock" },
    { KVM_CAP_XSAVE, "extended state" },
    { KVM_CAP_XCRS, "extended control registers" },
    { KVM_CAP_VCPU_EVENTS, "vCPU events" },
    { KVM_CAP_DEBUGREGS, "debug registers" },
    { KVM_CAP_MP_STATE, "multiprocessor state" },
    { KVM_CAP_EXT_CPUID, "CPUID" },
});

}

Result<Kvm> Kvm::open()
{
    Kvm kvm;
    auto opened = openFile("/dev/kvm", O_RDWR);
    if (!opened) {
        if (opened.error().code == ErrorCode::PermissionDenied)
            return fail(std::move(opened).error());
        return fail({ ErrorCode::NoKvm, "this host has no usable /dev/kvm", opened.error().osError });
    }
    kvm.m_fd = std::move(*opened);
    if (auto const version = ioctlInt(kvm.fd(), KVM_GET_API_VERSION); version != KVM_API_VERSION)
        return fail(ErrorCode::NoKvm, fmt::format("KVM speaks API version {}, not {}", version, KVM_API_VERSION));
    for (auto const& [number, name] : needed) {
        if (kvm.capability(number) <= 0)
            return fail(ErrorCode::NoKvm, fmt::format("this host's KVM lacks: {}", name));
    }
    auto const size = ioctlInt(kvm.fd(), KVM_GET_VCPU_MMAP_SIZE);
    if (size < static_cast<int>(sizeof(kvm_run)))
        return fail(ErrorCode::NoKvm, fmt::format("KVM's vCPU mapping has {} bytes", size));
    kvm.m_vcpuMappingSize = static_cast<std::size_t>(size);
    return kvm;
}

int Kvm::capability(unsigned number) const
{
    return ioctlInt(fd(), KVM_CHECK_EXTENSION, number);
}

Result<std::vector<CpuidEntry>> Kvm::supportedCpuid() const
{
    FlexibleArray<kvm_cpuid2, kvm_cpuid_entry2> table(256);
    table->nent = 256;
    if (::ioctl(fd(), KVM_GET_SUPPORTED_CPUID, table.get()) != 0)
        return failOs("cannot read the CPU features that KVM supports");
    std::vector<CpuidEntry> entries;
    for (auto const& entry : std::span(table->entries, table->nent)) {
        entries.push_back({ entry.function, entry.index, (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
            entry.eax, entry.ebx, entry.ecx, entry.edx });
    }
    return entries;
}

Result<std::vector<std::uint32_t>> Kvm::savedMsrs() const
{
    FlexibleArray<kvm_msr_list, std::uint32_t> list(1024);
    list->nmsrs = 1024;
    if (::ioctl(fd(), KVM_GET_MSR_INDEX_LIST, list.get()) != 0)
        return failOs("cannot read which registers KVM keeps");
    std::vector<std::uint32_t> all(list->indices, list->indices + list->nmsrs);
    // KVM keeps these too and does not list them: memory types (MTRRs) and the banks of machine checks.
    all.insert(all.end(), { 0x250, 0x258, 0x259 });
    for (auto const& [first, count] : { std::pair(0x200u, 16u), { 0x268u, 8u }, { 0x2ffu, 1u }, { 0x400u, 4 * 32u } }) {
        for (auto index = first; index < first + count; ++index) {
            if (std::find(all.begin(), all.end(), index) == all.end())
                all.push_back(index);
        }
    }
    return all;
}

}
