#pragma once

#include "vmm/config/vm_config.h"

#include <functional>

namespace vmm {

/// Every path of a configuration, for reading and changing; those that name nothing are empty.
void forEachPath(VmConfig& config, std::function<void(std::string&)> const& visit);
/// Relative paths of `config` begin in `directory` from now on.
void makePathsAbsolute(VmConfig& config, std::string const& directory);

}
