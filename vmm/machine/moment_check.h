#pragma once

#include "vmm/machine/saved_machine.h"

#include <memory>

namespace vmm {

/// Whether the machine can go to that moment, as far as that is known without being there: all that it says of devices
/// and processors is understood, the files that it goes on using are as they were, and what its memory and its disks
/// were opens. Changes nothing, and the machine may run on. What it was then.
Result<SavedMachine> checkMoment(std::shared_ptr<timeline::Timeline const> const& timeline, std::string_view moment);

}
