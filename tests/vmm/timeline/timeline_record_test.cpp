#include "tests/fakes/fake_folder.h"
#include "tests/fakes/fake_memory.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
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

    /// Nobody is told that there is no moment while there is one, whichever step the disk has no room for.
    void whatIsToldOfAMomentIsSo()
    {
        unsigned keptAllTheSame = 0;
        for (std::uint64_t at = 0;; ++at) {
            FakeFolderDisk disk;
            auto timeline = tests::must(open(disk));
            tests::FakeMemory memory({ 64u << 10 });
            auto const first = tests::must(timeline->take({ .time = 1, .state = "state" }, memory, {})).id;
            NewMoment what { .time = 2, .state = "state" };
            what.id = makeUuid();
            what.disks
                = { { "disk0", "/disks/0", { CheckpointWay::Overlay, what.id, "0." + what.id, ImageFormat::Raw } } };
            REQUIRE_OK(timeline->setLoose({ what.id, what.disks }));
            memory.fill(0, 0, 7);
            disk.fault = FakeFolderDisk::Fault::Fail;
            disk.faultAt = disk.operations + at;
            disk.faultStays = true;
            auto const taken = timeline->take(what, memory, {});
            bool const struck = disk.operations > disk.faultAt;
            disk.fault = FakeFolderDisk::Fault::None;
            bool const isThere = bool(timeline->moment(what.id));
            if (!taken) {
                QCOMPARE(taken.error().code, ErrorCode::NoSpace);
                QCOMPARE(taken.error().detail.find("the moment is in the list") != std::string::npos, isThere);
                continue;
            }
            QVERIFY(isThere);
            QCOMPARE(timeline->present(), what.id);
            QVERIFY(timeline->loose().empty());
            QVERIFY(tests::must(open(*disk.afterPowerCut(0)))->moment(what.id));
            keptAllTheSame += struck;
            // And what could not be stored is, with what comes next.
            REQUIRE_OK(timeline->setGoingTo(first));
            timeline = tests::must(open(disk));
            QCOMPARE(timeline->present(), what.id);
            QCOMPARE(tests::must(timeline->moment(what.id)).parent, first);
            if (!struck)
                break;
        }
        QVERIFY(keptAllTheSame > 0);
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

    /// By its bytes, and by what lists may have: it says no, and is what it was at the next open.
    void aRecordThatCouldNotBeReadAgainIsNotWritten_data()
    {
        QTest::addColumn<int>("pathLength");
        QTest::addColumn<int>("disks");
        QTest::newRow("more bytes than the file may have") << 4000 << 200;
        QTest::newRow("a path that is too long") << 5000 << 1;
        QTest::newRow("too many disks") << 10 << 257;
    }
    void aRecordThatCouldNotBeReadAgainIsNotWritten()
    {
        QFETCH(int, pathLength);
        QFETCH(int, disks);
        FakeFolderDisk disk;
        auto const id = begin(disk);
        auto timeline = tests::must(open(disk));
        REQUIRE_OK(timeline->setGoingTo(id));
        std::vector<LooseDisks> known;
        Result<> noted;
        while (noted) {
            LooseDisks loose { makeUuid(), {} };
            MomentDisk const one { "disk0", "/" + std::string(std::size_t(pathLength - 1), 'd'),
                { CheckpointWay::Internal, loose.moment, "", ImageFormat::Qcow2 } };
            loose.disks.assign(std::size_t(disks), one);
            noted = timeline->setLoose(loose);
            if (noted)
                known.push_back(loose);
            QVERIFY(known.size() < 100);
        }
        QCOMPARE(noted.error().code, ErrorCode::InvalidArgument);
        QCOMPARE(timeline->loose(), known);
        REQUIRE_OK(timeline->rename(id, "it goes on"));
        timeline = tests::must(open(disk));
        QVERIFY(!timeline->wasRebuilt());
        QCOMPARE(timeline->goingTo(), id);
        QCOMPARE(timeline->loose(), known);
    }

    /// It would be a damaged one.
    void aMomentThatCouldNotBeReadAgainIsNotTaken()
    {
        FakeFolderDisk disk;
        auto const id = begin(disk);
        auto timeline = tests::must(open(disk));
        tests::FakeMemory memory({ 64u << 10 });
        memory.fill(0, 0, 2);
        NewMoment what { .time = 2, .state = "state" };
        what.disks = { { "disk0", std::string(5000, 'd'), {} } };
        QCOMPARE(timeline->take(what, memory, {}).error().code, ErrorCode::InvalidArgument);
        timeline = tests::must(open(disk));
        QVERIFY(timeline->damages().empty());
        QCOMPARE(timeline->moments().size(), std::size_t(1));
        QCOMPARE(timeline->present(), id);
    }
};

REGISTER_SUITE(TimelineRecordTest);
#include "timeline_record_test.moc"
