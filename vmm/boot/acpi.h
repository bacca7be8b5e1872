#pragma once

#include "vmm/base/bytes.h"

namespace vmm {

/// What the tables speak of.
struct AcpiConfig {
    unsigned cpus = 1; ///< 1 to 16; their APIC ids are 0 and up
    std::uint64_t ramSize = 0;
    std::uint64_t ecamBase = 0;           ///< as firmware programmed it; layout::ecam under direct boot
    std::vector<unsigned> serialPorts {}; ///< 1 to 4, for COM1 to COM4
    bool display = true;                  ///< there is a VGA adapter
    bool panicDevice = true;              ///< pvpanic at port 505
    bool fwCfg = true;                    ///< at port 510
};

/// The tables, still movable: pointers hold offsets into `tables`, and checksums are not yet made.
struct AcpiTables {
    enum class Blob : std::uint8_t { Rsdp, Tables };
    struct Pointer {
        Blob blob; ///< that holds it; all point into `tables`
        std::uint32_t offset;
        std::uint8_t size; ///< 4 or 8
    };
    struct Checksum {
        Blob blob;
        std::uint32_t offset, start, length;
    };
    Bytes rsdp, tables; ///< `tables` must lie at a multiple of 64; its size never depends on AcpiConfig
    std::vector<Pointer> pointers;
    std::vector<Checksum> checksums;
};

/// RSDP, RSDT, XSDT, FACS, FADT, MADT, MCFG, WAET and DSDT (ACPI Specification 6.4, chapter 5 "ACPI Software
/// Programming Model").
AcpiTables buildAcpi(AcpiConfig const& config);
/// The body of the DSDT.
Bytes buildDsdt(AcpiConfig const& config);

/// What firmware gets through fw_cfg. Names are the files'; the script is of QEMU's linker/loader form (commands of
/// 128 bytes: allocate, add pointer, add checksum), which SeaBIOS and OVMF know.
constexpr std::string_view acpiRsdpFile = "etc/acpi/rsdp", acpiTablesFile = "etc/acpi/tables",
                           acpiLoaderFile = "etc/table-loader";
Bytes acpiLoaderScript(AcpiTables const& tables);

/// "etc/system-states": S0, S5 and nothing between.
Bytes acpiSystemStates();

/// For direct boot: makes the tables final for the place where `tables` will be, a multiple of 64.
void placeAcpi(AcpiTables& tables, std::uint64_t tablesAddress);

}
