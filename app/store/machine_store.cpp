#include "app/store/machine_store.h"

#include "app/store/cpu_file.h"
#include "app/store/disk_images.h"
#include "app/store/file_lock.h"
#include "app/store/image_bases.h"
#include "app/store/image_removal.h"
#include "app/store/machine_directory.h"
#include "app/store/own_usb.h"
#include "app/store/scaffold.h"
#include "app/store/whole_file.h"
#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/overlay_files.h"
#include "vmm/config/config_paths.h"
#include "vmm/machine/forked_machine.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/past_disk.h"
#include "vmm/machine/saved_machine.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace app {

namespace files = std::filesystem;

namespace {

/// Removes the files it names when it goes.
struct Leftovers {
    std::vector<std::string> paths;
    ~Leftovers()
    {
        for (auto const& path : paths)
            ::unlink(path.c_str());
    }
};

template<typename Config>
auto* diskOf(Config& config, std::string const& id)
{
    auto const disk = std::find_if(
        config.disks.begin(), config.disks.end(), [&](vmm::DiskConfig const& one) { return one.id == id; });
    return disk == config.disks.end() ? nullptr : &*disk;
}

/// As a person has set it.
vmm::Result<> checkSet(vmm::VmConfig const& config)
{
    TRY(vmm::checkConfig(config));
    for (auto const& network : config.networks) {
        for (auto const& forward : network.forwards)
            TRY_WITHIN(network.id, vmm::checkHostAddress(forward));
    }
    return {};
}

/// What only the host cannot read just now is neither away nor damaged: nothing takes its place.
bool isOutOfReach(vmm::Error const& error)
{
    return error.osError != 0 && error.code != vmm::ErrorCode::NotFound;
}

/// A disk that a moment has made qcow2 is still said to be raw: one that goes into the file below it is raw again.
vmm::Result<> keepWrittenFormats(vmm::VmConfig& config, vmm::VmConfig const& written)
{
    for (auto& disk : config.disks) {
        auto const* old = diskOf(written, disk.id);
        if (old && old->path == disk.path && old->format != disk.format && TRY(vmm::readFormatNow(*old)) == disk.format)
            disk.format = old->format;
    }
    return {};
}

/// The machine as it was where that is damaged, as far as images of it are to go: what they are they must say.
vmm::VmConfig presumed(vmm::VmConfig const& config, std::vector<std::string> const& images)
{
    vmm::VmConfig before;
    before.uuid = config.uuid;
    before.name = config.name;
    for (auto const& image : images) {
        auto const id = freeDeviceId(before, "disk");
        before.disks.emplace_back().id = id;
        before.disks.back().path = image;
    }
    return before;
}

/// Gives a disk that is to be made its place in the machine's directory, under a name that nothing has there.
vmm::Result<> placeNewDisk(vmm::VmConfig& config, NewDisk const& made, std::string const& directory)
{
    auto* disk = diskOf(config, made.id);
    if (disk == nullptr)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("the new disk {} has no drive", made.id));
    disk->format = made.format;
    disk->path = freePath(directory, made.id + (made.format == DiskFormat::Qcow2 ? ".qcow2" : ".img"));
    return {};
}

void fillIn(vmm::VmConfig& config)
{
    if (config.uuid.empty())
        config.uuid = vmm::makeUuid();
    for (auto& network : config.networks) {
        if (network.mac.empty())
            network.mac = vmm::makeMac();
    }
}

/// For a copy: what no two machines have alike is made up anew.
void takeIdentity(vmm::VmConfig& config, std::string const& name)
{
    config.name = name;
    config.uuid.clear();
    for (auto& network : config.networks)
        network.mac.clear();
    fillIn(config);
}

/// The moment, while the machine may go on in another process; NotFound where there is none.
vmm::Result<std::unique_ptr<vmm::timeline::Timeline>> lookAtTimeline(std::string const& path)
{
    if (::access(path.c_str(), F_OK) != 0)
        return vmm::fail(vmm::ErrorCode::NotFound, "the machine has no moments");
    return vmm::timeline::Timeline::open(
        TRY(vmm::timeline::openFolder(path)), vmm::timeline::Timeline::Access::ReadOnly);
}

