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

struct DiskComparison {
    timeline::Moment const before, after;
    MomentDiffOptions const& options;
    std::function<bool(double)> progress; ///< 0 to 1

    Result<std::vector<DiskDiff>> all(VmConfig const& old, VmConfig const& fresh) const
    {
        std::vector<DiskDiff> differences;
        for (std::size_t i = 0; i < fresh.disks.size(); ++i) {
            auto const was = std::ranges::find(old.disks, fresh.disks[i].id, &DiskConfig::id);
            if (was == old.disks.end() || !followsMoments(*was) || !followsMoments(fresh.disks[i]))
                continue;
            auto const step = [&](double part) {
                return progress((static_cast<double>(i) + part) / static_cast<double>(fresh.disks.size()));
            };
            auto difference = TRY(one(*was, fresh.disks[i], step));
            if (difference.changed.bytes > 0 || difference.before != difference.after || !difference.problem.empty())
                differences.push_back(std::move(difference));
        }
        return differences;
    }

private:
    Result<DiskDiff> one(DiskConfig const& was, DiskConfig const& is, std::function<bool(double)> const& step) const
    {
        InlineEngine engine;
        auto const old = openDiskAt(engine, before, was), fresh = openDiskAt(engine, after, is);
        if (!old || !fresh)
            return DiskDiff { .id = is.id, .problem = (old ? fresh : old).error().message() };
        auto const size = std::max((*old)->size(), (*fresh)->size());
        return compareDisks(is.id, **old, **fresh, options.mostRuns, options.mostFiles, [&](std::uint64_t done) {
            return step(size == 0 ? 1 : static_cast<double>(done) / static_cast<double>(size));
        });
    }
};

}

Result<MomentDiff> compareMoments(timeline::Timeline const& timeline, std::string_view before, std::string_view after,
    MomentDiffOptions const& options, timeline::Progress const& progress)
{
    auto const old = TRY_WITHIN(std::string(before), savedMachineAt(timeline, before));
    auto const fresh = TRY_WITHIN(std::string(after), savedMachineAt(timeline, after));
    // Memory and disks are a share of the way each.
    constexpr std::uint64_t share = 1000;
    auto const whole = share * ((options.memory ? 1 : 0) + (options.disks ? 1 : 0));
    auto const tell = [&](std::uint64_t from, double part) {
        return timeline::goOn(progress, from + static_cast<std::uint64_t>(part * share), whole);
    };
    MomentDiff diff;
    diff.config = state::diff(state::save(old.config), state::save(fresh.config));
    diff.parts = TRY(compareParts(old, fresh));
    if (options.memory) {
        auto const oldMemory = TRY(timeline.memory(before)), freshMemory = TRY(timeline.memory(after));
        diff.memory = TRY(timeline::compareMemory(
            oldMemory, freshMemory, options.mostRuns, [&](std::uint64_t done, std::uint64_t total) {
                return tell(0, total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
            }));
    }
    if (options.disks) {
        DiskComparison const comparison { TRY(timeline.moment(before)), TRY(timeline.moment(after)), options,
            [&](double part) { return tell(whole - share, part); } };
        diff.disks = TRY(comparison.all(old.config, fresh.config));
    }
    return diff;
}

}
