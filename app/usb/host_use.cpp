#include "app/usb/host_use.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <map>
#include <set>

namespace app {

namespace {

namespace files = std::filesystem;
using Kind = HostUse::Kind;

std::string lineOf(files::path const& path)
{
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// The directories in `directory`; those that go meanwhile, and one that is not there, have none.
std::vector<files::path> entriesOf(files::path const& directory)
{
    std::vector<files::path> found;
    std::error_code error;
    for (files::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        found.push_back(at->path());
    std::sort(found.begin(), found.end());
    return found;
}

/// Where one cannot look, nothing is.
bool isThere(files::path const& path)
{
    std::error_code unknown;
    return files::exists(path, unknown);
}

bool isVirtual(files::path const& path)
{
    return path.string().find("/devices/virtual/") != std::string::npos;
}

/// What the kernel's drivers have made of a device, as directories below its own.
struct Made {
    std::vector<files::path> inputs, disks, networks, ports;
};

/// Documentation/ABI/testing/sysfs-bus-usb: an interface's directory is the device's name, ':', configuration, number;
/// below it each class of what drivers have made has a directory of its name.
Made madeOf(files::path const& device)
{
    constexpr int deepest = 12;
    Made made;
    std::error_code error;
    for (files::recursive_directory_iterator at(device, error), end; !error && at != end; at.increment(error)) {
        auto const& path = at->path();
        auto const name = path.filename().string(), parent = path.parent_path().filename().string();
        bool const isInterface = at.depth() > 0 || name.find(':') != std::string::npos;
        if (at->is_symlink(error) || !at->is_directory(error))
            continue;
        if (!isInterface || at.depth() >= deepest)
            at.disable_recursion_pending();
        else if (parent == "input" && name.starts_with("input"))
            made.inputs.push_back(path);
        else if (parent == "block")
            made.disks.push_back(path);
        else if (parent == "net")
            made.networks.push_back(path);
        else if (parent == "tty")
            made.ports.push_back(path);
    }
    return made;
}

/// A bitmap of the kernel's input devices: words of its own width in hexadecimal, the highest first.
struct Bits {
    explicit Bits(files::path const& path)
    {
        std::ifstream file(path);
        for (std::string word; file >> word && words.size() < 64;) {
            unsigned long value = 0;
            std::from_chars(word.data(), word.data() + word.size(), value, 16);
            words.insert(words.begin(), value);
        }
    }
    bool has(unsigned bit) const
    {
        constexpr unsigned width = 8 * sizeof(unsigned long);
        return bit / width < words.size() && (words[bit / width] >> bit % width & 1) != 0;
    }
    std::vector<unsigned long> words;
};

// <linux/input-event-codes.h>
constexpr unsigned keyEsc = 1, keyD = 32, buttonLeft = 0x110, buttonPen = 0x140, buttonTouch = 0x14a, axisX = 0,
                   axisY = 1;

/// As udev's builtin "input_id" has it: Escape, the digits and the letters from Q to S.
bool isKeyboard(files::path const& input)
{
    Bits const keys(input / "capabilities/key");
    for (auto key = keyEsc; key < keyD; ++key) {
        if (!keys.has(key))
            return false;
    }
    return true;
}

bool isPointer(files::path const& input)
{
    Bits const keys(input / "capabilities/key"), relative(input / "capabilities/rel"),
        absolute(input / "capabilities/abs");
    bool const moves = relative.has(axisX) && relative.has(axisY), points = absolute.has(axisX) && absolute.has(axisY);
    return (keys.has(buttonLeft) && (moves || points)) || ((keys.has(buttonPen) || keys.has(buttonTouch)) && points);
}

/// The interface is configured, and something is at the other end of its cable.
bool isUp(files::path const& network)
{
    auto const flags = lineOf(network / "flags");
    unsigned value = 0;
    if (flags.size() > 2)
        std::from_chars(flags.data() + 2, flags.data() + flags.size(), value, 16);
    constexpr unsigned interfaceIsUp = 1; // IFF_UP
    return (value & interfaceIsUp) != 0 && lineOf(network / "carrier") == "1";
}

/// Whether this host has none besides what is below `device`.
bool hasNoOther(files::path const& classDirectory, files::path const& device, bool (*isOne)(files::path const&))
{
    std::error_code error;
    auto const own = files::canonical(device, error).string() + "/";
    return std::ranges::none_of(entriesOf(classDirectory), [&](files::path const& entry) {
        auto const place = files::canonical(entry, error).string();
        return !error && !isVirtual(place) && !place.starts_with(own) && isOne(entry);
    });
}

/// What is kept on a disk: the disk itself, its partitions, and what stands on them.
struct Volume {
    std::string name, number; ///< "sda1", "8:1"
    std::set<std::string> nodes;
    std::string held; ///< "sda1 in dm-0", where something stands on it
};

class Disks {
public:
    Disks(HostPlaces const& places, std::vector<files::path> const& disks) : m_places(places)
    {
        for (auto const& disk : disks) {
            add(disk, 0);
            for (auto const& part : entriesOf(disk)) {
                if (isThere(part / "partition"))
                    add(part, 0);
            }
        }
    }

    void addUses(std::vector<HostUse>& uses) const
    {
        auto const before = uses.size();
        readMounts(uses);
        for (auto const& volume : m_volumes) {
            auto const tell = [&](std::string what) { uses.push_back({ Kind::DiskInUse, std::move(what) }); };
            if (isSwap(volume))
                tell(volume.name + " is swap");
            if (auto const pool = poolOf(volume); !pool.empty())
                tell(fmt::format("{} in the pool {}", volume.name, pool));
            // A file system of several disks is mounted from one of them.
            for (auto const& tree : entriesOf(m_places.sys + "/fs/btrfs")) {
                if (uses.size() == before && isThere(tree / "devices" / volume.name))
                    tell(volume.name + " in a btrfs");
            }
        }
        for (auto const& volume : m_volumes) {
            if (uses.size() == before && !volume.held.empty())
                uses.push_back({ Kind::DiskInUse, volume.held });
        }
    }

    std::set<std::string> nodes() const
    {
        std::set<std::string> all;
        for (auto const& volume : m_volumes)
            all.insert(volume.nodes.begin(), volume.nodes.end());
        return all;
    }

private:
    void add(files::path const& directory, unsigned depth)
    {
        constexpr unsigned deepest = 8;
        constexpr std::size_t most = 256;
        auto const name = directory.filename().string();
        bool const isKnown = std::ranges::any_of(m_volumes, [&](Volume const& one) { return one.name == name; });
        if (isKnown || depth > deepest || m_volumes.size() >= most)
            return;
        Volume volume { name, lineOf(directory / "dev"), { "/dev/" + name }, {} };
        if (auto const mapped = lineOf(directory / "dm/name"); !mapped.empty())
            volume.nodes.insert("/dev/mapper/" + mapped);
        auto const holders = entriesOf(directory / "holders");
        if (!holders.empty())
            volume.held = fmt::format("{} in {}", name, holders.front().filename().string());
        m_volumes.push_back(std::move(volume));
        for (auto const& holder : holders)
            add(m_places.sys + "/class/block/" + holder.filename().string(), depth + 1);
    }

    /// proc(5), "/proc/[pid]/mountinfo": the device's number is the third field, the mount point the fifth, the source
    /// the second after the dash.
    void readMounts(std::vector<HostUse>& uses) const
    {
        std::ifstream file(m_places.proc + "/self/mountinfo");
        for (std::string line; std::getline(file, line);) {
            std::vector<std::string> fields;
            for (std::size_t at = 0; at < line.size();) {
                auto const end = std::min(line.find(' ', at), line.size());
                fields.push_back(line.substr(at, end - at));
                at = end + 1;
            }
            auto const dash = std::find(fields.begin(), fields.end(), "-");
            if (fields.size() < 5 || fields.end() - dash < 3)
                continue;
            auto const source = withoutEscapes(dash[2]);
            auto const isHere = std::ranges::any_of(m_volumes,
                [&](Volume const& volume) { return volume.number == fields[2] || volume.nodes.contains(source); });
            if (isHere)
                uses.push_back({ Kind::MountedDisk, withoutEscapes(fields[4]) });
        }
    }

    /// Blanks and the like are written as octal numbers.
    static std::string withoutEscapes(std::string const& text)
    {
        std::string plain;
        for (std::size_t at = 0; at < text.size(); ++at) {
            unsigned value = 0;
            auto const* const digits = text.data() + at + 1;
            if (text[at] == '\\' && at + 3 < text.size()
                && std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3) {
                plain += static_cast<char>(value);
                at += 3;
            } else {
                plain += text[at];
            }
        }
        return plain;
    }

    bool isSwap(Volume const& volume) const
    {
        std::ifstream file(m_places.proc + "/swaps");
        for (std::string line; std::getline(file, line);) {
            if (volume.nodes.contains(line.substr(0, line.find_first_of(" \t"))))
                return true;
        }
        return false;
    }

    /// ZFS says nowhere in sysfs which disks it has: udev knows the pool's name, and the pool is there or not.
    std::string poolOf(Volume const& volume) const
    {
        std::ifstream file(m_places.run + "/udev/data/b" + volume.number);
        std::string pool;
        bool isMember = false;
        for (std::string line; std::getline(file, line);) {
            isMember |= line == "E:ID_FS_TYPE=zfs_member";
            if (line.starts_with("E:ID_FS_LABEL="))
                pool = line.substr(14);
        }
        bool const isName = !pool.empty() && pool.find('/') == std::string::npos;
        return isMember && isName && isThere(m_places.proc + "/spl/kstat/zfs/" + pool) ? pool : std::string();
    }

    HostPlaces const& m_places;
    std::vector<Volume> m_volumes;
};

/// The programs of this person that have one of these nodes open: "sda: dd (1234)", by node.
std::vector<std::pair<std::string, std::string>> openIn(HostPlaces const& places, std::set<std::string> const& nodes)
{
    std::vector<std::pair<std::string, std::string>> found;
    if (nodes.empty())
        return found;
    for (auto const& process : entriesOf(places.proc)) {
        auto const number = process.filename().string();
        if (number.find_first_not_of("0123456789") != std::string::npos)
            continue;
        std::set<std::string> told;
        for (auto const& descriptor : entriesOf(process / "fd")) {
            std::error_code error;
            auto const node = files::read_symlink(descriptor, error).string();
            if (!error && nodes.contains(node) && told.insert(node).second)
                found.emplace_back(node, fmt::format("{}: {} ({})", node.substr(5), lineOf(process / "comm"), number));
        }
    }
    return found;
}

}

std::vector<HostUse> usesOf(vmm::HostUsbInfo const& device, HostPlaces const& places)
{
    std::vector<HostUse> uses;
    auto const directory = files::path(places.sys) / "bus/usb/devices" / device.port;
    auto const made = madeOf(directory);
    auto const addInputs = [&](Kind kind, bool (*isOne)(files::path const&)) {
        auto const input = std::ranges::find_if(made.inputs, isOne);
        if (input != made.inputs.end()) {
            bool const isOnly = hasNoOther(places.sys + "/class/input", directory, isOne);
            uses.push_back({ kind, lineOf(*input / "name"), isOnly });
        }
    };
    addInputs(Kind::Keyboard, &isKeyboard);
    addInputs(Kind::Pointer, &isPointer);
    Disks const disks(places, made.disks);
    disks.addUses(uses);
    for (auto const& network : made.networks) {
        if (isUp(network)) {
            bool const isOnly = hasNoOther(places.sys + "/class/net", directory, &isUp);
            uses.push_back({ Kind::NetworkUp, network.filename().string(), isOnly });
        }
    }
    auto nodes = disks.nodes();
    std::set<std::string> ports;
    for (auto const& port : made.ports)
        ports.insert("/dev/" + port.filename().string());
    nodes.insert(ports.begin(), ports.end());
    for (auto& [node, program] : openIn(places, nodes))
        uses.push_back({ ports.contains(node) ? Kind::PortInUse : Kind::DiskInUse, std::move(program) });
    return uses;
}

bool isTakenByRule(std::vector<HostUse> const& uses)
{
    return std::ranges::all_of(uses, [](HostUse const& use) {
        bool const isMany = use.kind == Kind::Keyboard || use.kind == Kind::Pointer || use.kind == Kind::NetworkUp;
        return isMany && !use.isOnly;
    });
}

std::string hostUseText(HostUse const& use)
{
    auto const only = use.isOnly ? ", the only one" : "";
    switch (use.kind) {
    case Kind::Keyboard: return fmt::format("it is a keyboard of this host{}", only);
    case Kind::Pointer: return fmt::format("it is a mouse or touchpad of this host{}", only);
    case Kind::MountedDisk: return fmt::format("it is mounted at {}", use.what);
    case Kind::DiskInUse: return fmt::format("a disk of it is in use ({})", use.what);
    case Kind::NetworkUp: return fmt::format("it is the network {} of this host, which is up{}", use.what, only);
    case Kind::PortInUse: return fmt::format("a program has it open ({})", use.what);
    }
    return {};
}

}
