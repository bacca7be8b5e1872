#pragma once

#include "vmm/usb/host_usb.h"

#include <nlohmann/json_fwd.hpp>

namespace app::control {

/// What is known of a USB device of the host's: port, vendor and product ("0951:1666"), name, speed …
nlohmann::ordered_json hostUsbToJson(vmm::HostUsbInfo const& device);

}
