#pragma once

#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/time_of_day.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/image.h"
#include "vmm/block/overlay_files.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/past_disk.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/writer.h"

#include <QTemporaryDir>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace tests {

/// A machine that is off, in a folder: a raw disk, which goes on in overlays, and a qcow2 one with snapshots inside.
/// What both hold at a moment follows from the number that it is called; each block changes every so many numbers.
struct StillMachine {
    static constexpr std::uint64_t blocks = 24, blockSize = 64 << 10, markSize = 512;

    std::string const folder;
    vmm::VmConfig config;

    explicit StillMachine(std::string place) : folder(std::move(place))
    {
        config = { .uuid = "8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11", .name = "still" };
        config.disks = { { .id = "disk0", .path = folder + "/one.img", .format = vmm::DiskFormat::Raw },
            { .id = "disk1",
                .path = folder + "/two.qcow2",
                .format = vmm::DiskFormat::Qcow2,
                .moments = vmm::MomentPlace::Inside } };
    }
    void make() const
    {
        using vmm::ImageFormat;
        must(vmm::createImage(config.disks[0].path, { .format = ImageFormat::Raw, .size = blocks * blockSize }));
        must(vmm::createImage(config.disks[1].path, { .size = blocks * blockSize }));
    }
    std::shared_ptr<vmm::timeline::Timeline> open() const { return openTimeline(folder + "/timeline"); }
    static std::uint64_t mark(unsigned number, std::uint64_t block) { return number / (block % 5 + 1) + 1; }

    void write(unsigned number) const
    {
        vmm::InlineEngine engine;
        for (auto disk : config.disks) {
            disk.format = formatNow(disk);
            auto const image = must(vmm::BlockImage::open(engine, disk.path, imageOptions(disk)));
            for (std::uint64_t block = 0; block < blocks; ++block) {
                vmm::Bytes data(markSize);
                vmm::storeLittle(vmm::ByteSpan(data).first(8), mark(number, block));
                must(image->writeSync(block * blockSize, data));
            }
            must(image->flushSync());
        }
    }
    vmm::Result<vmm::timeline::Moment> keep(vmm::timeline::Timeline& timeline, unsigned number) const
    {
        write(number);
        return vmm::Machine::keepOff(config, timeline, { .name = std::to_string(number) });
    }
    vmm::Result<> tidy(vmm::timeline::Timeline& timeline) const
    {
        return vmm::DiskTidier(timeline, config, { .merge = vmm::OverlayFiles::MayMerge::Yes }).run();
    }
    /// What a machine that was suspended leaves in a directory: memory, the state of something, and its disks as they
    /// are.
    void suspendTo(std::string const& directory) const
    {
        vmm::SavedMachine saved;
        saved.config = config;
        saved.header.savedAt = vmm::timeOfDay();
        saved.parts = { { "serial0", vmm::state::save(vmm::Uart16550::State {}) } };
        vmm::InlineEngine engine;
        for (auto disk : config.disks) {
            disk.format = formatNow(disk);
            auto const image = must(vmm::BlockImage::open(engine, disk.path, imageOptions(disk)));
            must(vmm::appendFiles(disk.id, image->info(), false, saved.header.files));
        }
        auto const ram = must(vmm::MemoryBlock::create("ram", 4u << 20));
        for (std::size_t page = 0; page < 1024; page += 10)
            vmm::storeLittle(ram->bytes().subspan(page * 4096, 8), page + 1);
        must(vmm::replaceDirectory(directory, [&](std::string const& fresh) -> vmm::Result<> {
            saved.header.ram = TRY(vmm::writeRamFile(fresh + "/ram", std::vector { ram.get() }, {}));
            return vmm::writeFileSynced(fresh + "/state.json", vmm::savedMachineText(saved, directory));
        }));
    }
    enum class Asks { AsBefore, MayBe }; ///< Whether the state asks for the disks as they are.
    /// Why it does not come back from there, or cannot be suspended to there again; empty: it is well.
    QString problemOfState(std::string const& directory, Asks asks = Asks::MayBe) const
    {
        auto const whole = [&]() -> vmm::Result<> {
            auto const saved = TRY(vmm::readSavedMachine(directory));
            TRY(vmm::verifyRamFile(directory + "/ram", saved.header.ram, {}));
            TRY(vmm::checkFiles(saved.header.files));
            if (asks == Asks::AsBefore && saved.header.files.size() < config.disks.size())
                return vmm::fail(vmm::ErrorCode::Internal, "it does not ask for its disks any more");
            return vmm::checkStateDirectory(directory);
        }();
        return whole ? QString() : QString::fromStdString(directory + ": " + whole.error().message());
    }

    /// As every start does: what was on its way arrives, and what is left over goes.
    void comeToRest(std::shared_ptr<vmm::timeline::Timeline> const& timeline) const
    {
        auto const files = must(vmm::timeline::openFolder(folder + "/timeline"));
        if (auto const going = must(vmm::timeline::Timeline::goingTo(*files)); !going.empty())
            must(vmm::Machine::goToOff(timeline, going));
        must(tidy(*timeline));
    }

