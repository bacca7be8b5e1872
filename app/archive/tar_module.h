#pragma once

#include "app/archive/tar.h"
#include "vmm/base/result.h"

namespace app {

/// Loads "archive.so" at the first call, and keeps it. Any thread.
vmm::Result<TarFunctions> tarFunctions();

}
