#pragma once

#include "vmm/machine/saved_machine.h"

namespace vmm {

/// Whether this host's KVM can run a machine that was saved elsewhere: what its CPU lacks is named. Opens nothing of
/// the machine's.
Result<> checkHost(SavedMachine const& saved);

}
