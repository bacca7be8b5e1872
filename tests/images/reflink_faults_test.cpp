#include "tests/support/every_call.h"
#include "tests/support/mounted_image.h"
#include "tests/support/nothing_durable.h"

using tests::CallFault;
using tests::Work;

/// WriteFaultsTest where file systems share blocks between files, so that a raw disk keeps its moments by that; making
/// and mounting one needs root.
class ReflinkFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); }

    void everyCallCanFail_data()
    {
        QTest::addColumn<QString>("fileSystem");
        QTest::addColumn<std::size_t>("operation");
        for (QString const fileSystem : { "btrfs", "xfs" }) {
            for (std::size_t i = 0; i < operations.size(); ++i)
                QTest::addRow("%s, %s", qPrintable(fileSystem), operations[i].name) << fileSystem << i;
        }
    }

    void everyCallCanFail()
    {
        QFETCH(QString, fileSystem);
        QFETCH(std::size_t, operation);
        tests::MountedImage const there(fileSystem);
        if (!there.whyNot.isEmpty())
            QSKIP(qPrintable(there.whyNot));
        tests::Place const place(there.path().toStdString() + "/now");
        place.make();
        auto const kept = place.machine.open()->moments().front().disks;
        QVERIFY(std::ranges::any_of(
            kept, [](auto const& disk) { return disk.checkpoint.way == vmm::CheckpointWay::Reflink; }));
        QCOMPARE(tests::tryWithFaults(place, operations[operation], CallFault::Calls::Changing), QString());
    }

private:
    static constexpr auto operations = std::to_array<tests::Tried>({
        { "take", &Work::keep },
        { "restore", &Work::go },
        { "delete", &Work::endAndMerge },
        { "prune", &Work::prune },
        { "fork", &Work::fork },
        { "export", &Work::exportDirectory },
    });
};

REGISTER_SUITE(ReflinkFaultsTest);
#include "reflink_faults_test.moc"
