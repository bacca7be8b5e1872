#include "vmm/machine/disk_costs.h"

#include "vmm/base/unique_fd.h"
#include "vmm/block/file_extents.h"
#include "vmm/block/zfs_space.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/past_disk.h"

#include <algorithm>
#include <cstdint>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>

namespace vmm {

namespace {

// Who needs something: else moments, from `firstMoment` on. What stays are the disks as they are now, and what somebody
// else has too.
constexpr std::size_t loose = 0, firstMoment = 1, several = SIZE_MAX - 1, stays = SIZE_MAX;

constexpr char const* wasCancelled = "finding out what the disks' past takes was cancelled";

using MayGoOn = std::function<bool()>;

template<typename T>
bool isCancelled(Result<T> const& outcome)
{
    return !outcome && outcome.error().code == ErrorCode::Cancelled;
}

/// Who owns what several moments need.
enum class Shared : std::uint8_t {
    Several, ///< nobody in particular
    Last,    ///< the last of them that was settled
};

struct Run {
    std::uint64_t begin, end;
};
struct Piece : Run {
    std::size_t owner;
};

/// In order, and without what is in it twice.
void tidy(std::vector<Run>& runs)
{
    std::ranges::sort(runs, {}, &Run::begin);
    std::size_t kept = 0;
    for (auto const& run : runs) {
        if (kept > 0 && run.begin <= runs[kept - 1].end)
            runs[kept - 1].end = std::max(runs[kept - 1].end, run.end);
        else
            runs[kept++] = run;
    }
    runs.resize(kept);
}

/// What is in one of several tidy lists and no other; `runs` has all of them.
std::vector<Run> onlyOnce(std::vector<Run> const& runs)
{
    std::map<std::uint64_t, int> changes; // at a place, how many more begin than end
    for (auto const& run : runs) {
        ++changes[run.begin];
        --changes[run.end];
    }
    std::vector<Run> once;
    int count = 0;
    std::uint64_t from = 0;
    for (auto const& [at, change] : changes) {
        if (count == 1)
            once.push_back({ from, at });
        count += change;
        from = at;
    }
    return once;
}

std::size_t together(std::size_t known, std::size_t owner, Shared shared)
{
    if (known == stays || owner == stays)
        return stays;
    return shared == Shared::Last || known == loose || known == owner ? owner : several;
}

/// `known` with what `owner` needs as well; both in order.
std::vector<Piece> merge(
    std::vector<Piece> const& known, std::vector<Run> const& runs, std::size_t owner, Shared shared)
{
    constexpr auto never = UINT64_MAX;
    std::vector<Piece> all;
    auto one = known.begin();
    auto run = runs.begin();
    for (std::uint64_t at = 0; one != known.end() || run != runs.end();) {
        auto const nextKnown = one != known.end() ? std::max(at, one->begin) : never;
        auto const nextRun = run != runs.end() ? std::max(at, run->begin) : never;
        at = std::min(nextKnown, nextRun);
        bool const isKnown = nextKnown == at, isNeeded = nextRun == at;
        auto const end = std::min(isKnown ? one->end : nextKnown, isNeeded ? run->end : nextRun);
        auto const whose = !isKnown ? owner : !isNeeded ? one->owner : together(one->owner, owner, shared);
        if (!all.empty() && all.back().end == at && all.back().owner == whose)
            all.back().end = end;
        else
            all.push_back({ { at, end }, whose });
        at = end;
        if (isKnown && at == one->end)
            ++one;
        if (isNeeded && at == run->end)
            ++run;
    }
    return all;
}

/// Where files have what somebody needs. Takes memory for the pieces that there are, however many need each.
class Needs {
public:
    /// `mayGoOn` is asked now and then, for one disk takes long where its guest has written here and there.
    Needs(Shared shared, MayGoOn mayGoOn) : m_shared(shared), m_mayGoOn(std::move(mayGoOn)) { }

