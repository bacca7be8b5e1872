#include "app/store/ended_machine.h"
#include "app/store/image_bases.h"
#include "app/store/image_removal.h"
#include "app/store/machine_directory.h"
#include "app/store/machine_store.h"
#include "app/store/scaffold.h"
#include "vmm/base/random.h"
#include "vmm/block/overlay_files.h"
#include "vmm/config/config_paths.h"
#include "vmm/machine/disk_chains.h"

#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

/// Machines and images that were removed: until they come back, or are ended.
namespace app {

namespace files = std::filesystem;

namespace {

/// How the names of removed machines begin that are ending.
constexpr std::string_view endingPrefix = ".ending-";
/// What follows the uuid in those of images that were removed alone.
constexpr std::string_view imagesInfix = ".images-";

/// Asks before each file, as there may be many, and large ones; false: it was given up.
bool removeAllBut(std::string const& directory, std::set<std::string> const& names, std::function<bool()> const& goesOn)
{
    std::error_code error;
    for (files::directory_iterator item(directory, error), end; item != end; item.increment(error)) {
        if (names.contains(item->path().filename().string()))
            continue;
        std::error_code ignored;
        bool const isFolder = item->symlink_status(ignored).type() == files::file_type::directory;
        if (!goesOn() || (isFolder && !removeAllBut(item->path(), {}, goesOn)))
            return false;
        files::remove(item->path(), ignored);
    }
    return true;
}

auto emptyingCancelled()
{
    return vmm::fail(vmm::ErrorCode::Cancelled, "emptying the trash was cancelled");
}

/// What has a name that something has there stays.
vmm::Result<> moveAllBut(std::string const& from, std::string const& to, std::set<std::string> const& names)
{
    std::error_code error;
    for (files::directory_iterator item(from, error), end; item != end; item.increment(error)) {
        auto const name = item->path().filename().string();
        if (!names.contains(name) && !vmm::existsFile(to + "/" + name))
            TRY(moveDirectory(item->path(), to + "/" + name));
    }
    return error ? vmm::fail(vmm::osError(fmt::format("reading {}", from), error.value())) : vmm::Result<>();
}

}

std::vector<RemovedMachine> MachineStore::removed() const
{
    std::vector<RemovedMachine> machines;
    std::error_code error;
    for (files::directory_iterator item(m_root + "/trash", error), end; item != end; item.increment(error)) {
        auto const name = item->path().filename().string();
        auto const id = name.substr(0, name.find('.'));
        struct stat status { };
        if (!isMachineId(id) || ::stat(item->path().c_str(), &status) != 0)
            continue;
        auto config = readConfigIn(item->path(), id);
        bool const isImages = name.find(imagesInfix) != std::string::npos;
        machines.push_back({ { id, item->path(), {}, {}, false, {} }, status.st_mtime, isImages });
        if (config) {
            machines.back().config = std::move(*config);
        } else {
            machines.back().config.name = id;
            machines.back().problem = config.error();
        }
    }
    std::sort(machines.begin(), machines.end(), [](RemovedMachine const& left, RemovedMachine const& right) {
        return std::tie(right.removedAt, left.directory) < std::tie(left.removedAt, right.directory);
    });
    return machines;
}

vmm::Result<> MachineStore::remove(std::string const& id)
{
    if (!isMachineId(id))
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("\"{}\" is no machine's uuid", id));
    auto const lock = TRY(MachineLock::take(placesOf(id).lockFile));
    auto const trash = m_root + "/trash";
    TRY(makeDirectories(trash));
    // One of the same uuid may lie there, from before this one came out of a bundle: it stays as long as the others do.
    struct stat status { };
    if (::stat((trash + "/" + id).c_str(), &status) == 0)
        TRY(moveDirectory(trash + "/" + id, fmt::format("{}/{}.{}", trash, id, vmm::makeUuid())));
    TRY(moveDirectory(directoryOf(id), trash + "/" + id));
    // The directory's own time tells when it was thrown away.
    ::utimensat(AT_FDCWD, (trash + "/" + id).c_str(), nullptr, 0);
    return {};
}

vmm::Result<> MachineStore::restoreRemoved(std::string const& place)
{
    auto const id = place.substr(0, place.find('.'));
    if (!isMachineId(id))
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("\"{}\" is no machine's place in the trash", place));
    auto const removed = m_root + "/trash/" + place;
    return place.find(imagesInfix) == std::string::npos ? moveDirectory(removed, directoryOf(id))
                                                        : restoreImagesFrom(removed, id);
}

