#include "vmm/boot/acpi.h"
#include "vmm/boot/aml.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/devices/ich9_lpc.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/memory/layout.h"

#include <algorithm>
#include <fmt/format.h>

// The names of devices (PNP…, ACPI0007) are from the list of PNP identifiers that ACPI refers to (5.6.7 "Device Class-
// Specific Objects"); QEMU0001 and QEMU0002 are what drivers know pvpanic and fw_cfg by.

namespace vmm {

namespace {

using namespace aml;

/// Cuts the 32-bit window in two where ECAM lies in it. Both ends inclusive.
std::vector<Bytes> memoryWindows(AcpiConfig const& config)
{
    auto const begin = layout::lowRamSize(config.ramSize), end = layout::pciWindowEnd;
    auto const ecamBegin = std::clamp(config.ecamBase, begin, end);
    auto const ecamEnd = std::clamp(config.ecamBase + layout::ecamSize, begin, end);
    std::vector<Bytes> windows;
    auto const add = [&](std::uint64_t from, std::uint64_t to) {
        if (from < to)
            windows.push_back(memoryWindow32(static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to - 1)));
    };
    add(begin, ecamBegin);
    add(ecamEnd, end);
    return windows;
}

Bytes hostBridgeResources(AcpiConfig const& config)
{
    std::vector<Bytes> list { busWindow(0, 0xff), ioPorts(0xcf8, 8), portWindow(0x0000, 0x0cf7),
        portWindow(0x0d00, 0xffff), memoryWindow32(layout::legacyVga, layout::legacyVgaEnd - 1, true) };
    for (auto& window : memoryWindows(config))
        list.push_back(std::move(window));
    list.push_back(memoryWindow64(layout::pci64Window(config.ramSize), layout::pci64WindowEnd(config.ramSize) - 1));
    return resources(list);
}

/// _PRT, with PIRQs as link devices (8259) or as inputs of the IOAPIC.
Bytes routingTable(std::string_view path, bool ioApic)
{
    std::vector<Bytes> entries;
    for (unsigned slot = 0; slot < PciBus::slotCount; ++slot) {
        for (unsigned pin = 0; pin < 4; ++pin) {
            auto const pirq = PciBus::pirqOf(slot, pin);
            auto const address = integer(std::uint64_t(slot) << 16 | 0xffff);
            if (ioApic)
                entries.push_back(package({ address, integer(pin), integer(0), integer(16 + pirq) }));
            else
                entries.push_back(
                    package({ address, integer(pin), name(fmt::format("\\_SB.LNK{:c}", 'A' + pirq)), integer(0) }));
        }
    }
    return nameDecl(path, package(entries));
}

/// One input of the interrupt router as a device that an operating system can set (the register is PRQx).
Bytes linkDevice(unsigned pirq)
{
    auto const letter = static_cast<char>('A' + pirq);
    auto const route = name(fmt::format("\\_SB.PCI0.ISA.PRQ{}", letter));
    return device(fmt::format("LNK{}", letter),
        {
            nameDecl("_HID", eisaId("PNP0C0F")),
            nameDecl("_UID", integer(pirq)),
            nameDecl("_PRS", resources({ sharedInterrupts({ 5, 10, 11 }) })),
            method("_STA", 0,
                { ifTrue(bitAnd(route, integer(0x80)), { returnValue(integer(0x09)) }), returnValue(integer(0x0b)) }),
            method("_DIS", 0, { bitOr(route, integer(0x80), route) }),
            method("_CRS", 0,
                {
                    nameDecl("BUF0", resources({ sharedInterrupts({ 0 }) })),
                    createDwordField(name("BUF0"), 5, "IRQV"),
                    store(bitAnd(route, integer(0x0f)), name("IRQV")),
                    returnValue(name("BUF0")),
                },
                true),
            method("_SRS", 1,
                { createDwordField(argument(0), 5, "IRQV"), store(bitAnd(name("IRQV"), integer(0x0f)), route) }, true),
        });
}

Bytes isaDevice(
    std::string_view path, Bytes const& id, std::vector<Bytes> const& descriptors, std::vector<Bytes> more = {})
{
    std::vector<Bytes> terms { nameDecl("_HID", id) };
    for (auto& term : more)
        terms.push_back(std::move(term));
    terms.push_back(nameDecl("_CRS", resources(descriptors)));
    return device(path, terms);
}

Bytes isaBridge(AcpiConfig const& config)
{
    std::vector<Bytes> terms {
        nameDecl("_ADR", integer(0x001f0000)),
        operationRegion("PIRQ", Space::PciConfig, 0x60, 0x0c),
        byteField("PIRQ",
            { { "PRQA", 8 }, { "PRQB", 8 }, { "PRQC", 8 }, { "PRQD", 8 }, { "", 32 }, { "PRQE", 8 }, { "PRQF", 8 },
                { "PRQG", 8 }, { "PRQH", 8 } }),
        isaDevice("RTC", eisaId("PNP0B00"), { ioPorts(0x70, 2), irq(8) }),
        isaDevice("KBD", eisaId("PNP0303"), { ioPorts(0x60, 1), ioPorts(0x64, 1), irq(1) }),
        isaDevice("MOU", eisaId("PNP0F13"), { irq(12) }),
    };
    for (auto const number : config.serialPorts) {
        if (number < 1 || number > comPorts.size())
            continue;
        auto const& com = comPorts[number - 1];
        terms.push_back(isaDevice(fmt::format("COM{}", number), eisaId("PNP0501"),
            { ioPorts(com.port, Uart16550::size), irq(com.irq) }, { nameDecl("_UID", integer(number)) }));
    }
    if (config.panicDevice)
        terms.push_back(
            isaDevice("PEVT", string("QEMU0001"), { ioPorts(0x505, 1) }, { nameDecl("_STA", integer(0x0f)) }));
    return device("ISA", terms);
}

/// What belongs to the board and to no device: no operating system may put anything there.
Bytes boardResources(AcpiConfig const& config)
{
    std::vector<Bytes> list { ioPorts(0x80, 1), ioPorts(0x92, 1), ioPorts(0xb2, 2), ioPorts(Ich9Lpc::pmBase, 0x80),
        fixedMemory(layout::generationId, 0x1000, false) };
    if (config.ecamBase + layout::ecamSize <= layout::fourGiB)
        list.push_back(fixedMemory(static_cast<std::uint32_t>(config.ecamBase), layout::ecamSize, true));
    return isaDevice("MBRD", eisaId("PNP0C02"), list, { nameDecl("_UID", integer(0)) });
}

}

