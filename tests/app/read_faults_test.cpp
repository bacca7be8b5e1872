#include "tests/support/every_call.h"
#include "tests/support/nothing_durable.h"

#include <QTemporaryDir>

using tests::CallFault;
using tests::Work;

/// Each call that reads a file fails once, and from then on, or reads only half of what it should, while a machine's
/// disks are kept, taken back and merged, and while its past travels: what was there is there, nothing half made
/// counts, and the next try does it.
class ReadFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); } // each call is still counted, and fails

    void everyReadCanFail_data() { rows(operations.size()); }
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
        { "restore", &Work::go },
        { "delete and merge", &Work::endAndMerge },
        { "prune", &Work::prune },
        { "export", &Work::exportDirectory },
        { "export a bundle", &Work::exportOneFile },
    });
};

REGISTER_SUITE(ReadFaultsTest);
#include "read_faults_test.moc"
