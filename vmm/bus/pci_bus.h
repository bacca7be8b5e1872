#pragma once

#include "vmm/bus/pci.h"
#include "vmm/bus/shared_line.h"

namespace vmm {

/// PCI bus 0 with its two ways into configuration space: mechanism #1 (PCI Local Bus Specification, Rev. 3.0, 3.2.2.3.2
/// "Software Generation of Configuration Transactions") and the memory-mapped one (PCI Express Base Specification,
/// "PCI Express Enhanced Configuration Access Mechanism"). Buses other than 0 are empty.
///
///   port | width | what
///   CF8  | 4     | address: enable (31), bus (23:16), slot (15:11), function (10:8), register (7:2)
///   CF9  | 1     | reset control, the LPC bridge's
///   CFC  | 1,2,4 | data
///
/// INTA# of slots 0 to 24 goes to PIRQE–H in turn, of slots 25 to 31 to PIRQA, as ICH9 wires it after reset and as the
/// ACPI tables say. The device's lock is taken before a function's.
class PciBus final : public BusDevice {
public:
    static constexpr unsigned slotCount = 32, functionCount = 8, pirqCount = 8;

    struct State {
        static constexpr std::string_view kind = "pci-bus";
        static constexpr unsigned version = 1;
        std::uint32_t address = 0;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s) { v.field("address", s.address); }
    };

    /// `pirqs`: the interrupt router's inputs A to H. Takes ports CF8–CFF.
    PciBus(Bus& ports, Bus& memory, std::array<IrqLine*, pirqCount> const& pirqs);
    ~PciBus() override;

    /// Which of PIRQA (0) to PIRQH (7) INTA# + `pin` of a slot goes to.
    static constexpr unsigned pirqOf(unsigned slot, unsigned pin) { return slot < 25 ? 4 + (slot + pin) % 4 : pin % 4; }

    /// While the machine is put together. Refused: a place that is taken or does not exist.
    Result<> plug(unsigned slot, unsigned function, PciFunction& device);

    /// Byte accesses to port CF9 go to `handler`, whose offset 0 it is.
    void setResetControl(BusHandler& handler) { m_resetControl = &handler; }

    /// Where ECAM answers, for `buses` buses from 0 on; none: nowhere. Called with mutex() held (by the host bridge
    /// from a configuration access) or while the machine stands still.
    void moveEcam(std::optional<std::uint64_t> base, unsigned buses);

    void reset() override { m_state = {}; }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    /// Ports CF8–CFF.
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    void readEcam(std::uint64_t offset, ByteSpan data);
    void writeEcam(std::uint64_t offset, ConstByteSpan data);
    PciFunction* find(unsigned bus, unsigned devfn) const;

    Bus& m_ports;
    Bus& m_memory;
    BusWindow<PciBus> m_ecam { *this, &PciBus::readEcam, &PciBus::writeEcam };
    std::deque<SharedLine> m_pirqs;
    std::array<PciFunction*, slotCount * functionCount> m_functions {};
    BusHandler* m_resetControl = nullptr;
    State m_state;
};

}
