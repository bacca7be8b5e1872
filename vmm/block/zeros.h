#pragma once

#include "vmm/base/bytes.h"

#include <cstdint>
#include <sys/uio.h>
#include <vector>

namespace vmm {

/// Appends `length` bytes of zeros to a list of buffers to be written. The memory is shared and never written to.
void appendZeros(std::vector<iovec>& buffers, std::uint64_t length);

}
