#pragma once

#include "app/store/machine_store.h"

#include <functional>
#include <string>
#include <vector>

namespace app {

/// Before an image becomes a machine's disk: fixes its format, which nobody guesses again, and refuses a chain of files
/// that must not be opened. An image that is not there is let pass; the machine's start will tell.
vmm::Result<> attachDisk(vmm::DiskConfig& disk);
/// The same of those whose configuration says no format, as where an image was not there when that was saved. What
/// cannot be read is left as it is.
void findFormats(std::vector<vmm::DiskConfig>& disks);

/// Notes what that disk of the machine was found to be, where nothing said it.
void keepFormat(vmm::VmConfig& config, vmm::DiskConfig const& found);

/// An empty image of `bytes` (a multiple of 512), which takes no room to begin with.
vmm::Result<> makeDiskImage(std::string const& path, DiskFormat format, std::uint64_t bytes);

/// Copies a file: sharing its blocks where the file system can, else what is data in it. `progress` gets 0 to 1, and
/// false from it ends the copy with ErrorCode::Cancelled.
vmm::Result<> copySparse(std::string const& from, std::string const& to, std::function<bool(double)> const& progress);

}
