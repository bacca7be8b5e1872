#pragma once

#include "vmm/base/result.h"
#include "vmm/state/options.h"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// A moment as one file that moves between hosts: a POSIX tar archive (pax, with holes as GNU tar has them), compressed
/// with zstd, so that `tar -xf` reads it wherever there is no Chronovisor. In this order:
///
/// name           | what
/// -------------- | -------------------------------------------------------------------------------------------
/// bundle.json    | BundleRecord: what it is, and which files follow, how long each
/// state.json     | the machine's state, with paths relative to the bundle (vmm/machine/saved_machine.h)
/// others         | the disks, media, kernel … that the state names, its memory ("ram"), maybe its picture
/// checksums.json | BundleEnd: XXH3-128 of each file before; what does not have it was cut off
namespace app {

struct BundleFile {
    std::string name;       ///< letters, digits, and of ".-_" what does not begin it
    std::uint64_t size = 0; ///< bytes, holes too
    bool operator==(BundleFile const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("name", s.name, vmm::state::Max { 100 });
        v.field("size", s.size, vmm::state::Range { 0, std::uint64_t(1) << 46 });
    }
};

struct BundleRecord {
    static constexpr std::string_view kind = "bundle";
    static constexpr unsigned version = 1;

    std::string program;                     ///< what wrote it, for people
    std::string machine, moment, name, note; ///< the machine's name, and the moment's id and what it is called
    std::uint64_t time = 0;                  ///< of the moment, ns since 1970
    std::vector<BundleFile> files;           ///< all that follow but the last, "state.json" first
    bool operator==(BundleRecord const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("program", s.program, vmm::state::Max { 256 });
        v.field("machine", s.machine, vmm::state::Max { 256 });
        v.field("moment", s.moment, vmm::state::Max { 64 });
        v.field("name", s.name, vmm::state::Max { 256 });
        v.field("note", s.note, vmm::state::Max { 64u << 10 });
        v.field("time", s.time);
        v.field("files", s.files, vmm::state::Max { 1024 });
    }
};

struct BundleEnd {
    static constexpr std::string_view kind = "bundle-end";
    static constexpr unsigned version = 1;

    struct Sum {
        std::string name;
        std::array<std::uint8_t, 16> hash {}; ///< XXH3-128 of what the file holds, canonical
        bool operator==(Sum const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("name", s.name, vmm::state::Max { 100 });
            v.field("hash", s.hash);
        }
    };
    std::vector<Sum> files; ///< "bundle.json" too
    static void describe(auto& v, auto& s) { v.field("files", s.files, vmm::state::Max { 1025 }); }
};

/// Whether a file may have that name there, and so in a machine's directory.
bool isBundleName(std::string_view name);

/// The part that is done, 0 to 1; false gives up (ErrorCode::Cancelled).
using BundleProgress = std::function<bool(double)>;

/// Writes the files of `directory` that `record` names to a descriptor, a pipe's too; their sizes are filled in.
vmm::Result<> writeBundle(
    std::string const& directory, BundleRecord record, int descriptor, BundleProgress const& progress = {});

/// Looks at what comes first, before anything is written; an error ends it there.
using BundleAcceptor = std::function<vmm::Result<>(BundleRecord const& record, std::string const& state)>;

/// Reads a bundle from a descriptor, and makes its files in `directory`, which is there, empty and nobody else's:
/// durable, and each compared with its checksum. Nothing in it is trusted: no name leads out of the directory, no file
/// gets longer than was said, zeros take no room. On an error there may be some of the files.
vmm::Result<BundleRecord> readBundle(
    int descriptor, std::string const& directory, BundleAcceptor const& accept, BundleProgress const& progress = {});

}
