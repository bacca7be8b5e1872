#include "vmm/block/checkpoint_zfs.h"

#include "vmm/base/log.h"
#include "vmm/block/checkpoint_files.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace vmm {

Result<std::string> runProgram(std::vector<std::string> const& arguments)
{
    std::array<int, 2> ends {};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return failOs("cannot make a pipe");
    UniqueFd const reading(ends[0]);
    UniqueFd writing(ends[1]);
    std::vector<char*> argv;
    for (auto const& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), 2);
    ::pid_t child = 0;
    int const error = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    writing.reset();
    if (error == ENOENT)
        return fail(ErrorCode::Unsupported, "there is no program " + arguments[0] + " on this host");
    if (error != 0)
        return fail(osError("cannot run " + arguments[0], error));
    std::string output;
    std::array<char, 4096> buffer {};
    while (true) {
        auto const count = ::read(reading.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        if (output.size() < (16u << 20))
            output.append(buffer.data(), static_cast<std::size_t>(count));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return output;
    while (output.ends_with('\n'))
        output.pop_back();
    bool const denied = output.find("permission denied") != std::string::npos;
    return fail(denied ? ErrorCode::PermissionDenied : ErrorCode::IoError, output.substr(0, 1000));
}

Result<> checkZfsName(std::string const& name)
{
    auto const fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
            || std::string_view("/@_-.: ").find(c) != std::string_view::npos;
    };
    if (name.empty() || name.size() > 255 || name[0] == '-' || !std::ranges::all_of(name, fits))
        return fail(ErrorCode::InvalidArgument, "\"" + name + "\" is no name of ZFS");
    return {};
}

