#pragma once

#include "vmm/bus/bus.h"
#include "vmm/bus/interrupts.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/state/options.h"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

/// PCI as the guest sees it (PCI Local Bus Specification, Rev. 3.0, chapter 6 "Configuration Space"; PCI Express Base
/// Specification for the extended space). A function declares its identity, BARs and capabilities; decoding, moving and
/// sizing of BARs, MSI-X and INTx are the same for all and live here.
namespace vmm {

/// A guest's write to one register that the host's kernel turns into an eventfd, so that no vCPU waits for a device.
struct Doorbell {
    std::uint64_t offset;               ///< in the BAR
    std::uint32_t size;                 ///< 0 (any), 1, 2, 4 or 8 bytes
    std::optional<std::uint64_t> match; ///< only this value
    int eventFd;
    bool operator==(Doorbell const&) const = default;
};

/// Registers doorbells at absolute addresses (KVM ioeventfd).
class DoorbellRegistry {
public:
    enum class Space : std::uint8_t { Port, Memory };
    virtual ~DoorbellRegistry() = default;
    virtual Result<> add(Space space, std::uint64_t address, Doorbell const& doorbell) = 0;
    virtual void remove(Space space, std::uint64_t address, Doorbell const& doorbell) = 0;
};

/// What the board gives to each PCI function. Outlives them.
struct PciServices {
    Bus& ports;
    Bus& memory;
    MemoryMapper& mapper;
    DoorbellRegistry& doorbells;
    MsiSender& msi;
    GuestMemory& ram;
};

struct PciIdentity {
    std::uint16_t vendor = 0xffff, device = 0xffff;
    std::uint32_t classCode = 0; ///< base class, sub-class, interface: 0x010601
    std::uint8_t revision = 0;
    std::uint16_t subsystemVendor = 0, subsystem = 0;
    bool hasInterruptPin = false; ///< INTA#
};

struct MsixEntry {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    bool masked = true;
    bool operator==(MsixEntry const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("address", s.address);
        v.field("data", s.data);
        v.field("masked", s.masked);
    }
};

/// The part of a function's state that is PCI's own. A field of the State of every function: `v.field("pci", s.pci)`.
struct PciState {
    std::array<std::uint8_t, 256> config {};
    std::vector<MsixEntry> msix;        ///< the vector table
    std::vector<std::uint64_t> pending; ///< the pending bit array, 64 vectors a word
    bool intx = false;                  ///< level of INTA#
    bool operator==(PciState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("config", s.config);
        v.field("msix", s.msix, state::Max { 2048 });
        v.field("pending", s.pending, state::Max { 32 });
        v.field("intx", s.intx);
    }
};

/// One function on the PCI bus. Configuration accesses and BAR accesses come with mutex() held, and the protected
/// members are called with it held (a worker thread takes it before sendMsix()).
class PciFunction : public Device {
public:
    ~PciFunction() override;

    /// `offset` < 4096, `data` of 1, 2 or 4 bytes that do not cross a dword.
    void readConfig(unsigned offset, ByteSpan data);
    void writeConfig(unsigned offset, ConstByteSpan data);

    /// Where INTA# goes; set once by the bus when the function is plugged in.
    void connectInterrupt(IrqLine& line) { m_intxLine = &line; }

    PciIdentity const& identity() const { return m_identity; }
    /// Function 0 says in its header that its slot has others; done by the bus.
    void markMultifunction();
    bool hasMsix() const { return m_msixVectors != 0; }
    /// The guest allows the function to access memory and to send MSIs.
    bool isBusMaster() const;

protected:
    enum class BarKind : std::uint8_t { Port, Memory32, Memory64, Prefetchable32, Prefetchable64 };

    PciFunction(PciServices const& services, PciIdentity const& identity);

