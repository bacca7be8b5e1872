#include "vmm/base/relative_path.h"

#include <algorithm>
#include <string_view>

namespace vmm {

namespace {

constexpr std::string_view up = "../";

std::string_view withoutSlash(std::string_view folder)
{
    return folder.substr(0, folder.find_last_not_of('/') + 1);
}

/// Of a folder without a '/' at its end; empty where the text does not say, or that is the root.
std::string_view holderOf(std::string_view folder)
{
    auto const slash = folder.rfind('/');
    auto const name = folder.substr(slash + 1);
    return slash == std::string_view::npos || name == "." || name == ".." ? "" : withoutSlash(folder.substr(0, slash));
}

/// Whether it leads out of the folder that it begins in, be it to come back.
bool climbsOut(std::string_view path)
{
    int depth = 0;
    while (depth >= 0 && !path.empty()) {
        auto const end = std::min(path.find('/'), path.size());
        auto const name = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (name == "..")
            --depth;
        else if (!name.empty() && name != ".")
            ++depth;
    }
    return depth < 0;
}

}

std::string relativePath(std::string const& path, std::string const& folder)
{
    auto const holder = std::string(holderOf(withoutSlash(folder))) + "/";
    if (holder == "/" || !path.starts_with(holder) || path == holder)
        return path;
    auto const rest = path.substr(holder.size());
    return climbsOut(rest) ? path : std::string(up) + rest;
}

std::string absolutePath(std::string const& path, std::string const& folder)
{
    if (path.empty() || path.front() == '/' || folder.empty())
        return path;
    std::string_view from = withoutSlash(folder), rest = path;
    while (rest.starts_with(up) && !holderOf(from).empty()) {
        from = holderOf(from);
        rest.remove_prefix(up.size());
    }
    return std::string(from) + "/" + std::string(rest);
}

}
