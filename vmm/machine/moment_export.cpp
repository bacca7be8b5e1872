#include "vmm/machine/moment_export.h"

#include "vmm/block/checkpoint_files.h"
#include "vmm/block/image.h"
#include "vmm/machine/past_disk.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/timeline/moment_memory.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vmm {

namespace {

namespace fs = std::filesystem;

/// A new file that reads as `image` does. What is nowhere in it is not read; `goOn` is asked again and again.
Result<> copyUsed(BlockImage& image, std::string const& path, ImageFormat format, std::function<Result<>()> const& goOn)
{
    constexpr std::uint64_t pieceSize = 1u << 20, granule = 64u << 10;
    TRY(createImage(path, { .format = format, .size = image.size() }));
    auto const target = TRY(BlockImage::open(image.engine(), path, { .format = format }));
    Bytes data(pieceSize);
    for (std::uint64_t at = 0; at < image.size();) {
        TRY(goOn());
        auto const mapping = TRY(image.resolve(at, image.size() - at));
        if (mapping.kind == BlockImage::Mapping::Kind::Zero) {
            at += mapping.length;
            continue;
        }
        auto const piece = ByteSpan(data).first(std::min(pieceSize, mapping.length));
        TRY(image.readSync(at, piece));
        for (std::size_t part = 0; part < piece.size(); part += granule) {
            auto const bytes = piece.subspan(part, std::min<std::size_t>(granule, piece.size() - part));
            if (std::ranges::any_of(bytes, [](auto byte) { return byte != 0; }))
                TRY(target->writeSync(at + part, bytes));
        }
        at += piece.size();
    }
    return target->flushSync();
}

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
        m_goOn = [&]() -> Result<> {
            if (progress && !progress(done / count))
                return fail(ErrorCode::Cancelled, "exporting the moment was cancelled");
            return {};
        };
        auto const step = [&] {
            auto const goesOn = m_goOn();
            ++done;
            return goesOn;
        };
        for (auto& disk : config.disks) {
            TRY(step());
            TRY_WITHIN(disk.id, copyDisk(disk));
        }
        for (auto& cd : config.cds) {
            TRY(step());
            if (!cd.path.empty())
                TRY_WITHIN(cd.id, copyFile(cd.id, cd.path, cd.id + ".iso"));
        }
        TRY(step());
        if (config.kernel) {
            TRY_WITHIN("the kernel", copyFile({}, config.kernel->kernel, "kernel"));
            if (!config.kernel->initrd.empty())
                TRY_WITHIN("the initrd", copyFile({}, config.kernel->initrd, "initrd"));
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
        TRY(copyUsed(*image, place(name), format, m_goOn));
        disk.path = name;
        disk.format = format == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2;
        disk.backing.clear();
        return note(disk.id, name);
    }

    Result<std::unique_ptr<BlockImage>> openDisk(IoEngine& engine, DiskConfig const& disk) const
    {
        if (hasPast(disk))
            return openDiskAt(engine, m_moment, disk);
        ImageOptions options;
        options.access = Access::ReadOnly;
        options.lock = HostFile::Lock::No;
        options.format = disk.format == DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2;
        options.backing = disk.backing;
        return BlockImage::open(engine, disk.path, options);
    }

    Result<> copyFile(std::string const& id, std::string& path, std::string const& name)
    {
        std::error_code problem;
        fs::copy_file(path, place(name), problem);
        if (problem)
            return fail(osError(fmt::format("cannot copy {}", path), problem.value()));
        TRY(syncFile(place(name)));
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
    std::function<Result<>()> m_goOn;
};

/// A disk that is not here can only be one that nobody has vouched for.
void distrustDisks(SavedMachine& saved)
{
    for (auto const& disk : saved.config.disks) {
        if (hasPast(disk))
            saved.header.files.push_back({ disk.id, disk.path, 0, 0 });
    }
}

}

Result<> exportMoment(std::shared_ptr<timeline::Timeline const> timeline, std::string_view moment,
    std::string const& directory, ExportFiles files, ProgressCallback const& progress)
{
    std::error_code unknown;
    if (fs::exists(fs::symlink_status(directory, unknown)))
        return fail(ErrorCode::AlreadyExists, directory + " is there already");
    auto const known = TRY(timeline->moment(moment));
    auto saved = TRY(savedMachineAt(*timeline, moment));
    auto const memory = TRY(timeline::MomentMemory::open(timeline, moment));
    constexpr double filesShare = 0.5;
    double const share = files == ExportFiles::All ? filesShare : 0;
    return replaceDirectory(directory, [&](std::string const& fresh) -> Result<> {
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
    });
}

}
