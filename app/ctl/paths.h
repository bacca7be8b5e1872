#pragma once

#include <filesystem>
#include <string>

namespace app::ctl {

/// A path of an argument, for a process that is somewhere else. What cannot be made absolute (nothing, or from a
/// directory that is gone) stays as it is, and fails where it is opened.
inline std::string absolute(std::string const& path)
{
    std::error_code problem;
    auto const found = std::filesystem::absolute(path, problem);
    return problem ? path : found.lexically_normal().string();
}

}
