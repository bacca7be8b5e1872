#pragma once

#include "vmm/machine/ram_file.h"
#include "vmm/timeline/timeline.h"

namespace vmm {

enum class ExportFiles : std::uint8_t {
    None, ///< Only the two: what the state names stays where it is.
    All,  ///< The disks as they were, and whatever else the machine reads, so that nothing outside is needed.
};

/// Writes a moment in the exported form: a directory, which is not there yet, with "state.json" and "ram" as a
/// suspended machine has them, and the files beside them, which the state names relative to the directory. `chronoctl
/// restore` brings it back; without its files only where somebody puts them as they were. Any thread; the machine goes
/// on, in whatever process; a moment that is deleted meanwhile is NotFound. Cancelled or failed it leaves nothing.
Result<> exportMoment(std::shared_ptr<timeline::Timeline const> timeline, std::string_view moment,
    std::string const& directory, ExportFiles files, ProgressCallback const& progress);

}
