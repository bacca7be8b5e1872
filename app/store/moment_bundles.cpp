#include "app/store/moment_bundles.h"

#include "app/store/bundle.h"
#include "app/store/disk_images.h"
#include "app/store/scaffold.h"
#include "app/store/whole_file.h"
#include "vmm/base/bytes.h"
#include "vmm/base/random.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/config/config_paths.h"
#include "vmm/machine/board.h"
#include "vmm/machine/forked_machine.h"
#include "vmm/machine/moment_export.h"
#include "vmm/machine/ram_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace app {

namespace {

namespace files = std::filesystem;

constexpr char const* pictureName = "picture.png";

MachineStore::Progress part(MachineStore::Progress const& progress, double from, double to)
{
    return [&progress, from, to](double done) { return !progress || progress(from + done * (to - from)); };
}

/// What the exported form has, the state first and the memory last: what is small comes early.
vmm::Result<std::vector<BundleFile>> filesIn(std::string const& directory)
{
    std::vector<BundleFile> found { { std::string(vmm::savedStateName) } };
    std::set<std::string> others;
    std::error_code error;
    for (files::directory_iterator item(directory, error), end; item != end; item.increment(error)) {
        auto const name = item->path().filename().string();
        if (name != vmm::savedStateName && name != vmm::savedRamName)
            others.insert(name);
    }
    if (error)
        return vmm::fail(vmm::osError("reading " + directory, error.value()));
    for (auto const& name : others)
        found.push_back({ name });
    found.push_back({ std::string(vmm::savedRamName) });
    return found;
}

/// The names of what the machine reads, where nothing of it lies elsewhere.
std::set<std::string> filesOf(vmm::SavedMachine const& saved)
{
    std::set<std::string> wanted { std::string(vmm::savedStateName), std::string(vmm::savedRamName) };
    auto config = saved.config;
    if (config.firmwareVariables == "nvram.fd")
        config.firmwareVariables.clear(); // is made from the memory
    vmm::forEachPath(config, [&](std::string& path) {
        if (!path.empty())
            wanted.insert(path);
    });
    for (auto const& file : saved.header.files)
        wanted.insert(file.path);
    return wanted;
}

/// The bundle has what the state names, and nothing else; and nothing of it takes the place of what is ours in a
/// machine's directory.
vmm::Result<> checkFiles(vmm::SavedMachine const& saved, BundleRecord const& record)
{
    auto wanted = filesOf(saved);
    for (auto const* ours : { "machine.json", "machine.json.lock", "machine.lock", "cpu.json", "state", "timeline",
             "thumbnail.png", "nvram.fd" }) {
        if (wanted.contains(ours))
            return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("no file of a bundle can be called {}", ours));
    }
    for (auto const& file : record.files) {
        if (wanted.erase(file.name) == 0 && file.name != pictureName)
            return vmm::fail(vmm::ErrorCode::Corrupt, fmt::format("the bundle has {}, which nobody wants", file.name));
    }
    if (!wanted.empty())
        return vmm::fail(vmm::ErrorCode::Corrupt,
            fmt::format("the moment's machine wants {}, which is not with it", *wanted.begin()));
    return {};
}

vmm::Result<vmm::SavedMachine> readState(std::string const& text)
{
    auto const json = TRY(vmm::state::parseJson(text));
    return vmm::savedMachineFromJson(json);
}

vmm::Result<> moveFile(std::string const& from, std::string const& to)
{
    if (::rename(from.c_str(), to.c_str()) != 0)
        return vmm::failOs(fmt::format("moving {} to {}", from, to));
    return {};
}

/// Of the memory of a machine that was off only what needs no power counts: its firmware's variables.
vmm::Result<> keepVariables(vmm::SavedMachine const& saved, std::string const& state, std::string const& to)
{
    constexpr std::uint64_t most = 16u << 20, piece = 2u << 20;
    auto file = TRY(vmm::openFile(state + "/" + std::string(vmm::savedRamName), O_RDONLY));
    auto const ram = TRY(vmm::RamFile::open(std::move(file), saved.header.ram));
    for (std::size_t i = 0; i < ram->blocks().size(); ++i) {
        auto const& block = ram->blocks()[i];
        if (block.name != vmm::firmwareVariablesBlock || block.size > most)
            return vmm::fail(vmm::ErrorCode::Corrupt, "the moment is of a machine that is off, and has memory");
        vmm::Bytes bytes(block.size);
        for (std::uint64_t at = 0; at < block.size; at += piece)
            TRY(ram->read(i, at, vmm::ByteSpan(bytes).subspan(at, std::min(piece, block.size - at))));
        TRY(writeWholeFile(to, bytes));
    }
    return {};
}