    /// As the first block has it.
    static unsigned numberOf(vmm::BlockImage& image)
    {
        vmm::Bytes data(markSize);
        must(image.readSync(0, data));
        return unsigned(vmm::loadLittle<std::uint64_t>(data)) - 1;
    }
    /// The first thing that is otherwise; empty: nothing.
    static QString difference(vmm::BlockImage& image, unsigned number)
    {
        for (std::uint64_t block = 0; block < blocks; ++block) {
            vmm::Bytes data(markSize);
            if (auto const got = image.readSync(block * blockSize, data); !got)
                return QString::fromStdString(got.error().message());
            if (vmm::loadLittle<std::uint64_t>(data) != mark(number, block))
                return QStringLiteral("block %1 differs").arg(block);
        }
        return {};
    }
    /// The same of what the disks hold now.
    QString differenceNow(unsigned number) const
    {
        vmm::InlineEngine engine;
        for (auto disk : config.disks) {
            disk.format = formatNow(disk);
            auto const image = vmm::BlockImage::open(engine, disk.path, imageOptions(disk));
            auto const found = image ? difference(**image, number) : QString::fromStdString(image.error().message());
            if (!found.isEmpty())
                return QString::fromStdString(disk.id + ": ") + found;
        }
        return {};
    }
    /// The first thing that is not as it should be with its moments, of which there are these; empty: all is.
    QString problem(std::shared_ptr<vmm::timeline::Timeline> const& timeline, std::set<std::string> const& ids) const
    {
        for (auto const& id : ids) {
            if (!timeline->moment(id))
                return QString::fromStdString(id + " is gone");
        }
        if (auto const damaged = must(timeline->verify()); !damaged.empty())
            return QString::fromStdString(damaged.front().error.message());
        vmm::InlineEngine engine;
        for (auto const& moment : timeline->moments()) {
            std::optional<unsigned> number; // of one without a name, its first disk says it
            if (!moment.name.empty())
                number = unsigned(std::stoul(moment.name));
            for (auto const& disk : config.disks) {
                auto const image = openDiskAt(engine, moment, disk);
                if (image && !number)
                    number = numberOf(**image);
                auto const found
                    = image ? difference(**image, *number) : QString::fromStdString(image.error().message());
                if (!found.isEmpty())
                    return QString::fromStdString(moment.id + ", " + disk.id + ": ") + found;
            }
        }
        return {};
    }
    /// Why it cannot go to one of its moments at which it was off, or what is otherwise there; empty: it was at each.
    QString problemOfGoing(std::shared_ptr<vmm::timeline::Timeline> const& timeline) const
    {
        for (auto const& moment : timeline->moments()) {
            if (moment.power == vmm::timeline::Power::On)
                continue; // that takes a processor
            vmm::InlineEngine engine;
            auto const number = numberOf(*must(openDiskAt(engine, moment, config.disks[0])));
            auto const went = vmm::Machine::goToOff(timeline, moment.id);
            auto const found = went ? differenceNow(number) : QString::fromStdString(went.error().message());
            if (!found.isEmpty())
                return QString::fromStdString("going to " + moment.id + ": ") + found;
        }
        must(tidy(*timeline));
        return leftover(*timeline);
    }
    /// What a disk keeps that no moment needs. What the disk itself stands on waits until another moment lies between.
    QString leftover(vmm::timeline::Timeline const& timeline) const
    {
        if (auto const found = filesOfNobody(timeline); !found.isEmpty())
            return found;
        for (auto const& loose : timeline.loose()) {
            for (auto const& disk : loose.disks) {
                if (disk.checkpoint.place.empty() || must(vmm::backingNameOf(disk.path)) != disk.checkpoint.place)
                    return QString::fromStdString(disk.device + " keeps something for nobody: " + disk.checkpoint.id);
            }
        }
        return {};
    }

    /// What lies beside a disk under its name, and no record names. What was raw goes on standing on an empty file,
    /// which none does (wasRaw()).
    QString filesOfNobody(vmm::timeline::Timeline const& timeline) const
    {
        std::set<std::string> named;
        auto const note = [&](auto const& all) {
            for (auto const& one : all) {
                for (auto const& disk : one.disks)
                    named.insert(vmm::folderOf(disk.path) + disk.checkpoint.place);
            }
        };
        note(timeline.moments());
        note(timeline.loose());
        for (auto const& entry : std::filesystem::directory_iterator(folder)) {
            auto const path = entry.path().string();
            bool const isBeside = std::ranges::any_of(
                config.disks, [&](auto const& disk) { return path.starts_with(disk.path + "."); });
            if (!isBeside || named.contains(path))
                continue;
            bool const isEmpty = vmm::isCheckpointName(path) && entry.file_size() == vmm::BlockImage::sectorSize;
            if (!isEmpty || must(vmm::imagesOn(path)).empty())
                return QString::fromStdString(path + " is nobody's");
        }
        return {};
    }

    /// What was exported to `place` is whole, and of one moment.
    static QString problemOfExport(std::string const& place)
    {
        auto const saved = vmm::readSavedMachine(place);
        if (!saved)
            return QString::fromStdString(saved.error().message());
        vmm::InlineEngine engine;
        std::optional<unsigned> number;
        for (auto const& disk : saved->config.disks) {
            auto const image = vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk));
            if (!image)
                return QString::fromStdString(image.error().message());
            if (!number)
                number = numberOf(**image);
            if (auto const found = difference(**image, *number); !found.isEmpty())
                return QString::fromStdString(disk.id + ": ") + found;
        }
        return number ? QString() : QStringLiteral("it has no disks");
    }
};

struct OwnFolder {
    QTemporaryDir directory; ///< there before the machine is
};

/// One that is made, in a folder that goes with it.
struct TemporaryStillMachine : OwnFolder, StillMachine {
    TemporaryStillMachine() : StillMachine(directory.path().toStdString()) { make(); }
};

}