/// Which files of a machine's directory `from` its fork in `to` gets as they are: all that it reads and nobody writes.
vmm::Result<> copyCompanions(
    vmm::VmConfig config, std::string const& from, std::string const& to, std::function<bool(double)> const& goOn)
{
    std::erase_if(config.disks, vmm::followsMoments);
    std::set<std::string> files;
    forEachPath(config, [&](std::string& path) {
        if (isWithin(path, from) && ::access(path.c_str(), F_OK) == 0)
            files.insert(path.substr(from.size() + 1));
    });
    for (auto const& file : files) {
        auto const place = files::path(to + "/" + file).parent_path();
        TRY(makeDirectories(place));
        TRY(copySparse(from + "/" + file, to + "/" + file, goOn));
        TRY(syncDirectory(place));
    }
    return {};
}

/// The same files in another directory, as they are there.
vmm::Result<> moveSavedFiles(std::vector<vmm::SavedFile>& files, std::string const& from, std::string const& to)
{
    for (auto& file : files) {
        if (isWithin(file.path, from))
            file = TRY(vmm::describeFile(file.id, to + file.path.substr(from.size())));
    }
    return {};
}

}

MachineStore::MachineStore(std::string root) : m_root(std::move(root)) { }

std::string MachineStore::defaultRoot()
{
    if (auto const* data = std::getenv("XDG_DATA_HOME"); data != nullptr && data[0] == '/')
        return std::string(data) + "/chronovisor";
    auto const* home = std::getenv("HOME");
    return std::string(home != nullptr ? home : "/tmp") + "/.local/share/chronovisor";
}

std::string MachineStore::directoryOf(std::string const& id) const
{
    return machinesDirectory() + "/" + id;
}

MachinePlaces MachineStore::placesOf(std::string const& id) const
{
    auto const directory = directoryOf(id);
    return { .stateDirectory = directory + "/state",
        .lockFile = directory + "/machine.lock",
        .timelineFolder = directory + "/timeline",
        .cpuFile = directory + "/cpu.json",
        .libraryRoot = m_root };
}

std::vector<StoredMachine> MachineStore::list() const
{
    std::vector<StoredMachine> machines;
    std::error_code error;
    for (files::directory_iterator item(machinesDirectory(), error), end; item != end; item.increment(error)) {
        auto const id = item->path().filename().string();
        if (!isMachineId(id))
            continue;
        if (auto machine = load(id)) {
            machines.push_back(std::move(*machine));
        } else if (machine.error().code != vmm::ErrorCode::NotFound) {
            StoredMachine broken { id, directoryOf(id), {}, machine.error(), false, {} };
            broken.config.uuid = id;
            broken.config.name = id;
            machines.push_back(std::move(broken));
        }
    }
    std::sort(machines.begin(), machines.end(), [](StoredMachine const& left, StoredMachine const& right) {
        return std::tie(left.config.name, left.id) < std::tie(right.config.name, right.id);
    });
    return machines;
}

vmm::Result<StoredMachine> MachineStore::load(std::string const& id) const
{
    if (!isMachineId(id))
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("\"{}\" is no machine's uuid", id));
    auto const directory = directoryOf(id);
    auto config = TRY(readConfigIn(directory, id));
    auto const places = placesOf(id);
    auto const going = momentOnTheWay(places.timelineFolder);
    bool const isSuspended = vmm::holdsSavedMachine(places.stateDirectory) || (going && !going->empty());
    return StoredMachine { id, directory, std::move(config), {}, isSuspended, MachineLock::owner(places.lockFile) };
}

vmm::Result<StoredMachine> MachineStore::find(std::string const& nameOrId) const
{
    if (isMachineId(nameOrId)) {
        if (auto machine = load(nameOrId))
            return machine;
    }
    std::vector<StoredMachine> named, begun;
    for (auto& machine : list()) {
        if (machine.config.name == nameOrId)
            named.push_back(std::move(machine));
        else if (nameOrId.size() >= 4 && machine.id.starts_with(nameOrId))
            begun.push_back(std::move(machine));
    }
    auto& found = named.empty() ? begun : named;
    if (found.empty())
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no machine called {}", nameOrId));
    if (found.size() > 1) {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("{} machines are called {}; name one by its uuid", found.size(), nameOrId));
    }
    if (found.front().problem)
        return vmm::fail(*found.front().problem);
    return std::move(found.front());
}

