#pragma once

#include "vmm/machine/saved_machine.h"
#include "vmm/usb/host_usb_device.h"

namespace vmm {

/// The real USB devices that the guest had, of the host or of other computers. What a state tells of a part that cannot
/// be read is left out.
std::vector<HostUsbTrace> hostUsbIn(SavedMachine const& machine);

}
