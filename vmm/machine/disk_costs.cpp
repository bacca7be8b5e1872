#include "vmm/machine/disk_costs.h"

#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_zfs.h"
#include "vmm/block/file_extents.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/past_disk.h"

#include <algorithm>
#include <cstdint>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>

namespace vmm {

namespace {

// Who needs something: else a moment's place in the list, from `firstMoment` on.
constexpr std::size_t present = 0, somebodyElse = 1, firstMoment = 2, several = SIZE_MAX;

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

/// `known` with what `owner` needs as well; both in order.
std::vector<Piece> merge(std::vector<Piece> const& known, std::vector<Run> const& runs, std::size_t owner)
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
        auto const whose = !isKnown ? owner : !isNeeded || one->owner == owner ? one->owner : several;
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
    explicit Needs(std::size_t owners) : m_all(owners) { }

    /// All that the image reads as; then settle().
    Result<> add(BlockImage& image)
    {
        BlockImage const* known = nullptr;
        File const* file = nullptr;
        for (std::uint64_t at = 0; at < image.size();) {
            auto const mapping = TRY(image.resolve(at, image.size() - at));
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
            m_pieces[space] = merge(m_pieces[space], runs, owner);
        }
        for (auto& [space, runs] : m_addedElsewhere) {
            tidy(runs);
            m_pieces[space] = merge(m_pieces[space], runs, somebodyElse);
        }
        m_added.clear();
        m_addedElsewhere.clear();
    }
    /// In the order of the owners.
    std::vector<DiskCost> costs() const
    {
        std::vector<DiskCost> costs(m_all.size());
        for (auto const& [space, pieces] : m_pieces) {
            for (auto const& piece : pieces) {
                if (piece.owner != several)
                    costs[piece.owner].own += piece.end - piece.begin;
            }
        }
        for (std::size_t owner = 0; owner < costs.size(); ++owner)
            costs[owner].shared = owner == somebodyElse ? 0 : m_all[owner] - costs[owner].own;
        return costs;
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
    };

    Result<File const*> fileAt(std::string const& path)
    {
        auto const known = m_files.find(path);
        if (known != m_files.end())
            return &known->second;
        auto const descriptor = TRY(openFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
        struct stat status { };
        if (::fstat(descriptor.get(), &status) != 0)
            return failOs("cannot look at " + path);
        File file { { status.st_dev, status.st_ino }, {}, status.st_nlink > 1 };
        if (S_ISREG(status.st_mode))
            file.extents = TRY(fileExtents(descriptor.get()));
        return &m_files.emplace(path, std::move(file)).first->second;
    }

    /// Only what is no hole: of a base what nobody reads any more was given back.
    void addRun(File const& file, std::uint64_t offset, std::uint64_t length)
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
            if (one->isShared || file.hasOtherNames) // by one of ours, maybe, who is counted anyway
                m_addedElsewhere[space].push_back(run);
        }
    }

    std::map<std::string, File> m_files; // by path
    std::map<Space, std::vector<Run>> m_added, m_addedElsewhere;
    std::map<Space, std::vector<Piece>> m_pieces;
    std::vector<std::uint64_t> m_all; // bytes, by owner
};

/// What ZFS says of the snapshots that the disks of moments have.
class ZfsFigures {
public:
    /// `seen`: the file systems and volumes of the moment's other disks.
    Result<> add(DiskCost& cost, std::set<std::string>& seen, timeline::MomentDisk const& disk)
    {
        auto known = m_spaces.find(disk.path);
        if (known == m_spaces.end())
            known = m_spaces.emplace(disk.path, zfsSpaces(disk.path, runProgram)).first;
        if (!known->second)
            return fail(known->second.error());
        auto const space = known->second->find(disk.checkpoint.place);
        if (space == known->second->end())
            return fail(ErrorCode::NotFound, "there is no snapshot " + disk.checkpoint.place);
        if (!seen.insert(disk.checkpoint.place.substr(0, disk.checkpoint.place.find('@'))).second)
            return fail(ErrorCode::Unsupported,
                "another disk has a snapshot of the same file system, and ZFS does not tell what only the two need");
        cost.own += space->second.used;
        cost.shared += space->second.referenced - std::min(space->second.used, space->second.referenced);
        return {};
    }

private:
    std::map<std::string, Result<std::map<std::string, ZfsSpace>>> m_spaces; // by a disk's path
};

/// The machine may have put other tables or files in the place of those that were being read. What was added before
/// that counts once.
template<typename Work>
Result<> twice(Work const& work)
{
    auto const first = work();
    return first ? first : work();
}

/// What is not in `needs` is what it returns.
Result<DiskCost> addMoment(Needs& needs, ZfsFigures& zfs, timeline::Moment const& moment, VmConfig const& config)
{
    InlineEngine engine;
    DiskCost cost;
    std::set<std::string> seen;
    for (auto const& disk : moment.disks) {
        auto const way = disk.checkpoint.way;
        if (way == CheckpointWay::Zfs) {
            TRY_WITHIN(disk.device, zfs.add(cost, seen, disk));
            continue;
        }
        auto const add = [&]() -> Result<> {
            auto const method = CheckpointMethod::create(way);
            auto const backing = backingOf(config, disk.path);
            return needs.add(*TRY(method->openReadOnly(engine, disk.path, disk.checkpoint, backing)));
        };
        TRY_WITHIN(disk.device, twice(add));
    }
    return cost;
}

Result<> addPresent(Needs& needs, VmConfig const& config)
{
    InlineEngine engine;
    for (auto disk : config.disks) {
        if (disk.readOnly)
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

}

Result<std::map<std::string, Result<DiskCost>>> diskCosts(
    timeline::Timeline const& timeline, VmConfig const& config, timeline::Progress const& progress)
{
    auto const moments = timeline.moments();
    Needs needs(firstMoment + moments.size());
    ZfsFigures zfs;
    TRY(addPresent(needs, config));
    needs.settle(present);
    std::map<std::string, Result<DiskCost>> all;
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (!timeline::goOn(progress, i, moments.size()))
            return fail(ErrorCode::Cancelled, "finding out what the disks' past takes was cancelled");
        all.emplace(moments[i].id, addMoment(needs, zfs, moments[i], config));
        needs.settle(firstMoment + i);
    }
    auto const inFiles = needs.costs();
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (auto& cost = all.at(moments[i].id)) {
            cost->own += inFiles[firstMoment + i].own;
            cost->shared += inFiles[firstMoment + i].shared;
        }
    }
    return all;
}

}
