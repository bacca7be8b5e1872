#include "vmm/kvm/vm.h"

#include "vmm/base/log.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/memory/layout.h"

#include <cassert>
#include <cpuid.h>
#include <fmt/format.h>

namespace vmm {

namespace {

/// Whether the processor itself runs a guest's kernel (VMX or SVM), and not KVM's emulator.
bool hasVirtualisation()
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    bool const vmx = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & 1u << 5) != 0;
    return vmx || (__get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & 1u << 2) != 0);
}

/// Where KVM has memory of its own, on processors that need it: it refuses other memory there, or to make a vCPU where
/// other memory is. A guest may put a device there all the same, which does without then, also in a state that is
/// loaded before KVM could say so.
constexpr auto pagesOfKvm = std::to_array<std::pair<GuestAddress, std::uint64_t>>({
    { layout::localApic, 0x1000 },
    { layout::kvmIdentityMap, 0x1000 },
    { layout::kvmTss, 0x3000 },
});

}

/// A pin of the interrupt controllers. KVM_IRQ_LINE sets its level.
class Vm::Line final : public IrqLine {
public:
    Line(Vm& vm, unsigned gsi) : m_vm(vm), m_gsi(gsi) { }
    void set(bool level) override
    {
        m_level = level;
        if (m_vm.m_isConnected)
            tell(level);
    }

    void connect()
    {
        if (m_level)
            tell(true);
    }

private:
    void tell(bool level)
    {
        kvm_irq_level request {};
        request.irq = m_gsi;
        request.level = level ? 1 : 0;
        ::ioctl(m_vm.fd(), KVM_IRQ_LINE, &request);
    }

    Vm& m_vm;
    unsigned m_gsi;
    std::atomic<bool> m_level { false };
};

Vm::Vm(Kvm const& kvm)
    : m_kvm(kvm), m_maximumSlots(static_cast<unsigned>(std::max(kvm.capability(KVM_CAP_NR_MEMSLOTS), 32)))
{
    for (unsigned gsi = 0; gsi < gsiCount; ++gsi)
        m_lines[gsi] = std::make_unique<Line>(*this, gsi);
}

Vm::~Vm() = default;

