#include "vmm/machine/moment_export.h"

#include "vmm/block/checkpoint.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/image.h"
#include "vmm/machine/new_directory.h"
#include "vmm/machine/past_disk.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/timeline/moment_memory.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vmm {

namespace {

/// Puts the files of one moment into a directory, and gives the configuration their new names.
class FileExport {
public:
    FileExport(timeline::Moment const& moment, SavedMachine& saved, std::string directory)
        : m_moment(moment), m_saved(saved), m_directory(std::move(directory))
    {
    }

    Result<> all(ProgressCallback const& progress)
    {
        auto& config = m_saved.config;
        m_saved.header.files.clear();
        double const count = static_cast<double>(config.disks.size() + config.cds.size()) + 1;
        double done = 0;
        m_progress = [&](std::uint64_t part, std::uint64_t whole) {
            auto const share = whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
            return !progress || progress((done + share) / count);
        };
        auto const goOn = [&]() -> Result<> {
            return m_progress(0, 1) ? Result<>() : fail(ErrorCode::Cancelled, "exporting the moment was cancelled");
        };
        for (auto& disk : config.disks) {
            TRY(goOn());
            TRY_WITHIN(disk.id, copyDisk(disk));
            ++done;
        }
        for (auto& cd : config.cds) {
            TRY(goOn());
            if (!cd.path.empty())
                TRY_WITHIN(cd.id, copyInto(cd.id, cd.path, cd.id + ".iso"));
            ++done;
        }
        TRY(goOn());
        if (config.kernel) {
            TRY_WITHIN("the kernel", copyInto({}, config.kernel->kernel, "kernel"));
            if (!config.kernel->initrd.empty())
                TRY_WITHIN("the initrd", copyInto({}, config.kernel->initrd, "initrd"));
        }
        // Its contents are in the memory, from which the file is made when the machine comes back.
        if (!config.firmwareVariables.empty())
            config.firmwareVariables = "nvram.fd";
        return {};
    }

private:
    std::string place(std::string const& name) const { return m_directory + "/" + name; }

    /// An image of its own, whatever it stands on here.
    Result<> copyDisk(DiskConfig& disk)
    {
        auto const loop = TRY(EventLoop::create());
        auto const engine = TRY(IoEngine::create(*loop));
        auto const image = TRY(openDisk(*engine, disk));
        auto const format = image->info().format;
        auto const name = disk.id + (format == ImageFormat::Raw ? ".img" : ".qcow2");
        TRY(copyImage(*image, place(name), format, m_progress));
        disk.path = name;
        disk.format = format == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
        disk.backing.clear();
        return note(disk.id, name);
    }

    Result<std::unique_ptr<BlockImage>> openDisk(IoEngine& engine, DiskConfig const& disk) const
    {
        if (followsMoments(disk))
            return openDiskAt(engine, m_moment, disk);
        ImageOptions options;
        options.access = Access::ReadOnly;
        options.lock = HostFile::Lock::No;
        options.format = disk.format == DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2;
        options.backing = disk.backing;
        return BlockImage::open(engine, disk.path, options);
    }

    Result<> copyInto(std::string const& id, std::string& path, std::string const& name)
    {
        TRY(copyFile(path, place(name), m_progress));
        path = name;
        return id.empty() ? Result<>() : note(id, name);
    }

    /// It must be as it is now when the machine comes back.
    Result<> note(std::string const& id, std::string const& name)
    {
        auto file = TRY(describeFile(id, place(name)));
        file.path = name;
        m_saved.header.files.push_back(std::move(file));
        return {};
    }

    timeline::Moment const& m_moment;
    SavedMachine& m_saved;
    std::string const m_directory;
    CopyProgress m_progress;
};

/// A disk that is not here can only be one that nobody has vouched for.
void distrustDisks(SavedMachine& saved)
{
    for (auto const& disk : saved.config.disks) {
        if (followsMoments(disk))
            saved.header.files.push_back({ disk.id, disk.path, 0, 0 });
    }
}

}

Result<> exportMoment(std::shared_ptr<timeline::Timeline const> timeline, std::string_view moment,
    std::string const& directory, ExportFiles files, ProgressCallback const& progress)
{
    auto const known = TRY(timeline->moment(moment));
    auto saved = TRY(savedMachineAt(*timeline, moment));
    auto const memory = TRY(timeline::MomentMemory::open(timeline, moment));
    constexpr double filesShare = 0.5;
    double const share = files == ExportFiles::All ? filesShare : 0;
    auto const writeAll = [&](std::string const& fresh) -> Result<> {
        if (files == ExportFiles::All) {
            TRY(checkFiles(saved.header.files));
            FileExport exported(known, saved, fresh);
            TRY(exported.all([&](double part) { return !progress || progress(part * share); }));
        } else {
            distrustDisks(saved);
        }
        saved.header.ram = TRY(writeRamFile(fmt::format("{}/{}", fresh, savedRamName), *memory,
            [&](double part) { return !progress || progress(share + part * (1 - share)); }));
        auto const text = state::toText(savedMachineToJson(saved), 1) + "\n";
        return writeFileSynced(fmt::format("{}/{}", fresh, savedStateName), text);
    };
    return makeDirectory(directory, [&](std::string const& fresh) -> Result<> {
        auto const written = writeAll(fresh);
        // What was read belonged to the moment for as long as there was one; without it nothing may be there to read.
        return timeline->isGone(moment) ? fail(ErrorCode::NotFound, "the moment was deleted while it was exported")
                                        : written;
    });
}

}
