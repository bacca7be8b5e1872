#pragma once

#include "vmm/config/vm_config.h"
#include "vmm/kvm/kvm.h"

namespace vmm {

/// The CPU that a machine's guest sees, as CPUID leaves without what differs between its vCPUs. Part of the machine's
/// state, so that a restored guest finds the features it was promised.
struct CpuFeatures {
    static constexpr std::string_view kind = "cpu-features";
    static constexpr unsigned version = 1;
    std::vector<CpuidEntry> entries;
    bool operator==(CpuFeatures const&) const = default;
    static void describe(auto& v, auto& s) { v.field("entries", s.entries, state::Max { 256 }); }
};

/// What `model` means on a host that supports `supported`. Baseline, which is one for each vendor, needs x86-64-v2
/// (System V psABI, AMD64 Architecture Processor Supplement, 3.1.1 "Processor Architecture").
Result<CpuFeatures> cpuFeatures(CpuModel model, std::vector<CpuidEntry> const& supported);

/// Refuses a saved CPU of another vendor, with wider physical addresses, or with features that `supported` does not
/// have, each by its name.
Result<> checkFeatures(CpuFeatures const& saved, std::vector<CpuidEntry> const& supported);

/// Refuses addresses up to `end`, exclusive, that the CPU has no bits for.
Result<> checkAddresses(CpuFeatures const& features, std::uint64_t end);

/// The leaves for vCPU `index` of `count`: its APIC id, and the topology of one socket with `count` cores.
std::vector<CpuidEntry> cpuidFor(CpuFeatures const& features, unsigned index, unsigned count);

}
