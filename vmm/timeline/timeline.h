#pragma once

#include "vmm/timeline/census.h"
#include "vmm/timeline/moment.h"
#include "vmm/timeline/working_set.h"

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>

namespace vmm::timeline {

/// What the caller says of a new moment.
struct NewMoment {
    std::string id; ///< a fresh UUID; empty: one is made
    std::string name, note;
    Reason reason = Reason::Kept;
    std::uint64_t time = 0; ///< ns since 1970, of the instant
    std::string state;      ///< what the machine has written of its devices
    Power power = Power::On;
    std::vector<MomentDisk> disks; ///< as they were noted by setLoose(), and have kept it by now
    Bytes picture;                 ///< PNG; empty: none
};

/// What a timeline that is made from another has to know of its machine's disks.
struct ForkedDisks {
    std::vector<MomentDisk> kept;  ///< of its moment
    std::vector<LooseDisks> loose; ///< shared with the other machine, and not needed for ever
};

/// What moments cost.
struct Usage {
    struct Cost {
        std::uint64_t own = 0;    ///< bytes that would be free without it
        std::uint64_t shared = 0; ///< bytes that others need too
    };
    std::map<std::string, Cost> moments;
    std::uint64_t total = 0; ///< as size() has it
    std::uint64_t free = 0;  ///< of those, needed by nothing: sweep() gives them back
};

/// What moments would give back, as far as that can be known before it is done.
struct Freed {
    std::uint64_t total = 0;         ///< as Usage has it, now
    std::uint64_t first = 0;         ///< what sweep() gives back before any of them has gone
    std::vector<std::uint64_t> each; ///< what it gives back when that one has gone, and those before it
};

/// What the record's file holds, with its check.
std::string textOf(TimelineRecord record);

struct Damage {
    std::string moment; ///< its id
    Error error;
    /// It may be whole: the host cannot read it now, and no more is known.
    bool isUnread() const { return error.osError != 0 && error.code != ErrorCode::NotFound; }
};

/// A machine's past: moments, each with the one that it came from, and one of them the present's. Any thread. One
/// take() waits for another, sweep() waits for whatever reads or writes pages, and lets go at once for a take(); the
/// rest is quick. One process at a time has it open for writing, which the caller sees to.
///
/// Every change is one rename of one file, durable before it counts: a crash leaves what was before or what is after,
/// and at worst files that nothing refers to, which the next open() or sweep() removes.
class Timeline {
public:
    enum class Access : std::uint8_t { ReadOnly, ReadWrite };

    /// Makes one where there is none and `access` allows it. A moment that cannot be read is none of the rest's
    /// business: it is among the damages(). Where its record is damaged, and the copy of that too, it is made anew from
    /// what the packs say; then wasRebuilt().
    static Result<std::unique_ptr<Timeline>> open(std::unique_ptr<Folder> folder, Access access);

    /// Where it is kept, from where a moment's state names its files; empty: nowhere.
    std::string path() const { return m_folder->path(); }
    /// In the order of their times, those that are removed too.
    std::vector<Moment> moments() const;
    Result<Moment> moment(std::string_view id) const; ///< NotFound, or why it is among the damages()
    /// It has been purged: looks on the disk, for that may have been another process since this was opened. What was
    /// read of a moment is right where it is not gone afterwards.
    bool isGone(std::string_view id) const;
    /// Empty: the machine has not come from a moment.
    std::string present() const;
    /// The moment that the machine's disks are on their way to; empty: none.
    std::string goingTo() const;
    Policy policy() const;
    std::vector<Damage> damages() const;
    /// Which moment the present came from, where the disks were on their way to, what they keep for no moment, and the
    /// policy are not known any more; the policy keeps everything, for nothing must go that a person's would have kept.
    bool wasRebuilt() const { return m_wasRebuilt; }
    /// sweep() has not given back yet what purged moments needed, or what is left of one that was not taken to its end.
    bool hasWaste() const;

    Result<std::string> state(std::string_view id) const;
    /// Empty: it has none.
    Result<Bytes> picture(std::string_view id) const;
    Result<MemoryTree> memory(std::string_view id) const;
    /// For as long as the result lives, sweep() gives nothing of that memory back, even if its moment is no more.
    std::shared_ptr<void const> hold(MemoryTree const& memory) const;
    /// What the machine needed first when it came back to that moment; where it never did, to a moment near it: those
    /// that it came from, or else the nearest in time. Nothing: none is known.
    std::optional<WorkingSet> workingSet(std::string_view id) const;
    Result<> setWorkingSet(std::string_view id, WorkingSet const& set);

