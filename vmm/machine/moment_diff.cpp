#include "vmm/machine/moment_diff.h"

#include "vmm/state/writer.h"

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
        diff.memory = TRY(timeline::compareMemory(oldMemory, freshMemory, options.mostRuns, progress));
    }
    return diff;
}

}
