#pragma once

#include "vmm/base/result.h"

#include <cstdint>
#include <optional>
#include <string>

namespace app {

enum class MediumKind : std::uint8_t {
    Unknown,
    Iso,       ///< ISO 9660: a CD or DVD
    Disk,      ///< a disk image
    Kernel,    ///< Linux bzImage
    PvhKernel, ///< ELF with a PVH entry
};

/// What a file is that a person has dropped or chosen.
struct Medium {
    std::string path;
    MediumKind kind = MediumKind::Unknown;
    std::uint64_t bytes = 0;
    std::optional<vmm::Error> refusal; ///< why no machine can start from it
    std::string format;                ///< of a disk: "raw" or "qcow2"
    std::uint64_t diskBytes = 0;       ///< what the guest sees of a disk
    /// The file that a qcow2 image says it stands on, without links. The guest whose raw disk it is can have written
    /// that, to read all of it: somebody has to look at the name, and say what the image is.
    std::string backing;
    bool isBackingElsewhere = false; ///< it is opened only where the machine's configuration names it, too
    std::string label;               ///< an ISO's volume, a kernel's version
    bool bootsBios = false, bootsUefi = false;
    std::string system;          ///< libosinfo's id; empty: not recognised
    std::string systemName;      ///< "Debian 12 Bookworm"
    std::string systemShortName; ///< "debian12"
    bool isLive = false, isInstaller = false;
};

/// Whether a database of systems is to be asked for it. libosinfo never comes back from a CD that does not boot.
inline bool mayHoldSystem(Medium const& medium)
{
    return medium.kind == MediumKind::Iso && (medium.bootsBios || medium.bootsUefi);
}

/// What a file is by its own bytes, without any database: everything of Medium but the system. The file is anybody's:
/// each offset and length in it is checked.
vmm::Result<Medium> inspectMedium(std::string const& path);

}
