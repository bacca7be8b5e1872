#pragma once

#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

namespace tests {

/// The one in that folder of the host's.
inline std::unique_ptr<vmm::timeline::Timeline> openTimeline(
    std::string const& folder, vmm::timeline::Timeline::Access access = vmm::timeline::Timeline::Access::ReadWrite)
{
    return must(vmm::timeline::Timeline::open(must(vmm::timeline::openFolder(folder)), access));
}

}
