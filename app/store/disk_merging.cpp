#include "app/store/disk_merging.h"

#include "app/store/machine_store.h"

#include <fmt/format.h>

namespace app {

namespace {

void addImages(vmm::VmConfig const& config, std::string const& whose, std::string const& butNot, vmm::OtherImages& to)
{
    for (auto const& disk : config.disks) {
        if (disk.id != butNot)
            to.images.push_back({ whose, disk });
    }
    for (auto const& cd : config.cds) {
        if (!cd.path.empty()) {
            to.images.push_back(
                { whose, { .id = cd.id, .path = cd.path, .format = vmm::DiskFormat::Raw, .readOnly = true } });
        }
    }
}

void addMachine(StoredMachine const& machine, std::string_view what, vmm::OtherImages& to)
{
    auto whose = fmt::format("{} \"{}\"", what, machine.config.name);
    if (machine.problem)
        to.unknown.push_back(std::move(whose));
    else
        addImages(machine.config, whose, {}, to);
}

}

void commitDisk(MachineRunner& machine, std::string const& disk, unsigned files,
    vmm::OtherImages::Unreadable unreadable, MachineRunner::Completion const& done)
{
    vmm::OtherImages others { .images = {}, .unknown = {}, .unreadable = unreadable };
    addImages(machine.config(), "another disk of the machine", disk, others);
    if (auto const& root = machine.places().libraryRoot; !root.empty()) {
        MachineStore const store(root);
        for (auto const& other : store.list()) {
            if (other.id != machine.id())
                addMachine(other, "the machine", others);
        }
        for (auto const& other : store.removed())
            addMachine(other, "the removed machine", others);
    }
    machine.commitDisk(disk, files, std::move(others), done);
}

}
