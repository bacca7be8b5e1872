#pragma once

#include "app/store/host_report.h"
#include "app/store/machine_store.h"

#include <memory>
#include <string>

namespace app {

enum class MediumKind : std::uint8_t {
    Unknown,
    Iso,           ///< ISO 9660: a CD or DVD
    Disk,          ///< a disk image that can be booted from
    Kernel,        ///< Linux bzImage
    PvhKernel,     ///< ELF with a PVH entry
    MachineConfig, ///< a machine.json
};

/// What a file is that a person has dropped or chosen.
struct Medium {
    std::string path;
    MediumKind kind = MediumKind::Unknown;
    std::uint64_t bytes = 0;
    std::string format;      ///< of a disk: "raw", "qcow2", or a format that is known and refused: "vmdk", "vdi" …
    bool isSupported = true; ///< false: recognised, and this version cannot run it
    std::uint64_t diskBytes = 0; ///< what the guest sees of a disk
    std::string label;           ///< an ISO's volume, a kernel's version
    bool bootsBios = false, bootsUefi = false;
    std::string system;          ///< libosinfo's id; empty: not recognised
    std::string systemName;      ///< "Debian 12 Bookworm"
    std::string systemShortName; ///< "debian12"
    bool isLive = false, isInstaller = false;
};

/// Why a value was proposed; `ui` has the sentence.
enum class Reason : std::uint8_t {
    SystemRecommends, ///< the system's makers recommend it
    SystemRequires,   ///< their minimum, raised
    HostLimit,        ///< less than wanted: the host has no more to give
    UsualDefault,     ///< nothing is known about the system
    MediumNeeds,      ///< the medium boots only so
    FirmwareMissing,  ///< the better firmware is not installed
};

/// A machine that would suit a medium on this host.
struct Proposal {
    MachineRequest request;
    Reason name = Reason::UsualDefault, cpus = Reason::UsualDefault, memory = Reason::UsualDefault,
           disk = Reason::UsualDefault, firmware = Reason::UsualDefault;
    std::vector<HostConcern> concerns;
};

/// Recognises systems with libosinfo and its database. Loading that takes a second: make one, on a worker thread, and
/// use it on one thread at a time.
class MediaAdvisor {
public:
    /// Without a database (`loadDatabase` false, or none installed) media are still told apart, without a system's
    /// name.
    explicit MediaAdvisor(bool loadDatabase = true);
    ~MediaAdvisor();

    vmm::Result<Medium> recognise(std::string const& path) const;

    struct System {
        std::string id, shortName, name;
    };
    /// All that the database knows and that this machine could run, newest first within a family; for a choice by hand.
    std::vector<System> systems() const;

    /// For `medium`, or for the `system` that a person chose instead (empty: the medium's own).
    Proposal propose(Medium const& medium, HostReport const& host, std::string const& system = {}) const;

private:
    struct Private;
    std::unique_ptr<Private> m_private;
};

/// The machine that needs no medium: the demo guest, at `kernel`.
MachineRequest demoMachine(std::string const& kernel);

}