    /// To be called in the constructor. `size` is a power of two: 4 or more for ports, 16 or more for memory. A 64-bit
    /// BAR also takes the index after its own.
    void addBar(unsigned index, BarKind kind, std::uint64_t size);
    /// A BAR that is RAM: mapped into the guest at full speed, at least 4096 bytes.
    void addRamBar(unsigned index, BarKind kind, MemoryBlock& block, MemoryMapper::DirtyLog log);
    /// The expansion ROM, which firmware looks for code in. Its size is a power of two of at least 4096 bytes.
    void addRom(MemoryBlock& rom);
    /// Appends a capability; `body` follows id and next pointer. `writable` has ones where the guest may write; shorter
    /// than the body means zeroes. Returns the capability's offset in configuration space.
    unsigned addCapability(std::uint8_t id, ConstByteSpan body, ConstByteSpan writable = {});
    /// Registers of the function's own in the first 256 bytes; `writable` as above.
    void addRegisters(unsigned offset, ConstByteSpan initial, ConstByteSpan writable = {});
    /// MSI-X with its table at the start of BAR `index` and the pending bits behind it; the BAR belongs to MSI-X alone.
    void addMsix(unsigned index, unsigned vectors);

    /// The function's registers in BAR `index`. Never called for RAM and MSI-X BARs.
    virtual void readBar(unsigned index, std::uint64_t offset, ByteSpan data);
    virtual void writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data);
    /// Doorbells inside BAR `index`, asked for each time the BAR is mapped.
    virtual std::vector<Doorbell> doorbells(unsigned index);
    /// After the guest wrote to configuration space (the standard registers are already handled).
    virtual void configWritten(unsigned offset, unsigned size);
    /// Before the guest reads configuration space: the moment to refresh a register whose value comes from elsewhere.
    virtual void beforeConfigRead(unsigned offset, unsigned size);
    /// The first 256 bytes as they are now. What is changed here must be writable by the guest too, or a saved state
    /// is refused.
    ByteSpan config() { return m_pci.config; }

    /// Level of INTA#; respects Interrupt Disable in the command register.
    void setInterrupt(bool level);
    /// Sends MSI-X vector `vector`, or marks it pending while it is masked. Nothing when MSI-X is off.
    void sendMsix(unsigned vector);
    bool msixEnabled() const;

    /// The slot of a RAM BAR while it is mapped.
    std::optional<MemoryMapper::Slot> ramBarSlot(unsigned index) const;
    /// And where that is. Of two mappings in a row the slots may have the same number.
    std::optional<GuestAddress> ramBarAddress(unsigned index) const;

    /// The PCI part of reset(): a reset() calls it. Needless in the constructor.
    void resetPci();
    /// For save(): `auto state = m_state; state.pci = pciState();`
    PciState const& pciState() const { return m_pci; }
    /// Checks a saved state against this function (same identity, capabilities and BAR layout) and changes nothing.
    Result<> checkPci(PciState const& saved) const;
    /// Takes over a state that checkPci() accepted: maps the BARs, drives INTA#.
    void loadPci(PciState const& saved);

    PciServices const& services() const { return m_services; }

private:
    struct Bar;
    class Window;

    Bar* findBar(unsigned index) const;
    std::optional<std::uint64_t> wantedAddress(Bar const& bar) const;
    void setInitial(unsigned offset, ConstByteSpan initial, ConstByteSpan writable);
    void updateMappings();
    void mapBar(Bar& bar, std::uint64_t address);
    void unmapBar(Bar& bar);
    void addDoorbells(Bar& bar);
    void removeDoorbells(Bar& bar);
    bool msixMasked(unsigned vector) const;
    void sendPending(unsigned vector);
    void updateInterrupt();
    void readMsix(std::uint64_t offset, ByteSpan data) const;
    void writeMsix(std::uint64_t offset, ConstByteSpan data);

    PciServices m_services;
    PciIdentity m_identity;
    std::array<std::uint8_t, 256> m_initial {};  // after reset
    std::array<std::uint8_t, 256> m_writable {}; // ones where the guest may write
    std::vector<std::unique_ptr<Bar>> m_bars;
    unsigned m_capabilityEnd = 0x40, m_lastCapability = 0;
    unsigned m_msixVectors = 0, m_msixCapability = 0;
    std::uint64_t m_pendingOffset = 0; // of the pending bits in the MSI-X BAR
    IrqLine* m_intxLine = nullptr;
    PciState m_pci;
};

}
