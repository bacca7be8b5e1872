#include "app/store/moment_bundles.h"
#include "app/store/scaffold.h"
#include "app/store/whole_file.h"
#include "tests/support/call_faults.h"
#include "tests/support/still_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/moment_export.h"
#include "vmm/timeline/thinning.h"

#include <QTemporaryDir>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

using namespace app;
using namespace vmm;
using namespace vmm::timeline;
using tests::CallFault;
using tests::CallFaults;
using tests::FaultStory;
using tests::StillMachine;

namespace {

namespace fs = std::filesystem;

constexpr unsigned numberNow = 40; ///< what the disks hold, after the moments 10, 20 and 30

/// A folder with a library that has one machine, which is off and suspended, whichever a test asks; with its moments,
/// of which it has kept the second by itself; and a bundle of the first.
struct Place {
    std::string const root;
    MachineStore store { root + "/library" };
    StillMachine const machine { store.machinesDirectory() + "/8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11" };
    std::string const exported = root + "/exported", bundle = root + "/it.bundle", otherBundle = root + "/other.bundle",
                      suspended = root + "/suspended";
    MachinePlaces const its = store.placesOf(machine.config.uuid);

    explicit Place(std::string where) : root(std::move(where)) { }
    void make() const
    {
        fs::create_directories(machine.folder);
        machine.make();
        auto config = machine.config;
        makePathsRelative(config, machine.folder);
        tests::must(writeConfig(config, machine.folder));
        tests::must(writeState(suspended, "old"));
        auto const timeline = machine.open();
        tests::must(machine.keep(*timeline, 10));
        machine.write(20);
        NewMoment own;
        own.reason = Reason::Automatic;
        tests::must(Machine::keepOff(machine.config, *timeline, own));
        tests::must(machine.keep(*timeline, 30));
        tests::must(exportBundleFile(store, timeline, timeline->moments().front().id, otherBundle));
        machine.write(numberNow);
        machine.suspendTo(its.stateDirectory);
    }

    /// All that replacing a state asks of one.
    static Result<> writeState(std::string const& directory, std::string_view text)
    {
        return replaceDirectory(directory, [text](std::string const& fresh) -> Result<> {
            TRY(writeFileSynced(fresh + "/ram", text));
            return writeFileSynced(fresh + "/state.json", text);
        });
    }
};

/// Something that is done with a machine's past, and what must hold whether it could be done or not.
struct Work : Place {
    std::shared_ptr<Timeline> timeline = machine.open();
    std::vector<Moment> moments = timeline->moments();
    bool isBroken = false; ///< nothing could be written any more
    bool isAsleep = false; ///< it is the suspended one's past

    using Place::Place;

    Result<> keep() { return only(Machine::keepOff(machine.config, *timeline, { .name = std::to_string(numberNow) })); }
    Result<> keepSuspended()
    {
        isAsleep = true;
        return only(Machine::keepSuspended(its.stateDirectory, *timeline, { .name = std::to_string(numberNow) }));
    }
    Result<> go() { return only(Machine::goToOff(timeline, moments[0].id)); }
    Result<> endAndMerge()
    {
        if (timeline->moment(moments[1].id))
            TRY(timeline->purge(moments[1].id));
        return machine.tidy(*timeline);
    }
    Result<> prune()
    {
        Policy nothing;
        nothing.tiers.clear();
        auto const purge = [&](std::string const& id) -> Result<bool> {
            TRY(timeline->purge(id));
            return true;
        };
        TRY(vmm::timeline::prune(*timeline, nothing, timeNow(), purge));
        if (timeline->moment(moments[1].id))
            return fail(ErrorCode::Internal, "what may go did not");
        return machine.tidy(*timeline);
    }
    Result<> fork() { return only(store.fork(machine.config.uuid, moments[1].id, "forked")); }
    Result<> exportDirectory() { return exportMoment(timeline, moments[1].id, exported, ExportFiles::All, {}); }
    Result<> exportOneFile() { return exportBundleFile(store, timeline, moments[1].id, bundle); }
    Result<> import()
    {
        auto const file = TRY(openFile(otherBundle, O_RDONLY));
        return only(importBundle(store, file.get(), "imported", [](auto const&) { return Result<>(); }));
    }
    Result<> suspend() { return writeState(suspended, "new"); }

