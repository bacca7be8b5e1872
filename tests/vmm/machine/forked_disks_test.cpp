#include "tests/support/still_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/machine/forked_machine.h"

#include <QDir>
#include <QTemporaryDir>

using namespace vmm;
using tests::StillMachine;

/// What a fork knows of the files that its disks share with the original.
class ForkedDisksTest final : public QObject {
    Q_OBJECT

private slots:
    /// One record for all would be longer than any may be, with many disks on many files.
    void eachBaseIsNotedWithItsMoment()
    {
        QTemporaryDir const folder;
        StillMachine const machine(folder.path().toStdString());
        machine.make();
        auto const timeline = machine.open();
        std::vector<timeline::Moment> moments;
        for (unsigned const number : { 10, 20, 30 })
            moments.push_back(tests::must(machine.keep(*timeline, number)));
        if (moments[0].disks[0].checkpoint.way != CheckpointWay::Overlay)
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
        QVERIFY(QDir(folder.path()).mkdir("fork"));
        auto forked = machine.config;
        for (auto& disk : forked.disks)
            disk.path = folder.filePath("fork/" + QString::fromStdString(disk.id)).toStdString();
        auto const as = makeUuid();
        auto made = tests::must(forkDisks(machine.config, moments[2], forked, as, [](double) { return true; }));
        std::vector<std::string> noted;
        for (auto const& loose : made.loose) {
            QCOMPARE(loose.disks.size(), 1u); // the other disk was copied
            QCOMPARE(loose.disks[0].checkpoint.id, loose.moment);
            noted.push_back(loose.moment);
        }
        QCOMPARE(noted, (std::vector { moments[2].id, moments[1].id, moments[0].id }));

        for (unsigned i = 0; i < 300; ++i) {
            auto const id = makeUuid();
            made.loose.push_back({ id,
                { { "disk0", forked.disks[0].path,
                    { CheckpointWay::Overlay, id, "of." + id, ImageFormat::Qcow2 } } } });
        }
        auto into = tests::must(timeline::openFolder(folder.filePath("fork/timeline").toStdString()));
        tests::must(timeline->fork(moments[2].id, as, "the state", *into, {}, made));
        auto const its = tests::must(timeline::Timeline::open(std::move(into), timeline::Timeline::Access::ReadWrite));
        QCOMPARE(its->loose(), made.loose);
    }
};

REGISTER_SUITE(ForkedDisksTest);
#include "forked_disks_test.moc"