    /// All that the image reads as; then settle().
    Result<> add(BlockImage& image)
    {
        BlockImage const* known = nullptr;
        File* file = nullptr;
        // Where the clusters of a base alternate, each look begins anew: with all that is left, it takes the square.
        constexpr std::uint64_t leastLook = 1 << 20;
        constexpr unsigned asksEach = 64;
        auto look = leastLook;
        unsigned looks = 0;
        for (std::uint64_t at = 0; at < image.size();) {
            if (++looks % asksEach == 0 && !m_mayGoOn())
                return fail(ErrorCode::Cancelled, wasCancelled);
            auto const length = std::min(image.size() - at, look);
            auto const mapping = TRY(image.resolve(at, length));
            look = mapping.length < length ? leastLook : look * 2;
            if (mapping.length == 0)
                return fail(ErrorCode::Corrupt, "nothing says where a byte is");
            at += mapping.length;
            if (mapping.kind != BlockImage::Mapping::Kind::Data)
                continue;
            if (std::exchange(known, mapping.image) != mapping.image)
                file = TRY(fileAt(mapping.image->info().path));
            addRun(*file, mapping.hostOffset, mapping.length);
        }
        return {};
    }
    /// What was added is what `owner` needs.
    void settle(std::size_t owner)
    {
        for (auto& [space, runs] : m_added) {
            tidy(runs);
            for (auto const& run : runs)
                m_all[owner] += run.end - run.begin;
            m_pieces[space] = merge(m_pieces[space], runs, owner, m_shared);
        }
        for (auto const& [space, runs] : m_elsewhere)
            stay(space, runs);
        for (auto* file : m_sharing)
            tidy(file->shared);
        m_added.clear();
        m_elsewhere.clear();
        m_sharing.clear();
    }
    /// After all of them. A file system says of a piece that another file has it, not which: where no two of ours need
    /// it, that is somebody else's, and it stays.
    void settleElsewhere()
    {
        std::map<dev_t, std::vector<Run>> sharing;
        for (auto const& [path, file] : m_files) {
            auto& runs = sharing[file.space.first];
            runs.insert(runs.end(), file.shared.begin(), file.shared.end());
        }
        for (auto const& [device, runs] : sharing)
            stay({ device, fileSystem }, onlyOnce(runs));
    }
    /// Bytes, by owner.
    std::map<std::size_t, std::uint64_t> owned() const
    {
        std::map<std::size_t, std::uint64_t> owned;
        for (auto const& [space, pieces] : m_pieces) {
            for (auto const& piece : pieces)
                owned[piece.owner] += piece.end - piece.begin;
        }
        return owned;
    }
    /// All that it needs, whoever owns it.
    std::uint64_t neededBy(std::size_t owner) const
    {
        auto const found = m_all.find(owner);
        return found == m_all.end() ? 0 : found->second;
    }

private:
    /// What addresses count in: a file system, of whose places several files have the same, or a file (its number), for
    /// what has no place.
    using Space = std::pair<dev_t, ino_t>;
    static constexpr ino_t fileSystem = 0; // in the place of a file's number, which is another

    struct File {
        Space space {};
        std::vector<FileExtent> extents; // none of a device of the host's, which is no file that takes something
        bool hasOtherNames = false;      // a fork's, for example
        std::vector<Run> shared;         // what of it is needed, and another file has too
    };

