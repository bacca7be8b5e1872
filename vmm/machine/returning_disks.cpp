#include "vmm/machine/returning_disks.h"

#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/past_disk.h"

#include <cerrno>
#include <sys/stat.h>

namespace vmm {

namespace {

/// Not what is only out of reach.
bool isGone(std::string const& path)
{
    struct stat status { };
    return ::lstat(path.c_str(), &status) != 0 && errno == ENOENT;
}

}

ReturningDisks::~ReturningDisks()
{
    for (auto const& path : m_made)
        ignore(removeFile(path));
}

Result<> ReturningDisks::bring(VmConfig const& config, std::vector<timeline::MomentDisk> const& kept)
{
    InlineEngine engine;
    for (auto const& disk : config.disks) {
        if (!followsMoments(disk) || !isGone(disk.path))
            continue;
        auto const checkpoint = TRY_WITHIN(disk.id, checkpointOf(kept, disk.id));
        if (checkpoint.way == CheckpointWay::Internal)
            continue;
        m_made.push_back(disk.path);
        // Of what it replaces, none of the other ways reads anything.
        CheckpointedDisk gone { engine, disk.path, imageOptions(disk), nullptr, {} };
        TRY_WITHIN(disk.id, CheckpointMethod::create(checkpoint.way)->goBack(gone, checkpoint));
    }
    return {};
}

}
