#pragma once

#include "app/library/media.h"

namespace app {

/// What a file is by its own bytes, without any database: everything of Medium but the system. The file is anybody's:
/// each offset and length in it is checked.
vmm::Result<Medium> inspectMedium(std::string const& path);

}
