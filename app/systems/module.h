#pragma once

#include "app/systems/system_database.h"

namespace app {

/// The one function of the module "systems.so", which is built together with who loads it: what is on this CD, and what
/// that needs.
using IdentifyMedium
    = void(std::string const& iso, std::optional<SystemOnMedium>& found, std::optional<SystemNeeds>& needs);
inline constexpr char const* identifyMediumName = "chronovisorIdentifyMedium1";

}
