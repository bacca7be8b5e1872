#pragma once

#include "vmm/machine/saved_machine.h"

namespace vmm {

/// Puts another state into the directory of a saved machine, whose memory stays as it is: the old one or the new one is
/// there, at any instant. What a crash leaves of it is known there, and goes when the directory is replaced.
Result<> replaceState(std::string const& directory, SavedMachine const& machine);

}
