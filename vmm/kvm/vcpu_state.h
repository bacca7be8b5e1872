#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"
#include "vmm/state/options.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace vmm {

struct SegmentState {
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    std::uint16_t selector = 0;
    std::uint8_t type = 0, dpl = 0;
    bool present = false, defaultSize = false, nonSystem = false, longMode = false, granularity = false,
         available = false, unusable = false;
    bool operator==(SegmentState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("base", s.base);
        v.field("limit", s.limit);
        v.field("selector", s.selector);
        v.field("type", s.type, state::Range { 0, 15 });
        v.field("dpl", s.dpl, state::Range { 0, 3 });
        v.field("present", s.present);
        v.field("defaultSize", s.defaultSize);
        v.field("nonSystem", s.nonSystem);
        v.field("longMode", s.longMode);
        v.field("granularity", s.granularity);
        v.field("available", s.available);
        v.field("unusable", s.unusable);
    }
};

struct TableState {
    std::uint64_t base = 0;
    std::uint16_t limit = 0;
    bool operator==(TableState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("base", s.base);
        v.field("limit", s.limit);
    }
};

struct MsrState {
    std::uint32_t index = 0;
    std::uint64_t value = 0;
    bool operator==(MsrState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("index", s.index);
        v.field("value", s.value);
    }
};

/// Whether a vCPU can do with what its host has `refused` to set: nothing is lost where the value was 0 or is what the
/// host has there by itself (`own`). Else Unsupported, with every register and value.
Result<> checkRefusedMsrs(std::vector<MsrState> const& refused, std::vector<MsrState> const& own);

/// What is under way at an instruction boundary (KVM API, 4.31 "KVM_GET_VCPU_EVENTS").
struct VcpuEvents {
    std::uint32_t flags = 0;
    std::uint8_t exceptionInjected = 0, exceptionNumber = 0, exceptionHasErrorCode = 0, exceptionPending = 0;
    std::uint32_t exceptionErrorCode = 0;
    std::uint8_t exceptionHasPayload = 0;
    std::uint64_t exceptionPayload = 0;
    std::uint8_t interruptInjected = 0, interruptNumber = 0, interruptSoft = 0, interruptShadow = 0;
    std::uint8_t nmiInjected = 0, nmiPending = 0, nmiMasked = 0;
    std::uint32_t sipiVector = 0;
    bool operator==(VcpuEvents const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("flags", s.flags);
        v.field("exceptionInjected", s.exceptionInjected);
        v.field("exceptionNumber", s.exceptionNumber);
        v.field("exceptionHasErrorCode", s.exceptionHasErrorCode);
        v.field("exceptionPending", s.exceptionPending);
        v.field("exceptionErrorCode", s.exceptionErrorCode);
        v.field("exceptionHasPayload", s.exceptionHasPayload);
        v.field("exceptionPayload", s.exceptionPayload);
        v.field("interruptInjected", s.interruptInjected);
        v.field("interruptNumber", s.interruptNumber);
        v.field("interruptSoft", s.interruptSoft);
        v.field("interruptShadow", s.interruptShadow);
        v.field("nmiInjected", s.nmiInjected);
        v.field("nmiPending", s.nmiPending);
        v.field("nmiMasked", s.nmiMasked);
        v.field("sipiVector", s.sipiVector);
    }
};

enum class MpState : std::uint8_t { Runnable, Uninitialized, InitReceived, Halted, SipiReceived };
constexpr auto stateNames(MpState)
{
    return std::to_array<std::string_view>({ "runnable", "uninitialized", "init-received", "halted", "sipi-received" });
}

/// All that software can observe of one vCPU. Register names are the architecture's.
struct VcpuState {
    static constexpr std::string_view kind = "vcpu";
    static constexpr unsigned version = 1;

    std::uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, rsp = 0, rbp = 0;
    std::uint64_t r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0;
    std::uint64_t rip = 0, rflags = 2;
    SegmentState cs, ds, es, fs, gs, ss, tr, ldt;
    TableState gdt, idt;
    std::uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0, efer = 0, apicBase = 0;
    std::array<std::uint64_t, 4> interruptBitmap {}; ///< external interrupts accepted and not yet delivered
    std::array<std::uint64_t, 4> debugAddresses {};  ///< DR0 to DR3
    std::uint64_t dr6 = 0, dr7 = 0;
    std::uint64_t xcr0 = 1;
    Bytes xsave; ///< the XSAVE area in its standard form (Intel SDM Vol. 1, chapter 13)
    Bytes lapic; ///< the local APIC's registers at their offsets in its page
    MpState mpState = MpState::Runnable;
    VcpuEvents events;
    std::uint32_t tscKilohertz = 0;
    std::vector<MsrState> msrs;
    bool operator==(VcpuState const&) const = default;

    static void describe(auto& v, auto& s)
    {
        v.field("rax", s.rax);
        v.field("rbx", s.rbx);
        v.field("rcx", s.rcx);
        v.field("rdx", s.rdx);
        v.field("rsi", s.rsi);
        v.field("rdi", s.rdi);
        v.field("rsp", s.rsp);
        v.field("rbp", s.rbp);
        v.field("r8", s.r8);
        v.field("r9", s.r9);
        v.field("r10", s.r10);
        v.field("r11", s.r11);
        v.field("r12", s.r12);
        v.field("r13", s.r13);
        v.field("r14", s.r14);
        v.field("r15", s.r15);
        v.field("rip", s.rip);
        v.field("rflags", s.rflags);
        v.field("cs", s.cs);
        v.field("ds", s.ds);
        v.field("es", s.es);
        v.field("fs", s.fs);
        v.field("gs", s.gs);
        v.field("ss", s.ss);
        v.field("tr", s.tr);
        v.field("ldt", s.ldt);
        v.field("gdt", s.gdt);
        v.field("idt", s.idt);
        v.field("cr0", s.cr0);
        v.field("cr2", s.cr2);
        v.field("cr3", s.cr3);
        v.field("cr4", s.cr4);
        v.field("cr8", s.cr8);
        v.field("efer", s.efer);
        v.field("apicBase", s.apicBase);
        v.field("interruptBitmap", s.interruptBitmap);
        v.field("debugAddresses", s.debugAddresses);
        v.field("dr6", s.dr6);
        v.field("dr7", s.dr7);
        v.field("xcr0", s.xcr0);
        v.field("xsave", s.xsave, state::Max { 65536 });
        v.field("lapic", s.lapic, state::Max { 4096 });
        v.field("mpState", s.mpState);
        v.field("events", s.events);
        v.field("tscKilohertz", s.tscKilohertz);
        v.field("msrs", s.msrs, state::Max { 1024 });
    }
};

}
