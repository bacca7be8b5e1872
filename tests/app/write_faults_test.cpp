#include "tests/support/call_faults.h"
#include "tests/support/nothing_durable.h"
#include "tests/support/suite.h"
#include "tests/support/travelling_machine.h"

#include <QTemporaryDir>
#include <unistd.h>

using namespace vmm;
using tests::CallFault;
using tests::CallFaults;
using tests::FaultStory;
using tests::Place;
using tests::putBack;
using tests::Work;

namespace {

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
    void initTestCase() { tests::makeNothingDurable(); } // each call is still counted, and fails

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
