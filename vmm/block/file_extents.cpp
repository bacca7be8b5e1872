#include "vmm/block/file_extents.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <span>
#include <sys/ioctl.h>
#include <unistd.h>

namespace vmm {

namespace {

/// The kernel's Documentation/filesystems/fiemap.rst: such an extent's physical offset is none, or not that of its
/// bytes.
constexpr std::uint32_t withoutPlace
    = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_NOT_ALIGNED;

Result<std::vector<FileExtent>> soughtExtents(int file)
{
    std::vector<FileExtent> found;
    for (std::uint64_t at = 0;;) {
        auto const from = ::lseek(file, static_cast<off_t>(at), SEEK_DATA);
        if (from < 0)
            return errno == ENXIO ? Result<std::vector<FileExtent>>(std::move(found))
                                  : failOs("cannot look where a file has data");
        auto const to = ::lseek(file, from, SEEK_HOLE); // at the end of each file there is one
        if (to <= from)
            return failOs("cannot look where a file has data");
        at = static_cast<std::uint64_t>(to);
        found.push_back({ static_cast<std::uint64_t>(from), at - static_cast<std::uint64_t>(from), {}, false });
    }
}

}

Result<std::vector<FileExtent>> fileExtents(int file)
{
    constexpr std::uint32_t atOnce = 512;
    std::vector<std::byte> buffer(sizeof(fiemap) + atOnce * sizeof(fiemap_extent));
    auto* const map = reinterpret_cast<fiemap*>(buffer.data());
    std::vector<FileExtent> found;
    for (std::uint64_t at = 0;;) {
        *map = {};
        map->fm_start = at;
        map->fm_length = FIEMAP_MAX_OFFSET - at;
        map->fm_extent_count = atOnce;
        if (::ioctl(file, FS_IOC_FIEMAP, map) != 0)
            return errno == EOPNOTSUPP || errno == ENOTTY ? soughtExtents(file)
                                                          : failOs("cannot ask where a file lies");
        auto const before = at;
        for (auto const& extent : std::span(map->fm_extents, std::min(map->fm_mapped_extents, atOnce))) {
            auto& one = found.emplace_back(FileExtent { extent.fe_logical, extent.fe_length, {}, false });
            if ((extent.fe_flags & withoutPlace) == 0)
                one.place = extent.fe_physical;
            one.isShared = (extent.fe_flags & FIEMAP_EXTENT_SHARED) != 0;
            at = extent.fe_logical + extent.fe_length;
            if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0)
                return found;
        }
        if (at <= before)
            return found;
    }
}

}
