#pragma once

#include "app/runner/usb_redirections.h"

#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace app::control {

/// Id, address and device of a redirection, or the place where one is waited for.
nlohmann::ordered_json redirectedUsbToJson(RedirectedUsb const& redirected);
nlohmann::ordered_json redirectedUsbToJson(std::vector<RedirectedUsb> const& redirected);

}
