#pragma once

#include "vmm/config/vm_config.h"

#include <functional>
#include <map>
#include <variant>

/// Where a machine's USB devices are plugged in, and what becomes of its configuration when one comes or goes.
namespace vmm {

struct UsbConnector {
    std::string parent;  ///< a controller's id, or a hub's
    unsigned number = 0; ///< from 1 on
    bool operator==(UsbConnector const&) const = default;
};
using UsbConnectors = std::map<std::string, UsbConnector, std::less<>>; // by the device's id

/// Of all of them, sticks too. First come those that name theirs, then the devices, then the sticks, each with the
/// first that is left. InvalidArgument where that does not work out.
Result<UsbConnectors> usbConnectorsOf(VmConfig const& config);

/// What can be added: a device, or a disk that is a stick.
using UsbAddition = std::variant<UsbDeviceConfig, DiskConfig>;
std::string const& idOf(UsbAddition const& addition);
/// Gives it the first connector that is free, of the parent that it names or of any controller; `mayTake` says of each
/// whether it may be. What names one keeps it.
using MayTakeUsb = std::function<bool(UsbConnector const&)>;
Result<> chooseUsbConnector(VmConfig const& config, UsbAddition& addition, MayTakeUsb const& mayTake);

/// Everything else stays in its connector; checked as by checkConfig().
Result<> addUsb(VmConfig& config, UsbAddition const& addition);
/// The same; NotFound where there is none of that id, Busy of a hub that something hangs on.
Result<> removeUsb(VmConfig& config, std::string_view id);

}
