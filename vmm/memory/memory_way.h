#pragma once

#include <cstdint>

namespace vmm {

/// How a machine's memory may come back while the machine runs already; Best: the first of them that the host allows.
enum class MemoryWay : std::uint8_t {
    Best,
    Faults, ///< each page when it is first touched (PageFaults)
    File,   ///< it shows a file that has the contents
    AtOnce, ///< not at all: it is read before
};

}