/// Makes what readBundle() has unpacked into `workplace`/state the machine that will be in `directory`.
vmm::Result<> settle(
    vmm::SavedMachine saved, BundleRecord const& record, std::string const& workplace, std::string const& directory)
{
    auto const state = workplace + "/state";
    for (auto const& file : record.files) {
        if (file.name == vmm::savedStateName || file.name == vmm::savedRamName)
            continue;
        TRY(moveFile(
            state + "/" + file.name, workplace + "/" + (file.name == pictureName ? "thumbnail.png" : file.name)));
    }
    auto const ram = std::ranges::find(record.files, vmm::savedRamName, &BundleFile::name);
    TRY(vmm::checkRamRecord(saved.header.ram, ram->size));
    for (auto& disk : saved.config.disks) {
        auto here = disk;
        here.path = workplace + "/" + disk.path;
        TRY(attachDisk(here)); // what it stands on must be here, too
        disk.format = here.format;
    }
    for (auto& file : saved.header.files) {
        auto const name = file.path;
        file = TRY(vmm::describeFile(file.id, workplace + "/" + name));
        file.path = directory + "/" + name;
    }
    TRY(writeConfig(saved.config, workplace));
    if (saved.parts.empty()) { // it was off, and is so
        if (!saved.config.firmwareVariables.empty())
            TRY(keepVariables(saved, state, workplace + "/" + saved.config.firmwareVariables));
        std::error_code ignored;
        files::remove_all(state, ignored);
        return syncDirectory(workplace);
    }
    vmm::makePathsAbsolute(saved.config, directory);
    auto const text = vmm::savedMachineText(std::move(saved), directory + "/state");
    TRY(writeWholeFile(state + "/" + std::string(vmm::savedStateName), vmm::bytesOf(text)));
    TRY(syncDirectory(state));
    return syncDirectory(workplace);
}

/// As readBundle(), of an exported directory. What else lies there is not looked at.
vmm::Result<BundleRecord> copyDirectory(std::string const& from, std::string const& to, BundleAcceptor const& accept,
    MachineStore::Progress const& progress)
{
    constexpr std::uint64_t stateLimit = 64u << 20;
    auto const text = TRY(readWholeFile(fmt::format("{}/{}", from, vmm::savedStateName), stateLimit));
    auto const named = TRY_WITHIN("the moment's machine", readState(text));
    BundleRecord record;
    double total = 1;
    for (auto const& name : filesOf(named)) {
        struct stat status { };
        auto const path = from + "/" + name;
        if (!isBundleName(name) || ::lstat(path.c_str(), &status) != 0)
            continue;                 // accept() says what is not there
        if (!S_ISREG(status.st_mode)) // nor what a link leads to, which may be anything of this host's
            return vmm::fail(vmm::ErrorCode::Corrupt, path + " is no file");
        record.files.push_back({ name, static_cast<std::uint64_t>(status.st_size) });
        total += static_cast<double>(status.st_size);
    }
    TRY(accept(record, text));
    auto const there = TRY(vmm::savedMachineFromText(text, from));
    TRY(vmm::checkFiles(there.header.files));
    double done = 0;
    for (auto const& file : record.files) {
        auto const share = 0.9 * static_cast<double>(file.size) / total;
        auto const place = to + "/" + file.name;
        TRY(vmm::copyFile(from + "/" + file.name, place, [&](std::uint64_t at, std::uint64_t whole) {
            auto const copied = whole == 0 ? 1 : static_cast<double>(at) / static_cast<double>(whole);
            return !progress || progress(done + share * copied);
        }));
        if (::chmod(place.c_str(), 0600) != 0) // there it may have been for reading only, or for everybody
            return vmm::failOs("changing the permissions of " + place);
        done += share;
    }
    TRY(vmm::checkFiles(there.header.files)); // nobody has written to them meanwhile
    TRY(vmm::verifyRamFile(fmt::format("{}/{}", to, vmm::savedRamName), there.header.ram, part(progress, done, 1)));
    TRY(syncDirectory(to));
    return record;
}

using HostCheck = std::function<vmm::Result<>(vmm::CpuFeatures const&)>;

