#include "vmm/machine/moment_diff.h"

#include "vmm/machine/past_disk.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace vmm {

namespace {

/// By id, each as this version of its kind has it.
Result<std::map<std::string, Section>> sectionsOf(SavedMachine const& machine)
{
    std::map<std::string, Section> sections { { "machine", state::save(machine.header) } };
    for (auto const& part : machine.parts)
        sections[part.id] = TRY(currentSection(part));
    return sections;
}

Result<std::vector<PartDiff>> compareParts(SavedMachine const& before, SavedMachine const& after)
{
    auto const old = TRY(sectionsOf(before)), fresh = TRY(sectionsOf(after));
    std::vector<PartDiff> differences;
    for (auto const& [id, section] : old) {
        auto const other = fresh.find(id);
        if (other == fresh.end() || other->second.kind() != section.kind())
            differences.push_back({ id, section.kind(), PartDiff::Presence::Removed, {} });
        else if (auto fields = state::diff(section, other->second); !fields.empty())
            differences.push_back({ id, section.kind(), PartDiff::Presence::Both, std::move(fields) });
    }
    for (auto const& [id, section] : fresh) {
        auto const other = old.find(id);
        if (other == old.end() || other->second.kind() != section.kind())
            differences.push_back({ id, section.kind(), PartDiff::Presence::Added, {} });
    }
    return differences;
}

/// The second half of the way.
struct DiskComparison {
    timeline::Moment const before, after;
    MomentDiffOptions const& options;
    timeline::Progress const& progress;

    Result<std::vector<DiskDiff>> all(VmConfig const& old, VmConfig const& fresh) const
    {
        std::vector<DiskDiff> differences;
        for (std::size_t i = 0; i < fresh.disks.size(); ++i) {
            auto const was = std::ranges::find(old.disks, fresh.disks[i].id, &DiskConfig::id);
            if (was == old.disks.end() || !hasPast(*was) || !hasPast(fresh.disks[i]))
                continue;
            auto const step = [&](std::uint64_t) {
                return timeline::goOn(progress, fresh.disks.size() + i, 2 * fresh.disks.size());
            };
            auto difference = TRY(one(*was, fresh.disks[i], step));
            if (difference.changed.bytes > 0 || difference.before != difference.after || !difference.problem.empty())
                differences.push_back(std::move(difference));
        }
        return differences;
    }

private:
    Result<DiskDiff> one(DiskConfig const& was, DiskConfig const& is, ImageDiffProgress const& step) const
    {
        InlineEngine engine;
        auto const old = openDiskAt(engine, before, was), fresh = openDiskAt(engine, after, is);
        if (!old || !fresh)
            return DiskDiff { .id = is.id, .problem = (old ? fresh : old).error().message() };
        return compareDisks(is.id, **old, **fresh, options.mostRuns, options.mostFiles, step);
    }
};

}

Result<MomentDiff> compareMoments(timeline::Timeline const& timeline, std::string_view before, std::string_view after,
    MomentDiffOptions const& options, timeline::Progress const& progress)
{
    auto const old = TRY_WITHIN(std::string(before), savedMachineAt(timeline, before));
    auto const fresh = TRY_WITHIN(std::string(after), savedMachineAt(timeline, after));
    MomentDiff diff;
    diff.config = state::diff(state::save(old.config), state::save(fresh.config));
    diff.parts = TRY(compareParts(old, fresh));
    if (options.memory) {
        auto const oldMemory = TRY(timeline.memory(before)), freshMemory = TRY(timeline.memory(after));
        auto const half
            = [&](std::uint64_t done, std::uint64_t total) { return timeline::goOn(progress, done, 2 * total); };
        diff.memory = TRY(timeline::compareMemory(oldMemory, freshMemory, options.mostRuns, half));
    }
    if (options.disks) {
        DiskComparison const comparison { TRY(timeline.moment(before)), TRY(timeline.moment(after)), options,
            progress };
        diff.disks = TRY(comparison.all(old.config, fresh.config));
    }
    return diff;
}

}
