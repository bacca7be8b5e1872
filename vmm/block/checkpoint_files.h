#pragma once

#include "vmm/base/result.h"

#include <string>

/// What checkpoints do with names and whole files.
namespace vmm {

std::string folderOf(std::string const& path); ///< with its '/'
std::string nameOf(std::string const& path);
/// The names in the folder of `path` are durable after.
Result<> syncFolder(std::string const& path);
/// A new file that shares all blocks of `from`. Unsupported where the file system cannot do that.
Result<> cloneFile(std::string const& from, std::string const& to);
Result<> syncFile(std::string const& path);
Result<> renameFile(std::string const& from, std::string const& to);
/// Both exist; each becomes the other in one step.
Result<> exchangeFiles(std::string const& one, std::string const& other);
/// Fine where there is none.
Result<> removeFile(std::string const& path);

}