vmm::Result<> MachineStore::emptyTrash(std::uint64_t seconds, Progress const& progress)
{
    auto const now = std::time(nullptr);
    return endRemovedWhere(
        [&](std::string const&, std::int64_t removedAt) {
            // A file system may be a tick ahead of time(2), and what was removed just now of a second that is to come.
            return std::max<std::int64_t>(0, now - removedAt) >= static_cast<std::int64_t>(seconds);
        },
        progress);
}

vmm::Result<> MachineStore::emptyTrash(std::vector<RemovedMachine> const& those, Progress const& progress)
{
    return endRemovedWhere(
        [&](std::string const& name, std::int64_t removedAt) {
            // What is nobody's machine is in no list.
            return !isMachineId(name.substr(0, name.find('.')))
                || std::any_of(those.begin(), those.end(),
                    [&](RemovedMachine const& one) { return one.place() == name && one.removedAt == removedAt; });
        },
        progress);
}

vmm::Result<> MachineStore::endRemovedWhere(IsToEnd const& isToEnd, Progress const& progress)
{
    auto const isToGo = [&](files::path const& path) {
        struct stat status { };
        if (::stat(path.c_str(), &status) != 0)
            return false;
        // What is ending cannot come back, and its directory's time is that of the last file that went.
        auto const name = path.filename().string();
        return name.starts_with(endingPrefix) || isToEnd(name, status.st_mtime);
    };
    std::error_code error;
    std::vector<files::path> listed;
    for (files::directory_iterator item(m_root + "/trash", error), end; item != end; item.increment(error)) {
        if (isToGo(item->path()))
            listed.push_back(item->path());
    }
    vmm::Result<> outcome;
    double reached = 0;
    for (std::size_t number = 0; number < listed.size(); ++number) {
        auto const goesOn = [&](double part) {
            reached = std::max(reached, (static_cast<double>(number) + part) / static_cast<double>(listed.size()));
            return !progress || progress(reached);
        };
        if (!goesOn(0))
            return emptyingCancelled();
        if (!isToGo(listed[number]))
            continue; // it has come back meanwhile
        if (auto ended = endRemoved(listed[number], goesOn); !ended && outcome)
            outcome = std::move(ended);
    }
    return outcome;
}

vmm::Result<> MachineStore::endRemoved(std::string const& removed, Progress const& progress)
{
    auto const trash = m_root + "/trash";
    auto name = removed.substr(trash.size() + 1);
    // A lock is its file's, under whatever name. A full disk may have no room for one: that is emptied without.
    auto const lock = MachineLock::take(removed + "/machine.lock");
    if (!lock && lock.error().code == vmm::ErrorCode::Busy)
        return {}; // another process is at it
    bool const isEnding = name.starts_with(endingPrefix);
    if (isEnding)
        name.erase(0, endingPrefix.size());
    auto const id = name.substr(0, name.find('.'));
    auto const directory = isEnding ? removed : fmt::format("{}/{}{}.{}", trash, endingPrefix, id, vmm::makeUuid());
    if (!isEnding) {
        // From here on nobody brings it back.
        if (auto const moved = moveDirectory(removed, directory); !moved) // NotFound: another process was faster
            return moved.error().code == vmm::ErrorCode::NotFound ? vmm::Result<>() : moved;
    }
    OtherNeeds others;
    others.hasMoment = [&](std::string const& moment) {
        std::error_code error;
        for (auto const& folder : { machinesDirectory(), trash }) {
            for (files::directory_iterator item(folder, error), end; item != end; item.increment(error)) {
                auto const record = fmt::format("{}/timeline/moments/{}.json", item->path().string(), moment);
                if (item->path() != directory && ::access(record.c_str(), F_OK) == 0)
                    return true;
            }
        }
        return false;
    };
    others.hasDisk = [&](std::string const& path) {
        auto const has = [&](StoredMachine const& machine) {
            return std::ranges::any_of(
                machine.config.disks, [&](vmm::DiskConfig const& disk) { return vmm::isSameFile(disk.path, path); });
        };
        return std::ranges::any_of(list(), has) || std::ranges::any_of(this->removed(), has);
    };
    vmm::VmConfig nameless;
    nameless.uuid = nameless.name = id;
    auto const config = readConfigIn(directory, id).value_or(nameless);
    auto const ended = endMoments(directory, config, others, progress);
    auto const goesOn = [&] { return progress(0); };
    if (!ended || !*ended) {
        if (ended || ended.error().code != vmm::ErrorCode::Cancelled) // else disks are needed to let go
            removeAllBut(directory, { "machine.json", "timeline", "machine.lock" }, goesOn);
        return ended ? vmm::Result<>() : vmm::fail(vmm::Error(ended.error()).within(config.name));
    }
    if (!removeAllBut(directory, { "machine.lock" }, goesOn)) // which goes last
        return emptyingCancelled();
    std::error_code error;
    files::remove_all(directory, error);
    if (error)
        return vmm::fail(vmm::osError(fmt::format("removing {}", directory), error.value()));
    return {};
}

