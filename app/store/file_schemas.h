#pragma once

#include "vmm/machine/file_schemas.h"

#include <vector>

/// The formats of the library's files as JSON Schema, beside those of a machine's (vmm/machine/file_schemas.h).
namespace app {

/// The machine's kinds, and ours: bundle.json and checksums.json of a bundle, and usb.json.
std::vector<std::string> fileKinds();
/// The schema of one of them, of every version that this program reads. The name is one of these.
vmm::Json fileSchema(std::string_view kind);

}