/// Has `bring` make the exported form's files in the directory that it is told.
vmm::Result<StoredMachine> bringIn(MachineStore& store, std::string const& name, HostCheck const& checkHost,
    std::function<vmm::Result<BundleRecord>(std::string const& state, BundleAcceptor const& accept)> const& bring)
{
    store.sweepHalfMade(); // of an import that was killed there may be much
    auto scaffold
        = TRY(Scaffold::make(fmt::format("{}/{}{}", store.machinesDirectory(), makingPrefix, vmm::makeUuid())));
    auto const state = scaffold.path() + "/state";
    TRY(makeDirectories(state));
    vmm::SavedMachine saved;
    auto const accept = [&](BundleRecord const& record, std::string const& text) -> vmm::Result<> {
        saved = TRY_WITHIN("the moment's machine", readState(text));
        TRY(checkFiles(saved, record));
        return checkHost(saved.header.cpu);
    };
    auto const record = TRY(bring(state, accept));
    auto config = saved.config;
    if (!name.empty())
        config.name = name;
    std::error_code unknown;
    if (files::exists(store.directoryOf(config.uuid), unknown)) {
        config.uuid = vmm::makeUuid();
        for (auto& network : config.networks)
            network.mac = vmm::makeMac();
    }
    auto const id = config.uuid;
    TRY(vmm::changeIdentity(saved, std::move(config)));
    TRY(settle(std::move(saved), record, scaffold.path(), store.directoryOf(id)));
    return adopt(store, std::move(scaffold), id);
}

/// Removed when it goes, unless it was kept.
struct NewFile {
    std::string path;
    bool isKept = false;
    ~NewFile()
    {
        if (!isKept)
            ::unlink(path.c_str());
    }
};

}

vmm::Result<> exportBundle(MachineStore const& store, std::shared_ptr<vmm::timeline::Timeline const> const& timeline,
    std::string const& moment, int descriptor, MachineStore::Progress const& progress)
{
    auto const known = TRY(timeline->moment(moment));
    auto const saved = TRY(vmm::savedMachineAt(*timeline, moment));
    auto const picture = TRY(timeline->picture(moment));
    auto const scaffold
        = TRY(Scaffold::make(fmt::format("{}/{}{}", store.machinesDirectory(), makingPrefix, vmm::makeUuid())));
    auto const directory = scaffold.path() + "/state";
    TRY(vmm::exportMoment(timeline, moment, directory, vmm::ExportFiles::All, part(progress, 0, 0.5)));
    // From here on it is all in the store, and the moment may go.
    if (!picture.empty())
        TRY(writeWholeFile(directory + "/" + pictureName, picture, Durable::No));
    BundleRecord record { .program = saved.header.program,
        .machine = saved.config.name,
        .moment = known.id,
        .name = known.name,
        .note = known.note,
        .time = known.time,
        .files = TRY(filesIn(directory)) };
    return writeBundle(directory, std::move(record), descriptor, part(progress, 0.5, 1));
}

vmm::Result<> exportBundleFile(MachineStore const& store,
    std::shared_ptr<vmm::timeline::Timeline const> const& timeline, std::string const& moment, std::string const& path,
    MachineStore::Progress const& progress)
{
    if (::access(path.c_str(), F_OK) == 0)
        return vmm::fail(vmm::ErrorCode::AlreadyExists, path + " is there already");
    NewFile fresh { fmt::format("{}.{}.part", path, vmm::makeUuid()) };
    auto const file = TRY(vmm::openFile(fresh.path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    TRY(exportBundle(store, timeline, moment, file.get(), progress));
    if (::fsync(file.get()) != 0)
        return vmm::failOs("cannot write " + path + " to the disk");
    TRY(moveDirectory(fresh.path, path));
    fresh.path = path;
    auto const folder = files::path(path).parent_path().string();
    TRY(syncDirectory(folder.empty() ? "." : folder));
    fresh.isKept = true;
    return {};
}

vmm::Result<StoredMachine> importBundle(MachineStore& store, int descriptor, std::string const& name,
    std::function<vmm::Result<>(vmm::CpuFeatures const&)> const& checkHost, MachineStore::Progress const& progress)
{
    return bringIn(store, name, checkHost, [&](std::string const& state, BundleAcceptor const& accept) {
        return readBundle(descriptor, state, accept, progress);
    });
}

vmm::Result<StoredMachine> importFrom(MachineStore& store, std::string const& path, std::string const& name,
    std::function<vmm::Result<>(vmm::CpuFeatures const&)> const& checkHost, MachineStore::Progress const& progress)
{
    std::error_code unknown;
    auto directory = files::path(path);
    if (!files::is_directory(directory, unknown)) {
        if (directory.filename() != vmm::savedStateName) {
            auto const file = TRY(vmm::openFile(path, O_RDONLY));
            return importBundle(store, file.get(), name, checkHost, progress);
        }
        directory = files::absolute(directory, unknown).parent_path();
    }
    return bringIn(store, name, checkHost, [&](std::string const& state, BundleAcceptor const& accept) {
        return copyDirectory(directory.string(), state, accept, progress);
    });
}

}
