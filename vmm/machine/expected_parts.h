#pragma once

#include "vmm/machine/saved_machine.h"

#include <map>
#include <string>
#include <string_view>

namespace vmm {

/// The parts that a machine of that configuration has, and of which kind the state of each is: what PcMachine and
/// PcBoard put together, known without a KVM.
std::map<std::string, std::string_view, std::less<>> expectedParts(VmConfig const& config);

/// Refuses a state that lacks a part of its own configuration, has one more, or has another kind in its place; and one
/// without a processor, as a moment has of a machine that was off.
Result<> checkParts(SavedMachine const& saved);

}
