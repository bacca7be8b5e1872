#pragma once

#include "app/store/moment_bundles.h"
#include "app/store/scaffold.h"
#include "app/store/whole_file.h"
#include "tests/support/open_timeline.h"
#include "tests/support/still_machine.h"
#include "vmm/base/time_of_day.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/moment_export.h"
#include "vmm/timeline/thinning.h"

#include <fcntl.h>
#include <filesystem>
#include <functional>

namespace tests {

constexpr unsigned numberNow = 40; ///< what the disks hold, after the moments 10, 20 and 30

/// A folder with a library that has one machine, which is off and suspended, whichever a test asks; with its moments,
/// of which it has kept the second by itself; and a bundle of the first.
struct Place {
    std::string const root;
    app::MachineStore store { root + "/library" };
    StillMachine const machine { store.machinesDirectory() + "/8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11" };
    std::string const exported = root + "/exported", bundle = root + "/it.bundle", otherBundle = root + "/other.bundle",
                      suspended = root + "/suspended";
    app::MachinePlaces const its = store.placesOf(machine.config.uuid);

    explicit Place(std::string where) : root(std::move(where)) { }
    void make() const
    {
        std::filesystem::create_directories(machine.folder);
        machine.make();
        auto config = machine.config;
        app::makePathsRelative(config, machine.folder);
        must(app::writeConfig(config, machine.folder));
        must(writeState(suspended, "old"));
        auto const timeline = machine.open();
        must(machine.keep(*timeline, 10));
        machine.write(20);
        vmm::timeline::NewMoment own;
        own.reason = vmm::timeline::Reason::Automatic;
        must(vmm::Machine::keepOff(machine.config, *timeline, own));
        must(machine.keep(*timeline, 30));
        must(app::exportBundleFile(store, timeline, timeline->moments().front().id, otherBundle));
        machine.write(numberNow);
        machine.suspendTo(its.stateDirectory);
    }

    /// All that replacing a state asks of one.
    static vmm::Result<> writeState(std::string const& directory, std::string_view text)
    {
        return vmm::replaceDirectory(directory, [text](std::string const& fresh) -> vmm::Result<> {
            TRY(vmm::writeFileSynced(fresh + "/ram", text));
            return vmm::writeFileSynced(fresh + "/state.json", text);
        });
    }
};

/// Something that is done with a machine's past, and what must hold whether it could be done or not.
struct Work : Place {
    std::shared_ptr<vmm::timeline::Timeline> timeline = machine.open();
    std::vector<vmm::timeline::Moment> moments = timeline->moments();
    bool isBroken = false; ///< nothing could be written any more
    bool isAsleep = false; ///< it is the suspended one's past
    bool isLast = false;   ///< it is about the last moment, as otherBundle is, and not about the second
    std::function<bool(double)> goOn {};

    using Place::Place;

    vmm::Result<> keep()
    {
        return only(vmm::Machine::keepOff(machine.config, *timeline, { .name = std::to_string(numberNow) }, goOn));
    }
    vmm::Result<> keepSuspended()
    {
        isAsleep = true;
        return only(
            vmm::Machine::keepSuspended(its.stateDirectory, *timeline, { .name = std::to_string(numberNow) }, goOn));
    }
    vmm::Result<> go() { return only(vmm::Machine::goToOff(timeline, moments[0].id)); }
    vmm::Result<> endAndMerge()
    {
        if (timeline->moment(moments[1].id))
            TRY(timeline->purge(moments[1].id));
        return machine.tidy(*timeline);
    }
    vmm::Result<> prune()
    {
        vmm::timeline::Policy nothing;
        nothing.tiers.clear();
        auto const purge = [&](std::string const& id) -> vmm::Result<bool> {
            TRY(timeline->purge(id));
            return true;
        };
        TRY(vmm::timeline::prune(
            *timeline, nothing, vmm::timeOfDay(), purge, [this](auto, auto) { return !goOn || goOn(0); }));
        if (timeline->moment(moments[1].id))
            return vmm::fail(vmm::ErrorCode::Internal, "what may go did not");
        return machine.tidy(*timeline);
    }
    vmm::Result<> fork() { return only(store.fork(machine.config.uuid, chosen().id, "forked", goOn)); }
    vmm::Result<> exportDirectory()
    {
        return vmm::exportMoment(timeline, chosen().id, exported, vmm::ExportFiles::All, goOn);
    }
    vmm::Result<> exportOneFile() { return app::exportBundleFile(store, timeline, chosen().id, bundle, goOn); }
    vmm::Result<> import()
    {
        auto const file = TRY(vmm::openFile(otherBundle, O_RDONLY));
        return only(app::importBundle(
            store, file.get(), "imported", [](auto const&) { return vmm::Result<>(); }, goOn));
    }
    vmm::Result<> suspend() { return writeState(suspended, "new"); }

