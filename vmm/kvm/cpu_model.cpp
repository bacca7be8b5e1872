#include "vmm/kvm/cpu_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

/// Leaves and bits: Intel SDM, order number 325383, Vol. 2A, "CPUID-CPU Identification"; AMD APM, publication 24594,
/// Vol. 3, appendix E "Obtaining Processor Information Via the CPUID Instruction".
namespace vmm {

namespace {

constexpr std::uint32_t hypervisorBit = 1u << 31;     // 1.ECX
constexpr std::uint32_t tscDeadlineBit = 1u << 24;    // 1.ECX
constexpr std::uint32_t x2apicBit = 1u << 21;         // 1.ECX
constexpr std::uint32_t osxsaveBit = 1u << 27;        // 1.ECX: follows CR4, never promised
constexpr std::uint32_t hyperThreadingBit = 1u << 28; // 1.EDX: more than one logical processor in the package
constexpr std::uint32_t invariantTscBit = 1u << 8;    // 80000007.EDX
constexpr std::uint32_t monitorBit = 1u << 3;         // 1.ECX
constexpr std::uint32_t vmxBit = 1u << 5;             // 1.ECX
constexpr std::uint32_t svmBit = 1u << 2;             // 80000001.ECX

constexpr std::uint32_t kvmSignatureLeaf = 0x40000000, kvmFeatureLeaf = 0x40000001;
constexpr std::uint32_t kvmClockBits = 1u << 0 | 1u << 3 | 1u << 24; // clock sources, and that they are stable
/// Features of KVM's own whose state is in saved MSRs: clocks, PV EOI, PV unhalt, IPIs and TLB flushes by hypercall.
/// Asynchronous page faults are left out: one under way cannot be saved.
constexpr std::uint32_t kvmFeatureMask
    = kvmClockBits | 1u << 1 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13;

struct Register {
    std::uint32_t function, index;
    std::uint32_t CpuidEntry::*member;
    char const* name;
};

/// The registers that list features; a saved machine needs every bit that it saw there.
constexpr std::array featureRegisters {
    Register { 1, 0, &CpuidEntry::ecx, "1.ECX" },
    Register { 1, 0, &CpuidEntry::edx, "1.EDX" },
    Register { 7, 0, &CpuidEntry::ebx, "7.EBX" },
    Register { 7, 0, &CpuidEntry::ecx, "7.ECX" },
    Register { 7, 0, &CpuidEntry::edx, "7.EDX" },
    Register { 7, 1, &CpuidEntry::eax, "7.1.EAX" },
    Register { 0xd, 0, &CpuidEntry::eax, "D.EAX" },
    Register { 0xd, 0, &CpuidEntry::edx, "D.EDX" },
    Register { 0xd, 1, &CpuidEntry::eax, "D.1.EAX" },
    Register { 0x80000001, 0, &CpuidEntry::ecx, "80000001.ECX" },
    Register { 0x80000001, 0, &CpuidEntry::edx, "80000001.EDX" },
    Register { 0x80000008, 0, &CpuidEntry::ebx, "80000008.EBX" },
    Register { kvmFeatureLeaf, 0, &CpuidEntry::eax, "40000001.EAX" },
};

struct Bit {
    char const* registerName;
    unsigned bit;
    char const* name;
};

/// The names that people know, for the error that says what a host lacks; others are named by register and bit.
constexpr std::array bitNames {
    Bit { "1.ECX", 0, "SSE3" },
    Bit { "1.ECX", 9, "SSSE3" },
    Bit { "1.ECX", 12, "FMA" },
    Bit { "1.ECX", 13, "CX16" },
    Bit { "1.ECX", 19, "SSE4.1" },
    Bit { "1.ECX", 20, "SSE4.2" },
    Bit { "1.ECX", 22, "MOVBE" },
    Bit { "1.ECX", 23, "POPCNT" },
    Bit { "1.ECX", 25, "AES" },
    Bit { "1.ECX", 26, "XSAVE" },
    Bit { "1.ECX", 28, "AVX" },
    Bit { "1.ECX", 29, "F16C" },
    Bit { "1.ECX", 30, "RDRAND" },
    Bit { "7.EBX", 3, "BMI1" },
    Bit { "7.EBX", 5, "AVX2" },
    Bit { "7.EBX", 8, "BMI2" },
    Bit { "7.EBX", 9, "ERMS" },
    Bit { "7.EBX", 16, "AVX512F" },
    Bit { "7.EBX", 18, "RDSEED" },
    Bit { "7.EBX", 19, "ADX" },
    Bit { "7.EBX", 20, "SMAP" },
    Bit { "7.EBX", 29, "SHA" },
    Bit { "80000001.ECX", 0, "LAHF" },
    Bit { "80000001.ECX", 5, "LZCNT" },
    Bit { "80000001.EDX", 27, "RDTSCP" },
};

/// x86-64-v2, and what comes with it on every such CPU.
constexpr std::uint32_t baseline1Ecx = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23;
constexpr std::uint32_t baseline1Edx = 0x078bfbfd; // FPU to FXSR and SSE2, without VME, DS, ACPI, SS, TM
constexpr std::uint32_t baseline80000001Ecx = 1u << 0;
constexpr std::uint32_t baseline80000001Edx = 1u << 11 | 1u << 20 | 1u << 29; // SYSCALL, NX, long mode

CpuidEntry* find(std::vector<CpuidEntry>& entries, std::uint32_t function, std::uint32_t index = 0)
{
    for (auto& entry : entries) {
        if (entry.function == function && (!entry.indexed || entry.index == index))
            return &entry;
    }
    return nullptr;
}

CpuidEntry const* find(std::vector<CpuidEntry> const& entries, std::uint32_t function, std::uint32_t index = 0)
{
    return find(const_cast<std::vector<CpuidEntry>&>(entries), function, index);
}

std::string nameOf(Register const& reg, unsigned bit)
{
    for (auto const& known : bitNames) {
        if (std::string_view(known.registerName) == reg.name && known.bit == bit)
            return known.name;
    }
    return fmt::format("{} bit {}", reg.name, bit);
}

std::vector<std::string> missingBits(Register const& reg, std::uint32_t wanted, std::uint32_t present)
{
    std::vector<std::string> names;
    for (auto missing = wanted & ~present; missing != 0; missing &= missing - 1)
        names.push_back(nameOf(reg, static_cast<unsigned>(std::countr_zero(missing))));
    return names;
}

/// As the vendor spells it, with what cannot be shown left out: a saved state says it.
std::string vendorOf(std::vector<CpuidEntry> const& entries)
{
    auto const* entry = find(entries, 0);
    if (!entry)
        return "no maker";
    std::string name;
    for (auto const part : { entry->ebx, entry->edx, entry->ecx }) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            auto const letter = static_cast<char>(part >> shift & 0xff);
            name += letter >= ' ' && letter <= '~' ? letter : '?';
        }
    }
    return name;
}

