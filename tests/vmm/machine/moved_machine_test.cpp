#include "tests/support/folder_contents.h"
#include "tests/support/open_timeline.h"
#include "tests/support/still_machine.h"

#include <QTemporaryDir>

using namespace vmm;
using tests::StillMachine;

namespace {

/// A machine with a past, suspended with 50 on its disks: moments of 10, 20, 30 and of 50, which it was suspended at;
/// 40 was ended, and its disks have not let go of it.
struct Past {
    QTemporaryDir directory;
    QString const place = directory.filePath("home/first");
    std::string ten, twenty, suspended, ended;

    Past()
    {
        QDir().mkpath(place);
        StillMachine const machine(place.toStdString());
        machine.make();
        auto const timeline = machine.open();
        ten = tests::must(machine.keep(*timeline, 10)).id;
        twenty = tests::must(machine.keep(*timeline, 20)).id;
        tests::must(machine.keep(*timeline, 30));
        ended = tests::must(machine.keep(*timeline, 40)).id;
        machine.write(50);
        machine.suspendTo(machine.folder + "/state");
        suspended = tests::must(Machine::keepSuspended(machine.folder + "/state", *timeline, { .name = "50" })).id;
        tests::must(timeline->purge(ended));
    }
};

/// All that concerns the files of a machine, in the folder `place`, as nobody has ever written them.
void goOnIn(QString const& place, Past const& past)
{
    StillMachine const machine(place.toStdString());
    auto const timeline = machine.open();
    QVERIFY(timeline->damages().empty());

    // It is the suspended one still, on the disks that lie here.
    auto const state = machine.folder + "/state";
    QCOMPARE(machine.problemOfState(state, StillMachine::Asks::AsBefore), QString());
    QCOMPARE(tests::must(readSavedMachine(state)).config, machine.config);
    QCOMPARE(tests::must(savedMachineAt(*timeline, past.suspended)).config, machine.config);
    QCOMPARE(machine.differenceNow(50), QString());
    QCOMPARE(machine.problem(timeline, { past.ten, past.twenty, past.suspended }), QString());

    QCOMPARE(tests::must(Machine::goToOff(timeline, past.ten)), machine.config);
    QCOMPARE(machine.differenceNow(10), QString());
    REQUIRE_OK(timeline->purge(past.twenty));
    REQUIRE_OK(machine.tidy(*timeline));
    REQUIRE_OK(timeline->sweep());
    QCOMPARE(machine.leftover(*timeline), QString());
    for (auto const& gone : { past.twenty, past.ended }) {
        InlineEngine engine;
        auto const& disk = machine.config.disks[1];
        for (auto const& one : tests::must(tests::must(BlockImage::open(engine, disk.path))->snapshots()))
            QVERIFY(one.id != gone);
    }
    auto const next = tests::must(machine.keep(*timeline, 60)).id;
    QCOMPARE(machine.problem(timeline, { past.ten, past.suspended, next }), QString());
}

}

/// A machine's folder that a person moves or copies works where it is then, and on nothing else.
class MovedMachineTest final : public QObject {
    Q_OBJECT

private slots:
    void aCopyLeavesTheOriginalAlone()
    {
        Past const past;
        auto const copy = past.directory.filePath("mnt/usb stick/second");
        tests::copyFolder(past.place, copy);
        auto const before = tests::contentsOf(past.place);
        goOnIn(copy, past);
        if (QTest::currentTestFailed())
            return;
        QVERIFY(tests::contentsOf(past.place) == before);
        // Which goes on as well, and does not need what has become of the copy.
        QVERIFY(QDir(copy).removeRecursively());
        goOnIn(past.place, past);
    }

    void aMovedOneGoesOn()
    {
        Past const past;
        auto const moved = past.directory.filePath("elsewhere");
        QVERIFY(QDir().rename(past.place, moved));
        goOnIn(moved, past);
        QVERIFY(!QFile::exists(past.place));
    }

    /// No file of it says where the folder was.
    void nothingNamesTheFolder()
    {
        Past const past;
        for (auto const& [name, content] : tests::contentsOf(past.place))
            QVERIFY2(!content.second.contains(past.place.toUtf8()), qPrintable(name));
    }

    /// As a machine's past was written before.
    void absolutePathsAreReadAsEver()
    {
        Past const past;
        StillMachine const machine(past.place.toStdString());
        auto const saved = tests::must(savedMachineAt(*machine.open(), past.ten));
        auto const state = state::toText(savedMachineToJson(saved));
        QVERIFY(state.find(machine.config.disks[0].path) != std::string::npos);
        QCOMPARE(tests::must(savedMachineFromText(state, "/somewhere/else")).config, machine.config);

        auto const elsewhere = past.directory.filePath("timeline").toStdString();
        auto const loose = machine.open()->loose();
        QVERIFY(!loose.empty());
        REQUIRE_OK(timeline::writeWhole(*tests::must(timeline::openFolder(elsewhere)), "timeline.json",
            bytesOf(timeline::textOf({ .seed = 1, .loose = loose }))));
        auto const opened = tests::openTimeline(elsewhere, timeline::Timeline::Access::ReadOnly);
        QVERIFY(opened->loose() == loose);
    }
};

REGISTER_SUITE(MovedMachineTest);
#include "moved_machine_test.moc"
