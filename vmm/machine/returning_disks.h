#pragma once

#include "vmm/config/vm_config.h"
#include "vmm/timeline/moment.h"

namespace vmm {

/// Images that have gone since a moment, as with their disk into the trash, while what the moment keeps of them is
/// beside them: each is made again for a going there, and goes once more where nothing comes of that.
class ReturningDisks {
public:
    ReturningDisks() = default;
    ReturningDisks(ReturningDisks const&) = delete;
    ReturningDisks& operator=(ReturningDisks const&) = delete;
    ~ReturningDisks();

    /// `config`, `kept`: the moment's. What was kept inside an image has gone with it: whoever opens it says so.
    Result<> bring(VmConfig const& config, std::vector<timeline::MomentDisk> const& kept);
    /// The disks are about to go there.
    void stay() { m_made.clear(); }

private:
    std::vector<std::string> m_made;
};

}
