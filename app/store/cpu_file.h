#pragma once

#include "vmm/machine/kept_cpu.h"

#include <optional>
#include <string>

/// cpu.json in a machine's directory.
namespace app {

/// Nothing where there is no such file: the machine was never started, or is to get another CPU.
vmm::Result<std::optional<vmm::KeptCpu>> readCpuFile(std::string const& path);
vmm::Result<> writeCpuFile(std::string const& path, vmm::KeptCpu const& cpu);
/// Whether there was one.
vmm::Result<bool> removeCpuFile(std::string const& path);

}
