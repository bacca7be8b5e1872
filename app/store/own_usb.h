#pragma once

#include "vmm/config/usb_config.h"

namespace app {

/// An id that none has yet: "usb-tablet-0".
std::string freeUsbDeviceId(vmm::VmConfig const& config, vmm::UsbKind kind);

/// For a machine that does not run: adds it where there is room, with one more controller where there is none. Fine
/// where its id is there already.
vmm::Result<> adoptUsb(vmm::VmConfig& config, vmm::UsbAddition addition);

}
