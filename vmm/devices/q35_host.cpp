#include "vmm/devices/q35_host.h"

#include "vmm/memory/layout.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

namespace vmm {

namespace {

constexpr unsigned pciexbar = 0x60, pam0 = 0x90, smram = 0x9d;
constexpr std::uint64_t ecamEnable = 1, ecamLength = 6;
constexpr std::uint8_t smramLocked = 0x12; // D_LCK, and C_BASE_SEG as it always reads

}

Q35Host::Q35Host(PciServices const& services, PciBus& bus, LegacyMemory& memory)
    : PciFunction(services,
        { .vendor = 0x8086,
            .device = 0x29c0,
            .classCode = 0x060000,
            .revision = 2,
            .subsystemVendor = 0x1af4,
            .subsystem = 0x1100 }),
      m_bus(bus),
      m_memory(memory)
{
    addRegisters(pciexbar, bytesOf(layout::ecam), bytesOf(std::uint64_t(0xffc000007)));
    std::array<std::uint8_t, 7> writable {};
    writable.fill(0x33);
    writable[0] = 0x30;
    addRegisters(pam0, std::array<std::uint8_t, 7> {}, writable);
    addRegisters(smram, bytesOf(smramLocked));
}

void Q35Host::setUpLikeFirmware()
{
    storeLittle(config().subspan(pciexbar, 8), layout::ecam | ecamEnable);
    auto const pam = config().subspan(pam0, 7);
    std::fill(pam.begin(), pam.end(), std::uint8_t(0x33));
    pam[0] = 0x30;
    updateEcam();
    updateShadow();
}

void Q35Host::reset()
{
    resetPci();
    updateEcam();
    updateShadow();
}

Section Q35Host::save() const
{
    return state::save(State { pciState() });
}

Result<> Q35Host::load(Section const& section)
{
    auto const next = TRY(state::load<State>(section));
    TRY(checkPci(next.pci));
    loadPci(next.pci);
    updateEcam();
    updateShadow();
    return {};
}

void Q35Host::configWritten(unsigned offset, unsigned size)
{
    if (offset < pciexbar + 8 && offset + size > pciexbar)
        updateEcam();
    if (offset < pam0 + 7 && offset + size > pam0)
        updateShadow();
}

std::optional<std::uint64_t> Q35Host::ecamBase() const
{
    auto const value = loadLittle<std::uint64_t>(ConstByteSpan(pciState().config).subspan(pciexbar, 8));
    auto const length = (value & ecamLength) >> 1;
    if ((value & ecamEnable) == 0 || length == 3)
        return std::nullopt;
    return value & ~((std::uint64_t(256) << 20 >> length) - 1);
}

void Q35Host::updateEcam()
{
    auto const length = (pciState().config[pciexbar] & ecamLength) >> 1;
    m_bus.moveEcam(ecamBase(), 256u >> length);
}

void Q35Host::updateShadow()
{
    auto const mode = [this](unsigned segment) {
        // Segment 12 (F0000) is in PAM0's high half, the others follow from PAM1 on, two in each.
        auto const at = segment == 12 ? 0 : 1 + segment / 2;
        auto const bits = pciState().config[pam0 + at] >> (segment == 12 || segment % 2 == 1 ? 4 : 0);
        return ShadowMode { .readRam = (bits & 1) != 0, .writeRam = (bits & 2) != 0 };
    };
    LegacyMemory::Modes modes;
    for (unsigned segment = 0; segment < LegacyMemory::segmentCount; ++segment)
        modes[segment] = mode(segment);
    m_memory.apply(modes);
}

}
