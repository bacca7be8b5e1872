#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <string>

namespace vmm {

struct SmbiosConfig {
    std::string uuid; ///< RFC 4122 text, as in VmConfig
    std::string name; ///< the machine's, told as its SKU number
    unsigned cpus = 1;
    std::uint64_t ramSize = 0;
};

/// The tables of DMTF DSP0134 (System Management BIOS Reference Specification), version 2.8, and their entry point.
struct Smbios {
    Bytes anchor; ///< 31 bytes; the tables' address is 0 until place()
    Bytes tables;
    /// Writes the address of `tables` into the anchor, and its checksums.
    void place(std::uint32_t tablesAddress);
};

Result<Smbios> buildSmbios(SmbiosConfig const& config);

/// Names of the files that firmware reads; it moves the tables and makes the checksums anew by itself.
constexpr std::string_view smbiosAnchorFile = "etc/smbios/smbios-anchor", smbiosTablesFile = "etc/smbios/smbios-tables";

}