    /// Stores a moment whose parent is the present, and which is the present then. Cancelled it leaves nothing, or a
    /// pack that could not be removed (hasWaste()); failed the same, or, where only the last step to the disk could not
    /// be confirmed, the whole moment. Takes as long as the memory needs to be written. Progress: bytes of memory.
    Result<Moment> take(NewMoment const& what, FrozenMemory& memory, Progress const& progress, Room room = {});
    /// To be made before the memory is held, for take(): enough if as much has changed as the present has. `memory`:
    /// how many bytes that will be. As makeRoom() otherwise.
    Room roomFor(std::uint64_t memory, std::function<bool()> const& goOn) const;
    /// Makes another timeline in `into`, which is empty: that moment under the fresh id `as`, with the state that the
    /// other machine has then. That machine is on its way there, so its first start goes there. What is stored is
    /// shared where the host can, and from then on nothing that happens to one of the two concerns the other. What has
    /// failed or was cut off leaves no timeline, at worst files, which are the caller's to remove. Progress: packs.
    Result<Moment> fork(std::string_view id, std::string const& as, std::string const& state, Folder& into,
        Progress const& progress = {}, ForkedDisks const& disks = {}) const;
    /// Before the first disk goes to that moment: until setPresent() the machine's disks are of no one moment, and
    /// after a crash there is nothing to do but to go on to where they were going. Empty: none has gone after all.
    Result<> setGoingTo(std::string_view id);
    /// Where that was, if they did not arrive; empty: nowhere. Reads no moment.
    static Result<std::string> goingTo(Folder const& folder);
    /// The machine goes on from that moment. Empty: from none.
    Result<> setPresent(std::string_view id);
    /// Refuses what checkPolicy() does.
    Result<> setPolicy(Policy const& policy);
    /// Without opening the timeline that may be there.
    static Result<Policy> policy(Folder const& folder);

    Result<> rename(std::string_view id, std::string const& name);
    Result<> setNote(std::string_view id, std::string const& note);
    Result<> setPinned(std::string_view id, bool pinned);
    /// `now`: ns since 1970.
    Result<> remove(std::string_view id, std::uint64_t now);
    Result<> bringBack(std::string_view id);
    /// For good; what came from it comes from its parent then. Its memory is free after sweep(), its disks are loose.
    Result<> purge(std::string_view id);

    /// What disks keep and no moment needs, or will: see LooseDisks. Not what belongs to a moment that is there.
    std::vector<LooseDisks> loose() const;
    /// Before disks keep something for a moment of that id; and without those that have let go of it. None: forgotten.
    Result<> setLoose(LooseDisks const& disks);
    /// In one step, however many they are.
    Result<> setLoose(std::vector<LooseDisks> const& all);

    /// Bytes of all packs and of what moments have beside them. Quick.
    std::uint64_t size() const;
    /// Reads the trees of all moments, for as long as `goOn` says so.
    Result<Usage> usage(std::function<bool()> const& goOn = {}) const;
    /// What each of these moments gives back once it and those before it are purged and swept away. Reads all trees
    /// once, for as long as `goOn` says so. Refuses what sweep() would: a plan that cannot come true costs moments for
    /// nothing.
    Result<Freed> freed(std::vector<std::string> const& order, std::function<bool()> const& goOn = {}) const;
    /// Gives back what no moment needs. Refuses while a moment's tree cannot be read, for what it needs is not known.
    /// A moment that is to be taken does not wait for it: it goes before, and this begins anew. Where something fails
    /// it gives back what it can all the same. Progress: packs.
    Result<> sweep(Progress const& progress = {});
    /// Compares everything with its hash. What is damaged, or cannot be read, is stored anew by the next take() that
    /// has it. Not damaged: a moment that is purged meanwhile. Progress: packs.
    Result<std::vector<Damage>> verify(Progress const& progress = {}) const;

private:
    Timeline(std::unique_ptr<Folder> folder, Access access) : m_folder(std::move(folder)), m_access(access) { }
    Result<> load();
    Result<> loadRecord();
    Result<> rebuildRecord(Error const& why);
    void storeCopy(std::string const& text);
    Result<> swept(unsigned purges);
    Result<> storeRecord(TimelineRecord const& record);
    Result<> store(Moment const& moment);
    Result<> commit(Moment& taken, NewMoment const& what);
    void leaveNothingOf(std::string const& id, std::uint32_t pack);
    bool isPackLeft() const;
    Result<> change(std::string_view id, std::function<void(Moment&)> const& what);
    Result<> writable() const;
    std::vector<Moment> list() const;
    std::vector<std::shared_ptr<std::vector<MemoryRoot> const>> held() const;
    Result<> readable() const;
    std::uint64_t besides(Moment const& moment) const;
    Result<bool> sweepUndisturbed(Progress const& progress);
    Result<> removeDamaged(Census const& census);
    Result<> giveBack(Census const& census, std::function<bool()> const& goOn, std::uint64_t& done);
    Result<> shrink(std::uint32_t pack, Census::Counted const& counted, std::function<bool()> const& goOn);
    Result<> checkFile(std::string const& name, std::uint64_t limit, Bytes const& hash) const;

    std::unique_ptr<Folder> const m_folder;
    Access const m_access;
    std::unique_ptr<PageStore> m_pages;
    // In this order. The first is held for as long as a moment is taken; the second by whoever reads or adds pages,
    // and alone by who gives them back; the third while a record is written, the last for an instant.
    std::mutex m_taking;
    mutable std::shared_mutex m_storing;
    std::atomic<bool> m_isTakeWaiting { false }; // for the second
    std::mutex m_changing;
    mutable std::mutex m_mutex;
    TimelineRecord m_record;
    bool m_wasRebuilt = false;
    std::atomic<unsigned> m_purges { 0 }; // so far
    std::map<std::string, Moment, std::less<>> m_moments;
    std::vector<Damage> m_damages;
    std::set<std::string, std::less<>> m_workingSets; // the moments that have one
    mutable std::vector<std::weak_ptr<std::vector<MemoryRoot> const>> m_held;
};

}
