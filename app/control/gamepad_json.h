#pragma once

#include "vmm/backends/input.h"
#include "vmm/base/result.h"
#include "vmm/state/section.h"

namespace app::control {

/// {"device": "usb-gamepad-0", "buttons": ["south", "up"], "left": [0, -1], "right": [0, 0], "triggers": [0, 1]}:
/// sticks from -1 to 1, right and down positive, triggers from 0 to 1. What is left out is at rest.
vmm::Result<vmm::GamepadInput> gamepadFromJson(vmm::Json const& json);

/// The buttons' names, in the order of vmm::GamepadButton.
std::vector<std::string> gamepadButtonNames();

}
