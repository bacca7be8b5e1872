#pragma once

#include "app/usb/usb_question.h"
#include "vmm/machine/saved_usb.h"
#include "vmm/timeline/timeline.h"

#include <functional>

/// Which USB devices of the host, and of other computers, a machine had where it comes from.
namespace app {

/// Tells that, on a thread that may wait some milliseconds.
using HadUsb = std::function<std::vector<vmm::HostUsbTrace>()>;

/// At that moment; none where it cannot be read.
std::vector<vmm::HostUsbTrace> hostUsbAt(vmm::timeline::Timeline const& timeline, std::string const& moment);

/// What does not travel with that moment: as a computer sees it where none of these devices is.
std::vector<UsbFate> usbThatStays(vmm::timeline::Timeline const& timeline, std::string const& moment);

/// In the state that is saved there.
vmm::Result<std::vector<vmm::HostUsbTrace>> savedHostUsb(std::string const& directory);

/// The same of a state that is forgotten before the guest runs: it is read now, and understood when it is asked for.
/// Null where it tells of none.
HadUsb noteSavedHostUsb(std::string const& directory);

}
