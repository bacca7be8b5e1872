#include "vmm/block/image.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/pc_board.h"
#include "vmm/virtio/block_device.h"

#include <fmt/format.h>

namespace vmm {

/// A disk's thread, the engine on it and the image that lives there. The device in front of it is among the board's.
struct PcBoard::Disk {
    std::string id;
    std::unique_ptr<LoopThread> thread;
    std::unique_ptr<IoEngine> engine;
    std::unique_ptr<BlockImage> image;
    virtio::BlockDevice* device = nullptr;

    ~Disk()
    {
        if (thread) {
            thread->loop().call([this] {
                image.reset();
                engine.reset();
            });
        }
    }
};

namespace {

std::optional<ImageFormat> imageFormat(std::optional<DiskFormat> format)
{
    if (!format)
        return std::nullopt;
    return *format == DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2;
}

Result<> appendFiles(std::string const& id, ImageInfo const& info, std::vector<SavedFile>& files)
{
    files.push_back(TRY(describeFile(id, info.path)));
    for (auto const& below : info.backing)
        TRY(appendFiles(id, below, files));
    return {};
}

}

Result<PcBoard::DiskPointer> PcBoard::openDisk(
    std::string const& id, std::string const& path, std::optional<DiskFormat> format, bool readOnly)
{
    DiskPointer disk(new Disk);
    disk->id = id;
    disk->thread = TRY(LoopThread::start(fmt::format("disk {}", id)));
    Result<> outcome;
    disk->thread->loop().call([&] {
        outcome = [&]() -> Result<> {
            disk->engine = TRY(IoEngine::create(disk->thread->loop()));
            ImageOptions options;
            options.access = readOnly ? Access::ReadOnly : Access::ReadWrite;
            options.format = imageFormat(format);
            disk->image = TRY_WITHIN(id, BlockImage::open(*disk->engine, path, options));
            return {};
        }();
    });
    TRY(outcome);
    return disk;
}

Result<> PcBoard::addDisks()
{
    for (auto const& config : m_config.disks) {
        if (config.bus != DiskBus::Virtio)
            continue;
        auto& disk = *m_disks.emplace_back(TRY(openDisk(config.id, config.path, config.format, config.readOnly)));
        virtio::BlockOptions options;
        options.serial = config.id;
        options.queues = config.queues;
        options.readOnly = config.readOnly;
        auto& device = keep(config.id,
            std::make_unique<virtio::BlockDevice>(m_services, disk.thread->loop(), *disk.image, options,
                [this, id = config.id](Error const& error) { m_events.hostFailed(Error(error).within(id)); }));
        disk.device = &device;
        auto const slot = TRY(plug(device));
        m_bootPaths[config.id] = fmt::format("/pci@i0cf8/scsi@{:x}/disk@0,0", slot);
    }
    return {};
}

Result<std::vector<SavedFile>> PcBoard::files() const
{
    std::vector<SavedFile> files;
    for (auto const& disk : m_disks) {
        Result<> outcome;
        disk->thread->loop().call([&] {
            outcome = [&]() -> Result<> {
                if (!disk->image->readOnly())
                    TRY_WITHIN(disk->id, disk->image->flushSync());
                return appendFiles(disk->id, disk->image->info(), files);
            }();
        });
        TRY(outcome);
    }
    return files;
}

Board::Traffic PcBoard::traffic() const
{
    Traffic traffic;
    for (auto const& disk : m_disks) {
        if (!disk->device)
            continue;
        traffic.diskRead += disk->device->bytesRead();
        traffic.diskWritten += disk->device->bytesWritten();
    }
    for (auto const* card : m_networkCards) {
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
