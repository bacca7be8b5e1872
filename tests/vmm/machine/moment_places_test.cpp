#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/forked_machine.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"

#include <QDir>
#include <QTemporaryDir>

using namespace vmm;

namespace {

/// A machine that is off, with one qcow2 disk.
struct Still {
    QTemporaryDir directory;
    VmConfig config { .uuid = "8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11", .name = "still" };
    std::shared_ptr<timeline::Timeline> timeline;

    Still(char const* disk, MomentPlace place)
    {
        for (auto const* folder : { "machine", "elsewhere" })
            QDir(directory.path()).mkdir(folder);
        timeline = tests::openTimeline(path("machine/timeline"));
        config.disks = { { .id = "disk0", .path = path(disk), .format = DiskFormat::Qcow2, .moments = place } };
        tests::must(createImage(config.disks[0].path, { .size = 1 << 20 }));
    }
    std::string path(QString const& name) const { return directory.filePath(name).toStdString(); }
    timeline::Moment keep() const { return tests::must(Machine::keepOff(config, *timeline, {})); }
};

CheckpointWay wayOf(timeline::Moment const& moment)
{
    return moment.disks.at(0).checkpoint.way;
}

}

/// Where the moments of a qcow2 disk are kept.
class MomentPlacesTest final : public QObject {
    Q_OBJECT

private slots:
    void aPersonsFileStaysOneFile_data()
    {
        QTest::addColumn<QString>("disk");
        QTest::addColumn<MomentPlace>("place");
        QTest::addColumn<CheckpointWay>("way");
        QTest::newRow("the machine's") << "machine/disk0.qcow2" << MomentPlace::Automatic << CheckpointWay::Overlay;
        QTest::newRow("a person's") << "elsewhere/mine.qcow2" << MomentPlace::Automatic << CheckpointWay::Internal;
        QTest::newRow("the machine's, inside")
            << "machine/disk0.qcow2" << MomentPlace::Inside << CheckpointWay::Internal;
        QTest::newRow("a person's, beside") << "elsewhere/mine.qcow2" << MomentPlace::Beside << CheckpointWay::Overlay;
    }

    void aPersonsFileStaysOneFile()
    {
        QFETCH(QString, disk);
        QFETCH(MomentPlace, place);
        QFETCH(CheckpointWay, way);
        Still const machine(qPrintable(disk), place);
        auto const found = wayOf(machine.keep());
        if (found == CheckpointWay::Reflink && place != MomentPlace::Inside)
            QSKIP("CHRONOVISOR-SKIP: blocks are shared here");
        QCOMPARE(found, way);
    }

    void whatADiskHasItKeeps()
    {
        Still machine("machine/disk0.qcow2", MomentPlace::Inside);
        auto const inside = machine.keep();
        machine.config.disks[0].moments = MomentPlace::Automatic;
        auto const next = machine.keep();
        QCOMPARE(wayOf(next), CheckpointWay::Internal);
        for (auto const& moment : { inside, next })
            REQUIRE_OK(machine.timeline->purge(moment.id));
        REQUIRE_OK(Machine::tidyDisks(machine.config, *machine.timeline));
        QVERIFY(wayOf(machine.keep()) != CheckpointWay::Internal);
    }

    /// And so do its own forks.
    void aForkShares()
    {
        Still const machine("machine/disk0.qcow2", MomentPlace::Automatic);
        auto const moment = machine.keep();
        if (wayOf(moment) != CheckpointWay::Overlay)
            QSKIP("CHRONOVISOR-SKIP: blocks are shared here");
        QVERIFY(QDir(machine.directory.path()).mkdir("fork"));
        auto forked = machine.config;
        forked.disks[0].path = machine.path("fork/disk0.qcow2");
        auto const made
            = tests::must(forkDisks(machine.config, moment, forked, makeUuid(), [](double) { return true; }));
        auto const place = QString::fromStdString(moment.disks[0].checkpoint.place);
        QVERIFY(isSameFile(machine.path("machine/" + place), machine.path("fork/" + place)));
        QCOMPARE(made.kept.at(0).checkpoint.way, CheckpointWay::Overlay);
    }
};

REGISTER_SUITE(MomentPlacesTest);
#include "moment_places_test.moc"
