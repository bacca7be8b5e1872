#pragma once

#include "vmm/block/image.h"
#include "vmm/config/vm_config.h"
#include "vmm/kvm/cpu_model.h"
#include "vmm/machine/ram_file.h"
#include "vmm/state/section.h"

/// A suspended machine on disk: a directory with the files "state.json" and "ram". All that is needed to bring it back
/// is in there, except for its disks, which are named.
namespace vmm {

namespace timeline {
class Timeline;
}

/// A file that the machine goes on using, as it was when the machine stood still. One that is not as it was any more
/// does not fit the saved memory.
struct SavedFile {
    std::string id, path;
    std::uint64_t size = 0;    ///< bytes
    std::int64_t modified = 0; ///< ns since 1970
    bool operator==(SavedFile const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { maximumId });
        v.field("path", s.path, state::Max { maximumPath });
        v.field("size", s.size);
        v.field("modified", s.modified);
    }
};

/// What a guest has asked of its board and was not done before the machine stood still.
enum class GuestRequest : std::uint8_t { None, Reset, PowerOff };
constexpr auto stateNames(GuestRequest)
{
    return std::to_array<std::string_view>({ "none", "reset", "power-off" });
}

struct SavedHeader {
    static constexpr std::string_view kind = "saved-machine";
    static constexpr unsigned version = 1;

    std::string program;        ///< what wrote it, for people
    std::uint64_t savedAt = 0;  ///< ns since 1970
    std::int64_t guestTime = 0; ///< ns since the machine was powered on
    GuestRequest requested = GuestRequest::None;
    CpuFeatures cpu;
    RamFileRecord ram;
    std::vector<SavedFile> files;
    bool operator==(SavedHeader const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("program", s.program, state::Max { 256 });
        v.field("savedAt", s.savedAt);
        v.field("guestTime", s.guestTime);
        v.field("requested", s.requested, state::Optional {});
        v.field("cpu", s.cpu);
        v.field("ram", s.ram);
        v.field("files", s.files, state::Max { 4 * maximumDevices });
    }
};

/// One device's state under the id that it keeps for life.
struct SavedPart {
    std::string id;
    Section section;
};

struct SavedMachine {
    SavedHeader header;
    VmConfig config;
    std::vector<SavedPart> parts;
};

/// What the state's JSON says of itself, beside "header", "config" and "parts".
constexpr std::string_view savedFormatName = "chronovisor-machine-state";
constexpr unsigned savedFormatVersion = 1;
constexpr std::size_t maximumSavedParts = 1024;
/// 73 years: timers that are due later than that can be added to it.
constexpr std::int64_t maximumGuestTime = std::int64_t(1) << 61;

/// The names of the two files in the directory.
constexpr std::string_view savedStateName = "state.json", savedRamName = "ram";
/// How the names of files begin that a program may lay beside them for people (what a terminal showed). They are no
/// part of the machine, are never read here, and go with the directory when it is replaced.
constexpr std::string_view savedCompanionPrefix = "terminal-";

/// Whether the state of a part is one of a kind that we know, whole and within its bounds.
Result<> checkPart(SavedPart const& part);
/// The same, as this version of its kind has it.
Result<Section> currentSection(SavedPart const& part);

Json savedMachineToJson(SavedMachine const& machine);
Result<SavedMachine> savedMachineFromJson(Json const& json);

/// A state as a file of `folder` has it: with what lies around that folder named from there (relativePath()).
std::string savedMachineText(SavedMachine machine, std::string const& folder);
/// What such a file says; relative paths begin in `folder`.
Result<SavedMachine> savedMachineFromText(std::string_view text, std::string const& folder);

/// What the machine was at a moment, checked as a whole. Its memory is the timeline's.
Result<SavedMachine> savedMachineAt(timeline::Timeline const& timeline, std::string_view moment);

/// Reads and checks the state, and that the memory file is there and fits. First it mends what a replaceDirectory()
/// that was cut off has left; touches nothing else.
Result<SavedMachine> readSavedMachine(std::string const& directory);

/// What the file is now; for a block device the modification time says nothing and is 0.
Result<SavedFile> describeFile(std::string id, std::string path);
/// Appends the files of an image; but for its own, where that `isKept` otherwise. What it stands on as a moment's
/// overlay is the timeline's, and may be replaced by what reads the same.
Result<> appendFiles(std::string const& id, ImageInfo const& image, bool isKept, std::vector<SavedFile>& files);
/// Refuses when a file is gone or was written to since.
Result<> checkFiles(std::vector<SavedFile> const& files);

/// Refuses a directory that replaceDirectory() must not replace: one that holds anything but a saved machine.
Result<> checkStateDirectory(std::string const& directory);

/// Whether there is a saved machine, at its place or where replaceDirectory() was cut off. Only looks.
bool holdsSavedMachine(std::string const& directory);

/// Makes `directory` hold a new state whole: either what was there before or the new one is there, also after a crash
/// at any instant. `write` fills a fresh directory beside it.
Result<> replaceDirectory(std::string const& directory, std::function<Result<>(std::string const& fresh)> const& write);

/// How replaceDirectory() does without the exchange of two names, which not every file system has: three renames, after
/// each of which mendSavedMachine() finds what is whole. `steps`: for tests, which stop before the end.
Result<> exchangeByRenames(std::string const& directory, unsigned steps = 3);
/// Brings a replacement that was cut off to its end, or back to its beginning. Whoever reads or replaces a state does
/// it first.
Result<> mendSavedMachine(std::string const& directory);

}
