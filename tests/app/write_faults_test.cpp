#include "app/store/moment_bundles.h"
#include "app/store/whole_file.h"
#include "tests/support/call_faults.h"
#include "tests/support/still_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/moment_export.h"

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

/// Something that is done with a machine's past, and what must hold whether it could be done or not.
struct Work {
    StillMachine const& machine;
    std::shared_ptr<Timeline> timeline = machine.open();
    std::vector<Moment> moments = timeline->moments();
    MachineStore store { machine.folder + "/library" };
    std::string const exported = machine.folder + "/exported", bundle = machine.folder + "/it.bundle",
                      suspended = machine.folder + "/suspended";
    bool isBroken = false; ///< nothing could be written any more

    Result<> keep() { return only(Machine::keepOff(machine.config, *timeline, { .name = std::to_string(numberNow) })); }
    Result<> go() { return only(Machine::goToOff(timeline, moments[0].id)); }
    Result<> endAndMerge()
    {
        if (timeline->moment(moments[1].id))
            TRY(timeline->purge(moments[1].id));
        return machine.tidy(*timeline);
    }
    Result<> exportDirectory() { return exportMoment(timeline, moments[1].id, exported, ExportFiles::All, {}); }
    Result<> exportOneFile() { return exportBundleFile(store, timeline, moments[1].id, bundle); }
    Result<> import()
    {
        auto const file = TRY(openFile(machine.folder + "/other.bundle", O_RDONLY));
        return only(importBundle(store, file.get(), "imported", [](auto const&) { return Result<>(); }));
    }

    Result<> suspend() { return writeState(suspended, "new"); }

    /// All that replacing a state asks of one.
    static Result<> writeState(std::string const& directory, std::string_view text)
    {
        return replaceDirectory(directory, [text](std::string const& fresh) -> Result<> {
            TRY(writeFileSynced(fresh + "/ram", text));
            return writeFileSynced(fresh + "/state.json", text);
        });
    }

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
        auto const now = timeline->goingTo().empty() && timeline->present() != moments[0].id
            ? machine.differenceNow(numberNow)
            : QString();
        if (!now.isEmpty())
            return "now " + now;
        if (fs::exists(exported)) {
            if (auto const found = StillMachine::problemOfExport(exported); !found.isEmpty())
                return "exported: " + found;
        }
        auto const state = readWholeFile(suspended + "/state.json", 100).value_or("");
        // Where nothing can be written any more a state cannot change its place again.
        if (state != "old" && (state != "new" || (!isDone && !isBroken)))
            return "the saved state is another one, or none";
        for (auto const& one : store.list()) {
            if (one.problem)
                return QString::fromStdString(one.problem->message());
        }
        if (isDone)
            return {};
        // What is half made goes with whoever failed, but for what the next one of the machine's takes away.
        if (fs::exists(exported) || fs::exists(bundle) || !store.list().empty())
            return "it failed, and is there";
        for (auto const& entry : fs::recursive_directory_iterator(machine.folder)) {
            auto const name = entry.path().filename().string();
            if (name.starts_with(".making-") || name.ends_with(".part") || name.starts_with("exported."))
                return QString::fromStdString("left over: " + entry.path().string());
        }
        return {};
    }
};

using Operation = Result<> (Work::*)();

/// What happened in the process where a call went wrong.
FaultStory strike(StillMachine const& machine, Operation operation, CallFault const& fault)
{
    return tests::tellWithFaults([&]() -> QString {
        Work work { machine };
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
        auto const [name, tried, changesDisks] = operations[unsigned(operation)];
        QTemporaryDir directory;
        auto const path = directory.path().toStdString();
        // Paths are in what is kept, so it is made where it is worked on, and put back each time.
        StillMachine const machine(path + "/machine");
        fs::create_directories(machine.folder + "/library/machines");
        tests::must(Work::writeState(machine.folder + "/suspended", "old"));
        machine.make();
        {
            auto const timeline = machine.open();
            for (auto const number : { 10u, 20u, 30u })
                tests::must(machine.keep(*timeline, number));
            MachineStore const store(machine.folder + "/library");
            tests::must(
                exportBundleFile(store, timeline, timeline->moments().front().id, machine.folder + "/other.bundle"));
            machine.write(numberNow);
        }
        fs::copy(machine.folder, path + "/before", fs::copy_options::recursive);
        unsigned at = 0;
        for (bool goesOn = true; goesOn; ++at) {
            using enum CallFault::Way;
            // Both at each call where that takes little, else the one and the other in turn; and half of what is
            // written at some.
            std::vector<CallFault::Way> ways { at % 2 == 0 ? Once : FromThenOn };
            if (!changesDisks)
                ways = { Once, FromThenOn };
            for (std::size_t i = 0; i < ways.size() && goesOn; ++i) {
                auto const told = strike(machine, tried, { at, ways[i], at % 3 == 0 ? EIO : ENOSPC });
                goesOn = told.hasStruck;
                if (told.wasWrite && at % 2 == 0 && ways.back() != Torn && ways.back() != Short)
                    ways.push_back(at % 4 == 0 ? Torn : Short);
                auto const where = QStringLiteral("call %1, way %2: ").arg(at).arg(int(ways[i]));
                QVERIFY2(told.wrong.isEmpty(), qPrintable(where + told.wrong));
                // As the next process finds it.
                auto const timeline = machine.open();
                machine.comeToRest(timeline);
                auto const found = machine.problem(timeline, {});
                QVERIFY2(found.isEmpty(), qPrintable(where + "later: " + found));
                putBack(path + "/before", machine.folder, changesDisks);
            }
        }
        QVERIFY2(at > 8, qPrintable(QString::number(at)));
    }

private:
    struct Tried {
        char const* name;
        Operation operation;
        bool changesDisks;
    };
    /// `now` as `before`; where disks were only read they stay as they are, for copying them takes most of the time.
    static void putBack(fs::path const& before, fs::path const& now, bool hasChangedDisks)
    {
        std::vector<fs::path> changed;
        for (auto const& entry : fs::directory_iterator(now)) {
            auto const name = entry.path().filename();
            if (hasChangedDisks || name == "library" || name == "suspended" || !fs::exists(before / name))
                changed.push_back(entry.path());
        }
        for (auto const& path : changed)
            fs::remove_all(path);
        fs::copy(before, now, fs::copy_options::recursive | fs::copy_options::skip_existing);
    }

    static inline std::vector<Tried> const operations {
        { "take", &Work::keep, true },
        { "restore", &Work::go, true },
        { "delete and merge", &Work::endAndMerge, true },
        { "export", &Work::exportDirectory, false },
        { "export a bundle", &Work::exportOneFile, false },
        { "import a bundle", &Work::import, false },
        { "replace a saved state", &Work::suspend, false },
    };
};

REGISTER_SUITE(WriteFaultsTest);
#include "write_faults_test.moc"
