#pragma once

#include "vmm/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace app::control {

/// "ctrl-alt-del", "a", "shift-f5" … as the key codes of linux/input-event-codes.h, in the order in which they go down.
/// Names are evdev's without KEY_, in any case; "ctrl", "alt", "shift", "meta", "del", "return" and "esc" too.
vmm::Result<std::vector<std::uint16_t>> parseChord(std::string_view text);
std::string allKeyNames(); ///< with blanks between

}
