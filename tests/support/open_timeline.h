#pragma once

#include "tests/fakes/fake_folder.h"
#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

namespace tests {

/// The one in that folder of the host's.
inline std::unique_ptr<vmm::timeline::Timeline> openTimeline(
    std::string const& folder, vmm::timeline::Timeline::Access access = vmm::timeline::Timeline::Access::ReadWrite)
{
    return must(vmm::timeline::Timeline::open(must(vmm::timeline::openFolder(folder)), access));
}

/// The one on a disk of the test's.
inline std::unique_ptr<vmm::timeline::Timeline> openTimeline(
    FakeFolderDisk& disk, vmm::timeline::Timeline::Access access = vmm::timeline::Timeline::Access::ReadWrite)
{
    return must(vmm::timeline::Timeline::open(std::make_unique<FakeFolder>(disk), access));
}

}
