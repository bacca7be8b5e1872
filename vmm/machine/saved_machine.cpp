#include "vmm/machine/saved_machine.h"

#include "vmm/base/relative_path.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/overlay_files.h"
#include "vmm/config/config_paths.h"
#include "vmm/machine/new_directory.h"
#include "vmm/machine/state_file.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/timeline/timeline.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace vmm {

namespace {

constexpr std::size_t stateLimit = 64u << 20;

Result<std::string> readTextFile(std::string const& path, std::size_t limit)
{
    auto const file = TRY(openRegularFile(path));
    std::string text;
    for (std::string piece(1u << 16, '\0');;) {
        auto const count = ::read(file.get(), piece.data(), piece.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return failOs("cannot read " + path);
        if (count == 0)
            return text;
        text.append(piece, 0, static_cast<std::size_t>(count));
        if (text.size() > limit)
            return fail(ErrorCode::Corrupt, fmt::format("{} is larger than any state can be", path));
    }
}

Result<SavedPart> partFromJson(Json const& json)
{
    if (!json.is_object())
        return fail(ErrorCode::Corrupt, "a part is not an object");
    auto const id = json.find("id");
    if (id == json.end() || !id->is_string())
        return fail(ErrorCode::Corrupt, "a part has no id");
    auto rest = json;
    rest.erase("id");
    auto const& name = id->get_ref<std::string const&>();
    return SavedPart { name, TRY_WITHIN(name, Section::fromJson(rest)) };
}

Result<> checkFormat(Json const& json)
{
    auto const member = [&](char const* name) { return json.is_object() ? json.find(name) : json.end(); };
    auto const format = member("format");
    if (format == json.end() || *format != savedFormatName)
        return fail(ErrorCode::Corrupt, "this is not the state of a machine");
    auto const version = member("formatVersion");
    if (version == json.end() || !version->is_number_unsigned())
        return fail(ErrorCode::Corrupt, "the state has no format version");
    if (version->get<std::uint64_t>() > savedFormatVersion) {
        return fail(ErrorCode::VersionTooNew,
            fmt::format("the state has format version {}, this program reads up to {}", version->get<std::uint64_t>(),
                savedFormatVersion));
    }
    for (auto const& [key, value] : json.items()) {
        if (key != "format" && key != "formatVersion" && key != "header" && key != "config" && key != "parts")
            return fail(ErrorCode::Corrupt, fmt::format("the state has the unknown member \"{}\"", key));
    }
    if (member("header") == json.end() || member("config") == json.end() || member("parts") == json.end())
        return fail(ErrorCode::Corrupt, "the state is not whole");
    return {};
}

void forEachPath(SavedMachine& machine, std::function<void(std::string&)> const& visit)
{
    forEachPath(machine.config, visit);
    for (auto& file : machine.header.files)
        visit(file.path);
}

}

Json savedMachineToJson(SavedMachine const& machine)
{
    auto parts = Json::array();
    for (auto const& part : machine.parts) {
        Json entry = { { "id", part.id } };
        entry.update(part.section.toJson());
        parts.push_back(std::move(entry));
    }
    return { { "format", savedFormatName }, { "formatVersion", savedFormatVersion },
        { "header", state::save(machine.header).toJson() }, { "config", state::save(machine.config).toJson() },
        { "parts", std::move(parts) } };
}

Result<SavedMachine> savedMachineFromJson(Json const& json)
{
    TRY(checkFormat(json));
    SavedMachine machine;
    auto const header = TRY(Section::fromJson(json["header"]));
    machine.header = TRY(state::load<SavedHeader>(header));
    if (machine.header.guestTime < 0 || machine.header.guestTime > maximumGuestTime)
        return fail(ErrorCode::Corrupt, "the machine has not run for as long as the state says");
    auto const config = TRY(Section::fromJson(json["config"]));
    machine.config = TRY(state::load<VmConfig>(config));
    TRY(checkConfig(machine.config));
    auto const& parts = json["parts"];
    if (!parts.is_array() || parts.size() > maximumSavedParts)
        return fail(ErrorCode::Corrupt, "the state has no list of parts");
    std::set<std::string> ids;
    for (auto const& entry : parts) {
        machine.parts.push_back(TRY(partFromJson(entry)));
        if (!ids.insert(machine.parts.back().id).second)
            return fail(ErrorCode::Corrupt, fmt::format("two parts are called {}", machine.parts.back().id));
        TRY(checkPart(machine.parts.back()));
    }
    return machine;
}

std::string savedMachineText(SavedMachine machine, std::string const& folder)
{
    forEachPath(machine, [&](std::string& path) { path = relativePath(path, folder); });
    return state::toText(savedMachineToJson(machine), 1) + "\n";
}

Result<SavedMachine> savedMachineFromText(std::string_view text, std::string const& folder)
{
    auto const json = TRY(state::parseJson(text, stateLimit));
    auto machine = TRY(savedMachineFromJson(json));
    forEachPath(machine, [&](std::string& path) { path = absolutePath(path, folder); });
    return machine;
}

Result<SavedMachine> savedMachineAt(timeline::Timeline const& timeline, std::string_view moment)
{
    return savedMachineFromText(TRY(timeline.state(moment)), timeline.path());
}

Result<SavedMachine> readSavedMachine(std::string const& directory)
{
    TRY(mendSavedMachine(directory));
    auto const path = fmt::format("{}/{}", directory, savedStateName);
    auto const text = TRY(readTextFile(path, stateLimit));
    auto machine = TRY_WITHIN(path, savedMachineFromText(text, directory));
    struct stat status { };
    auto const ram = fmt::format("{}/{}", directory, savedRamName);
    if (::stat(ram.c_str(), &status) != 0)
        return failOs("cannot look at " + ram);
    TRY_WITHIN(ram, checkRamRecord(machine.header.ram, static_cast<std::uint64_t>(status.st_size)));
    return machine;
}

Result<SavedFile> describeFile(std::string id, std::string path)
{
    struct stat status { };
    if (::stat(path.c_str(), &status) != 0)
        return failOs(fmt::format("cannot look at {} of {}", path, id));
    bool const regular = S_ISREG(status.st_mode);
    return SavedFile { std::move(id), std::move(path), regular ? static_cast<std::uint64_t>(status.st_size) : 0,
        regular ? status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec : 0 };
}

Result<> appendFiles(std::string const& id, ImageInfo const& image, bool isKept, std::vector<SavedFile>& files)
{
    if (!isKept)
        files.push_back(TRY(describeFile(id, image.path)));
    for (auto const& below : image.backing)
        TRY(appendFiles(id, below, isCheckpointName(below.path), files));
    return {};
}

Result<> checkFiles(std::vector<SavedFile> const& files)
{
    for (auto const& saved : files) {
        if (TRY(describeFile(saved.id, saved.path)) != saved) {
            return fail(ErrorCode::Corrupt,
                fmt::format("{} ({}) was written to since the machine was suspended", saved.id, saved.path));
        }
    }
    return {};
}

namespace {

/// The name of a new state until it has the old one's.
constexpr std::string_view freshStateName = "state.json.new";

/// Whether a directory is ours to replace: not there, empty, or a saved machine with its companions and nothing else.
Result<> checkReplaceable(std::filesystem::path const& directory)
{
    std::error_code problem;
    auto const status = std::filesystem::symlink_status(directory, problem);
    if (status.type() == std::filesystem::file_type::not_found)
        return {};
    if (status.type() != std::filesystem::file_type::directory)
        return fail(ErrorCode::AlreadyExists,
            fmt::format("{} is no directory; say where else the state may go", directory.string()));
    // In a range-for the steps would throw.
    for (std::filesystem::directory_iterator entry(directory, problem), end; entry != end; entry.increment(problem)) {
        auto const name = entry->path().filename().string();
        if (name != savedStateName && name != savedRamName && name != freshStateName
            && !name.starts_with(savedCompanionPrefix))
            return fail(ErrorCode::AlreadyExists,
                fmt::format("{} holds {}, which is no part of a saved machine; say where else the state may go",
                    directory.string(), name));
    }
    if (problem)
        return fail(ErrorCode::IoError, fmt::format("cannot look into {}: {}", directory.string(), problem.message()));
    return {};
}

std::filesystem::path freshBeside(std::filesystem::path const& directory)
{
    return directory.string() + ".new";
}

/// Where the old state is for the instant between two renames. A name that nobody gives to a copy of his own.
std::filesystem::path replacedBeside(std::filesystem::path const& directory)
{
    return directory.string() + ".being-replaced";
}

bool isWhole(std::filesystem::path const& directory)
{
    std::error_code unknown;
    return std::filesystem::is_regular_file(directory / savedStateName, unknown)
        && std::filesystem::is_regular_file(directory / savedRamName, unknown);
}

bool isThere(std::filesystem::path const& path)
{
    std::error_code unknown;
    return std::filesystem::symlink_status(path, unknown).type() != std::filesystem::file_type::not_found;
}

Result<> renameDirectory(std::filesystem::path const& from, std::filesystem::path const& to)
{
    if (::rename(from.c_str(), to.c_str()) != 0)
        return failOs(fmt::format("cannot rename {} to {}", from.string(), to.string()));
    return {};
}

/// In one step where the file system can exchange two names (not ZFS before 2.2, not NFS).
Result<> exchange(std::filesystem::path const& directory)
{
    auto const fresh = freshBeside(directory);
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, directory.c_str(), RENAME_EXCHANGE) == 0)
        return {};
    if (errno != EINVAL && errno != ENOSYS)
        return failOs("cannot put the new state in place of " + directory.string());
    return exchangeByRenames(directory.string());
}

}

