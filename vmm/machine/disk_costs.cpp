#include "vmm/machine/disk_costs.h"

#include "vmm/base/log.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/moment_disks.h"

#include <algorithm>
#include <set>
#include <unistd.h>

namespace vmm {

namespace {

constexpr std::size_t present = 0; // else a moment's place in the list, from 1 on

/// Where files have what somebody needs.
class Needs {
public:
    /// All that the image reads as.
    Result<> add(std::size_t owner, BlockImage& image)
    {
        BlockImage const* known = nullptr;
        std::string path; // of its file
        for (std::uint64_t at = 0; at < image.size();) {
            auto const mapping = TRY(image.resolve(at, image.size() - at));
            if (mapping.length == 0)
                return fail(ErrorCode::Corrupt, "nothing says where a byte is");
            at += mapping.length;
            if (mapping.kind != BlockImage::Mapping::Kind::Data)
                continue;
            if (std::exchange(known, mapping.image) != mapping.image)
                path = mapping.image->info().path;
            TRY(addRun(owner, path, mapping.hostOffset, mapping.length));
        }
        return {};
    }

    /// In the order of the owners.
    std::vector<DiskCost> costs(std::size_t owners)
    {
        std::vector<DiskCost> costs(owners);
        for (auto& [path, edges] : m_edges) {
            std::ranges::sort(edges, {}, &Edge::at);
            std::multiset<std::size_t> here;
            std::uint64_t before = 0;
            for (auto const& edge : edges) {
                auto const length = edge.at - std::exchange(before, edge.at);
                bool const isShared = !here.empty() && *here.begin() != *here.rbegin();
                for (auto owner = here.begin(); owner != here.end(); owner = here.upper_bound(*owner))
                    (isShared ? costs[*owner].shared : costs[*owner].own) += length;
                if (edge.begins)
                    here.insert(edge.owner);
                else
                    here.erase(here.find(edge.owner));
            }
        }
        return costs;
    }

private:
    struct Edge {
        std::uint64_t at;
        std::size_t owner;
        bool begins;
    };

    /// Only what is no hole: of a base what nobody reads any more was given back.
    Result<> addRun(std::size_t owner, std::string const& path, std::uint64_t offset, std::uint64_t length)
    {
        auto& file = m_files[path];
        if (!file)
            file = TRY(openRegularFile(path));
        auto const end = offset + length;
        while (offset < end) {
            auto const from = ::lseek(file.get(), static_cast<off_t>(offset), SEEK_DATA);
            if (from < 0 || static_cast<std::uint64_t>(from) >= end)
                break;
            auto const to = ::lseek(file.get(), from, SEEK_HOLE);
            offset = to < 0 ? end : std::min(end, static_cast<std::uint64_t>(to));
            m_edges[path].push_back({ static_cast<std::uint64_t>(from), owner, true });
            m_edges[path].push_back({ offset, owner, false });
        }
        return {};
    }

    std::map<std::string, UniqueFd> m_files;
    std::map<std::string, std::vector<Edge>> m_edges;
};

std::vector<std::string> backingOf(VmConfig const& config, std::string const& path)
{
    auto const known = std::ranges::find(config.disks, path, &DiskConfig::path);
    return known == config.disks.end() ? std::vector<std::string>() : known->backing;
}

Result<> addMoment(Needs& needs, std::size_t owner, timeline::Moment const& moment, VmConfig const& config)
{
    InlineEngine engine;
    for (auto const& disk : moment.disks) {
        auto const way = disk.checkpoint.way;
        if (way != CheckpointWay::Internal && way != CheckpointWay::Overlay)
            return fail(ErrorCode::Unsupported, disk.device + ": only its file system knows what it shares");
        auto const image = TRY(CheckpointMethod::create(way)->openReadOnly(
            engine, disk.path, disk.checkpoint, backingOf(config, disk.path)));
        TRY_WITHIN(disk.device, needs.add(owner, *image));
    }
    return {};
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
        auto const image = TRY_WITHIN(disk.id, BlockImage::open(engine, disk.path, options));
        TRY_WITHIN(disk.id, needs.add(present, *image));
    }
    return {};
}

}

Result<std::map<std::string, DiskCost>> diskCosts(
    timeline::Timeline const& timeline, VmConfig const& config, timeline::Progress const& progress)
{
    auto const moments = timeline.moments();
    Needs needs;
    TRY(addPresent(needs, config));
    std::set<std::size_t> unknown;
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (!timeline::goOn(progress, i, moments.size()))
            return fail(ErrorCode::Cancelled, "finding out what the disks' past takes was cancelled");
        if (auto const added = addMoment(needs, i + 1, moments[i], config); !added) {
            log(LogLevel::Info, "machine", "{}: {}", moments[i].id, added.error().message());
            unknown.insert(i);
        }
    }
    auto const costs = needs.costs(moments.size() + 1);
    std::map<std::string, DiskCost> known;
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (!unknown.contains(i))
            known.emplace(moments[i].id, costs[i + 1]);
    }
    return known;
}

}
