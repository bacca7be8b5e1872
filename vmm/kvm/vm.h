#pragma once

#include "vmm/bus/interrupts.h"
#include "vmm/bus/pci.h"
#include "vmm/kvm/kvm.h"
#include "vmm/memory/guest_memory.h"

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <vector>

namespace vmm {

class Vcpu;

/// One virtual machine of KVM with the in-kernel PICs, IOAPIC, local APICs and PIT: its memory slots, doorbells and
/// interrupts. Any thread. It begins as a list of what is to be in it: memory is noted until open() makes the virtual
/// machine, levels of lines and doorbells until connect() makes what they lead to.
class Vm final : public MemoryMapper, public DoorbellRegistry, public MsiSender {
public:
    static constexpr unsigned gsiCount = 24; ///< pins of the IOAPIC; 0 to 15 reach the PICs too

    explicit Vm(Kvm const& kvm);
    ~Vm() override;

    /// Once, before all that follows: the kernel's virtual machine, with the memory that is mapped by now.
    Result<> open();

    int fd() const { return m_fd.get(); }
    Kvm const& kvm() const { return m_kvm; }
    int capability(unsigned number) const;
    /// Whether a vCPU's events tell of a triple fault that is pending.
    bool tellsTripleFaults() const { return m_tellsTripleFaults; }

    /// The wire into pin `gsi` of the interrupt controllers.
    IrqLine& line(unsigned gsi);

    /// Once, before the first vCPU, and the later the better: KVM's own devices and doorbells are on buses that it
    /// replaces whenever one is added, and memory that is mapped next waits until the old bus can be freed: on
    /// Linux 6.18 for 6 to 11 ms.
    Result<> createInterruptControllers();
    /// Then, by who has it alone: all that was noted.
    Result<> connect();

    Result<std::unique_ptr<Vcpu>> createVcpu(unsigned index, std::vector<CpuidEntry> const& cpuid);

    /// Also where KVM puts pages of its own is no place.
    Result<Slot> map(
        GuestAddress address, MemoryBlock& block, std::uint64_t offset, std::uint64_t size, Access, DirtyLog) override;
    void unmap(Slot slot) override;
    /// Before open() nobody has written.
    Result<> takeDirtyLog(Slot slot, std::vector<std::uint64_t>& bitmap) override;

    Result<> add(Space space, std::uint64_t address, Doorbell const& doorbell) override;
    void remove(Space space, std::uint64_t address, Doorbell const& doorbell) override;

    /// To nobody before connect().
    void send(MsiMessage const& message) override;

private:
    class Line;
    struct MappedMemory {
        GuestAddress address;
        std::uint64_t size;
        std::uint8_t* memory;
        Access access;
        DirtyLog dirtyLog;
    };
    struct PlacedDoorbell {
        Space space;
        std::uint64_t address;
        Doorbell doorbell;
        bool operator==(PlacedDoorbell const&) const = default;
    };

    Result<> setSlot(Slot slot, MappedMemory const& mapped);
    Result<> enable(unsigned capability, std::uint64_t argument, char const* refusal);
    Result<> doorbellIoctl(PlacedDoorbell const& placed, bool remove);
    Result<> routePins();

    Kvm const& m_kvm;
    bool m_tellsTripleFaults = false;
    UniqueFd m_fd;
    std::atomic<bool> m_isConnected { false };
    std::array<std::unique_ptr<Line>, gsiCount> m_lines;
    std::mutex m_mutex;
    std::map<Slot, MappedMemory> m_slots;
    unsigned m_maximumSlots;
    std::vector<PlacedDoorbell> m_notedDoorbells; // until connect()
};

}
