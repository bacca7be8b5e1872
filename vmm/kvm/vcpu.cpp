#include "vmm/kvm/vcpu.h"

#include "vmm/base/log.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/step_over.h"
#include "vmm/kvm/vm.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pthread.h>
#include <sys/mman.h>

namespace vmm {

namespace {

/// Only interrupts KVM_RUN; its handler does nothing.
int kickSignal()
{
    return SIGRTMIN + 2;
}

}

Result<std::unique_ptr<Vcpu>> Vcpu::create(Vm& vm, unsigned index, std::vector<CpuidEntry> const& cpuid)
{
    std::unique_ptr<Vcpu> vcpu(new Vcpu(vm, index));
    TRY(vcpu->open(cpuid));
    return vcpu;
}

Vcpu::~Vcpu()
{
    if (m_run)
        ::munmap(m_run, m_vm.kvm().vcpuMappingSize());
}

Result<> Vcpu::open(std::vector<CpuidEntry> const& cpuid)
{
    prepareKicks();
    m_fd.reset(ioctlInt(m_vm.fd(), KVM_CREATE_VCPU, m_index));
    if (!m_fd)
        return failOs(fmt::format("KVM cannot create vCPU {}", m_index));
    void* const mapped = ::mmap(nullptr, m_vm.kvm().vcpuMappingSize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0);
    if (mapped == MAP_FAILED)
        return failOs("cannot map a vCPU's run area");
    m_run = static_cast<kvm_run*>(mapped);
    // fork() must not copy it: the child has no business with a vCPU.
    ::madvise(m_run, m_vm.kvm().vcpuMappingSize(), MADV_DONTFORK);

    FlexibleArray<kvm_cpuid2, kvm_cpuid_entry2> table(cpuid.size());
    table->nent = static_cast<std::uint32_t>(cpuid.size());
    for (std::size_t i = 0; i < cpuid.size(); ++i) {
        auto& entry = table->entries[i];
        entry.function = cpuid[i].function;
        entry.index = cpuid[i].index;
        entry.flags = cpuid[i].indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
        entry.eax = cpuid[i].eax;
        entry.ebx = cpuid[i].ebx;
        entry.ecx = cpuid[i].ecx;
        entry.edx = cpuid[i].edx;
    }
    TRY(ioctlChecked(fd(), KVM_SET_CPUID2, table.get(), "KVM refuses the CPU's features"));
    m_msrs = TRY(m_vm.kvm().savedMsrs());
    m_powerOn = TRY(save());
    return {};
}

void Vcpu::prepareKicks()
{
    static bool const installed = [] {
        struct sigaction action { };
        action.sa_handler = [](int) {};
        return ::sigaction(kickSignal(), &action, nullptr) == 0;
    }();
    static_cast<void>(installed);
}

void Vcpu::kick(pthread_t thread)
{
    // Two doors, because a signal before KVM_RUN is lost: the flag in the shared page makes the next KVM_RUN return.
    m_kicked.store(true, std::memory_order_release);
    std::atomic_ref<std::uint8_t>(m_run->immediate_exit).store(1, std::memory_order_release);
    ::pthread_kill(thread, kickSignal());
}

void Vcpu::clearKick()
{
    m_kicked.store(false, std::memory_order_release);
    std::atomic_ref<std::uint8_t>(m_run->immediate_exit).store(0, std::memory_order_release);
}

VcpuExit Vcpu::run(BusView& ports, BusView& memory)
{
    for (;;) {
        if (::ioctl(fd(), KVM_RUN, 0) != 0) {
            // With immediate_exit set KVM first completes the access that was served last, so nothing is half done.
            if (errno == EINTR || errno == EAGAIN) {
                if (m_kicked.load(std::memory_order_acquire))
                    return { VcpuExit::Kind::Kicked, {} };
                continue;
            }
            if (errno == EFAULT || errno == ENOMEM)
                return fault(ErrorCode::OutOfMemory, "the host did not give a page of the guest's memory");
            return { VcpuExit::Kind::Fault, osError(fmt::format("KVM cannot run vCPU {}", m_index)) };
        }
        switch (m_run->exit_reason) {
        case KVM_EXIT_IO: servePort(ports); break;
        case KVM_EXIT_MMIO: serveMemory(memory); break;
        case KVM_EXIT_INTR:
        case KVM_EXIT_IRQ_WINDOW_OPEN: break;
        case KVM_EXIT_SHUTDOWN:
            return { VcpuExit::Kind::TripleFault,
                Error { ErrorCode::GuestFault, fmt::format("vCPU {} gave up (triple fault)", m_index), 0 } };
        case KVM_EXIT_INTERNAL_ERROR: {
            auto exit = unhandledInstruction();
            if (exit.error)
                return exit;
            break;
        }
        case KVM_EXIT_FAIL_ENTRY:
            return fault(ErrorCode::GuestFault,
                fmt::format("the processor refuses the guest's state (reason {:#x})",
                    std::uint64_t(m_run->fail_entry.hardware_entry_failure_reason)));
        default:
            return fault(
                ErrorCode::GuestFault, fmt::format("KVM stopped for a reason we do not know ({})", m_run->exit_reason));
        }
    }
}

void Vcpu::servePort(BusView& ports)
{
    auto const& io = m_run->io;
    auto* data = reinterpret_cast<std::uint8_t*>(m_run) + io.data_offset;
    // A string instruction comes as `count` accesses to the same port.
    for (std::uint32_t i = 0; i < io.count; ++i, data += io.size) {
        if (io.direction == KVM_EXIT_IO_IN)
            ports.read(io.port, { data, io.size });
        else
            ports.write(io.port, ConstByteSpan { data, io.size });
    }
}

void Vcpu::serveMemory(BusView& memory)
{
    auto& mmio = m_run->mmio;
    std::size_t const length = std::min<std::size_t>(mmio.len, sizeof mmio.data);
    if (mmio.is_write)
        memory.write(mmio.phys_addr, ConstByteSpan { mmio.data, length });
    else
        memory.read(mmio.phys_addr, { mmio.data, length });
}

VcpuExit Vcpu::fault(ErrorCode code, std::string detail) const
{
    kvm_regs registers {};
    ::ioctl(fd(), KVM_GET_REGS, &registers);
    return { VcpuExit::Kind::Fault,
        Error { code, fmt::format("vCPU {} at {:#x}: {}", m_index, std::uint64_t(registers.rip), detail), 0 } };
}

/// Where it does not say which instruction it was (Linux, Documentation/virt/kvm/api.rst, KVM_EXIT_INTERNAL_ERROR).
static std::string whyKvmStopped(std::uint32_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "this host's KVM cannot run the instruction there, and cannot read it either: no memory is there, "
               "perhaps";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "this host's KVM could not deliver an interrupt or exception to the guest";
    default: return fmt::format("this host's KVM cannot go on (internal error {})", suberror);
    }
}