vmm::Result<StoredMachine> MachineStore::create(MachineRequest request)
{
    auto& config = request.config;
    fillIn(config);
    auto const directory = directoryOf(config.uuid);
    if (config.firmware == vmm::Firmware::Ovmf)
        config.firmwareVariables = directory + "/nvram.fd";
    for (auto const& made : request.newDisks)
        TRY(placeNewDisk(config, made, directory));
    TRY(checkSet(config));
    for (auto& disk : config.disks)
        TRY(attachDisk(disk));

    // Put together under another name: a list never shows half a machine.
    auto const workplace = fmt::format("{}/{}{}", machinesDirectory(), makingPrefix, config.uuid);
    auto scaffold = TRY(Scaffold::make(workplace));
    for (auto const& made : request.newDisks) {
        auto const name = files::path(diskOf(config, made.id)->path).filename().string();
        TRY(makeDiskImage(workplace + "/" + name, made.format, made.bytes));
    }
    auto stored = config;
    makePathsRelative(stored, directory);
    TRY(writeConfig(stored, workplace));
    return adopt(*this, std::move(scaffold), config.uuid);
}

vmm::Result<std::string> MachineStore::save(
    vmm::VmConfig config, std::vector<NewDisk> const& newDisks, std::vector<std::string> const& unwanted)
{
    auto const lock = TRY(lockConfig(config.uuid));
    return saveLocked(std::move(config), newDisks, unwanted);
}

vmm::Result<vmm::UniqueFd> MachineStore::lockConfig(std::string const& id) const
{
    std::error_code unknown;
    auto const directory = directoryOf(id);
    if (!isMachineId(id) || !files::is_directory(directory, unknown))
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no machine {}", id));
    return lockForChange(directory + "/machine.json");
}

vmm::Result<std::string> MachineStore::saveLocked(
    vmm::VmConfig config, std::vector<NewDisk> const& newDisks, std::vector<std::string> const& unwanted)
{
    // Names that are free: an image that a person has kept may lie there.
    for (auto const& made : newDisks)
        TRY(placeNewDisk(config, made, directoryOf(config.uuid)));
    TRY(checkSet(config));
    auto const before = load(config.uuid);
    if (!before && isOutOfReach(before.error()))
        return vmm::fail(before.error());
    for (auto& disk : config.disks) {
        auto const* old = before ? diskOf(before->config, disk.id) : nullptr;
        if (!old || !disk.format || old->path != disk.path || old->format != disk.format
            || old->backing != disk.backing)
            TRY(attachDisk(disk));
    }
    auto const owner = MachineLock::owner(placesOf(config.uuid).lockFile);
    if (owner && *owner != ::getpid()) {
        return vmm::fail(vmm::ErrorCode::Busy, fmt::format("process {} has {} in memory", *owner, config.name));
    }
    auto const directory = directoryOf(config.uuid);
    // Images come and go only while nobody has the machine in memory, nor takes it there.
    std::optional<MachineLock> lock;
    if (!newDisks.empty() || !unwanted.empty())
        lock = TRY(MachineLock::take(placesOf(config.uuid).lockFile));
    Leftovers leftovers;
    for (auto const& made : newDisks) {
        auto const& path = diskOf(config, made.id)->path;
        TRY(makeDiskImage(path, made.format, made.bytes));
        leftovers.paths.push_back(path);
    }
    auto const removal = TRY(prepareRemoval(before ? before->config : presumed(config, unwanted), config, unwanted));
    auto const written = readWrittenConfig(directory, config.uuid);
    if (!written && isOutOfReach(written.error()))
        return vmm::fail(written.error());
    if (written)
        TRY(keepWrittenFormats(config, *written));
    TRY(writeConfig(config, directory));
    if (auto const removed = removal ? removal->carryOut() : vmm::Result<>(); !removed) {
        vmm::ignore(written ? writeConfig(*written, directory) : vmm::fail(written.error()));
        return vmm::fail(removed.error());
    }
    leftovers.paths.clear();
    if (before && before->config.cpuModel != config.cpuModel) {
        // Another model is another CPU, and one that comes back is made anew; unless a moment has brought it along.
        auto const path = placesOf(config.uuid).cpuFile;
        auto const cpu = readCpuFile(path);
        if (!cpu || (*cpu && (*cpu)->model != config.cpuModel))
            TRY(removeCpuFile(path));
    }
    if (!removal)
        return std::string();
    // What cannot go stays noted, and is no reason to say that the images have not gone.
    if (auto const now = load(config.uuid); now && removal->areWhole())
        vmm::ignore(removeUnneededBases(placesOf(config.uuid).timelineFolder, now->config));
    return files::path(removal->place()).filename().string();
}