    template<typename T>
    static Result<> only(Result<T> const& result)
    {
        return result ? Result<>() : fail(result.error());
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
        if (fs::exists(exported)) {
            if (auto const found = StillMachine::problemOfExport(exported); !found.isEmpty())
                return "exported: " + found;
        }
        auto const state = readWholeFile(suspended + "/state.json", 100).value_or("");
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
        if (fs::exists(exported) || fs::exists(bundle) || store.list().size() > 1)
            return "it failed, and is there";
        for (auto const& entry : fs::recursive_directory_iterator(root)) {
            auto const name = entry.path().filename().string();
            if (name.starts_with(".making-") || name.ends_with(".part") || name.starts_with("exported."))
                return QString::fromStdString("left over: " + entry.path().string());
        }
        return {};
    }

private:
    /// Of what was made of a moment: its disks are that moment's, and so is what it has kept itself.
    QString problemOf(StoredMachine const& made) const
    {
        if (made.problem)
            return QString::fromStdString(made.problem->message());
        if (made.id == machine.config.uuid)
            return {};
        auto const number = made.config.name == "forked" ? 20u : 10u;
        InlineEngine engine;
        for (auto disk : made.config.disks) {
            disk.format = formatNow(disk);
            auto const image = BlockImage::open(engine, disk.path, imageOptions(disk));
            auto const found
                = image ? StillMachine::difference(**image, number) : QString::fromStdString(image.error().message());
            if (!found.isEmpty())
                return QString::fromStdString(disk.id + ": ") + found;
        }
        auto const past = store.placesOf(made.id).timelineFolder;
        if (!fs::exists(past))
            return {};
        auto const kept = tests::must(Timeline::open(tests::must(openFolder(past)), Timeline::Access::ReadOnly));
        auto const damaged = tests::must(kept->verify());
        return damaged.empty() ? QString() : QString::fromStdString(damaged.front().error.message());
    }
};

using Operation = Result<> (Work::*)();

/// What happened in the process where a call went wrong.
FaultStory strike(Place const& place, Operation operation, CallFault const& fault)
{
    return tests::tellWithFaults([&]() -> QString {
        Work work(place.root);
        if (!CallFaults::begin())
            ::_exit(3);
        work.isBroken = fault.way == CallFault::Way::FromThenOn;
        CallFaults::plan(fault);
        auto const outcome = (work.*operation)();
        CallFaults::end();
        if (!outcome && (!CallFaults::hasStruck() || fault.way == CallFault::Way::Short))
            return QString::fromStdString(outcome.error().message());
        if (auto const found = work.problem(outcome.has_value()); !found.isEmpty())
            return found;
        if (outcome)
            return {};
        // It goes on, and does it then.
        if (auto const again = (work.*operation)(); !again)
            return QString::fromStdString("again: " + again.error().message());
        auto const found = work.problem(true);
        return found.isEmpty() ? QString() : "again: " + found;
    });
}

}

/// Each call that changes a file fails once, or from then on, with an I/O error or a full disk, or writes only half of
/// what it should, while a machine's disks are kept, taken back and merged, and while its past travels: what was there
/// is there, nothing half made counts, and the next try does it.
class WriteFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void everyCallCanFail_data()
    {
        QTest::addColumn<int>("operation");
        for (int i = 0; i < int(operations.size()); ++i)
            QTest::newRow(operations[unsigned(i)].name) << i;
    }

    void everyCallCanFail()
    {
        QFETCH(int, operation);
        auto const [name, tried, isSlow] = operations[unsigned(operation)];
        QTemporaryDir directory;
        // Paths are in what is kept, so it is made where it is worked on, and put back each time.
        Place const place(directory.filePath("now").toStdString());
        auto const before = directory.filePath("before").toStdString();
        place.make();
        putBack(place.root, before);
        unsigned at = 0;
        for (bool goesOn = true; goesOn; ++at) {
            using enum CallFault::Way;
            // Both at each call where that takes little, else the one and the other in turn; and half of what is
            // written at some.
            std::vector<CallFault::Way> ways { at % 2 == 0 ? Once : FromThenOn };
            if (!isSlow)
                ways = { Once, FromThenOn };
            for (std::size_t i = 0; i < ways.size() && goesOn; ++i) {
                auto const told = strike(place, tried, { at, ways[i], at % 3 == 0 ? EIO : ENOSPC });
                goesOn = told.hasStruck;
                if (told.wasWrite && at % 2 == 0 && ways.back() != Torn && ways.back() != Short)
                    ways.push_back(at % 4 == 0 ? Torn : Short);
                auto const where = QStringLiteral("call %1, way %2: ").arg(at).arg(int(ways[i]));
                QVERIFY2(told.wrong.isEmpty(), qPrintable(where + told.wrong));
                // As the next process finds it.
                auto const timeline = place.machine.open();
                place.machine.comeToRest(timeline);
                auto const found = place.machine.problem(timeline, {});
                QVERIFY2(found.isEmpty(), qPrintable(where + "later: " + found));
                putBack(before, place.root);
            }
        }
        QVERIFY2(at > 8, qPrintable(QString::number(at)));
    }

private:
    struct Tried {
        char const* name;
        Operation operation;
        bool isSlow;
    };
    /// `now` as `before`, times and all, by which a suspended machine knows its disks, and we what has changed.
    static void putBack(fs::path const& before, fs::path const& now)
    {
        fs::create_directories(now);
        std::vector<fs::path> others;
        for (auto const& entry : fs::recursive_directory_iterator(now)) {
            if (!fs::exists(before / entry.path().lexically_relative(now)))
                others.push_back(entry.path());
        }
        for (auto const& path : others)
            fs::remove_all(path);
        for (auto const& entry : fs::recursive_directory_iterator(before)) {
            auto const path = now / entry.path().lexically_relative(before);
            if (entry.is_directory()) {
                fs::create_directories(path);
                continue;
            }
            auto const time = fs::last_write_time(entry);
            if (fs::exists(path) && fs::file_size(path) == entry.file_size() && fs::last_write_time(path) == time)
                continue;
            fs::remove(path); // which may have another name, too
            fs::copy_file(entry, path);
            fs::last_write_time(path, time);
        }
    }

    static inline std::vector<Tried> const operations {
        { "take", &Work::keep, true },
        { "take of a suspended machine", &Work::keepSuspended, true },
        { "restore", &Work::go, true },
        { "delete and merge", &Work::endAndMerge, true },
        { "prune", &Work::prune, true },
        { "fork", &Work::fork, true },
        { "export", &Work::exportDirectory, false },
        { "export a bundle", &Work::exportOneFile, false },
        { "import a bundle", &Work::import, false },
        { "replace a saved state", &Work::suspend, false },
    };
};

REGISTER_SUITE(WriteFaultsTest);
#include "write_faults_test.moc"
