#include "vmm/base/write_behind.h"

#include <fcntl.h>
#include <utility>

namespace vmm {

void WriteBehind::wroteUpTo(std::uint64_t end)
{
    constexpr std::uint64_t window = 32u << 20;
    if (end < m_begun + window)
        return;
    auto const sync = [this](std::uint64_t from, std::uint64_t to, unsigned how) {
        // What cannot do that (a pipe, some file systems) leaves all to fsync(), which also tells of errors.
        ::sync_file_range(m_file, static_cast<off_t>(from), static_cast<off_t>(to - from), how);
    };
    sync(m_begun, end, SYNC_FILE_RANGE_WRITE);
    if (m_begun > m_done) // an empty range would be the whole file
        sync(m_done, m_begun, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    m_done = std::exchange(m_begun, end);
}

}
