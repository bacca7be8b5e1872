#include "app/session/moment_comparison.h"

#include "vmm/machine/moment_diff.h"

namespace app {

namespace {

/// Nobody reads more, and a hostile state may have any number.
constexpr std::size_t mostFields = 2000, mostText = 200;

QString shown(std::string const& text)
{
    auto whole = QString::fromStdString(text.substr(0, mostText));
    return text.size() > mostText ? whole + QChar(0x2026) : whole;
}

}

vmm::Result<MomentComparison> compareForPerson(vmm::timeline::Timeline const& timeline, QString const& before,
    QString const& after, std::function<bool()> const& goOn)
{
    vmm::MomentDiffOptions options;
    options.disks = false; // to read all that differs of them takes longer than somebody looks
    auto const found = TRY(vmm::compareMoments(timeline, before.toStdString(), after.toStdString(), options,
        [&](std::uint64_t, std::uint64_t) { return goOn(); }));
    MomentComparison comparison;
    comparison.before = before;
    comparison.after = after;
    std::size_t fields = 0;
    auto const add = [&](std::string const& id, MomentComparison::Part::Presence presence,
                         std::vector<vmm::state::Difference> const& differences) {
        MomentComparison::Part part { QString::fromStdString(id), presence, {} };
        for (auto const& one : differences) {
            if (++fields > mostFields) {
                comparison.isCut = true;
                break;
            }
            part.fields.push_back({ shown(one.path), shown(one.before), shown(one.after) });
        }
        comparison.parts.push_back(std::move(part));
    };
    using Presence = MomentComparison::Part::Presence;
    if (!found.config.empty())
        add("", Presence::Both, found.config);
    for (auto const& part : found.parts)
        add(part.id, static_cast<Presence>(part.presence), part.fields);
    for (auto const& block : found.memory)
        comparison.memoryBytes += block.changed.bytes;
    return comparison;
}

}
