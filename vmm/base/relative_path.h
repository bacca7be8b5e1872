#pragma once

#include <string>

/// How the files in a folder name what lies around it, so that all of it can be moved or copied by hand: what one of
/// the two has made of a path the other makes the same text again. Both look at the text alone, and follow no links. A
/// folder without a path changes nothing.
namespace vmm {

/// From `folder` on, where `path` lies in what holds that folder, at any depth: "../disk0.qcow2" in "/vm/state" for
/// "/vm/disk0.qcow2". Anything else stays as it is.
std::string relativePath(std::string const& path, std::string const& folder);
/// A relative path begins in `folder`. An absolute one stays as it is, and so does none.
std::string absolutePath(std::string const& path, std::string const& folder);

}
