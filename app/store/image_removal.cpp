#include "app/store/image_removal.h"

#include "app/store/disk_images.h"
#include "app/store/image_bases.h"
#include "vmm/machine/moment_disks.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace app {

vmm::Result<std::unique_ptr<ImageRemoval>> ImageRemoval::prepare(
    vmm::VmConfig removed, std::string const& place, std::string const& timelineFolder)
{
    std::unique_ptr<ImageRemoval> removal(new ImageRemoval(TRY(Scaffold::make(place))));
    findFormats(removed.disks);
    bool areRead = true;
    for (auto& disk : removed.disks) {
        auto const format = vmm::readFormatNow(disk);
        if (!format && vmm::readFormatNow(disk)) // it can be read
            return vmm::fail(format.error());
        areRead = areRead && format;
        disk.format = format.value_or(disk.format);
    }
    removal->m_areWhole = noteBases(timelineFolder, removed.disks).has_value() && areRead
        && std::ranges::all_of(removed.disks, [](vmm::DiskConfig const& disk) { return disk.format.has_value(); });
    for (auto& disk : removed.disks) {
        auto shared = disk.format == vmm::DiskFormat::Qcow2
            ? vmm::shareBases(disk.path, vmm::folderOf(disk.path), place + "/")
            : vmm::Result<>();
        if (!shared) {
            if (attachDisk(disk)) // it can be read
                return vmm::fail(std::move(shared).error().within(disk.id + " stands on what cannot go with it"));
            removal->m_areWhole = false;
        }
        auto const from = std::exchange(disk.path, removal->placeFor(disk.path));
        removal->m_moves.push_back({ from, disk.path });
    }
    TRY(writeConfig(std::move(removed), place));
    return removal;
}

/// Images of two folders may have the same name.
std::string ImageRemoval::placeFor(std::string const& from) const
{
    std::filesystem::path const name = std::filesystem::path(from).filename();
    auto to = m_place + "/" + name.string();
    for (unsigned number = 2; std::ranges::find(m_moves, to, &Move::to) != m_moves.end(); ++number)
        to = fmt::format("{}/{}-{}{}", m_place, name.stem().string(), number, name.extension().string());
    return to;
}

vmm::Result<> ImageRemoval::carryOut()
{
    for (std::size_t count = 0; count < m_moves.size(); ++count) {
        auto const& [from, to] = m_moves[count];
        // What another one of them stands on is there already.
        auto moved = vmm::isSameFile(from, to) ? vmm::removeFile(from) : moveDirectory(from, to);
        if (!moved) {
            bringBack(count);
            return moved;
        }
    }
    m_trash.keep();
    return {};
}

void ImageRemoval::bringBack(std::size_t count)
{
    while (count-- > 0) {
        auto const& [from, to] = m_moves[count];
        if (!moveDirectory(to, from))
            m_trash.keep(); // it is safe there
    }
}

}
