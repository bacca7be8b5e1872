#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <functional>
#include <string>

/// What is done with names and whole files.
namespace vmm {

std::string folderOf(std::string const& path); ///< with its '/'
std::string nameOf(std::string const& path);
/// The names in the folder of `path` are durable after.
Result<> syncFolder(std::string const& path);
/// Durable, but for its name.
Result<> writeFileSynced(std::string const& path, std::string_view text);
/// At `path` is either what was there before or the new file, whole, whatever cuts it off. It is "PATH.new" until then.
Result<> replaceFile(std::string const& path, ConstByteSpan contents);
/// Whoever may read and write `from` may do so with `to`, and nobody else; the group's only where it can be the same.
Result<> copyPermissions(std::string const& from, std::string const& to);
/// A new file that shares all blocks of `from`, with its permissions. Unsupported where the file system cannot do that.
Result<> cloneFile(std::string const& from, std::string const& to);
/// How far a copy is, in bytes; false cancels.
using CopyProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;
/// A new file with the same bytes, holes and permissions, durable; sharing its blocks where that can be.
Result<> copyFile(std::string const& from, std::string const& to, CopyProgress const& progress);
/// By any name.
bool isSameFile(std::string const& one, std::string const& other);
Result<> syncFile(std::string const& path);
Result<> renameFile(std::string const& from, std::string const& to);
/// Both exist; each becomes the other in one step.
Result<> exchangeFiles(std::string const& one, std::string const& other);
bool existsFile(std::string const& path);
/// Fine where there is none.
Result<> removeFile(std::string const& path);

}
