#include "app/media/proposal.h"

#include "app/media/initrd.h"
#include "app/store/own_usb.h"

#include <algorithm>
#include <filesystem>

namespace app {

namespace {

constexpr std::uint64_t mebibyte = 1u << 20, gibibyte = 1u << 30;

vmm::DiskConfig disk0(std::string path)
{
    vmm::DiskConfig disk;
    disk.id = "disk0";
    disk.path = std::move(path);
    return disk;
}

/// A name for a machine out of a file's: "debian-12.5.0-amd64-netinst.iso" → "debian-12.5.0-amd64-netinst". What
/// follows the last dot of a kernel's is a part of its version: "vmlinuz-6.1.0-18-amd64" stays whole.
std::string nameOf(Medium const& medium)
{
    auto const file = std::filesystem::path(medium.path).filename();
    bool const isWhole = medium.kind == MediumKind::Kernel && file.extension() != ".elf";
    auto const name = (isWhole ? file : file.stem()).string();
    return name.empty() ? "machine" : name.substr(0, 200);
}

/// In place of virtio devices that the system does not know, ones that it does, where there are such.
void fitDrivers(Proposal& proposal, SystemNeeds const& system)
{
    auto& config = proposal.request.config;
    if (!system.drivesVirtioDisk) {
        for (auto& disk : config.disks)
            disk.bus = vmm::DiskBus::Ahci;
    }
    if (!system.drivesVirtioInput) {
        config.tablet = false;
        config.usbDevices
            = { { freeUsbDeviceId(config, vmm::UsbKind::Tablet), vmm::UsbKind::Tablet, freeUsbController(config) } };
    }
    proposal.lacksNetworkDriver = !system.drivesVirtioNetwork;
}

}

Proposal propose(Medium const& medium, HostReport const& host, std::optional<SystemNeeds> const& system)
{
    Proposal proposal;
    auto& config = proposal.request.config;
    config.name = nameOf(medium);
    config.system = system ? system->id : medium.system;
    std::uint64_t cpus = std::min(2u, host.cores), memory = 2 * gibibyte, disk = 20 * gibibyte;

    if (system) {
        config.name = system->shortName;
        proposal.name = Reason::SystemRecommends;
        auto const take = [](std::uint64_t& value, Reason& reason, std::uint64_t wanted, std::uint64_t least) {
            if (wanted != 0) {
                value = std::max(wanted, least);
                reason = Reason::SystemRecommends;
            } else if (least > value / 2) {
                value = 2 * least; // the minimum is for a system that does nothing
                reason = Reason::SystemRequires;
            }
        };
        std::uint64_t wantedCpus = 0;
        take(wantedCpus, proposal.cpus, system->recommended.cpus, system->minimum.cpus);
        cpus = std::max(cpus, wantedCpus);
        take(memory, proposal.memory, system->recommended.memory, system->minimum.memory);
        take(disk, proposal.disk, system->recommended.disk, system->minimum.disk);
    }

    if (cpus > host.cores && host.cores > 0) {
        cpus = host.cores;
        proposal.cpus = Reason::HostLimit;
    }
    // Half of what is free stays the host's, unless that would be next to nothing.
    auto const mayTake = std::max(host.freeMemoryBytes / 2, 256 * mebibyte);
    if (memory > mayTake) {
        memory = mayTake / (128 * mebibyte) * 128 * mebibyte;
        proposal.memory = Reason::HostLimit;
    }
    config.cpus = static_cast<std::uint16_t>(std::clamp<std::uint64_t>(cpus, 1, 16));
    config.memoryMiB = static_cast<std::uint32_t>(memory / mebibyte);

    config.displays = { {} };
    config.serials = { { "serial0" } };
    config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
    config.usbControllers = { newUsbController(config) }; // so that something can be plugged in while it runs
    std::uint64_t newBytes = 0;
    if (medium.kind == MediumKind::Iso)
        config.cds = { { "cd0", medium.path } };
    else
        config.cds = { { "cd0", "" } };
    if (medium.kind == MediumKind::Disk) {
        config.disks = { disk0(medium.path) };
        if (medium.format == "raw") // else it is guessed when the machine is made, or a person says it
            config.disks[0].format = DiskFormat::Raw;
    } else if (medium.kind != MediumKind::PvhKernel && !(medium.isLive && !medium.isInstaller)) {
        disk = (disk + gibibyte - 1) / gibibyte * gibibyte;
        config.disks = { disk0({}) };
        proposal.request.newDisks = { { "disk0", disk, DiskFormat::Qcow2 } };
        newBytes = disk;
    }
    if (medium.kind == MediumKind::Iso && !config.disks.empty())
        config.bootOrder = { "disk0", "cd0" }; // an empty disk is passed over, an installed one comes first
    if (system)
        fitDrivers(proposal, *system);

    if (medium.kind == MediumKind::Kernel || medium.kind == MediumKind::PvhKernel) {
        config.firmware = vmm::Firmware::None;
        auto const initrd = medium.kind == MediumKind::Kernel ? initrdBeside(medium.path) : std::string();
        config.kernel = vmm::KernelConfig { medium.path, initrd, "console=tty0 console=ttyS0" };
        proposal.firmware = Reason::MediumNeeds;
    } else if (medium.bootsUefi && !medium.bootsBios) {
        config.firmware = host.hasOvmf || !host.hasSeaBios ? vmm::Firmware::Ovmf : vmm::Firmware::SeaBios;
        proposal.firmware = host.hasOvmf ? Reason::MediumNeeds : Reason::FirmwareMissing;
    }
    proposal.concerns = concerns(host, config, newBytes);
    return proposal;
}

void sayFormat(vmm::DiskConfig& disk, Medium const& medium, DiskFormat said)
{
    disk.format = said;
    disk.backing.clear();
    if (said == DiskFormat::Qcow2 && medium.isBackingElsewhere)
        disk.backing.push_back(medium.backing);
}

MachineRequest demoMachine(std::string const& kernel)
{
    MachineRequest request;
    auto& config = request.config;
    config.name = "demo";
    config.memoryMiB = 64;
    config.firmware = vmm::Firmware::None;
    config.kernel = vmm::KernelConfig { kernel, {}, {} };
    config.displays = { {} };
    config.serials = { { "serial0" } };
    config.usbControllers = { newUsbController(config) };
    config.disks = { disk0({}) };
    // qcow2: it follows moments wherever it lies.
    request.newDisks = { { "disk0", 16 * mebibyte, DiskFormat::Qcow2 } };
    return request;
}

}
