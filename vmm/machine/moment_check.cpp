#include "vmm/machine/moment_check.h"

#include "vmm/machine/past_disk.h"
#include "vmm/timeline/moment_memory.h"
#include "vmm/timeline/timeline.h"

namespace vmm {

Result<SavedMachine> checkMoment(std::shared_ptr<timeline::Timeline const> const& timeline, std::string_view moment)
{
    auto const known = TRY(timeline->moment(moment));
    auto saved = TRY(savedMachineAt(*timeline, moment));
    TRY(checkFiles(saved.header.files));
    TRY(timeline::MomentMemory::open(timeline, moment));
    InlineEngine engine;
    for (auto const& disk : saved.config.disks) {
        if (!followsMoments(disk))
            continue;
        auto then = openDiskAt(engine, known, disk);
        // The machine may have put other tables or files in the place of those that were being read.
        if (!then)
            then = openDiskAt(engine, known, disk);
        if (!then)
            return fail(Error(then.error()).within(disk.id));
    }
    return saved;
}

}
