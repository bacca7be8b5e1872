#pragma once

#include "vmm/filesystems/file_tree.h"

namespace vmm {

/// Whether an ext2, ext3 or ext4 file system begins there.
Result<bool> isExt(ByteSource& part);

/// All its files. What stands in its journal and nowhere else is not seen. Unsupported or Corrupt, by name; Cancelled.
Result<FileTree> listExtFiles(ByteSource& part, FileTreeLimits const& limits);

}
