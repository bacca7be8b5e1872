#pragma once

#include <cstdint>

namespace vmm {

/// Has what is written to a new file go to the disk while more is written: the fsync() at the end, which nobody can
/// cancel, has little left to do then. Makes nothing durable by itself.
class WriteBehind {
public:
    explicit WriteBehind(int file) : m_file(file) { }
    /// All before `end` was written. Waits now and then, for what was written some time before.
    void wroteUpTo(std::uint64_t end);

private:
    int m_file;
    std::uint64_t m_done = 0, m_begun = 0; ///< before the one all has reached the disk, before the other it goes there
};

}
