#include "app/store/disk_merging.h"

#include "app/store/machine_store.h"

#include <fmt/format.h>

namespace app {

namespace {

void addImages(
    vmm::VmConfig const& config, std::string const& whose, std::string const& butNot, std::vector<vmm::OtherImage>& to)
{
    for (auto const& disk : config.disks) {
        if (disk.id != butNot)
            to.push_back({ whose, disk });
    }
    for (auto const& cd : config.cds) {
        if (!cd.path.empty())
            to.push_back({ whose, { .id = cd.id, .path = cd.path, .format = vmm::DiskFormat::Raw, .readOnly = true } });
    }
}

}

void commitDisk(MachineRunner& machine, std::string const& disk, unsigned files, MachineRunner::Completion const& done)
{
    std::vector<vmm::OtherImage> others;
    addImages(machine.config(), "another disk of the machine", disk, others);
    if (auto const& root = machine.places().libraryRoot; !root.empty()) {
        for (auto const& other : MachineStore(root).list()) {
            if (other.id != machine.id())
                addImages(other.config, fmt::format("the machine \"{}\"", other.config.name), {}, others);
        }
    }
    machine.commitDisk(disk, files, std::move(others), done);
}

}
