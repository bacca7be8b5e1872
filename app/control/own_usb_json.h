#pragma once

#include "vmm/config/usb_config.h"

#include <nlohmann/json_fwd.hpp>

namespace app::control {

/// `kind` ("keyboard" …), `parent`; or `kind` "stick" with `path`, `bus`, `format`, `readOnly`, `backing`. With
/// `device`, its id, where it has one.
nlohmann::ordered_json ownUsbToJson(vmm::UsbAddition const& addition);
/// Without the id, which is not the asker's to choose.
vmm::Result<vmm::UsbAddition> ownUsbFromJson(nlohmann::ordered_json const& params);

}
