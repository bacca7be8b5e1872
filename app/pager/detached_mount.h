#pragma once

#include "vmm/base/unique_fd.h"

namespace pager {

/// A FUSE file system that is mounted nowhere: nobody finds it but through its descriptor, and nothing of it is left
/// when that is closed. Needs Linux 5.2, and the right to mount, or a user namespace of one's own, which most systems
/// allow.
struct DetachedMount {
    vmm::UniqueFd connection; ///< where its requests come
    vmm::UniqueFd root;       ///< its folder

    /// While this process has one thread.
    static vmm::Result<DetachedMount> create();
};

}