/// KVM met an instruction that it can neither run nor emulate. Some are simple enough to be done here, exactly; with
/// any other the machine stops and says which one it was.
VcpuExit Vcpu::unhandledInstruction()
{
    auto const& internal = m_run->emulation_failure;
    bool const hasBytes = internal.suberror == KVM_INTERNAL_ERROR_EMULATION && internal.ndata >= 3
        && (internal.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
    if (!hasBytes)
        return fault(ErrorCode::GuestFault, whyKvmStopped(m_run->internal.suberror));
    auto const length = std::min<std::size_t>(internal.insn_size, sizeof internal.insn_bytes);
    ConstByteSpan const bytes { internal.insn_bytes, length };
    auto state = save();
    if (!state)
        return { VcpuExit::Kind::Fault, state.error() };
    if (stepOver(*state, bytes)) {
        if (auto const loaded = load(*state); !loaded)
            return { VcpuExit::Kind::Fault, loaded.error() };
        return { VcpuExit::Kind::Kicked, {} };
    }
    return fault(
        ErrorCode::GuestFault, fmt::format("this host's KVM cannot run the instruction {:02x}", fmt::join(bytes, " ")));
}

std::string Vcpu::whereabouts() const
{
    kvm_regs registers {};
    kvm_sregs special {};
    if (::ioctl(fd(), KVM_GET_REGS, &registers) != 0 || ::ioctl(fd(), KVM_GET_SREGS, &special) != 0)
        return fmt::format("vCPU {}: unknown", m_index);
    return fmt::format("vCPU {}: cs:rip {:x}:{:x} ss:rsp {:x}:{:x} rflags {:x} cr0 {:x} cr2 {:x} cr3 {:x} cr4 {:x}",
        m_index, unsigned(special.cs.selector), std::uint64_t(registers.rip), unsigned(special.ss.selector),
        std::uint64_t(registers.rsp), std::uint64_t(registers.rflags), std::uint64_t(special.cr0),
        std::uint64_t(special.cr2), std::uint64_t(special.cr3), std::uint64_t(special.cr4));
}

void Vcpu::markStopped()
{
    // EINVAL only says that the guest has no kvmclock.
    ::ioctl(fd(), KVM_KVMCLOCK_CTRL, 0);
}

}