/// Of physical ones. A processor that does not say has 36 (SDM volume 3A, 4.1.4 "Enumeration of Paging Features by
/// CPUID").
unsigned addressBits(std::vector<CpuidEntry> const& entries)
{
    auto const* entry = find(entries, 0x80000008);
    return entry ? entry->eax & 0xff : 36;
}

constexpr char brand[] = "x86-64-v2 processor"; // of 48 bytes, the rest zeros

/// Family, model and stepping as in 1.EAX: of each vendor's first processors with x86-64-v2, for which systems know
/// what to do without more than this. Of another vendor we know none: its own.
std::uint32_t baselineSignature(CpuidEntry const& vendor, std::uint32_t own)
{
    switch (vendor.ebx) {
    case 0x756e6547: return 0x000106a3; // "Genu": Nehalem
    case 0x68747541: return 0x00600f12; // "Auth": Bulldozer
    default: return own;
    }
}

/// Made anew, so that nothing of this host is in it but the vendor: by that a guest's system decides which hypercall
/// instruction there is, and which faults the processor has.
Result<std::vector<CpuidEntry>> baseline(std::vector<CpuidEntry> const& host)
{
    struct Want {
        Register reg;
        std::uint32_t bits;
    };
    std::array const wants {
        Want { featureRegisters[0], baseline1Ecx },
        Want { featureRegisters[1], baseline1Edx },
        Want { featureRegisters[9], baseline80000001Ecx },
        Want { featureRegisters[10], baseline80000001Edx },
        Want { featureRegisters[12], kvmClockBits },
    };
    std::vector<std::string> missing;
    for (auto const& want : wants) {
        auto const* entry = find(host, want.reg.function, want.reg.index);
        auto const names = missingBits(want.reg, want.bits, entry ? entry->*want.reg.member : 0);
        missing.insert(missing.end(), names.begin(), names.end());
    }
    auto const *vendor = find(host, 0), *own = find(host, 1), *extended = find(host, 0x80000000);
    constexpr unsigned physicalBits = 39;
    if (addressBits(host) < physicalBits)
        missing.push_back(fmt::format("physical addresses of {} bits", physicalBits));
    if (!missing.empty() || !vendor || !own || !extended) {
        return fail(ErrorCode::Unsupported,
            fmt::format("this host's CPU is less than the baseline, x86-64-v2; it lacks {}", fmt::join(missing, ", ")));
    }
    constexpr std::uint32_t flushed64Bytes = 8 << 8; // 1.EBX: what CLFLUSH writes back, in 8 bytes
    // 80000008.EAX: bits of linear and of physical ones, of which most hosts have at least 39.
    constexpr std::uint32_t addresses = 48 << 8 | physicalBits;
    auto const signature = baselineSignature(*vendor, own->eax);
    std::vector<CpuidEntry> entries {
        { 0, 0, false, 1, vendor->ebx, vendor->ecx, vendor->edx },
        { 1, 0, false, signature, flushed64Bytes, baseline1Ecx | hypervisorBit | x2apicBit | tscDeadlineBit,
            baseline1Edx },
        { kvmSignatureLeaf, 0, false, kvmFeatureLeaf, 0x4b4d564b, 0x564b4d56, 0x4d }, // "KVMKVMKVM"
        { kvmFeatureLeaf, 0, false, kvmClockBits, 0, 0, 0 },
        // AMD repeats vendor and signature among the extended leaves, Intel has zeros there.
        { 0x80000000, 0, false, 0x80000008, extended->ebx, extended->ecx, extended->edx },
        { 0x80000001, 0, false, extended->ebx != 0 ? signature : 0, 0, baseline80000001Ecx, baseline80000001Edx },
    };
    std::array<std::uint32_t, 12> text {};
    std::memcpy(text.data(), brand, sizeof brand);
    for (std::uint32_t i = 0; i < 3; ++i)
        entries.push_back({ 0x80000002 + i, 0, false, text[4 * i], text[4 * i + 1], text[4 * i + 2], text[4 * i + 3] });
    // AMD's tell of first-level TLBs and caches here, and Linux divides by how many ways one of them has. These are
    // Bulldozer's (BIOS and Kernel Developer's Guide for AMD Family 15h Models 00h-0Fh, "CPUID Fn8000_0005").
    if (extended->ebx != 0)
        entries.push_back({ 0x80000005, 0, false, 0xff20ff18, 0xff20ff30, 0x10040140, 0x40020140 });
    entries.push_back({ 0x80000008, 0, false, addresses, 0, 0, 0 });
    return entries;
}

}

