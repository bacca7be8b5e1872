#include "tests/support/every_call.h"
#include "tests/support/nothing_durable.h"

#include <QTemporaryDir>

using tests::CallFault;
using tests::Work;

/// Each call that changes a file fails once, and from then on, with an I/O error or a full disk, or does half of what
/// it writes, and so does each that reads one, while a machine's disks are kept, taken back and merged, and while its
/// past travels: what was there is there, nothing half made counts, and the next try does it.
class WriteFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); } // each call is still counted, and fails

    void everyCallCanFail_data() { rows(operations.size()); }
    void everyCallCanFail() { tryIt(CallFault::Calls::Changing); }

    void everyReadCanFail_data() { rows(operations.size() - 1); } // the last one reads nothing
    void everyReadCanFail() { tryIt(CallFault::Calls::Reading); }

private:
    static void rows(std::size_t count)
    {
        QTest::addColumn<std::size_t>("operation");
        for (std::size_t i = 0; i < count; ++i)
            QTest::newRow(operations[i].name) << i;
    }
    static void tryIt(CallFault::Calls calls)
    {
        QFETCH(std::size_t, operation);
        QTemporaryDir directory;
        // Paths are in what is kept, so it is made where it is worked on, and put back each time.
        tests::Place const place(directory.filePath("now").toStdString());
        place.make();
        QCOMPARE(tests::tryWithFaults(place, operations[operation], calls), QString());
    }

    static constexpr auto operations = std::to_array<tests::Tried>({
        { "take", &Work::keep },
        { "take of a suspended machine", &Work::keepSuspended },
        { "restore", &Work::go },
        { "delete and merge", &Work::endAndMerge },
        { "prune", &Work::prune },
        { "fork", &Work::fork },
        { "export", &Work::exportDirectory },
        { "export a bundle", &Work::exportOneFile },
        { "import a bundle", &Work::import },
        { "replace a saved state", &Work::suspend },
    });
};

REGISTER_SUITE(WriteFaultsTest);
#include "write_faults_test.moc"
