#include "app/store/disk_images.h"

#include "vmm/base/write_behind.h"
#include "vmm/block/guess_format.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace app {

vmm::Result<> makeDiskImage(std::string const& path, DiskFormat format, std::uint64_t bytes)
{
    vmm::NewImage what;
    what.format = format == DiskFormat::Qcow2 ? vmm::ImageFormat::Qcow2 : vmm::ImageFormat::Raw;
    what.size = bytes;
    return vmm::createImage(path, what);
}

vmm::Result<> attachDisk(vmm::DiskConfig& disk)
{
    if (::access(disk.path.c_str(), F_OK) != 0)
        return {};
    vmm::InlineEngine engine;
    vmm::ImageOptions options;
    options.access = vmm::Access::ReadOnly;
    options.lock = vmm::HostFile::Lock::No;
    options.backing = disk.backing;
    options.format = disk.format ? *disk.format == DiskFormat::Raw ? vmm::ImageFormat::Raw : vmm::ImageFormat::Qcow2
                                 : TRY_WITHIN(disk.id, vmm::guessFormat(disk.path, disk.backing));
    auto const image = TRY_WITHIN(disk.id, vmm::BlockImage::open(engine, disk.path, options));
    disk.format = image->info().format == vmm::ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
    return {};
}

void findFormats(std::vector<vmm::DiskConfig>& disks)
{
    for (auto& disk : disks) {
        if (!disk.format)
            vmm::ignore(attachDisk(disk));
    }
}

void keepFormat(vmm::VmConfig& config, vmm::DiskConfig const& found)
{
    for (auto& disk : config.disks) {
        if (disk.id == found.id && disk.path == found.path && !disk.format)
            disk.format = found.format;
    }
}

namespace {

/// Block by block what is data.
vmm::Result<> copyData(vmm::UniqueFd const& source, vmm::UniqueFd const& target, off_t size, std::string const& from,
    std::string const& to, std::function<bool(double)> const& progress)
{
    if (::ftruncate(target.get(), size) != 0)
        return vmm::failOs(fmt::format("writing {}", to));
    vmm::WriteBehind behind(target.get());
    constexpr std::int64_t step = 8 << 20; // copied between two looks at whether to go on
    for (off_t data = 0, hole = 0; data < size;) {
        if (data >= hole) {
            data = ::lseek(source.get(), data, SEEK_DATA);
            if (data < 0 && errno == ENXIO)
                break; // only a hole is left
            hole = data < 0 ? -1 : ::lseek(source.get(), data, SEEK_HOLE);
            if (hole < 0)
                return vmm::failOs(fmt::format("reading {}", from));
        }
        if (!progress(double(data) / double(size)))
            return vmm::fail(vmm::ErrorCode::Cancelled, fmt::format("copying {} was cancelled", from));
        off_t in = data, out = data;
        auto const length = static_cast<std::size_t>(std::min<std::int64_t>(hole - data, step));
        auto const copied = ::copy_file_range(source.get(), &in, target.get(), &out, length, 0);
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied < 0)
            return vmm::failOs(fmt::format("copying {} to {}", from, to));
        if (copied == 0)
            break; // it has become shorter under our hands
        data += copied;
        behind.wroteUpTo(static_cast<std::uint64_t>(data));
    }
    return {};
}

}

vmm::Result<> copySparse(std::string const& from, std::string const& to, std::function<bool(double)> const& progress)
{
    auto const source = TRY(vmm::openFile(from, O_RDONLY));
    auto const target = TRY(vmm::openFile(to, O_WRONLY | O_CREAT | O_EXCL));
    struct stat status { };
    if (::fstat(source.get(), &status) != 0)
        return vmm::failOs(fmt::format("reading {}", from));
    if (::ioctl(target.get(), FICLONE, source.get()) != 0)
        TRY(copyData(source, target, status.st_size, from, to, progress));
    if (::fsync(target.get()) != 0)
        return vmm::failOs(fmt::format("writing {}", to));
    progress(1);
    return {};
}

}
