#pragma once

#include <sys/resource.h>
#include <unistd.h>

namespace vmm {

/// From now on this thread, and what it starts, has about a tenth of what a thread beside it gets of a processor: for
/// work that nobody waits for while a guest could run. There is no way back without rights.
inline void giveWay()
{
    constexpr int niceness = 10;
    auto const self = static_cast<id_t>(::gettid());
    ::setpriority(PRIO_PROCESS, self, ::getpriority(PRIO_PROCESS, self) + niceness);
}

}
