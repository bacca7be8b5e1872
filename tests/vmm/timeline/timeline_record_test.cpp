#include "tests/fakes/fake_folder.h"
#include "tests/fakes/fake_memory.h"
#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolder;
using tests::FakeFolderDisk;

namespace {

constexpr char const *recordName = "timeline.json", *copyName = "timeline.copy.json";

Result<std::unique_ptr<Timeline>> open(FakeFolderDisk& disk)
{
    return Timeline::open(std::make_unique<FakeFolder>(disk), Timeline::Access::ReadWrite);
}

/// A timeline with one moment; its id.
std::string begin(FakeFolderDisk& disk)
{
    tests::FakeMemory memory({ 64u << 10 });
    memory.fill(0, 0, 1);
    return tests::must(tests::must(open(disk))->take({ .time = 1, .state = "state" }, memory, {})).id;
}

void damage(FakeFolderDisk& disk, char const* name)
{
    disk.files.at(name)->bytes[10] ^= 1;
}

}

/// The timeline's own record and its copy. (TimelineTest has what becomes of a timeline that has lost both.)
class TimelineRecordTest final : public QObject {
    Q_OBJECT

private slots:
    /// Whatever was not durable: the copy has all that anybody was told of.
    void theCopyIsNotBehindAfterAPowerCut()
    {
        FakeFolderDisk disk;
        auto const id = begin(disk);
        auto const timeline = tests::must(open(disk));
        for (auto const& goingTo : { id, std::string(), id }) {
            REQUIRE_OK(timeline->setGoingTo(goingTo));
            for (unsigned seed = 0; seed < 8; ++seed) {
                auto const after = disk.afterPowerCut(seed);
                damage(*after, recordName);
                FakeFolder const folder(*after);
                QCOMPARE(tests::must(Timeline::goingTo(folder)), goingTo);
                auto const reopened = tests::must(open(*after));
                QVERIFY(!reopened->wasRebuilt());
                QCOMPARE(reopened->goingTo(), goingTo);
            }
        }
    }

    void whatOnlyCannotBeOpenedNowIsNotReplaced_data()
    {
        QTest::addColumn<QString>("damaged");
        QTest::addColumn<QString>("busy");
        QTest::newRow("the record") << "" << recordName;
        QTest::newRow("the copy of a damaged one") << recordName << copyName;
    }

    /// A process that has too many files open, say: nobody makes a decision of it that stays.
    void whatOnlyCannotBeOpenedNowIsNotReplaced()
    {
        QFETCH(QString, damaged);
        QFETCH(QString, busy);
        FakeFolderDisk disk;
        auto const id = begin(disk);
        REQUIRE_OK(tests::must(open(disk))->setGoingTo(id));
        if (!damaged.isEmpty())
            damage(disk, qPrintable(damaged));
        disk.unreadable = busy.toStdString();
        disk.readError = EMFILE;
        auto const before = disk.operations;
        auto const refused = open(disk);
        QVERIFY(!refused);
        QCOMPARE(refused.error().osError, EMFILE);
        FakeFolder const folder(disk);
        QCOMPARE(Timeline::goingTo(folder).error().osError, EMFILE);
        QCOMPARE(disk.operations, before);
        disk.unreadable.clear();
        QCOMPARE(tests::must(open(disk))->goingTo(), id);
    }
};

REGISTER_SUITE(TimelineRecordTest);
#include "timeline_record_test.moc"