    Result<File*> fileAt(std::string const& path)
    {
        auto const known = m_files.find(path);
        if (known != m_files.end())
            return &known->second;
        auto const descriptor = TRY(openFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
        struct stat status { };
        if (::fstat(descriptor.get(), &status) != 0)
            return failOs("cannot look at " + path);
        File file { { status.st_dev, status.st_ino }, {}, status.st_nlink > 1, {} };
        if (S_ISREG(status.st_mode))
            file.extents = TRY(fileExtents(descriptor.get()));
        return &m_files.emplace(path, std::move(file)).first->second;
    }

    /// Only what is no hole: of a base what nobody reads any more was given back.
    void addRun(File& file, std::uint64_t offset, std::uint64_t length)
    {
        auto const end = offset + length;
        auto const endOf = [](FileExtent const& extent) { return extent.offset + extent.length; };
        for (auto one = std::ranges::upper_bound(file.extents, offset, {}, endOf);
             one != file.extents.end() && one->offset < end; ++one) {
            auto const from = std::max(offset, one->offset), to = std::min(end, endOf(*one));
            auto const begin = one->place ? *one->place + (from - one->offset) : from;
            auto const space = one->place ? Space(file.space.first, fileSystem) : file.space;
            Run const run { begin, begin + (to - from) };
            m_added[space].push_back(run);
            if (file.hasOtherNames || (one->isShared && !one->place)) {
                m_elsewhere[space].push_back(run);
            } else if (one->isShared) {
                file.shared.push_back(run);
                m_sharing.insert(&file);
            }
        }
    }

    void stay(Space const& space, std::vector<Run> runs)
    {
        tidy(runs);
        m_pieces[space] = merge(m_pieces[space], runs, stays, m_shared);
    }

    Shared const m_shared;
    MayGoOn const m_mayGoOn;
    std::map<std::string, File> m_files; // by path
    std::map<Space, std::vector<Run>> m_added, m_elsewhere;
    std::set<File*> m_sharing; // of what was added
    std::map<Space, std::vector<Piece>> m_pieces;
    std::map<std::size_t, std::uint64_t> m_all; // bytes, by owner
};

/// Snapshots of ZFS that moments' disks have.
class ZfsSnapshots {
public:
    Result<> add(timeline::MomentDisk const& disk, std::size_t owner)
    {
        TRY(spaceOf(disk));
        m_owned[holderOf(disk)][owner].push_back(disk.checkpoint.place);
        return {};
    }
    /// What ZFS says of those of one moment.
    Result<DiskCost> costOf(std::vector<timeline::MomentDisk> const& disks)
    {
        DiskCost cost;
        std::set<std::string> seen;
        for (auto const& disk : disks) {
            if (disk.checkpoint.way != CheckpointWay::Zfs)
                continue;
            auto const space = TRY_WITHIN(disk.device, spaceOf(disk));
            if (!seen.insert(holderOf(disk)).second)
                return fail(ErrorCode::Unsupported,
                    disk.device
                        + ": another disk has a snapshot of the same file system, and ZFS does not tell what only the"
                          " two need");
            cost.own += space.used;
            cost.shared += space.referenced - std::min(space.used, space.referenced);
        }
        return cost;
    }
    /// What comes back when those of each owner go, in the order of their numbers.
    Result<std::map<std::size_t, std::uint64_t>> freed(MayGoOn const& mayGoOn) const
    {
        std::map<std::size_t, std::uint64_t> freed;
        for (auto const& [holder, owners] : m_owned) {
            std::vector<std::vector<std::string>> inOrder;
            for (auto const& [owner, snapshots] : owners)
                inOrder.push_back(snapshots);
            auto const bytes = TRY(zfsReclaimed(holder, inOrder, runProgram, mayGoOn));
            auto its = bytes.begin();
            for (auto const& [owner, snapshots] : owners)
                freed[owner] += *its++;
        }
        return freed;
    }

private:
    /// The file system or volume.
    static std::string holderOf(timeline::MomentDisk const& disk)
    {
        return disk.checkpoint.place.substr(0, disk.checkpoint.place.find('@'));
    }
    Result<ZfsSpace> spaceOf(timeline::MomentDisk const& disk)
    {
        auto known = m_spaces.find(disk.path);
        if (known == m_spaces.end())
            known = m_spaces.emplace(disk.path, zfsSpaces(disk.path, runProgram)).first;
        if (!known->second)
            return fail(known->second.error());
        auto const space = known->second->find(disk.checkpoint.place);
        if (space == known->second->end())
            return fail(ErrorCode::NotFound, "there is no snapshot " + disk.checkpoint.place);
        return space->second;
    }