Bytes buildDsdt(AcpiConfig const& config)
{
    Bytes dsdt;
    auto const add = [&](Bytes const& term) { dsdt.insert(dsdt.end(), term.begin(), term.end()); };

    add(nameDecl("PICF", integer(0)));
    add(method("_PIC", 1, { store(argument(0), name("PICF")) }));
    add(nameDecl("\\_S5", package({ integer(0), integer(0), integer(0), integer(0) })));

    std::vector<Bytes> system {
        device("PCI0",
            {
                nameDecl("_HID", eisaId("PNP0A08")),
                nameDecl("_CID", eisaId("PNP0A03")),
                nameDecl("_UID", integer(0)),
                nameDecl("_BBN", integer(0)),
                nameDecl("_CRS", hostBridgeResources(config)),
                routingTable("PRTP", false),
                routingTable("PRTA", true),
                method("_PRT", 0, { ifTrue(name("\\PICF"), { returnValue(name("PRTA")) }), returnValue(name("PRTP")) }),
                isaBridge(config),
            }),
        boardResources(config),
        // Microsoft, "Virtual Machine Generation ID", 2012: _CID and _DDN are fixed, ADDR gives the place. Linux knows
        // the device by the second _CID.
        device("VGEN",
            {
                nameDecl("_HID", string("CHRV0001")),
                nameDecl("_CID", package({ string("VM_Gen_Counter"), string("VMGENCTR") })),
                nameDecl("_DDN", string("VM_Gen_Counter")),
                nameDecl("ADDR", package({ integer(layout::generationId), integer(0) })),
            }),
    };
    if (config.fwCfg)
        system.push_back(
            isaDevice("FWCF", string("QEMU0002"), { ioPorts(0x510, 12) }, { nameDecl("_STA", integer(0x0b)) }));
    for (unsigned pirq = 0; pirq < PciBus::pirqCount; ++pirq)
        system.push_back(linkDevice(pirq));
    for (unsigned cpu = 0; cpu < config.cpus; ++cpu)
        system.push_back(device(
            fmt::format("C{:03X}", cpu), { nameDecl("_HID", string("ACPI0007")), nameDecl("_UID", integer(cpu)) }));
    add(scope("\\_SB", system));

    add(scope("\\_GPE",
        { method(fmt::format("_E{:02X}", Ich9Lpc::generationGpe), 0, { notify(name("\\_SB.VGEN"), 0x80) }) }));
    return dsdt;
}

}
