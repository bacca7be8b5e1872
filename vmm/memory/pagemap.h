#pragma once

#include <cstdint>

namespace vmm {

/// /proc/PID/pagemap has 64 bits a page (Linux, Documentation/admin-guide/mm/pagemap.rst): bit 63 present, 62 swapped,
/// 61 of a file or shared.
constexpr std::uint64_t pagemapPresent = 1ull << 63, pagemapUsed = 3ull << 62, pagemapOfFile = 1ull << 61;

}
