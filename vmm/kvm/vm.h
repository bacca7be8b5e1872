#pragma once

#include "vmm/bus/interrupts.h"
#include "vmm/bus/pci.h"
#include "vmm/kvm/kvm.h"
#include "vmm/memory/guest_memory.h"

#include <array>
#include <map>
#include <mutex>
#include <set>

namespace vmm {

class Vcpu;

/// One virtual machine of KVM with the in-kernel PICs, IOAPIC, local APICs and PIT: its memory slots, doorbells and
/// interrupt routes. Any thread.
class Vm final : public MemoryMapper, public DoorbellRegistry, public MsiRouter {
public:
    static constexpr unsigned gsiCount = 24; ///< pins of the IOAPIC; 0 to 15 reach the PICs too

    static Result<std::unique_ptr<Vm>> create(Kvm const& kvm);
    ~Vm() override;

    int fd() const { return m_fd.get(); }
    Kvm const& kvm() const { return m_kvm; }
    int capability(unsigned number) const;
    /// Whether a vCPU's events tell of a triple fault that is pending.
    bool tellsTripleFaults() const { return m_tellsTripleFaults; }

    /// The wire into pin `gsi` of the interrupt controllers.
    IrqLine& line(unsigned gsi) { return *m_lines.at(gsi); }

    /// Once, when the memory is mapped and before the first vCPU. KVM's own devices are on buses that it replaces
    /// whenever one is added, and memory that is mapped next waits until the old bus can be freed: on Linux 6.18 for 6
    /// to 11 ms.
    Result<> createInterruptControllers();

    Result<std::unique_ptr<Vcpu>> createVcpu(unsigned index, std::vector<CpuidEntry> const& cpuid);

    Result<Slot> map(
        GuestAddress address, MemoryBlock& block, std::uint64_t offset, std::uint64_t size, Access, DirtyLog) override;
    void unmap(Slot slot) override;
    Result<> takeDirtyLog(Slot slot, std::vector<std::uint64_t>& bitmap) override;

    Result<> add(Space space, std::uint64_t address, Doorbell const& doorbell) override;
    void remove(Space space, std::uint64_t address, Doorbell const& doorbell) override;

    std::unique_ptr<MsiRoute> makeRoute() override;

private:
    class Line;
    class Route;
    struct SlotRange {
        GuestAddress address;
        std::uint64_t size;
    };

    explicit Vm(Kvm const& kvm) : m_kvm(kvm) { }
    Result<> open();
    Result<> enable(unsigned capability, std::uint64_t argument, char const* refusal);
    Result<> doorbellIoctl(Space space, std::uint64_t address, Doorbell const& doorbell, bool remove);
    /// Writes the whole routing table: the pins, and every MSI route that has a message. Called with m_mutex held.
    Result<> publishRoutes();

    Kvm const& m_kvm;
    bool m_tellsTripleFaults = false;
    UniqueFd m_fd;
    std::array<std::unique_ptr<IrqLine>, gsiCount> m_lines;
    std::mutex m_mutex;
    std::map<Slot, SlotRange> m_slots;
    unsigned m_maximumSlots = 0;
    std::map<unsigned, MsiMessage> m_routes; // by GSI, from gsiCount on
    std::set<unsigned> m_usedGsis;
};

}