bool MachineStore::owns(std::string const& id, std::string const& path) const
{
    return isWithin(files::path(path).lexically_normal(), directoryOf(id));
}

vmm::Result<> MachineStore::changeIfPossible(
    std::string const& id, std::function<vmm::Result<>(vmm::VmConfig&)> const& change)
{
    auto const lock = TRY(lockConfig(id));
    auto machine = TRY(load(id));
    auto const before = machine.config;
    TRY(change(machine.config));
    if (machine.config == before)
        return {};
    TRY(saveLocked(std::move(machine.config), {}, {}));
    return {};
}

vmm::Result<> MachineStore::change(std::string const& id, std::function<void(vmm::VmConfig&)> const& change)
{
    return changeIfPossible(id, [&](vmm::VmConfig& config) {
        change(config);
        return vmm::Result<>();
    });
}

vmm::Result<> MachineStore::rename(std::string const& id, std::string const& name)
{
    return change(id, [&](vmm::VmConfig& config) { config.name = name; });
}

vmm::Result<bool> MachineStore::renewCpu(std::string const& id)
{
    TRY(load(id)); // or there is nothing to lock
    auto const places = placesOf(id);
    auto const lock = TRY(MachineLock::take(places.lockFile));
    auto const machine = TRY(load(id));
    if (machine.isSuspended) {
        return vmm::fail(vmm::ErrorCode::NotNow,
            fmt::format("{} is suspended: its guest goes on with the CPU that it has", machine.config.name));
    }
    return removeCpuFile(places.cpuFile);
}

vmm::Result<> MachineStore::keepMedium(std::string const& id, std::string const& drive, std::string const& path)
{
    return change(id, [&](vmm::VmConfig& config) {
        for (auto& cd : config.cds) {
            if (cd.id == drive)
                cd.path = path;
        }
    });
}

vmm::Result<> MachineStore::keepNetwork(std::string const& id, vmm::NetworkConfig const& kept)
{
    return change(id, [&](vmm::VmConfig& config) {
        for (auto& network : config.networks) {
            if (network.id != kept.id)
                continue;
            network.connected = kept.connected;
            network.forwards = kept.forwards;
        }
    });
}

vmm::Result<> MachineStore::keepPlugged(std::string const& id, std::string const& device, bool plugged)
{
    return change(id, [&](vmm::VmConfig& config) {
        if (auto* const mark = vmm::pluggedMark(config, device))
            *mark = plugged;
    });
}

vmm::Result<> MachineStore::keepUsbAdded(std::string const& id, vmm::UsbAddition const& device)
{
    return changeIfPossible(id, [&](vmm::VmConfig& config) { return adoptUsb(config, device); });
}

vmm::Result<> MachineStore::keepUsbRemoved(std::string const& id, std::string const& device)
{
    return changeIfPossible(id, [&](vmm::VmConfig& config) {
        return vmm::pluggedMark(config, device) != nullptr ? vmm::removeUsb(config, device) : vmm::Result<>();
    });
}

vmm::Result<> MachineStore::keepConfig(vmm::VmConfig const& kept)
{
    return change(kept.uuid, [&](vmm::VmConfig& config) {
        auto const name = config.name, notes = config.notes;
        config = kept;
        config.name = name;
        config.notes = notes;
    });
}

vmm::Result<> MachineStore::keepFormats(std::string const& id, std::vector<vmm::DiskConfig> const& found)
{
    return change(id, [&](vmm::VmConfig& config) {
        for (auto const& disk : found)
            keepFormat(config, disk);
    });
}

