#pragma once

#include "vmm/base/result.h"
#include "vmm/config/vm_config.h"

#include <string>
#include <vector>

/// The files that disks in a machine's directory stand on since their moments were kept.
namespace app {

/// Those that no moment of the timeline is known to need go when no disk does any more. The timeline is made where
/// there is none, and it is open nowhere else.
vmm::Result<> noteBases(std::string const& timelineFolder, std::vector<vmm::DiskConfig> const& disks);

/// Lets those go that neither a disk nor a moment needs.
vmm::Result<> removeUnneededBases(std::string const& timelineFolder, vmm::VmConfig const& config);

}
