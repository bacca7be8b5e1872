#pragma once

#include "vmm/block/checkpoint.h"
#include "vmm/timeline/memory_tree.h"
#include "vmm/timeline/policy.h"

#include <array>

namespace vmm::timeline {

enum class Reason : std::uint8_t {
    Kept,          ///< A person wanted it.
    Automatic,     ///< Every so often.
    BeforeGoing,   ///< The present, before somebody went elsewhere on the timeline.
    BeforeChange,  ///< Before the settings were changed.
    OnClose,       ///< The program ended.
    BeforeDiscard, ///< Before the suspended state was thrown away.
};
constexpr auto stateNames(Reason)
{
    return std::to_array<std::string_view>(
        { "kept", "automatic", "before-going", "before-change", "on-close", "before-discard" });
}

constexpr std::size_t idLength = 36;
constexpr std::uint64_t maximumState = 64u << 20, maximumPicture = 16u << 20, maximumName = 256,
                        maximumNote = 64u << 10;

/// What a moment has of one of its machine's disks.
struct MomentDisk {
    std::string device; ///< its id
    std::string path;   ///< where it lay then
    Checkpoint checkpoint;
    bool operator==(MomentDisk const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("device", s.device, state::Max { 32 });
        v.field("path", s.path, state::Max { 4096 });
        v.field("checkpoint", s.checkpoint);
    }
};

/// Whether the machine was on.
enum class Power : std::uint8_t {
    On,
    Off, ///< There is no memory but what needs no power (the firmware's variables), and no state of devices.
};
constexpr auto stateNames(Power)
{
    return std::to_array<std::string_view>({ "on", "off" });
}

/// What is known of a moment: a file "moments/ID.json". Beside it lie "ID.state", what the machine has written of its
/// devices, and "ID.png", what it showed, if it showed anything.
struct Moment {
    static constexpr std::string_view kind = "moment";
    static constexpr unsigned version = 2; // 2: a reason more, before-discard

    std::string id;     ///< a UUID, as the file's name says it
    std::string parent; ///< the moment that it came from; empty: the first of its kind
    std::string name, note;
    Reason reason = Reason::Kept;
    bool pinned = false;    ///< Never thinned out.
    std::uint64_t time = 0; ///< ns since 1970
    std::uint64_t removedAt
        = 0; ///< ns since 1970; 0: it is not. What is removed can be brought back until it is purged.
    std::uint64_t changedPages = 0, newPages = 0, storedBytes = 0; ///< as StoredMemory has them
    std::vector<MemoryRoot> memory;
    Power power = Power::On;
    std::vector<MomentDisk> disks; ///< those that follow; the others are as they are
    Bytes stateHash;               ///< XXH3-128 with the store's seed, low and high, little-endian
    Bytes pictureHash;             ///< empty: there is none
    bool operator==(Moment const&) const = default;

    static void describe(auto& v, auto& s)
    {
        v.field("id", s.id, state::Max { idLength });
        v.field("parent", s.parent, state::Max { idLength });
        v.field("name", s.name, state::Max { maximumName });
        v.field("note", s.note, state::Max { maximumNote });
        v.field("reason", s.reason);
        v.field("pinned", s.pinned);
        v.field("time", s.time);
        v.field("removedAt", s.removedAt);
        v.field("changedPages", s.changedPages);
        v.field("newPages", s.newPages);
        v.field("storedBytes", s.storedBytes);
        v.field("memory", s.memory, state::Max { 256 });
        v.field("power", s.power);
        v.field("disks", s.disks, state::Max { 256 });
        v.field("stateHash", s.stateHash, state::Max { 16 });
        v.field("pictureHash", s.pictureHash, state::Max { 16 });
    }
};

/// The memory of each.
inline std::vector<std::vector<MemoryRoot>> treesOf(std::vector<Moment> const& moments)
{
    std::vector<std::vector<MemoryRoot>> trees;
    for (auto const& moment : moments)
        trees.push_back(moment.memory);
    return trees;
}

/// Disks that keep what no moment needs, or maybe do: a moment that is being taken and has no record yet, or one that
/// was ended. It is noted before there is anything, and until there is nothing any more; so a crash leaves nothing
/// unknown.
struct LooseDisks {
    std::string moment;
    std::vector<MomentDisk> disks;
    bool operator==(LooseDisks const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("moment", s.moment, state::Max { idLength });
        v.field("disks", s.disks, state::Max { 256 });
    }
};

/// The file "timeline.json", and its second copy "timeline.copy.json".
struct TimelineRecord {
    static constexpr std::string_view kind = "timeline";
    static constexpr unsigned version = 3; // 2: policy; 3: unswept, check

    std::uint64_t seed = 0; ///< of all hashes; chosen at random once
    std::string present;    ///< the moment that the machine's present came from; empty: none
    std::string goingTo;    ///< the disks are on their way there, some maybe arrived; empty: no
    std::vector<LooseDisks> loose;
    Policy policy;
    bool unswept = false; ///< There may be packs of no moment: sweep() has not gone through all since.
    Bytes check;          ///< XXH3-64, little-endian, of the file as it is written without it
    bool operator==(TimelineRecord const&) const = default;

    static void describe(auto& v, auto& s)
    {
        v.field("seed", s.seed);
        v.field("present", s.present, state::Max { idLength });
        v.field("goingTo", s.goingTo, state::Max { idLength });
        v.field("loose", s.loose, state::Max { 16384 });
        v.field("policy", s.policy, state::Since { 2 });
        v.field("unswept", s.unswept, state::Since { 3 });
        v.field("check", s.check, state::Max { 8 }, state::Since { 3 });
    }
};

}