Result<> exchangeByRenames(std::string const& name, unsigned steps)
{
    auto const directory = withoutSlash(name), fresh = freshBeside(directory), aside = replacedBeside(directory);
    auto const lock = TRY(lockParent(directory));
    if (steps > 0)
        TRY(renameDirectory(directory, aside));
    if (steps > 1) {
        if (auto const placed = renameDirectory(fresh, directory); !placed) {
            TRY(renameDirectory(aside, directory));
            return placed;
        }
    }
    if (steps > 2)
        TRY(renameDirectory(aside, fresh));
    return {};
}

Result<> replaceState(std::string const& directory, SavedMachine const& machine)
{
    return replaceFile(fmt::format("{}/{}", directory, savedStateName), bytesOf(savedMachineText(machine, directory)));
}

Result<> mendSavedMachine(std::string const& name)
{
    auto const directory = withoutSlash(name), fresh = freshBeside(directory), aside = replacedBeside(directory);
    if (!isThere(aside))
        return {};
    auto const lock = TRY(lockParent(directory));
    if (!isThere(aside))
        return {};
    TRY(checkReplaceable(aside));
    if (!isThere(directory)) {
        TRY(renameDirectory(isWhole(fresh) ? fresh : aside, directory));
        TRY(syncFolder(directory.string()));
    }
    // The new state is in its place: the old one must not come back when that is used up.
    std::error_code error;
    std::filesystem::remove_all(aside, error);
    if (error)
        return fail(osError("cannot remove " + aside.string(), error.value()));
    return {};
}