    std::map<std::string, Result<std::map<std::string, ZfsSpace>>> m_spaces;        // by a disk's path
    std::map<std::string, std::map<std::size_t, std::vector<std::string>>> m_owned; // by holder
};

/// The machine may have put other tables or files in the place of those that were being read. What was added before
/// that counts once.
template<typename Work>
Result<> twice(Work const& work)
{
    auto const first = work();
    return first || isCancelled(first) ? first : work();
}

/// Of a disk whose way is not Zfs.
Result<> addFiles(Needs& needs, timeline::MomentDisk const& disk, VmConfig const& config)
{
    InlineEngine engine;
    return twice([&]() -> Result<> {
        auto const method = CheckpointMethod::create(disk.checkpoint.way);
        auto const backing = backingOf(config, disk.path);
        return needs.add(*TRY(method->openReadOnly(engine, disk.path, disk.checkpoint, backing)));
    });
}

Result<> addDisks(Needs& needs, ZfsSnapshots& zfs, std::vector<timeline::MomentDisk> const& disks, std::size_t owner,
    VmConfig const& config)
{
    for (auto const& disk : disks) {
        auto const isInZfs = disk.checkpoint.way == CheckpointWay::Zfs;
        TRY_WITHIN(disk.device, isInZfs ? zfs.add(disk, owner) : addFiles(needs, disk, config));
    }
    return {};
}

/// One that the guest only reads has no moments, unless it has become so since: then it stands on what they have.
bool hasMoments(timeline::Timeline const& timeline, DiskConfig const& disk)
{
    return std::ranges::any_of(timeline.moments(), [&](timeline::Moment const& moment) {
        return std::ranges::find(moment.disks, disk.path, &timeline::MomentDisk::path) != moment.disks.end();
    });
}

Result<> addPresent(Needs& needs, timeline::Timeline const& timeline, VmConfig const& config)
{
    InlineEngine engine;
    for (auto disk : config.disks) {
        if (disk.readOnly && !hasMoments(timeline, disk))
            continue;
        disk.format = formatNow(disk);
        auto options = imageOptions(disk);
        options.access = Access::ReadOnly;
        options.lock = HostFile::Lock::No; // the machine may have it
        auto const add = [&]() -> Result<> { return needs.add(*TRY(BlockImage::open(engine, disk.path, options))); };
        TRY_WITHIN(disk.id, twice(add));
    }
    return {};
}

/// What disks keep for no moment any more, or for one that is still being taken: what cannot be read of that may not be
/// there. Fails only where it was cancelled.
Result<> addLoose(Needs& needs, ZfsSnapshots& zfs, timeline::Timeline const& timeline, VmConfig const& config)
{
    for (auto const& one : timeline.loose()) {
        for (auto const& disk : one.disks) {
            if (auto const added = addDisks(needs, zfs, { disk }, loose, config); isCancelled(added))
                return added;
        }
    }
    needs.settle(loose);
    return {};
}

}

Result<DiskCosts> diskCosts(
    timeline::Timeline const& timeline, VmConfig const& config, timeline::Progress const& progress)
{
    auto const moments = timeline.moments();
    std::size_t done = 0;
    auto const mayGoOn = [&] { return timeline::goOn(progress, done, moments.size()); };

    Needs needs(Shared::Several, mayGoOn);
    ZfsSnapshots zfs;
    TRY(addPresent(needs, timeline, config));
    needs.settle(stays);
    TRY(addLoose(needs, zfs, timeline, config));
    DiskCosts all;
    for (; done < moments.size(); ++done) {
        auto const& moment = moments[done];
        if (!mayGoOn())
            return fail(ErrorCode::Cancelled, wasCancelled);
        auto const added = addDisks(needs, zfs, moment.disks, firstMoment, config);
        if (isCancelled(added))
            return fail(added.error());
        needs.settle(firstMoment + done);
        all.moments.emplace(moment.id, added ? zfs.costOf(moment.disks) : fail(added.error()));
        if (!added && !timeline.isGone(moment.id)) // as it may be meanwhile
            all.total = fail(added.error());
    }
    needs.settleElsewhere();
    auto owned = needs.owned();
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (auto& cost = all.moments.at(moments[i].id)) {
            auto const own = owned[firstMoment + i];
            cost->own += own;
            cost->shared += needs.neededBy(firstMoment + i) - own;
        }
    }
    if (!all.total)
        return all;
    auto const inZfs = zfs.freed(mayGoOn);
    if (isCancelled(inZfs))
        return fail(inZfs.error());
    if (!inZfs) {
        all.total = fail(inZfs.error());
        return all;
    }
    owned.erase(stays);
    for (auto const& part : { owned, *inZfs }) {
        for (auto const& [owner, bytes] : part)
            *all.total += bytes;
    }
    return all;
}

Result<timeline::Freed> freedByDisks(timeline::Timeline const& timeline, VmConfig const& config,
    std::vector<std::string> const& order, timeline::Progress const& progress)
{
    auto const others = firstMoment + order.size();
    std::map<std::string, std::size_t> owners;
    for (std::size_t i = 0; i < order.size(); ++i)
        owners.emplace(order[i], firstMoment + i);
    auto const ownerOf = [&](timeline::Moment const& moment) {
        auto const found = owners.find(moment.id);
        return found == owners.end() ? others : found->second;
    };
    auto moments = timeline.moments();
    std::ranges::stable_sort(moments, {}, ownerOf);
    std::uint64_t done = 0;
    auto const mayGoOn = [&] { return timeline::goOn(progress, done, moments.size()); };

    Needs needs(Shared::Last, mayGoOn);
    ZfsSnapshots zfs;
    TRY(addPresent(needs, timeline, config));
    needs.settle(stays);
    TRY(addLoose(needs, zfs, timeline, config));
    for (auto const& moment : moments) {
        if (!mayGoOn())
            return fail(ErrorCode::Cancelled, wasCancelled);
        auto const added = addDisks(needs, zfs, moment.disks, ownerOf(moment), config);
        if (!added && (isCancelled(added) || !timeline.isGone(moment.id))) // as it may be meanwhile
            return fail(added.error());
        needs.settle(ownerOf(moment));
        ++done;
    }
    needs.settleElsewhere();

    timeline::Freed freed { 0, 0, std::vector<std::uint64_t>(order.size()) };
    for (auto const& owned : { needs.owned(), TRY(zfs.freed(mayGoOn)) }) {
        for (auto const& [owner, bytes] : owned) {
            if (owner == stays)
                continue;
            freed.total += bytes;
            if (owner == loose)
                freed.first += bytes;
            else if (owner < others)
                freed.each[owner - firstMoment] += bytes;
        }
    }
    return freed;
}

}