Result<CpuFeatures> cpuFeatures(CpuModel model, std::vector<CpuidEntry> const& supported)
{
    CpuFeatures features { supported };
    for (auto& entry : features.entries) {
        switch (entry.function) {
        case 1:
            entry.ecx = (entry.ecx | hypervisorBit | tscDeadlineBit | x2apicBit) & ~(osxsaveBit | monitorBit | vmxBit);
            entry.ebx &= 0x0000ffff; // APIC id and count are each vCPU's
            break;
        // No virtualisation inside: what a guest's own guests are doing could not be saved.
        case 0x80000001: entry.ecx &= ~svmBit; break;
        case 0x80000007: entry.edx &= ~invariantTscBit; break; // the TSC's rate may change from host to host
        case kvmFeatureLeaf: entry.eax &= kvmFeatureMask; break;
        default: break;
        }
    }
    // Leaves that describe this host's cores and power states say nothing true about the guest's.
    std::erase_if(features.entries, [](CpuidEntry const& entry) {
        return entry.function == 5 || entry.function == 6 || entry.function == 0x8000000a || entry.function == 0xa
            || entry.function == 0xb || entry.function == 0x1f || entry.function == 0x8000001e || entry.function == 0x12
            || entry.function == 0x14 || entry.function == 0x17 || entry.function == 0x18 || entry.function == 0x15
            || entry.function == 0x16;
    });
    if (model == CpuModel::Baseline)
        features.entries = TRY(baseline(features.entries));
    return features;
}