vmm::Result<StoredMachine> MachineStore::clone(std::string const& id, std::string const& name, Progress progress)
{
    auto source = TRY(load(id));
    // Held while its disks are copied, so that nobody starts it meanwhile.
    auto const lock = TRY(MachineLock::take(placesOf(id).lockFile));
    if (auto const going = momentOnTheWay(placesOf(id).timelineFolder); going && !going->empty())
        return vmm::fail(vmm::ErrorCode::NotNow, "its disks are on their way to a moment; start it first");
    findFormats(source.config.disks);
    for (auto& disk : source.config.disks)
        disk.format = TRY(vmm::readFormatNow(disk)); // or what it stands on would not come along
    auto config = source.config;
    takeIdentity(config, name);
    auto const workplace = fmt::format("{}/{}{}", machinesDirectory(), makingPrefix, config.uuid);
    auto scaffold = TRY(Scaffold::make(workplace));

    std::vector<std::string> copied;
    for (auto& disk : config.disks) {
        if (isWithin(disk.path, source.directory))
            copied.push_back(disk.path.substr(source.directory.size() + 1));
        else if (!disk.readOnly)
            return vmm::fail(vmm::ErrorCode::Unsupported,
                fmt::format("{} is the image {}, which two machines cannot both write to", disk.id, disk.path));
    }
    if (isWithin(config.firmwareVariables, source.directory) && ::access(config.firmwareVariables.c_str(), F_OK) == 0)
        copied.push_back(config.firmwareVariables.substr(source.directory.size() + 1));
    // What is installed on its disks was made for that.
    if (auto const cpuFile = placesOf(id).cpuFile; ::access(cpuFile.c_str(), F_OK) == 0)
        copied.push_back(cpuFile.substr(source.directory.size() + 1));
    std::vector<double> sizes;
    double total = 0, done = 0;
    for (auto const& file : copied) {
        struct stat status { };
        sizes.push_back(::stat((source.directory + "/" + file).c_str(), &status) == 0 ? double(status.st_size) : 0);
        total += sizes.back();
    }
    for (std::size_t i = 0; i < copied.size(); ++i) {
        auto const place = files::path(workplace + "/" + copied[i]).parent_path();
        TRY(makeDirectories(place));
        TRY(copySparse(source.directory + "/" + copied[i], workplace + "/" + copied[i],
            [&](double part) { return !progress || progress(total > 0 ? (done + part * sizes[i]) / total : 1); }));
        TRY(syncDirectory(place));
        done += sizes[i];
    }
    for (auto const& disk : source.config.disks) {
        // Where moments have made it an overlay, both stand on the same files, which nobody writes to.
        if (disk.format == DiskFormat::Qcow2 && isWithin(disk.path, source.directory)) {
            auto const folder = vmm::folderOf(disk.path);
            auto const goOn = [&](std::uint64_t, std::uint64_t) { return !progress || progress(1); };
            TRY_WITHIN(
                disk.id, vmm::shareBases(disk.path, folder, workplace + folder.substr(source.directory.size()), goOn));
        }
    }
    if (progress && !progress(1))
        return vmm::fail(vmm::ErrorCode::Cancelled, "copying the machine was cancelled");
    makePathsRelative(config, source.directory);
    auto placed = config;
    makePathsAbsolute(placed, workplace);
    std::erase_if(placed.disks, [&](vmm::DiskConfig const& disk) { return !isWithin(disk.path, workplace); });
    TRY(noteBases(workplace + "/timeline", placed.disks));
    TRY(vmm::checkConfig(config));
    TRY(writeConfig(config, workplace));
    return adopt(*this, std::move(scaffold), config.uuid);
}

