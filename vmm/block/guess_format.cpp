#include "vmm/block/guess_format.h"

#include "vmm/block/overlay_files.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace vmm {

Result<ImageFormat> guessFormat(std::string const& path, std::vector<std::string> const& named)
{
    if (TRY(isOverlayInPlace(path)))
        return ImageFormat::Qcow2;
    InlineEngine engine;
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.lock = HostFile::Lock::No;
    options.backing = named;
    auto const info = TRY(BlockImage::open(engine, path, options))->info();
    if (info.backing.empty())
        return info.format;
    auto const& below = info.backing.front().path;
    if (std::ranges::any_of(named, [&](auto const& one) { return isSameFile(one, below); }))
        return info.format;
    return fail(ErrorCode::InvalidArgument,
        fmt::format("nothing says of which format {0} is, and it looks like a qcow2 image that stands on {1}: a guest "
                    "whose raw disk it is could have written that, to read all of {1}. Say what it is (chronoctl: "
                    "--disk {0},format=qcow2 or format=raw; in the machine's file: \"format\")",
            path, below));
}

Result<std::string> backingToName(std::string const& path)
{
    if (TRY(isOverlayInPlace(path)))
        return std::string();
    auto const name = TRY(backingNameOf(path));
    if (name.empty())
        return std::string();
    auto const below = TRY(backingPath(path, name));
    std::error_code error;
    auto const real = std::filesystem::weakly_canonical(below, error);
    return error ? below : real.string();
}

Result<std::string> backingPath(std::string const& imagePath, std::string name)
{
    if (name.starts_with("file:"))
        name.erase(0, 5);
    auto const colon = name.find(':');
    if (colon != std::string::npos && name.find('/') > colon)
        return fail(ErrorCode::Unsupported, "backing file \"" + name + "\" is not a file of this host");
    if (name.starts_with('/'))
        return name;
    auto const slash = imagePath.rfind('/');
    return slash == std::string::npos ? name : imagePath.substr(0, slash + 1) + name;
}

}
