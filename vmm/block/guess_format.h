#pragma once

#include "vmm/block/image.h"

namespace vmm {

/// What an image is taken for whose configuration does not say it: to be asked once, and written down. A guest can
/// write any header into a raw disk, so what looks like qcow2 stands on no file but one of `named`
/// (ImageOptions::backing), which is otherwise InvalidArgument: the guest could read that. An overlay that a moment has
/// made is known by its base, whose name no guest can know.
Result<ImageFormat> guessFormat(std::string const& path, std::vector<std::string> const& named);

}