vmm::Result<StoredMachine> MachineStore::fork(
    std::string const& id, std::string const& moment, std::string const& name, Progress const& progress)
{
    auto const source = directoryOf(TRY(load(id)).id);
    auto const timeline = TRY(lookAtTimeline(placesOf(id).timelineFolder));
    auto const from = TRY(timeline->moment(moment));
    auto saved = TRY_WITHIN("the moment", vmm::savedMachineAt(*timeline, moment));
    TRY(vmm::checkFiles(saved.header.files));
    auto const original = saved.config;
    auto config = original;
    takeIdentity(config, name);
    auto const workplace = fmt::format("{}/{}{}", machinesDirectory(), makingPrefix, config.uuid);
    auto scaffold = TRY(Scaffold::make(workplace));

    auto const goOn = [&](double part) { return !progress || progress(part); };
    TRY(copyCompanions(original, source, workplace, [&](double) { return goOn(0); }));
    auto const as = vmm::makeUuid();
    for (auto& disk : config.disks) {
        if (vmm::followsMoments(disk))
            disk.path = fmt::format("{}/{}.{}", workplace, disk.id, disk.format == DiskFormat::Raw ? "img" : "qcow2");
    }
    if (!config.firmwareVariables.empty() && !isWithin(config.firmwareVariables, source))
        config.firmwareVariables = workplace + "/nvram.fd"; // which is made from the memory at the first start
    auto const disks = TRY(vmm::forkDisks(original, from, config, as, [&](double part) { return goOn(0.9 * part); }));
    TRY(syncDirectory(workplace));
    // What is written names it all from where it is, for the directory is called otherwise when it is whole.
    makePathsRelative(config, source);
    makePathsAbsolute(config, workplace);

    std::erase_if(saved.header.files, [&](vmm::SavedFile const& file) {
        auto const* disk = diskOf(config, file.id);
        return disk != nullptr && vmm::followsMoments(*disk);
    });
    TRY(moveSavedFiles(saved.header.files, source, workplace));
    TRY(vmm::changeIdentity(saved, config));
    auto const into = TRY(vmm::timeline::openFolder(workplace + "/timeline"));
    auto const state = vmm::savedMachineText(std::move(saved), into->path());
    TRY(timeline->fork(
        moment, as, state, *into,
        [&](std::uint64_t done, std::uint64_t total) { return goOn(0.9 + 0.1 * double(done) / double(total)); },
        disks));
    if (auto const picture = timeline->picture(moment); picture && !picture->empty())
        vmm::ignore(writeWholeFile(workplace + "/thumbnail.png", *picture, Durable::No));
    if (!goOn(1))
        return vmm::fail(vmm::ErrorCode::Cancelled, "making another machine was cancelled");
    // What was read belonged to the moment for as long as there was one.
    if (timeline->isGone(moment))
        return vmm::fail(vmm::ErrorCode::NotFound, "the moment was deleted while a machine was made from it");
    TRY(writeConfig(config, workplace));
    return adopt(*this, std::move(scaffold), config.uuid);
}

void MachineStore::sweepHalfMade()
{
    std::error_code error;
    for (files::directory_iterator item(machinesDirectory(), error), end; item != end; item.increment(error)) {
        struct stat status { };
        // What is younger than a minute may be about to be locked.
        if (!item->path().filename().string().starts_with(makingPrefix) || ::stat(item->path().c_str(), &status) != 0
            || std::time(nullptr) - status.st_mtime < 60)
            continue;
        if (auto const lock = MachineLock::take(item->path().string() + "/machine.lock"))
            removeTree(item->path());
    }
}

std::uint64_t MachineStore::diskUsage(std::string const& id) const
{
    return bytesIn(directoryOf(id));
}

std::string freeDeviceId(vmm::VmConfig const& config, std::string_view prefix)
{
    std::vector<std::string> taken;
    auto const take = [&](auto const& devices) {
        for (auto const& device : devices)
            taken.push_back(device.id);
    };
    take(config.disks);
    take(config.cds);
    take(config.networks);
    take(config.serials);
    take(config.displays);
    take(config.usbControllers);
    take(config.usbDevices);
    for (unsigned number = 0;; ++number) {
        auto id = fmt::format("{}{}", prefix, number);
        if (std::find(taken.begin(), taken.end(), id) == taken.end())
            return id;
    }
}

vmm::UsbControllerConfig newUsbController(vmm::VmConfig const& config)
{
    return { freeDeviceId(config, "usb"), vmm::mostUsbConnectors };
}

std::string freeUsbController(vmm::VmConfig& config)
{
    std::map<std::string, std::size_t> used;
    for (auto const& device : config.usbDevices)
        ++used[device.parent];
    std::size_t sticks = 0;
    for (auto const& disk : config.disks) {
        if (vmm::isUsb(disk.bus))
            ++(disk.parent.empty() ? sticks : used[disk.parent]);
    }
    for (auto const& controller : config.usbControllers) {
        // Sticks take the connectors that are left, beginning with the first controller's.
        auto const taken = used[controller.id] + (&controller == config.usbControllers.data() ? used[""] : 0);
        auto const left = controller.connectors - std::min<std::size_t>(taken, controller.connectors);
        if (sticks < left)
            return controller.id;
        sticks -= left;
    }
    return config.usbControllers.emplace_back(newUsbController(config)).id;
}

}