Result<> checkFeatures(CpuFeatures const& saved, std::vector<CpuidEntry> const& supported)
{
    if (saved.entries.empty())
        return {}; // of a machine that is off: it was given nothing yet
    auto const here = TRY(cpuFeatures(CpuModel::Host, supported));
    // A system that runs has chosen its hypercall, its mitigations and its microcode by the vendor.
    auto const theirs = vendorOf(saved.entries), ours = vendorOf(here.entries);
    if (theirs != ours) {
        return fail(ErrorCode::Unsupported,
            fmt::format("the machine's guest was given a processor of {}, and this host's is of {}", theirs, ours));
    }
    std::vector<std::string> missing;
    for (auto const& reg : featureRegisters) {
        auto const* wanted = find(saved.entries, reg.function, reg.index);
        auto const* present = find(here.entries, reg.function, reg.index);
        if (!wanted)
            continue;
        auto const names = missingBits(reg, wanted->*reg.member, present ? present->*reg.member : 0);
        missing.insert(missing.end(), names.begin(), names.end());
    }
    if (!missing.empty()) {
        return fail(ErrorCode::Unsupported,
            fmt::format(
                "this host's CPU lacks features that the machine's guest was given: {}", fmt::join(missing, ", ")));
    }
    if (auto const wanted = addressBits(saved.entries), present = addressBits(here.entries); wanted > present) {
        return fail(ErrorCode::Unsupported,
            fmt::format("the machine's guest was given a processor with physical addresses of {} bits, and this host's "
                        "has {}",
                wanted, present));
    }
    return {};
}

Result<> checkAddresses(CpuFeatures const& features, std::uint64_t end)
{
    auto const bits = addressBits(features.entries);
    if (bits >= 64 || end <= std::uint64_t(1) << bits)
        return {};
    return fail(ErrorCode::Unsupported,
        fmt::format(
            "the machine's memory and devices need addresses of {} bits, and its processor has {}: give it less "
            "memory, or a processor like this host's if that one has more",
            std::bit_width(end - 1), bits));
}

std::vector<CpuidEntry> cpuidFor(CpuFeatures const& features, unsigned index, unsigned count)
{
    auto entries = features.entries;
    auto const coreBits = static_cast<std::uint32_t>(std::bit_width(count - 1));
    for (auto& entry : entries) {
        switch (entry.function) {
        case 1:
            entry.ebx = (entry.ebx & 0x0000ffff) | count << 16 | index << 24;
            entry.edx = count > 1 ? entry.edx | hyperThreadingBit : entry.edx & ~hyperThreadingBit;
            break;
        case 4: // each core has its caches for itself; the last level is everybody's
            if ((entry.eax & 31) != 0) {
                bool const shared = (entry.eax >> 5 & 7) >= 3;
                entry.eax
                    = (entry.eax & 0x3fff) | (shared ? (1u << coreBits) - 1 : 0) << 14 | ((1u << coreBits) - 1) << 26;
            }
            break;
        case 0x80000008: entry.ecx = (coreBits << 12) | (count - 1); break;
        default: break;
        }
    }
    if (auto* top = find(entries, 0); top && top->eax >= 0xb) {
        // The leaf of the x2APIC topology: one thread a core, `count` cores in the package.
        entries.push_back({ 0xb, 0, true, 0, 1, 0 | 1 << 8, index });
        entries.push_back({ 0xb, 1, true, coreBits, count, 1 | 2 << 8, index });
        entries.push_back({ 0xb, 2, true, 0, 0, 2, index });
    }
    return entries;
}

}
