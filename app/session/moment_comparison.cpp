#include "app/session/moment_comparison.h"

#include "vmm/machine/moment_diff.h"

namespace app {

namespace {

/// Nobody reads more, and a hostile state may have any number.
constexpr std::size_t mostFields = 2000, mostText = 200, mostRuns = 200, mostFiles = 1000;

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
    options.disks = false;
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

namespace {

DiskComparison::Partition forPerson(vmm::PartitionDiff const& found)
{
    DiskComparison::Partition part { found.number, {}, found.changes.count, QString::fromStdString(found.problem) };
    for (auto const& file : found.changes.files)
        part.files.push_back(
            { shown(file.path), static_cast<DiskComparison::File::What>(file.what), file.before, file.after });
    return part;
}

DiskComparison forPerson(vmm::DiskDiff const& found)
{
    DiskComparison disk;
    disk.id = QString::fromStdString(found.id);
    disk.before = found.before;
    disk.after = found.after;
    disk.changedBytes = found.changed.bytes;
    disk.problem = QString::fromStdString(found.problem);
    disk.isCut = !found.changed.isWhole;
    for (auto const& run : found.changed.runs)
        disk.runs.push_back({ run.offset, run.length });
    for (auto const& part : found.files) {
        disk.partitions.push_back(forPerson(part));
        disk.isCut = disk.isCut || part.changes.count > part.changes.files.size();
    }
    return disk;
}

vmm::Result<std::vector<vmm::DiskDiff>> diffDisks(vmm::timeline::Timeline const& timeline, QString const& before,
    QString const& after, std::size_t runs, std::size_t files, std::function<bool(double)> const& progress)
{
    vmm::MomentDiffOptions const options { .memory = false, .mostRuns = runs, .mostFiles = files };
    return TRY(vmm::compareMoments(timeline, before.toStdString(), after.toStdString(), options,
                   [&](std::uint64_t done, std::uint64_t total) {
                       return progress(total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
                   }))
        .disks;
}

}

vmm::Result<std::vector<DiskComparison>> compareDisksForPerson(vmm::timeline::Timeline const& timeline,
    QString const& before, QString const& after, std::function<bool(double)> const& progress)
{
    std::vector<DiskComparison> disks;
    for (auto const& found : TRY(diffDisks(timeline, before, after, mostRuns, mostFiles, progress)))
        disks.push_back(forPerson(found));
    return disks;
}

vmm::Result<quint64> changedDiskBytes(vmm::timeline::Timeline const& timeline, QString const& before,
    QString const& after, std::function<bool()> const& goOn)
{
    quint64 bytes = 0;
    for (auto const& disk : TRY(diffDisks(timeline, before, after, 0, 0, [&](double) { return goOn(); }))) {
        if (!disk.problem.empty())
            return vmm::fail(vmm::ErrorCode::Unsupported, disk.problem);
        bytes += disk.changed.bytes;
    }
    return bytes;
}

}