namespace {

constexpr std::string_view volumes = "/dev/zvol/";

std::vector<std::string> lines(std::string const& text)
{
    std::vector<std::string> all;
    for (std::size_t at = 0; at < text.size();) {
        auto const end = std::min(text.find('\n', at), text.size());
        all.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return all;
}

class ZfsMethod final : public CheckpointMethod {
public:
    explicit ZfsMethod(RunProgram run) : m_run(std::move(run)) { }

    /// By a snapshot that is taken and destroyed again: nothing else knows what was delegated.
    Result<> probe(CheckpointedDisk& disk) override
    {
        auto const where = TRY(locate(disk.path));
        auto const trial = where.dataset + "@chronovisor-trial";
        ignore(zfs(where, { "destroy", trial }));
        TRY(zfs(where, { "snapshot", trial }));
        TRY(zfs(where, { "destroy", trial }));
        return {};
    }
    Result<Checkpoint> plan(CheckpointedDisk& disk, std::string const& id) override
    {
        auto const where = TRY(locate(disk.path));
        auto const place = placeOf(where, id);
        TRY(checkZfsName(place));
        return Checkpoint { CheckpointWay::Zfs, id, place, disk.image->info().format };
    }
    Result<> prepare(CheckpointedDisk& disk, Checkpoint const&) override { return disk.image->flushSync(); }
    Result<> take(CheckpointedDisk& disk, Checkpoint const& checkpoint, DiskSnapshot const&) override
    {
        auto const where = TRY(locate(disk.path));
        TRY(checkPlace(where, checkpoint));
        TRY(disk.image->flushSync());
        TRY(zfs(where, { "snapshot", checkpoint.place }));
        return {};
    }
    Result<> seal(CheckpointedDisk&, Checkpoint const&) override { return {}; } // zfs snapshot returns when it is
    Result<> goBack(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const where = TRY(locate(disk.path));
        TRY(checkPlace(where, checkpoint));
        auto const all = TRY(snapshotsOf(where));
        if (std::ranges::find(all, checkpoint.place) == all.end())
            return fail(ErrorCode::NotFound, "there is no snapshot " + checkpoint.place);
        // A file system may hold more than this disk, so only a volume is rolled back as a whole, and only to its last
        // snapshot, because the later ones would go.
        if (where.isVolume) {
            if (all.back() != checkpoint.place)
                return copyBack(disk, checkpoint);
            TRY(disk.image->flushSync());
            disk.image.reset();
            auto const rolled = zfs(where, { "rollback", checkpoint.place });
            disk.image = TRY(BlockImage::open(disk.engine, disk.path, disk.options));
            TRY(rolled);
            return {};
        }
        auto const fresh = disk.path + ".going-back";
        TRY(removeFile(fresh));
        TRY(m_run({ "cp", "--sparse=always", "--reflink=auto", "--", fileIn(where, checkpoint), fresh }));
        return replaceDisk(disk, fresh, checkpoint.format);
    }
    Result<std::unique_ptr<BlockImage>> openReadOnly(IoEngine& engine, std::string const& diskPath,
        Checkpoint const& checkpoint, std::vector<std::string> const& backing) override
    {
        auto const where = TRY(locate(diskPath));
        TRY(checkPlace(where, checkpoint));
        if (where.isVolume) {
            TRY(zfs(where, { "set", "snapdev=visible", where.dataset }));
            waitFor(fileIn(where, checkpoint));
        }
        ImageOptions options;
        options.access = Access::ReadOnly;
        options.format = checkpoint.format;
        options.lock = HostFile::Lock::No;
        options.backing = backing;
        return BlockImage::open(engine, fileIn(where, checkpoint), options);
    }
    Result<ImageFormat> fork(CheckpointedDisk& disk, Checkpoint const& checkpoint, std::string const& path,
        CopyProgress const& progress) override
    {
        auto const where = TRY(locate(disk.path));
        TRY(checkPlace(where, checkpoint));
        if (where.isVolume && path.starts_with(volumes)) {
            TRY(zfs(where, { "clone", checkpoint.place, path.substr(volumes.size()) }));
            waitFor(path);
            return checkpoint.format;
        }
        auto const image = TRY(openReadOnly(disk.engine, disk.path, checkpoint, disk.options.backing));
        TRY(copyImage(*image, path, ImageFormat::Qcow2, progress));
        return ImageFormat::Qcow2;
    }
    Result<> remove(CheckpointedDisk& disk, Checkpoint const& checkpoint) override
    {
        auto const where = TRY(locate(disk.path));
        TRY(checkPlace(where, checkpoint));
        // Of it alone, as long as it is there: a list of all, for each that goes, would take the square of them.
        if (!zfs(where, { "list", "-H", "-t", "snapshot", "-o", "name", checkpoint.place })) {
            auto const all = TRY(snapshotsOf(where));
            if (std::ranges::find(all, checkpoint.place) == all.end())
                return {};
        }
        // With a clone of it left, it goes when that goes.
        TRY(zfs(where, { "destroy", "-d", checkpoint.place }));
        return {};
    }

    Result<std::map<std::string, ZfsSpace>> spaces(std::string const& diskPath)
    {
        auto const where = TRY(locate(diskPath));
        auto const listed = TRY(zfs(
            where, { "list", "-H", "-p", "-d", "1", "-t", "snapshot", "-o", "name,used,referenced", where.dataset }));
        std::map<std::string, ZfsSpace> all;
        for (auto const& line : lines(listed)) {
            auto const first = line.find('\t'), second = line.find('\t', first + 1);
            auto const number = [&](std::size_t from, std::size_t to) -> Result<std::uint64_t> {
                std::uint64_t value = 0;
                auto const* const end = line.data() + to;
                if (auto const read = std::from_chars(line.data() + from, end, value); read.ptr != end || from == to)
                    return fail(ErrorCode::IoError, "zfs list: \"" + line + "\" is not what was asked for");
                return value;
            };
            if (first == std::string::npos || second == std::string::npos)
                return fail(ErrorCode::IoError, "zfs list: \"" + line + "\" is not what was asked for");
            all[line.substr(0, first)] = { TRY(number(first + 1, second)), TRY(number(second + 1, line.size())) };
        }
        return all;
    }

private:
    struct Where {
        std::string dataset;
        bool isVolume = false;
        std::string mountPoint; // of a file system, with '/'
        std::string name;       // of the file, below that
    };

    /// The kernel makes the device at once, udev its name when it gets to it. Whoever opens it says what is missing.
    static void waitFor(std::string const& path)
    {
        constexpr std::chrono::milliseconds step { 10 };
        for (unsigned i = 0; i < 1000 && ::access(path.c_str(), F_OK) != 0; ++i)
            std::this_thread::sleep_for(step);
    }

    /// In the order in which they were taken.
    Result<std::vector<std::string>> snapshotsOf(Where const& where)
    {
        return lines(TRY(
            zfs(where, { "list", "-H", "-d", "1", "-t", "snapshot", "-o", "name", "-s", "createtxg", where.dataset })));
    }

    /// What differs is written over the volume. Cut off in between, it is begun anew by whoever wanted to go there.
    Result<> copyBack(CheckpointedDisk& disk, Checkpoint const& checkpoint)
    {
        auto const then = TRY(openReadOnly(disk.engine, disk.path, checkpoint, disk.options.backing));
        if (then->size() != disk.image->size())
            return fail(ErrorCode::Unsupported, checkpoint.place + " is of another size than its volume is now");
        Bytes wanted(1 << 20), present(wanted.size());
        for (std::uint64_t offset = 0; offset < then->size(); offset += wanted.size()) {
            auto const count = std::min<std::uint64_t>(wanted.size(), then->size() - offset);
            TRY(then->readSync(offset, ByteSpan(wanted).first(count)));
            TRY(disk.image->readSync(offset, ByteSpan(present).first(count)));
            if (!std::equal(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(count), present.begin()))
                TRY(disk.image->writeSync(offset, ConstByteSpan(wanted).first(count)));
        }
        return disk.image->flushSync();
    }

    /// Several disks may lie on one file system, and each lets go of its own snapshot: so the file's name is in it, as
    /// a number that has no characters that ZFS would not have.
    static std::string placeOf(Where const& where, std::string const& id)
    {
        std::uint32_t hash = 2166136261; // FNV-1a
        for (char const c : where.name)
            hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619;
        return where.isVolume ? fmt::format("{}@chronovisor-{}", where.dataset, id)
                              : fmt::format("{}@chronovisor-{}-{:08x}", where.dataset, id, hash);
    }

    Result<Where> locate(std::string const& diskPath)
    {
        auto const folder = folderOf(diskPath);
        std::unique_ptr<char, void (*)(void*)> const resolved(
            diskPath.starts_with(volumes) ? ::strdup(diskPath.c_str()) : ::realpath(diskPath.c_str(), nullptr),
            std::free);
        std::unique_ptr<char, void (*)(void*)> const its( // of a file that has gone
            resolved || errno != ENOENT ? nullptr : ::realpath(folder.c_str(), nullptr), std::free);
        if (!resolved && !its)
            return failOs("cannot find " + diskPath);
        std::string const path = resolved ? resolved.get() : its.get() + ("/" + nameOf(diskPath));
        Where where;
        if (path.starts_with(volumes)) {
            where.dataset = path.substr(volumes.size());
            where.isVolume = true;
            TRY(checkZfsName(where.dataset));
            return where;
        }
        auto const listed = m_run({ "zfs", "list", "-H", "-t", "filesystem", "-o", "name,mountpoint" });
        if (!listed) // as where the host has the program, and its kernel no ZFS: nothing is wrong with the disk
            return fail(ErrorCode::Unsupported, "zfs list: " + listed.error().message());
        for (auto const& line : lines(*listed)) {
            auto const tab = line.find('\t');
            if (tab == std::string::npos || line[tab + 1] != '/')
                continue;
            auto mountPoint = line.substr(tab + 1);
            if (!mountPoint.ends_with('/'))
                mountPoint += '/';
            if (path.starts_with(mountPoint) && mountPoint.size() > where.mountPoint.size())
                where = { line.substr(0, tab), false, mountPoint, path.substr(mountPoint.size()) };
        }
        if (where.dataset.empty())
            return fail(ErrorCode::Unsupported, path + " is not on ZFS");
        TRY(checkZfsName(where.dataset));
        return where;
    }

    /// A record from elsewhere leads to snapshots of this disk only.
    static Result<> checkPlace(Where const& where, Checkpoint const& checkpoint)
    {
        if (checkpoint.place != placeOf(where, checkpoint.id))
            return fail(ErrorCode::Corrupt, checkpoint.place + " is no snapshot of " + where.dataset);
        return checkZfsName(checkpoint.place);
    }

    static std::string fileIn(Where const& where, Checkpoint const& checkpoint)
    {
        if (where.isVolume)
            return std::string(volumes) + checkpoint.place;
        return fmt::format(
            "{}.zfs/snapshot/{}/{}", where.mountPoint, checkpoint.place.substr(where.dataset.size() + 1), where.name);
    }

    Result<std::string> zfs(Where const& where, std::vector<std::string> arguments)
    {
        auto const verb = arguments.front();
        arguments.insert(arguments.begin(), "zfs");
        auto outcome = m_run(arguments);
        if (!outcome && outcome.error().code == ErrorCode::PermissionDenied)
            return fail(ErrorCode::PermissionDenied,
                fmt::format("zfs {}: {}; whoever administers the host can permit it: "
                            "zfs allow USER snapshot,destroy,rollback,clone,create,mount {}",
                    verb, outcome.error().detail, where.dataset));
        if (!outcome)
            return fail(std::move(outcome.error()).within("zfs " + verb));
        return outcome;
    }

    RunProgram m_run;
};

}

std::unique_ptr<CheckpointMethod> createZfsMethod(RunProgram run)
{
    return std::make_unique<ZfsMethod>(std::move(run));
}

Result<std::map<std::string, ZfsSpace>> zfsSpaces(std::string const& diskPath, RunProgram run)
{
    return ZfsMethod(std::move(run)).spaces(diskPath);
}

}
