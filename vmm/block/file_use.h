#pragma once

#include "vmm/block/host_file.h"

namespace vmm {

/// Whether somebody has the file open to write to it, in this process or another: by the locks, without taking any, so
/// that nobody is in anybody's way.
bool isBeingWritten(HostFile const& file);

}
