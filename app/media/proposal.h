#pragma once

#include "app/media/medium.h"
#include "app/media/system_needs.h"
#include "app/store/host_report.h"
#include "app/store/machine_store.h"

#include <optional>
#include <string>

namespace app {

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
    bool lacksNetworkDriver = false; ///< the system may have to be given one
    std::vector<HostConcern> concerns;
};

/// For `medium`, with what is known of the system that it is to run.
Proposal propose(Medium const& medium, HostReport const& host, std::optional<SystemNeeds> const& system = {});

/// What a person says that a disk is who has seen its format, and what it stands on.
void sayFormat(vmm::DiskConfig& disk, Medium const& medium, DiskFormat said);

/// The machine that needs no medium: the demo guest, at `kernel`.
MachineRequest demoMachine(std::string const& kernel);

}
