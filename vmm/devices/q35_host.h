#pragma once

#include "vmm/bus/pci_bus.h"
#include "vmm/devices/legacy_memory.h"

namespace vmm {

/// The host bridge of the Q35 chipset, 8086:29c0 at 00:00.0 (Intel 3 Series Express Chipset Family datasheet, 316966,
/// "DRAM Controller Registers (D0:F0)"), as far as firmware uses it.
///
///   offset | width | what
///   60     | 8     | PCIEXBAR: enable (0), length (2:1: 256, 128, 64 buses), base (35:28, :27 or :26)
///   90–96  | 1     | PAM0–6: for each segment of C0000–FFFFF read (bit 0/4) and write (bit 1/5) enable
///   9D     | 1     | SMRAM: locked and closed, since there is no system management mode
///
/// Left out: memory remapping and timing registers (firmware gets the size of RAM in other ways), TSEG.
class Q35Host final : public PciFunction {
public:
    struct State {
        static constexpr std::string_view kind = "q35-host";
        static constexpr unsigned version = 1;
        PciState pci;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s) { v.field("pci", s.pci); }
    };

    Q35Host(PciServices const& services, PciBus& bus, LegacyMemory& memory);

    /// What firmware would have done, for direct boot: ECAM at layout::ecam, all of C0000–FFFFF RAM. After each reset.
    void setUpLikeFirmware();

    /// Where ECAM is now; nothing while it is off. Machine thread, or within a configuration access of another
    /// function.
    std::optional<std::uint64_t> ecamBase() const;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

protected:
    void configWritten(unsigned offset, unsigned size) override;

private:
    void updateEcam();
    void updateShadow();

    PciBus& m_bus;
    LegacyMemory& m_memory;
};

}