    template<typename T>
    static vmm::Result<> only(vmm::Result<T> const& result)
    {
        return result ? vmm::Result<>() : vmm::fail(result.error());
    }

    /// The first thing that is not as it must be.
    QString problem(bool isDone) const
    {
        std::set<std::string> ids { moments[0].id, moments[2].id };
        if (auto const found = machine.problem(timeline, ids); !found.isEmpty())
            return found;
        // Where its disks were on their way it is not at rest yet.
        bool const stays = timeline->goingTo().empty() && timeline->present() != moments[0].id;
        if (auto const now = stays ? machine.differenceNow(numberNow) : QString(); !now.isEmpty())
            return "now " + now;
        auto const asks = isBroken ? StillMachine::Asks::MayBe : StillMachine::Asks::AsBefore;
        if (auto const found = isAsleep ? machine.problemOfState(its.stateDirectory, asks) : QString();
            !found.isEmpty())
            return found;
        if (std::filesystem::exists(exported)) {
            if (auto const found = StillMachine::problemOfExport(exported); !found.isEmpty())
                return "exported: " + found;
        }
        auto const state = app::readWholeFile(suspended + "/state.json", 100).value_or("");
        // Where nothing can be written any more a state cannot change its place again.
        if (state != "old" && (state != "new" || (!isDone && !isBroken)))
            return "the saved state is another one, or none";
        for (auto const& one : store.list()) {
            if (auto const found = problemOf(one); !found.isEmpty())
                return QString::fromStdString(one.config.name + ": ") + found;
        }
        if (isDone)
            return {};
        // What is half made goes with whoever failed, but for what the next one of the machine's takes away.
        if (std::filesystem::exists(exported) || std::filesystem::exists(bundle) || store.list().size() > 1)
            return "it failed, and is there";
        for (auto const& entry : std::filesystem::recursive_directory_iterator(root)) {
            auto const name = entry.path().filename().string();
            if (name.starts_with(".making-") || name.ends_with(".part") || name.starts_with("exported."))
                return QString::fromStdString("left over: " + entry.path().string());
        }
        return {};
    }

private:
    vmm::timeline::Moment const& chosen() const { return isLast ? moments.back() : moments[1]; }
    /// Of what was made of a moment: its disks are that moment's, and so is what it has kept itself.
    QString problemOf(app::StoredMachine const& made) const
    {
        if (made.problem)
            return QString::fromStdString(made.problem->message());
        if (made.id == machine.config.uuid)
            return {};
        auto const number = isLast ? numberNow : made.config.name == "forked" ? 20u : 10u;
        vmm::InlineEngine engine;
        for (auto disk : made.config.disks) {
            disk.format = vmm::formatNow(disk);
            auto const image = vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk));
            auto const found
                = image ? StillMachine::difference(**image, number) : QString::fromStdString(image.error().message());
            if (!found.isEmpty())
                return QString::fromStdString(disk.id + ": ") + found;
        }
        auto const past = store.placesOf(made.id).timelineFolder;
        if (!std::filesystem::exists(past))
            return {};
        auto const kept = openTimeline(past, vmm::timeline::Timeline::Access::ReadOnly);
        auto const damaged = must(kept->verify());
        return damaged.empty() ? QString() : QString::fromStdString(damaged.front().error.message());
    }
};

/// `now` as `before`, times and all, by which a suspended machine knows its disks, and we what has changed.
inline void putBack(std::filesystem::path const& before, std::filesystem::path const& now)
{
    std::filesystem::create_directories(now);
    std::vector<std::filesystem::path> others;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(now)) {
        if (!std::filesystem::exists(before / entry.path().lexically_relative(now)))
            others.push_back(entry.path());
    }
    for (auto const& path : others)
        std::filesystem::remove_all(path);
    for (auto const& entry : std::filesystem::recursive_directory_iterator(before)) {
        auto const path = now / entry.path().lexically_relative(before);
        if (entry.is_directory()) {
            std::filesystem::create_directories(path);
            continue;
        }
        auto const time = std::filesystem::last_write_time(entry);
        if (std::filesystem::exists(path) && std::filesystem::file_size(path) == entry.file_size()
            && std::filesystem::last_write_time(path) == time)
            continue;
        std::filesystem::remove(path); // which may have another name, too
        std::filesystem::copy_file(entry, path);
        std::filesystem::last_write_time(path, time);
    }
}

}
