#pragma once

#include "vmm/base/result.h"

#include <functional>
#include <string>

namespace vmm {

/// Whether a qcow2 file's counts fit its tables, as `qemu-img check` looks at them: each cluster counts at least as
/// often as active tables and snapshots use it, and what the active ones would write in place is used once. Else the
/// next write destroys what another snapshot needs, although all reads well now. What counts too often is lost room,
/// and no damage. Only tables are read, and nothing is written or locked.
///
/// False: nobody can tell, for somebody writes to the file, it was not closed properly (its counts are made anew when
/// it is opened), or it is too large. `goOn` is asked now and then; its error is the answer.
Result<bool> checkCounts(std::string const& path, std::function<Result<>()> const& goOn);

}