vmm::Result<std::unique_ptr<ImageRemoval>> MachineStore::prepareRemoval(
    vmm::VmConfig const& before, vmm::VmConfig const& after, std::vector<std::string> const& unwanted) const
{
    auto const chains = unwanted.empty() ? std::vector<vmm::DiskChain>() : vmm::diskChains(after);
    auto const isNeeded = [&](std::string const& path) {
        auto const isIt = [&](std::string const& one) { return vmm::isSameFile(one, path); };
        auto const standsOn = [&](vmm::DiskChain const& chain) {
            return chain.image && std::ranges::any_of(chain.image->backing, isIt, &vmm::ImageInfo::path);
        };
        bool isNamed = false; // also as what is in a drive
        auto named = after;
        vmm::forEachPath(named, [&](std::string const& one) { isNamed = isNamed || isIt(one); });
        return isNamed || std::ranges::any_of(chains, standsOn);
    };
    vmm::VmConfig removed;
    removed.uuid = before.uuid;
    removed.name = before.name;
    removed.disks = before.disks;
    std::erase_if(removed.disks, [&](vmm::DiskConfig const& disk) {
        return std::ranges::find(unwanted, disk.path) == unwanted.end() || !owns(before.uuid, disk.path)
            || !vmm::existsFile(disk.path) || isNeeded(disk.path);
    });
    if (removed.disks.empty())
        return std::unique_ptr<ImageRemoval>();
    auto const place = fmt::format("{}/trash/{}{}{}", m_root, before.uuid, imagesInfix, vmm::makeUuid());
    return ImageRemoval::prepare(std::move(removed), place, placesOf(before.uuid).timelineFolder);
}

vmm::Result<> MachineStore::restoreImagesFrom(std::string const& trash, std::string const& id)
{
    auto const changing = TRY(lockConfig(id));
    auto config = TRY(load(id)).config;
    auto const lock = TRY(MachineLock::take(placesOf(id).lockFile));
    // What is ended meanwhile would be taken for what is back.
    auto const trashLock = TRY(MachineLock::take(trash + "/machine.lock"));
    auto const removed = TRY(readConfigIn(trash, id));
    std::set<std::string> noBases { "machine.json", "machine.lock" };
    for (auto const& disk : removed.disks)
        noBases.insert(files::path(disk.path).filename().string());
    for (auto disk : removed.disks) {
        auto const from = disk.path;
        auto const name = files::path(from).filename();
        // Cut off, it has not left its machine's directory, or is back there.
        bool const isHere = vmm::existsFile(from);
        disk.path = isHere ? freePath(directoryOf(id), name) : directoryOf(id) + "/" + name.string();
        if (!isHere && !vmm::existsFile(disk.path))
            continue;
        // The configuration comes first, so that the image is nowhere without it. It may have it from a time before.
        if (std::none_of(config.disks.begin(), config.disks.end(),
                [&](vmm::DiskConfig const& one) { return one.path == disk.path; })) {
            if (std::ranges::find(config.disks, disk.id, &vmm::DiskConfig::id) != config.disks.end())
                disk.id = freeDeviceId(config, "disk");
            config.disks.push_back(disk);
            TRY(saveLocked(config, {}, {}));
        }
        TRY(moveAllBut(trash, directoryOf(id), noBases));
        if (isHere)
            TRY(moveDirectory(from, disk.path));
        vmm::ignore(noteBases(placesOf(id).timelineFolder, { disk }));
    }
    removeTree(trash);
    return {};
}

std::uint64_t MachineStore::trashUsage() const
{
    return bytesIn(m_root + "/trash");
}

}
