#include "vmm/base/log.h"
#include "vmm/kvm/boot_cpu_state.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

#include <algorithm>
#include <fmt/format.h>

/// Between KVM's structures and our own VcpuState, field by field: a file must not depend on the kernel's layouts.
namespace vmm {

namespace {

constexpr std::uint32_t msrTsc = 0x10, msrMiscEnable = 0x1a0, msrMtrrDefaultType = 0x2ff, msrTscDeadline = 0x6e0,
                        msrAsyncPageFault = 0x4b564d02; // Documentation/virt/kvm/x86/msr.rst, MSR_KVM_ASYNC_PF_EN

void setMsr(VcpuState& state, std::uint32_t index, std::uint64_t value)
{
    for (auto& msr : state.msrs) {
        if (msr.index == index)
            msr.value = value;
    }
}

SegmentState fromKvm(kvm_segment const& in)
{
    return { in.base, in.limit, in.selector, in.type, in.dpl, in.present != 0, in.db != 0, in.s != 0, in.l != 0,
        in.g != 0, in.avl != 0, in.unusable != 0 };
}

kvm_segment toKvm(SegmentState const& in)
{
    kvm_segment out {};
    out.base = in.base;
    out.limit = in.limit;
    out.selector = in.selector;
    out.type = in.type;
    out.dpl = in.dpl;
    out.present = in.present;
    out.db = in.defaultSize;
    out.s = in.nonSystem;
    out.l = in.longMode;
    out.g = in.granularity;
    out.avl = in.available;
    out.unusable = in.unusable;
    return out;
}

kvm_dtable toKvm(TableState const& in)
{
    kvm_dtable out {};
    out.base = in.base;
    out.limit = in.limit;
    return out;
}

void fromKvm(kvm_regs const& in, VcpuState& out)
{
    out.rax = in.rax, out.rbx = in.rbx, out.rcx = in.rcx, out.rdx = in.rdx;
    out.rsi = in.rsi, out.rdi = in.rdi, out.rsp = in.rsp, out.rbp = in.rbp;
    out.r8 = in.r8, out.r9 = in.r9, out.r10 = in.r10, out.r11 = in.r11;
    out.r12 = in.r12, out.r13 = in.r13, out.r14 = in.r14, out.r15 = in.r15;
    out.rip = in.rip, out.rflags = in.rflags;
}

kvm_regs registersOf(VcpuState const& in)
{
    kvm_regs out {};
    out.rax = in.rax, out.rbx = in.rbx, out.rcx = in.rcx, out.rdx = in.rdx;
    out.rsi = in.rsi, out.rdi = in.rdi, out.rsp = in.rsp, out.rbp = in.rbp;
    out.r8 = in.r8, out.r9 = in.r9, out.r10 = in.r10, out.r11 = in.r11;
    out.r12 = in.r12, out.r13 = in.r13, out.r14 = in.r14, out.r15 = in.r15;
    out.rip = in.rip, out.rflags = in.rflags;
    return out;
}

void fromKvm(kvm_sregs const& in, VcpuState& out)
{
    out.cs = fromKvm(in.cs), out.ds = fromKvm(in.ds), out.es = fromKvm(in.es), out.fs = fromKvm(in.fs);
    out.gs = fromKvm(in.gs), out.ss = fromKvm(in.ss), out.tr = fromKvm(in.tr), out.ldt = fromKvm(in.ldt);
    out.gdt = { in.gdt.base, in.gdt.limit };
    out.idt = { in.idt.base, in.idt.limit };
    out.cr0 = in.cr0, out.cr2 = in.cr2, out.cr3 = in.cr3, out.cr4 = in.cr4, out.cr8 = in.cr8;
    out.efer = in.efer, out.apicBase = in.apic_base;
    std::copy(std::begin(in.interrupt_bitmap), std::end(in.interrupt_bitmap), out.interruptBitmap.begin());
}

kvm_sregs systemRegistersOf(VcpuState const& in)
{
    kvm_sregs out {};
    out.cs = toKvm(in.cs), out.ds = toKvm(in.ds), out.es = toKvm(in.es), out.fs = toKvm(in.fs);
    out.gs = toKvm(in.gs), out.ss = toKvm(in.ss), out.tr = toKvm(in.tr), out.ldt = toKvm(in.ldt);
    out.gdt = toKvm(in.gdt), out.idt = toKvm(in.idt);
    out.cr0 = in.cr0, out.cr2 = in.cr2, out.cr3 = in.cr3, out.cr4 = in.cr4, out.cr8 = in.cr8;
    out.efer = in.efer, out.apic_base = in.apicBase;
    std::copy(in.interruptBitmap.begin(), in.interruptBitmap.end(), std::begin(out.interrupt_bitmap));
    return out;
}

VcpuEvents fromKvm(kvm_vcpu_events const& in)
{
    VcpuEvents out;
    out.flags = in.flags & ~unsigned(KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
    out.exceptionInjected = in.exception.injected;
    out.exceptionNumber = in.exception.nr;
    out.exceptionHasErrorCode = in.exception.has_error_code;
    out.exceptionPending = in.exception.pending;
    out.exceptionErrorCode = in.exception.error_code;
    out.exceptionHasPayload = in.exception_has_payload;
    out.exceptionPayload = in.exception_payload;
    out.interruptInjected = in.interrupt.injected;
    out.interruptNumber = in.interrupt.nr;
    out.interruptSoft = in.interrupt.soft;
    out.interruptShadow = in.interrupt.shadow;
    out.nmiInjected = in.nmi.injected;
    out.nmiPending = in.nmi.pending;
    out.nmiMasked = in.nmi.masked;
    out.sipiVector = in.sipi_vector;
    return out;
}

kvm_vcpu_events toKvm(VcpuEvents const& in)
{
    kvm_vcpu_events out {};
    // Only what every KVM takes; SMM is not there, and payloads need a capability that we do not enable.
    out.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR | KVM_VCPUEVENT_VALID_SHADOW;
    out.exception.injected = in.exceptionInjected;
    out.exception.nr = in.exceptionNumber;
    out.exception.has_error_code = in.exceptionHasErrorCode;
    out.exception.pending = in.exceptionPending;
    out.exception.error_code = in.exceptionErrorCode;
    out.interrupt.injected = in.interruptInjected;
    out.interrupt.nr = in.interruptNumber;
    out.interrupt.soft = in.interruptSoft;
    out.interrupt.shadow = in.interruptShadow;
    out.nmi.injected = in.nmiInjected;
    out.nmi.pending = in.nmiPending;
    out.nmi.masked = in.nmiMasked;
    out.sipi_vector = in.sipiVector;
    return out;
}

std::optional<MpState> fromMpState(std::uint32_t state)
{
    switch (state) {
    case KVM_MP_STATE_RUNNABLE: return MpState::Runnable;
    case KVM_MP_STATE_UNINITIALIZED: return MpState::Uninitialized;
    case KVM_MP_STATE_INIT_RECEIVED: return MpState::InitReceived;
    case KVM_MP_STATE_HALTED: return MpState::Halted;
    case KVM_MP_STATE_SIPI_RECEIVED: return MpState::SipiReceived;
    default: return std::nullopt;
    }
}

std::uint32_t toMpState(MpState state)
{
    switch (state) {
    case MpState::Runnable: return KVM_MP_STATE_RUNNABLE;
    case MpState::Uninitialized: return KVM_MP_STATE_UNINITIALIZED;
    case MpState::InitReceived: return KVM_MP_STATE_INIT_RECEIVED;
    case MpState::Halted: return KVM_MP_STATE_HALTED;
    case MpState::SipiReceived: return KVM_MP_STATE_SIPI_RECEIVED;
    }
    return KVM_MP_STATE_RUNNABLE;
}

/// Reads those of `indices` that can be read; KVM stops at the first that cannot, and lists some of those too.
Result<std::vector<MsrState>> readMsrs(int fd, std::span<std::uint32_t const> indices)
{
    std::vector<MsrState> values;
    while (!indices.empty()) {
        FlexibleArray<kvm_msrs, kvm_msr_entry> request(indices.size());
        request->nmsrs = static_cast<std::uint32_t>(indices.size());
        for (std::size_t i = 0; i < indices.size(); ++i)
            request->entries[i].index = indices[i];
        int const read = ::ioctl(fd, KVM_GET_MSRS, request.get());
        if (read < 0)
            return failOs("cannot read model-specific registers");
        for (auto const& entry : std::span(request->entries, static_cast<std::size_t>(read)))
            values.push_back({ entry.index, entry.data });
        indices = indices.subspan(std::min(indices.size(), static_cast<std::size_t>(read) + 1));
    }
    return values;
}

/// Appends those that KVM refuses. Some that it lists and can read it never lets anybody write: they say what the host
/// is.
Result<> writeMsrs(int fd, std::span<MsrState const> msrs, std::vector<MsrState>& refused)
{
    while (!msrs.empty()) {
        FlexibleArray<kvm_msrs, kvm_msr_entry> request(msrs.size());
        request->nmsrs = static_cast<std::uint32_t>(msrs.size());
        for (std::size_t i = 0; i < msrs.size(); ++i) {
            request->entries[i].index = msrs[i].index;
            request->entries[i].data = msrs[i].value;
        }
        int const written = ::ioctl(fd, KVM_SET_MSRS, request.get());
        if (written < 0)
            return failOs("cannot write model-specific registers");
        if (static_cast<std::size_t>(written) == msrs.size())
            return {};
        refused.push_back(msrs[static_cast<std::size_t>(written)]);
        msrs = msrs.subspan(static_cast<std::size_t>(written) + 1);
    }
    return {};
}

}

Result<> checkRefusedMsrs(std::vector<MsrState> const& refused, std::vector<MsrState> const& own)
{
    std::string lost;
    for (auto const& msr : refused) {
        if (msr.value != 0 && std::find(own.begin(), own.end(), msr) == own.end())
            lost += fmt::format("{}{:#x} in MSR {:#x}", lost.empty() ? "" : ", ", msr.value, msr.index);
    }
    if (lost.empty())
        return {};
    return fail(ErrorCode::Unsupported,
        fmt::format("this host's KVM refuses what the vCPU has in its model-specific registers: {}", lost));
}

Result<VcpuState> Vcpu::save() const
{
    VcpuState state;
    kvm_mp_state mpState {};
    TRY(ioctlChecked(fd(), KVM_GET_MP_STATE, &mpState, "cannot read a vCPU's run state"));
    auto const known = fromMpState(mpState.mp_state);
    if (!known)
        return fail(ErrorCode::Unsupported, fmt::format("vCPU {} is in run state {}", m_index, mpState.mp_state));
    state.mpState = *known;

    kvm_regs registers {};
    TRY(ioctlChecked(fd(), KVM_GET_REGS, &registers, "cannot read a vCPU's registers"));
    fromKvm(registers, state);
    kvm_sregs system {};
    TRY(ioctlChecked(fd(), KVM_GET_SREGS, &system, "cannot read a vCPU's system registers"));
    fromKvm(system, state);
    kvm_debugregs debug {};
    TRY(ioctlChecked(fd(), KVM_GET_DEBUGREGS, &debug, "cannot read a vCPU's debug registers"));
    std::copy(std::begin(debug.db), std::end(debug.db), state.debugAddresses.begin());
    state.dr6 = debug.dr6;
    state.dr7 = debug.dr7;

    kvm_xcrs xcrs {};
    TRY(ioctlChecked(fd(), KVM_GET_XCRS, &xcrs, "cannot read a vCPU's extended control registers"));
    for (auto const& entry : std::span(xcrs.xcrs, std::min<std::size_t>(xcrs.nr_xcrs, std::size(xcrs.xcrs)))) {
        if (entry.xcr == 0)
            state.xcr0 = entry.value;
    }
    int const xsaveSize = m_vm.capability(KVM_CAP_XSAVE2);
    state.xsave.resize(xsaveSize > 0 ? static_cast<std::size_t>(xsaveSize) : sizeof(kvm_xsave));
    TRY(ioctlChecked(fd(), xsaveSize > 0 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, state.xsave.data(),
        "cannot read a vCPU's extended state"));

    kvm_lapic_state lapic {};
    TRY(ioctlChecked(fd(), KVM_GET_LAPIC, &lapic, "cannot read a local APIC"));
    state.lapic.assign(std::begin(lapic.regs), std::end(lapic.regs));
    kvm_vcpu_events events {};
    TRY(ioctlChecked(fd(), KVM_GET_VCPU_EVENTS, &events, "cannot read a vCPU's events"));
    state.events = fromKvm(events);
    state.msrs = TRY(readMsrs(fd(), m_msrs));
    state.tscKilohertz = static_cast<std::uint32_t>(std::max(ioctlInt(fd(), KVM_GET_TSC_KHZ), 0));
    return state;
}

Result<> Vcpu::check(VcpuState const& state)
{
    if (state.lapic.size() != sizeof(kvm_lapic_state::regs))
        return fail(ErrorCode::Corrupt, fmt::format("a local APIC of {} bytes", state.lapic.size()));
    return {};
}

Result<> Vcpu::load(VcpuState const& state)
{
    return checkRefusedMsrs(TRY(write(state)), m_powerOn->msrs);
}

Result<> Vcpu::set(VcpuState const& state)
{
    if (auto const good = checkRefusedMsrs(TRY(write(state)), m_powerOn->msrs); !good)
        log(LogLevel::Warning, "kvm", "vCPU {}: {}", m_index, good.error().message());
    return {};
}

Result<std::vector<MsrState>> Vcpu::write(VcpuState const& state)
{
    int const xsaveSize = m_vm.capability(KVM_CAP_XSAVE2);
    auto const roomForXsave = xsaveSize > 0 ? static_cast<std::size_t>(xsaveSize) : sizeof(kvm_xsave);
    if (state.xsave.size() > roomForXsave
        && std::any_of(state.xsave.begin() + static_cast<std::ptrdiff_t>(roomForXsave), state.xsave.end(),
            [](auto byte) { return byte != 0; }))
        return fail(ErrorCode::Unsupported, "the vCPU uses vector registers that this host does not have");
    TRY(check(state));

    // In this order: features that others depend on first, the local APIC behind the register that enables it, and
    // what is pending last, when everything that it refers to is there.
    auto const hostTsc = ioctlInt(fd(), KVM_GET_TSC_KHZ);
    if (state.tscKilohertz != 0 && hostTsc > 0 && state.tscKilohertz != static_cast<std::uint32_t>(hostTsc)) {
        if (ioctlInt(fd(), KVM_SET_TSC_KHZ, state.tscKilohertz) != 0)
            log(LogLevel::Info, "kvm", "the TSC runs at {} kHz here, {} kHz before", hostTsc, state.tscKilohertz);
    }
    auto const registers = registersOf(state);
    auto const system = systemRegistersOf(state);
    TRY(ioctlChecked(fd(), KVM_SET_SREGS, &system, "KVM refuses a vCPU's system registers"));
    TRY(ioctlChecked(fd(), KVM_SET_REGS, &registers, "KVM refuses a vCPU's registers"));
    kvm_xcrs xcrs {};
    xcrs.nr_xcrs = 1;
    xcrs.xcrs[0].value = state.xcr0;
    TRY(ioctlChecked(fd(), KVM_SET_XCRS, &xcrs, "KVM refuses a vCPU's extended control registers"));
    Bytes xsave = state.xsave;
    xsave.resize(std::max(roomForXsave, sizeof(kvm_xsave)));
    TRY(ioctlChecked(fd(), KVM_SET_XSAVE, xsave.data(), "KVM refuses a vCPU's extended state"));
    // The deadline of the local APIC's timer counts only while the APIC is in that mode, so it follows the APIC.
    auto msrs = state.msrs;
    // While a page of the guest's comes from the disk, or from wherever, KVM lets the vCPU sleep. Writing 0 here makes
    // it forget that it waits for something: it would sleep for ever, whatever its registers are set to.
    auto const waiting = TRY(readMsrs(fd(), std::array { msrAsyncPageFault }));
    std::erase_if(msrs, [&](MsrState const& msr) {
        return msr.index == msrAsyncPageFault && std::find(waiting.begin(), waiting.end(), msr) != waiting.end();
    });
    auto const deadline = std::stable_partition(
        msrs.begin(), msrs.end(), [](MsrState const& msr) { return msr.index != msrTscDeadline; });
    std::vector<MsrState> refused;
    TRY(writeMsrs(fd(), std::span(msrs.begin(), deadline), refused));
    kvm_lapic_state lapic {};
    std::memcpy(lapic.regs, state.lapic.data(), sizeof lapic.regs);
    TRY(ioctlChecked(fd(), KVM_SET_LAPIC, &lapic, "KVM refuses a local APIC"));
    TRY(writeMsrs(fd(), std::span(deadline, msrs.end()), refused));
    kvm_debugregs debug {};
    std::copy(state.debugAddresses.begin(), state.debugAddresses.end(), std::begin(debug.db));
    debug.dr6 = state.dr6;
    debug.dr7 = state.dr7;
    TRY(ioctlChecked(fd(), KVM_SET_DEBUGREGS, &debug, "KVM refuses a vCPU's debug registers"));
    kvm_mp_state mpState {};
    mpState.mp_state = toMpState(state.mpState);
    TRY(ioctlChecked(fd(), KVM_SET_MP_STATE, &mpState, "KVM refuses a vCPU's run state"));
    auto events = toKvm(state.events);
    // None is pending: one that a kick kept from being told would end the guest's next life at its first instruction,
    // and what leads to one in this state does so again.
    if (m_vm.tellsTripleFaults())
        events.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
    TRY(ioctlChecked(fd(), KVM_SET_VCPU_EVENTS, &events, "KVM refuses a vCPU's events"));
    return refused;
}

Result<> Vcpu::reset()
{
    auto state = *m_powerOn;
    // The time stamp counter goes on.
    std::erase_if(state.msrs, [](MsrState const& msr) { return msr.index == msrTsc; });
    state.mpState = m_index == 0 ? MpState::Runnable : MpState::Uninitialized;
    // Fast strings, which KVM's own power-on value has off (Intel SDM, order number 335592, Vol. 4, 2.1 "Architectural
    // MSRs", IA32_MISC_ENABLE bit 0): Linux would do without its fast copies.
    setMsr(state, msrMiscEnable, 1);
    return set(state);
}

/// Intel SDM, order number 325384, Vol. 3A, 9.8.5 "Initializing IA-32e Mode": what must be on, and that it may be set
/// at once where no instruction runs in between.
Result<> Vcpu::setBootState(BootCpuState const& boot)
{
    constexpr std::uint64_t protectedMode = 1u << 0, extensionType = 1u << 4, paging = 1u << 31;
    constexpr std::uint64_t physicalAddressExtension = 1u << 5;
    constexpr std::uint64_t longModeEnable = 1u << 8, longModeActive = 1u << 10;
    constexpr std::uint8_t codeExecuteReadAccessed = 0xb, dataReadWriteAccessed = 0x3, busyTask = 0xb;

    auto state = TRY(save());
    // As at a reset: the counters of all processors go on together.
    std::erase_if(state.msrs, [](MsrState const& msr) { return msr.index == msrTsc; });
    bool const longMode = boot.mode == BootCpuState::Mode::Long64;
    SegmentState code { 0, 0xffffffff, boot.codeSelector, codeExecuteReadAccessed, 0, true, !longMode, true, longMode,
        true, false, false };
    SegmentState const data { 0, 0xffffffff, boot.dataSelector, dataReadWriteAccessed, 0, true, true, true, false, true,
        false, false };
    state.cs = code;
    state.ds = state.es = state.fs = state.gs = state.ss = data;
    state.tr = { 0, 0x67, boot.taskSelector, busyTask, 0, true, false, false, false, false, false, false };
    state.gdt = { boot.gdtBase, boot.gdtLimit };
    state.idt = { 0, 0 };
    state.cr0 = protectedMode | extensionType | (longMode ? paging : 0);
    state.cr3 = longMode ? boot.cr3 : 0;
    state.cr4 = longMode ? physicalAddressExtension : 0;
    state.efer = longMode ? longModeEnable | longModeActive : 0;
    state.rip = boot.rip;
    state.rsp = boot.rsp;
    state.rbx = boot.rbx;
    state.rsi = boot.rsi;
    state.rflags = 2;
    // Firmware would have said that memory is write-back (Intel SDM, order number 325384, Vol. 3A, 11.11.2.1
    // "IA32_MTRR_DEF_TYPE MSR"); without that Linux leaves PAT alone too.
    constexpr std::uint64_t enabledWriteBack = 1u << 11 | 6;
    setMsr(state, msrMtrrDefaultType, enabledWriteBack);
    return set(state);
}

}
