#pragma once

#include "vmm/state/section.h"

#include <optional>

namespace vmm::state {

/// A value of a section as a person reads it, and as diff() has both: JSON without the tags of types, and of a buffer
/// its first bytes and how many there are. Nothing for an object or a list.
std::optional<std::string> leafText(Json const& value);

}
