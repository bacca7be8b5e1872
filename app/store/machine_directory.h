#pragma once

#include "vmm/base/result.h"
#include "vmm/config/vm_config.h"

#include <filesystem>
#include <string>

/// What is in a machine's directory, in the library or in the trash.
namespace app {

bool isMachineId(std::string const& text);

/// Its machine.json, with paths made absolute.
vmm::Result<vmm::VmConfig> readWrittenConfig(std::string const& directory, std::string const& id);
/// The same, with disks of the formats that they have now. Of one that cannot be read just now it says what is written:
/// of what is raw whoever opens it asks again.
vmm::Result<vmm::VmConfig> readConfigIn(std::string const& directory, std::string const& id);

/// `name` in that directory, with a number where something is called so there.
std::string freePath(std::string const& directory, std::filesystem::path const& name);

/// What all in it takes on the host.
std::uint64_t bytesIn(std::string const& directory);

}
