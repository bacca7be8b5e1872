#include "app/control/host_usb_json.h"
#include "app/control/moment_methods.h"
#include "app/ctl/verbs.h"
#include "app/runner/host_usb_traces.h"
#include "app/store/moment_bundles.h"
#include "vmm/machine/moment_diff.h"
#include "vmm/machine/moment_export.h"

#include <algorithm>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

/// `chronoctl moment diff|inspect|export|import`: what only reads a machine's past.
namespace app::ctl {

namespace {

using TimelinePointer = std::shared_ptr<vmm::timeline::Timeline const>;

vmm::Result<TimelinePointer> timelineOf(std::string const& machine, Surroundings& around)
{
    auto const stored = TRY(around.store.find(machine));
    MachineRunner const runner(stored.config, around.store.placesOf(stored.id), around.factory);
    return runner.timeline();
}

/// A line that is overwritten as it goes on, where somebody looks.
MachineStore::Progress progressOn(Output const& output, Interruption const& interruption)
{
    bool const tells = !output.json && ::isatty(output.err) == 1;
    return [tells, &interruption, err = output.err](double part) {
        if (tells)
            writeAll(err, fmt::format("\r{:3.0f} %\r", part * 100));
        return !interruption.hasCome();
    };
}

void print(std::vector<vmm::state::Difference> const& fields, Output const& output)
{
    auto const value = [](std::string const& text) { return text.empty() ? "nothing" : text.c_str(); };
    for (auto const& field : fields)
        output.text(fmt::format("  {}: {} -> {}", field.path, value(field.before), value(field.after)));
}

void print(vmm::ChangedRuns const& changed, Output const& output)
{
    constexpr std::size_t most = 20;
    for (std::size_t i = 0; i < changed.runs.size() && i < most; ++i)
        output.text(fmt::format("    {:#012x}  {}", changed.runs[i].offset, sizeText(changed.runs[i].length)));
    if (changed.runs.size() > most || !changed.isWhole)
        output.text("    and more; --json tells them");
}

void print(vmm::PartDiff const& part, Output const& output)
{
    using Presence = vmm::PartDiff::Presence;
    output.text(fmt::format("{} ({}){}", part.id, part.kind,
        part.presence == Presence::Added         ? ", which was not there before"
            : part.presence == Presence::Removed ? ", which is not there any more"
                                                 : ""));
    print(part.fields, output);
}

void print(vmm::FileChanges const& changes, Output const& output)
{
    constexpr std::string_view signs = "+*-"; // added, changed, removed
    for (auto const& file : changes.files)
        output.text(fmt::format("      {} {}", signs[static_cast<std::size_t>(file.what)], file.path));
    if (changes.files.size() < changes.count)
        output.text(fmt::format("      and {} more", changes.count - changes.files.size()));
}

void print(vmm::DiskDiff const& disk, Output const& output)
{
    if (!disk.problem.empty())
        return output.text(fmt::format("{}: {}", disk.id, disk.problem));
    output.text(fmt::format(
        "{}: {} of {} changed", disk.id, sizeText(disk.changed.bytes), sizeText(std::max(disk.before, disk.after))));
    print(disk.changed, output);
    for (auto const& part : disk.files) {
        output.text(part.number == 0 ? "    files" : fmt::format("    files of partition {}", part.number));
        part.problem.empty() ? print(part.changes, output) : output.text("      " + part.problem);
    }
}

void print(vmm::MomentDiff const& diff, Output const& output)
{
    if (!diff.config.empty())
        output.text("configuration");
    print(diff.config, output);
    for (auto const& part : diff.parts)
        print(part, output);
    if (!diff.memory.empty())
        output.text("memory");
    for (auto const& block : diff.memory) {
        output.text(fmt::format("  {}: {} of {} changed{}", block.name, sizeText(block.changed.bytes),
            sizeText(std::max(block.before, block.after)),
            block.before == block.after
                ? ""
                : fmt::format("; it had {} and has {}", sizeText(block.before), sizeText(block.after))));
        print(block.changed, output);
    }
    for (auto const& disk : diff.disks)
        print(disk, output);
}

vmm::Result<> compare(TimelinePointer const& timeline, MomentOptions const& options, Output const& output)
{
    auto const [before, after] = TRY(control::momentsToCompare(*timeline, options.moment, options.other));
    Interruption const interruption;
    auto const diff = TRY(vmm::compareMoments(*timeline, before, after, {},
        [progress = progressOn(output, interruption)](std::uint64_t done, std::uint64_t total) {
            return progress(total > 0 ? double(done) / double(total) : 1);
        }));
    if (output.json)
        output.value(control::momentDiffToJson(diff, before, after));
    else
        print(diff, output);
    return {};
}

vmm::Result<> inspectMoment(TimelinePointer const& timeline, MomentOptions const& options, Output const& output)
{
    auto const id = TRY(control::findMoment(*timeline, options.moment));
    auto const moment = TRY(timeline->moment(id));
    auto const machine = TRY_WITHIN(id, vmm::savedMachineAt(*timeline, id));
    if (!output.json && options.inspect.part.empty() && !options.inspect.schema) {
        auto const seconds = static_cast<std::time_t>(moment.time / 1'000'000'000u);
        output.text(fmt::format("{}{}{}, {:%Y-%m-%d %H:%M:%S} ({})", moment.name, moment.name.empty() ? "" : ": ",
            machine.config.name, fmt::localtime(seconds), moment.id));
        for (auto const& block : moment.memory)
            output.text(fmt::format("  memory {}: {}", block.name, sizeText(block.size)));
    }
    return printMachine(machine, options.inspect, output);
}

/// Elsewhere `usb foresee` tells more.
void noteWhatStays(std::vector<UsbFate> const& devices, Output const& output)
{
    for (auto const& device : devices) {
        auto const id = fmt::format("{:04x}:{:04x}", device.vendor, device.product);
        output.note(device.port.empty()
                ? fmt::format("chronoctl: the guest has a USB device of another computer ({}): where the machine goes "
                              "it is unplugged, and has to be passed on anew",
                    id)
                : fmt::format("chronoctl: the guest has a USB device of this host ({}, port {}): where the machine "
                              "goes it is unplugged, unless the device is there too",
                    id, device.port));
    }
}

vmm::Result<Json> exportIt(
    TimelinePointer const& timeline, MomentOptions const& options, Surroundings& around, Output const& output)
{
    auto const id = TRY(control::findMoment(*timeline, options.moment));
    Interruption const interruption;
    auto const progress = progressOn(output, interruption);
    auto const devices = usbThatStays(*timeline, id);
    if (!output.json)
        noteWhatStays(devices, output);
    if (!options.bundle)
        TRY(vmm::exportMoment(
            timeline, id, options.to, options.withoutFiles ? vmm::ExportFiles::None : vmm::ExportFiles::All, progress));
    else if (options.to == "-")
        TRY(exportBundle(around.store, timeline, id, output.out, progress));
    else
        TRY(exportBundleFile(around.store, timeline, id, options.to, progress));
    return Json { { "to", options.to }, { "devices", control::usbFatesToJson(devices) } };
}

}

int lookAtMoment(MomentOptions const& options, Surroundings& around, Output const& output)
{
    auto const timeline = timelineOf(options.machine, around);
    if (!timeline)
        return output.failed(timeline.error());
    if (options.action == "diff")
        return output.finish(compare(*timeline, options, output));
    if (options.action == "inspect")
        return output.finish(inspectMoment(*timeline, options, output));
    auto const exported = exportIt(*timeline, options, around, output);
    if (!exported)
        return output.failed(exported.error());
    // Where the bundle itself goes to the standard output there is no room for an answer.
    return options.to == "-" ? int(Done) : output.answer({}, *exported);
}

int importMoment(MomentOptions const& options, Surroundings& around, Output const& output)
{
    Interruption const interruption;
    auto const progress = progressOn(output, interruption);
    auto const name = options.name.value_or("");
    auto const made = options.machine == "-"
        ? importBundle(around.store, around.in, name, around.factory.checkHost, progress)
        : importFrom(around.store, options.machine, name, around.factory.checkHost, progress);
    if (!made)
        return output.failed(made.error());
    auto const devices = noteUsbFates(made->id, {}, around, output);
    if (output.json)
        output.value({ { "uuid", made->id }, { "name", made->config.name }, { "devices", devices } });
    else
        output.text(made->id);
    return Done;
}

}
