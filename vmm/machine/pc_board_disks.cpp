#include "vmm/block/commit.h"
#include "vmm/block/stream.h"
#include "vmm/devices/ahci_controller.h"
#include "vmm/devices/ata_disk.h"
#include "vmm/devices/atapi_cd.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/pc_board_disk.h"
#include "vmm/usb/usb_disk.h"
#include "vmm/virtio/block_device.h"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

namespace vmm {

namespace {

/// A disc is what its bytes are, and nothing else.
DiskConfig discConfig(std::string const& id, std::string const& path)
{
    DiskConfig disc;
    disc.id = id;
    disc.path = path;
    disc.format = DiskFormat::Raw;
    disc.readOnly = true;
    return disc;
}

}

Result<PcBoard::Disk*> PcBoard::openDisk(DiskConfig const& config)
{
    DiskPointer disk(new Disk);
    disk->id = config.id;
    disk->thread = TRY(LoopThread::start(fmt::format("disk {}", config.id)));
    Result<> outcome;
    disk->thread->loop().call([&] {
        outcome = [&]() -> Result<> {
            disk->engine = TRY(IoEngine::create(disk->thread->loop()));
            disk->file.reset(new CheckpointedDisk {
                *disk->engine, config.path, imageOptions(config), nullptr, preferredWay(config) });
            if (!config.path.empty())
                disk->file->image
                    = TRY_WITHIN(config.id, BlockImage::open(*disk->engine, config.path, disk->file->options));
            return {};
        }();
    });
    TRY(outcome);
    std::lock_guard const lock(m_listsMutex);
    return m_disks.emplace_back(std::move(disk)).get();
}

Result<> PcBoard::addDisks()
{
    TRY(addVirtioDisks());
    return addSataDevices();
}

Result<> PcBoard::addVirtioDisks()
{
    for (auto const& config : m_config.disks) {
        if (config.bus != DiskBus::Virtio)
            continue;
        auto& disk = *TRY(openDisk(config));
        virtio::BlockOptions options;
        options.serial = config.id;
        options.queues = config.queues != 0 ? config.queues : m_config.cpus;
        options.readOnly = config.readOnly;
        auto& device = keep(config.id,
            std::make_unique<virtio::BlockDevice>(m_services, disk.thread->loop(), *disk.file->image, options,
                [this, id = config.id](Error const& error) { m_events.hostFailed(Error(error).within(id)); }));
        disk.device = &device;
        auto const slot = TRY(plug(device));
        m_bootPaths[config.id] = fmt::format("/pci@i0cf8/scsi@{}/disk@0,0", slot);
    }
    return {};
}

/// Disks, then CD drives, as many controllers as they need.
Result<> PcBoard::addSataDevices()
{
    std::vector<std::string> ids;
    std::vector<std::unique_ptr<SataDevice>> devices;
    auto const addController = [&]() -> Result<> {
        auto controller = std::make_unique<AhciController>(m_services, std::move(devices),
            [this, ids](unsigned port, Error const& error) { m_events.hostFailed(Error(error).within(ids[port])); });
        devices.clear();
        auto& kept = keep(fmt::format("sata{}", m_sataControllers.size()), std::move(controller));
        m_sataControllers.push_back(&kept);
        auto const slot = TRY(plug(kept));
        for (unsigned port = 0; port < ids.size(); ++port) {
            m_bootPaths[ids[port]] = fmt::format("/pci@i0cf8/pci8086,2922@{}/drive@{:x}/disk@0", slot, port);
            for (auto const& disk : m_disks) {
                if (disk->id == ids[port]) {
                    disk->controller = &kept;
                    disk->port = port;
                }
            }
        }
        ids.clear();
        return {};
    };
    for (auto const& config : m_config.disks) {
        if (config.bus != DiskBus::Ahci)
            continue;
        auto& disk = *TRY(openDisk(config));
        devices.push_back(
            std::make_unique<AtaDisk>(disk.thread->loop(), *disk.file->image, config.id, config.readOnly));
        ids.push_back(config.id);
        if (devices.size() == AhciController::maximumPorts)
            TRY(addController());
    }
    for (auto const& config : m_config.cds) {
        TRY(addCdDrive(config, devices));
        ids.push_back(config.id);
        if (devices.size() == AhciController::maximumPorts)
            TRY(addController());
    }
    if (!devices.empty())
        TRY(addController());
    return {};
}

Result<> PcBoard::addCdDrive(CdConfig const& config, std::vector<std::unique_ptr<SataDevice>>& devices)
{
    auto& disk = *TRY(openDisk(discConfig(config.id, config.path)));
    disk.path = config.path;
    auto drive = std::make_unique<AtapiCd>(disk.thread->loop(), [this, &disk] { mediumEjected(disk); });
    drive->setMedium(disk.file->image.get());
    disk.drive = drive.get();
    devices.push_back(std::move(drive));
    return {};
}

// Media

Result<PcBoard::Disk*> PcBoard::findDrive(std::string_view id) const
{
    for (auto const& disk : m_disks) {
        if (disk->drive && disk->id == id)
            return disk.get();
    }
    return fail(ErrorCode::NotFound, fmt::format("there is no drive {}", id));
}

Result<> PcBoard::insertMedium(std::string_view drive, std::string const& path)
{
    auto& disk = *TRY(findDrive(drive));
    std::unique_ptr<BlockImage> image;
    Result<> outcome;
    auto& loop = disk.thread->loop();
    loop.call([&] {
        outcome = [&]() -> Result<> {
            image = TRY(BlockImage::open(*disk.engine, path, imageOptions(discConfig(disk.id, path))));
            return {};
        }();
    });
    TRY(outcome);
    if (auto const ejected = ejectMedium(drive, false); !ejected) {
        loop.call([&] { image.reset(); });
        return ejected;
    }
    disk.file->image = std::move(image);
    disk.path = path;
    disk.controller->changeDevice(disk.port, [&] { disk.drive->setMedium(disk.file->image.get()); });
    m_events.mediumChanged(disk.id, path);
    return {};
}

Result<> PcBoard::ejectMedium(std::string_view drive, bool force)
{
    auto& disk = *TRY(findDrive(drive));
    if (!disk.file->image)
        return {};
    bool locked = false;
    disk.controller->changeDevice(disk.port, [&] {
        locked = !force && disk.drive->isLocked();
        if (locked)
            disk.drive->noteEjectRequest();
        else
            disk.drive->setMedium(nullptr);
    });
    if (locked)
        return fail(ErrorCode::Busy, fmt::format("the guest has locked the tray of {}", disk.id));
    closeMedium(disk);
    return {};
}

/// The drive does not use it any more.
void PcBoard::closeMedium(Disk& disk)
{
    ++disk.mediaSoFar;
    disk.thread->loop().call([&] { disk.file->image.reset(); });
    disk.path.clear();
    m_events.mediumChanged(disk.id, disk.path);
}

/// By the guest. On a vCPU's thread with the controller's mutex held, so the image goes later.
void PcBoard::mediumEjected(Disk& disk)
{
    m_loop.post([this, &disk, medium = disk.mediaSoFar.load(), alive = std::weak_ptr(disk.alive)] {
        if (alive.expired() || disk.mediaSoFar != medium || !disk.file->image)
            return;
        disk.controller->changeDevice(disk.port, [] {});
        closeMedium(disk);
    });
}

void PcBoard::describeMedia(VmConfig& config) const
{
    for (auto& cd : config.cds) {
        if (auto const drive = findDrive(cd.id); drive)
            cd.path = (*drive)->drive->hasMedium() ? (*drive)->path : "";
    }
}

Result<std::vector<SavedFile>> PcBoard::files(Disks which) const
{
    std::vector<SavedFile> files;
    for (auto const& disk : m_disks) {
        // A medium that the guest has just ejected is still open, until mediumEjected()'s task has run.
        if (!disk->file->image || (disk->drive && !disk->drive->hasMedium()))
            continue;
        Result<> outcome;
        disk->thread->loop().call([&] {
            outcome = [&]() -> Result<> {
                bool const isKept = which == Disks::ThoseThatStay && !disk->file->image->readOnly();
                if (!isKept) {
                    TRY_WITHIN(disk->id, disk->file->image->flushSync());
                    // Nothing is written to it any more once it is described.
                    while (disk->file->image->workWhenIdle()) { }
                }
                return appendFiles(disk->id, disk->file->image->info(), isKept, files);
            }();
        });
        TRY(outcome);
    }
    return files;
}

Result<PcBoard::Disk*> PcBoard::followingDisk(std::string_view id) const
{
    auto const disks = followingDisks();
    auto const found = std::ranges::find_if(disks, [&](auto const* disk) { return disk->id == id; });
    if (found == disks.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no disk {} that the guest writes to", id));
    return *found;
}

Result<> PcBoard::streamDisk(std::string_view id, std::string const& onto, std::function<bool(double)> const& goOn)
{
    auto& disk = *TRY(followingDisk(id));
    std::optional<ImageStream> stream;
    double size = 1;
    auto const begin = [&]() -> Result<> {
        stream = TRY(vmm::streamDisk(*disk.file, onto));
        size = static_cast<double>(disk.file->image->size());
        return {};
    };
    TRY(onDisk(disk, begin));
    bool more = true;
    auto const step = [&]() -> Result<> {
        more = TRY(stream->step());
        return {};
    };
    while (more) {
        if (!goOn(static_cast<double>(stream->position()) / size))
            return fail(ErrorCode::Cancelled, fmt::format("{}: what was copied so far stays", id));
        auto const began = std::chrono::steady_clock::now();
        TRY(onDisk(disk, step));
        // The guest has the disk for as long.
        std::this_thread::sleep_for(std::chrono::steady_clock::now() - began);
    }
    return {};
}

Result<> PcBoard::commitDisk(std::string_view id, CommitHow const& how, std::function<bool(double)> const& goOn)
{
    auto& disk = *TRY(followingDisk(id));
    auto const look = [&]() -> Result<ImageInfo> {
        ImageInfo info;
        TRY(onDisk(disk, [&]() -> Result<> {
            info = disk.file->image->info();
            return {};
        }));
        return info;
    };
    for (unsigned done = 0; done < how.files; ++done) {
        auto const before = TRY(look());
        if (filesBelow(before) == 0 && done > 0)
            return {};
        TRY_WITHIN(disk.id, LiveCommit::check(before));
        TRY_WITHIN(disk.id, how.mayChange(before.backing[0].path));
        TRY(commitOnce(disk, how.configured, [&](double part) { return goOn((done + part) / how.files); }));
        auto const after = TRY(look());
        if (after.backing.size() == before.backing.size())
            return {}; // the file below has kept its name, and what is below that its own
    }
    return {};
}

Result<> PcBoard::commitOnce(Disk& disk, ImageFormat configured, std::function<bool(double)> const& goOn)
{
    std::unique_ptr<LiveCommit> commit;
    auto const begin = [&]() -> Result<> {
        commit = TRY(LiveCommit::begin(*disk.file, configured));
        return {};
    };
    TRY(onDisk(disk, begin));
    bool more = true;
    auto const step = [&]() -> Result<> {
        disk.file->image->hold();
        more = TRY(commit->step());
        return {};
    };
    // Once the device has the image that is there then.
    auto const letGo = [&]() -> Result<> {
        disk.file->image->letGo();
        return {};
    };
    auto const run = [&]() -> Result<> {
        for (auto part = commit->part(); more; part = more ? commit->part() : 1) {
            if (!goOn(part))
                return fail(ErrorCode::Cancelled, fmt::format("{} stands on what it stood on", disk.id));
            auto const began = std::chrono::steady_clock::now();
            auto const stepped = onDisk(disk, step);
            TRY(onDisk(disk, letGo));
            TRY(stepped);
            if (part < 1) // the guest has the disk for as long
                std::this_thread::sleep_for(std::chrono::steady_clock::now() - began);
        }
        return {};
    };
    auto const outcome = run();
    auto const end = [&]() -> Result<> {
        commit.reset();
        return {};
    };
    TRY(onDisk(disk, end));
    return outcome;
}

Board::Traffic PcBoard::traffic() const
{
    std::lock_guard const lock(m_listsMutex);
    auto traffic = m_trafficOfRemoved;
    for (auto const& disk : m_disks) {
        if (!disk->device)
            continue;
        traffic.diskRead += disk->device->bytesRead();
        traffic.diskWritten += disk->device->bytesWritten();
    }
    for (auto const* controller : m_sataControllers) {
        traffic.diskRead += controller->bytesRead();
        traffic.diskWritten += controller->bytesWritten();
    }
    for (auto const* stick : m_sticks) {
        traffic.diskRead += stick->bytesRead();
        traffic.diskWritten += stick->bytesWritten();
    }
    for (auto const& [id, card] : m_networkCards) {
        traffic.networkReceived += card->bytesReceived();
        traffic.networkSent += card->bytesSent();
    }
    return traffic;
}

void PcBoard::DeleteDisk::operator()(Disk* disk) const
{
    delete disk;
}

}