Result<> Vm::open()
{
    std::lock_guard const lock(m_mutex);
    int fd = -1;
    do
        fd = ioctlInt(m_kvm.fd(), KVM_CREATE_VM, 0);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return failOs("KVM cannot create a virtual machine");
    m_fd.reset(fd);
    std::uint64_t identityMap = layout::kvmIdentityMap;
    TRY(ioctlChecked(fd, KVM_SET_IDENTITY_MAP_ADDR, &identityMap, "KVM refuses the place of its identity map"));
    TRY(ioctlChecked(fd, KVM_SET_TSS_ADDR, layout::kvmTss, "KVM refuses the place of its task state"));
    // An emulator that meets a hypercall takes it for the other vendor's instruction, puts its own in that place and
    // looks again. Where nothing but an emulator is, it does so for ever: there the guest gets the #UD of a processor
    // that knows neither. Elsewhere KVM may go on, for a guest that comes from the other vendor's processor.
    if (!hasVirtualisation() && (capability(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN) != 0) {
        TRY(enable(
            KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_FIX_HYPERCALL_INSN, "KVM cannot leave hypercalls as they are"));
    }
    // Linux 6.1: a triple fault that is pending can be seen, and taken back.
    if (capability(KVM_CAP_X86_TRIPLE_FAULT_EVENT) > 0) {
        TRY(enable(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, "KVM cannot tell of pending triple faults"));
        m_tellsTripleFaults = true;
    }
    for (auto const& [slot, mapped] : m_slots)
        TRY(setSlot(slot, mapped));
    return {};
}

IrqLine& Vm::line(unsigned gsi)
{
    return *m_lines.at(gsi);
}

Result<> Vm::createInterruptControllers()
{
    TRY(ioctlChecked(fd(), KVM_CREATE_IRQCHIP, 0, "KVM cannot create the interrupt controllers"));
    kvm_pit_config pit {};
    pit.flags = KVM_PIT_SPEAKER_DUMMY; // port 0x61, which firmware uses to time delays
    return ioctlChecked(fd(), KVM_CREATE_PIT2, &pit, "KVM cannot create the timer");
}

Result<> Vm::connect()
{
    std::lock_guard const lock(m_mutex);
    TRY(routePins());
    for (auto const& placed : m_notedDoorbells) {
        // A write to one that KVM refuses comes out to the bus instead.
        if (auto const added = doorbellIoctl(placed, false); !added)
            trace("kvm", "no doorbell at {:#x}: {}", placed.address, added.error().message());
    }
    m_notedDoorbells.clear();
    for (auto const& line : m_lines)
        line->connect();
    m_isConnected = true;
    return {};
}

Result<> Vm::enable(unsigned capability, std::uint64_t argument, char const* refusal)
{
    kvm_enable_cap what {};
    what.cap = capability;
    what.args[0] = argument;
    return ioctlChecked(m_fd.get(), KVM_ENABLE_CAP, &what, refusal);
}

int Vm::capability(unsigned number) const
{
    return ioctlInt(fd(), KVM_CHECK_EXTENSION, number);
}

Result<std::unique_ptr<Vcpu>> Vm::createVcpu(unsigned index, std::vector<CpuidEntry> const& cpuid)
{
    return Vcpu::create(*this, index, cpuid);
}

Result<MemoryMapper::Slot> Vm::map(GuestAddress address, MemoryBlock& block, std::uint64_t offset, std::uint64_t size,
    Access access, DirtyLog dirtyLog)
{
    if (size == 0 || offset > block.size() || size > block.size() - offset || address + (size - 1) < address)
        return fail(ErrorCode::InvalidArgument, fmt::format("no memory to map: {:#x} bytes at {:#x}", size, address));
    std::lock_guard const lock(m_mutex);
    auto const checkFree = [&](GuestAddress other, std::uint64_t otherSize) -> Result<> {
        if (address < other + otherSize && other < address + size) {
            return fail(ErrorCode::AlreadyExists,
                fmt::format("{:#x} to {:#x} overlaps memory at {:#x}", address, address + size - 1, other));
        }
        return {};
    };
    for (auto const& [page, pageSize] : pagesOfKvm)
        TRY(checkFree(page, pageSize));
    for (auto const& [slot, mapped] : m_slots)
        TRY(checkFree(mapped.address, mapped.size));
    Slot slot = 0;
    while (m_slots.contains(slot))
        ++slot;
    if (slot >= m_maximumSlots)
        return fail(ErrorCode::OutOfMemory, fmt::format("KVM has only {} memory slots", m_maximumSlots));
    MappedMemory const mapped { address, size, block.data() + offset, access, dirtyLog };
    if (m_fd)
        TRY(setSlot(slot, mapped));
    m_slots[slot] = mapped;
    return slot;
}

Result<> Vm::setSlot(Slot slot, MappedMemory const& mapped)
{
    kvm_userspace_memory_region region {};
    region.slot = slot;
    region.flags = (mapped.access == Access::ReadOnly ? KVM_MEM_READONLY : 0u)
        | (mapped.dirtyLog == DirtyLog::On ? KVM_MEM_LOG_DIRTY_PAGES : 0u);
    region.guest_phys_addr = mapped.address;
    region.memory_size = mapped.size;
    region.userspace_addr = reinterpret_cast<std::uintptr_t>(mapped.memory);
    if (::ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return failOs(fmt::format("KVM refuses {:#x} bytes of memory at {:#x}", mapped.size, mapped.address));
    return {};
}

void Vm::unmap(Slot slot)
{
    std::lock_guard const lock(m_mutex);
    if (m_slots.erase(slot) == 0 || !m_fd)
        return;
    kvm_userspace_memory_region region {};
    region.slot = slot; // of size 0: deleted
    ::ioctl(fd(), KVM_SET_USER_MEMORY_REGION, &region);
}

Result<> Vm::takeDirtyLog(Slot slot, std::vector<std::uint64_t>& bitmap)
{
    std::lock_guard const lock(m_mutex);
    auto const found = m_slots.find(slot);
    if (found == m_slots.end())
        return fail(ErrorCode::NotFound, "no such memory slot");
    bitmap.assign((found->second.size / 4096 + 63) / 64, 0);
    if (!m_fd)
        return {};
    kvm_dirty_log request {};
    request.slot = slot;
    request.dirty_bitmap = bitmap.data();
    return ioctlChecked(fd(), KVM_GET_DIRTY_LOG, &request, "cannot read which pages the guest wrote");
}

Result<> Vm::doorbellIoctl(PlacedDoorbell const& placed, bool remove)
{
    auto const& [space, address, doorbell] = placed;
    kvm_ioeventfd request {};
    request.addr = address;
    request.len = doorbell.size;
    request.fd = doorbell.eventFd;
    request.datamatch = doorbell.match.value_or(0);
    request.flags = (space == Space::Port ? 1u << kvm_ioeventfd_flag_nr_pio : 0u)
        | (doorbell.match ? 1u << kvm_ioeventfd_flag_nr_datamatch : 0u)
        | (remove ? 1u << kvm_ioeventfd_flag_nr_deassign : 0u);
    return ioctlChecked(fd(), KVM_IOEVENTFD, &request, "KVM refuses a doorbell");
}

Result<> Vm::add(Space space, std::uint64_t address, Doorbell const& doorbell)
{
    std::lock_guard const lock(m_mutex);
    PlacedDoorbell const placed { space, address, doorbell };
    if (m_isConnected)
        return doorbellIoctl(placed, false);
    m_notedDoorbells.push_back(placed);
    return {};
}

void Vm::remove(Space space, std::uint64_t address, Doorbell const& doorbell)
{
    std::lock_guard const lock(m_mutex);
    PlacedDoorbell const placed { space, address, doorbell };
    if (m_isConnected)
        ignore(doorbellIoctl(placed, true));
    else
        std::erase(m_notedDoorbells, placed);
}

Result<> Vm::routePins()
{
    FlexibleArray<kvm_irq_routing, kvm_irq_routing_entry> table(gsiCount + 16);
    auto const pin = [&](unsigned gsi, unsigned chip, unsigned number) {
        auto& entry = table->entries[table->nr++];
        entry.gsi = gsi;
        entry.type = KVM_IRQ_ROUTING_IRQCHIP;
        entry.u.irqchip.irqchip = chip;
        entry.u.irqchip.pin = number;
    };
    for (unsigned gsi = 0; gsi < 16; ++gsi) {
        if (gsi != 2) // the cascade
            pin(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
    }
    for (unsigned gsi = 0; gsi < gsiCount; ++gsi) {
        // The PIT's IRQ 0 arrives at pin 2, as the MADT's interrupt source override tells the guest.
        if (gsi != 2)
            pin(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
    }
    return ioctlChecked(fd(), KVM_SET_GSI_ROUTING, table.get(), "KVM refuses the interrupt routes");
}

/// Also what KVM's fast path cannot do (broadcasts, logical destinations of APICs in mixed modes) is done when the call
/// returns. An irqfd leaves that to a workqueue (Linux, virt/kvm/eventfd.c, irqfd_wakeup()), maybe until after the
/// local APICs were saved, and what waits for it, irqfd_shutdown(), also waits for a grace period.
void Vm::send(MsiMessage const& message)
{
    if (!m_isConnected)
        return;
    kvm_msi request {};
    request.address_lo = static_cast<std::uint32_t>(message.address);
    request.address_hi = static_cast<std::uint32_t>(message.address >> 32);
    request.data = message.data;
    ::ioctl(fd(), KVM_SIGNAL_MSI, &request);
}

}
