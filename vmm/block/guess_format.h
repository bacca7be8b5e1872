#pragma once

#include "vmm/block/image.h"

namespace vmm {

/// What an image is taken for whose configuration does not say it: to be asked once, and written down. A guest can
/// write any header into a raw disk, so what looks like qcow2 stands on no file but one of `named`
/// (ImageOptions::backing), which is otherwise InvalidArgument: the guest could read that. An overlay that a moment has
/// made is known by its base, whose name no guest can know.
Result<ImageFormat> guessFormat(std::string const& path, std::vector<std::string> const& named);

/// What guessFormat() wants to be named: the file that an image says it stands on, by its path without links. Empty
/// where it stands on none, or is an overlay that a moment has made.
Result<std::string> backingToName(std::string const& path);

/// A name in an image's header as a path. It is relative to the image, as in QEMU. Unsupported where it is not one of a
/// file of this host.
Result<std::string> backingPath(std::string const& imagePath, std::string name);

}