bool holdsSavedMachine(std::string const& name)
{
    auto const directory = withoutSlash(name);
    std::error_code unknown;
    if (isThere(directory))
        return std::filesystem::is_regular_file(directory / savedStateName, unknown);
    return isWhole(replacedBeside(directory));
}

Result<> checkStateDirectory(std::string const& directory)
{
    auto const path = withoutSlash(directory);
    TRY(checkReplaceable(path));
    return checkReplaceable(freshBeside(path));
}

Result<> replaceDirectory(std::string const& name, std::function<Result<>(std::string const&)> const& write)
{
    namespace fs = std::filesystem;
    TRY(mendSavedMachine(name));
    TRY(checkStateDirectory(name));
    auto const directory = withoutSlash(name), fresh = freshBeside(directory);
    std::error_code ignored;
    // What an earlier try has left is not whole, or it would have another name; or it is the old state, replaced.
    fs::remove_all(fresh, ignored);
    if (::mkdir(fresh.c_str(), 0700) != 0)
        return failOs("cannot create " + fresh.string());
    auto written = write(fresh.string());
    if (written)
        written = syncFolder(fresh.string() + "/");
    if (!written) {
        fs::remove_all(fresh, ignored);
        return written;
    }
    // rename() also replaces an empty directory; one with an older state in it changes places with the new one.
    auto placed = renameDirectory(fresh, directory);
    bool const hasOlder = !placed && (placed.error().osError == ENOTEMPTY || placed.error().osError == EEXIST);
    if (hasOlder)
        placed = exchange(directory);
    if (!placed) {
        fs::remove_all(fresh, ignored);
        return placed;
    }
    auto const durable = syncFolder(directory.string());
    // Who hears that it failed must not find it later: the machine may have gone on since.
    if (!durable && hasOlder)
        ignore(exchange(directory));
    else if (!durable)
        fs::remove_all(directory, ignored);
    fs::remove_all(fresh, ignored);
    return durable;
}

}
