#include "tests/support/asks.h"
#include "tests/support/nothing_durable.h"
#include "tests/support/suite.h"
#include "tests/support/travelling_machine.h"

#include <QTemporaryDir>
#include <algorithm>
#include <set>

using namespace vmm;
using tests::Asks;
using tests::Place;
using tests::putBack;

namespace {

namespace fs = std::filesystem;

struct Work : tests::Work {
    using tests::Work::Work;

    /// A running machine has its disks open for writing, and its lock.
    Result<> forkWhileItRuns()
    {
        auto const lock = TRY(app::MachineLock::take(its.lockFile));
        InlineEngine engine;
        std::vector<std::unique_ptr<BlockImage>> open;
        for (auto disk : machine.config.disks) {
            disk.format = formatNow(disk);
            open.push_back(TRY(BlockImage::open(engine, disk.path, imageOptions(disk))));
        }
        return fork();
    }
};

using Operation = Result<> (Work::*)();

std::set<std::string> namesIn(std::string const& root)
{
    std::set<std::string> names;
    for (auto const& entry : fs::recursive_directory_iterator(root))
        names.insert(entry.path().string());
    return names;
}

/// The last moment is a suspended machine's, so that memory travels too; the disks are an overlay and an internal
/// snapshot.
void make(Place const& place)
{
    place.make();
    auto const timeline = place.machine.open();
    vmm::timeline::NewMoment what;
    what.name = std::to_string(tests::numberNow);
    auto const last = tests::must(Machine::keepSuspended(place.its.stateDirectory, *timeline, what));
    tests::must(app::MachineLock::take(place.its.lockFile)); // whose file stays
    fs::remove(place.otherBundle);
    tests::must(app::exportBundleFile(place.store, timeline, last.id, place.otherBundle));
}

}

/// Each time that it is asked whether what takes long with a machine's past shall go on, the answer is no: it ends as
/// cancelled, with everything as it was, and can be done then.
class CancelTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); }

    void atEachAsk_data()
    {
        QTest::addColumn<int>("operation");
        for (int i = 0; i < int(operations.size()); ++i)
            QTest::newRow(operations[unsigned(i)].name) << i;
    }

    void atEachAsk()
    {
        QFETCH(int, operation);
        auto const [name, tried, leavesNothing, fewest] = operations[unsigned(operation)];
        QTemporaryDir directory;
        Place const place(directory.filePath("now").toStdString());
        auto const before = directory.filePath("before").toStdString();
        make(place);
        putBack(place.root, before);
        auto const names = namesIn(place.root);
        auto const attempt = [tried = tried](Work& work, Asks& asks) {
            work.isLast = true;
            work.goOn = [&asks](double) { return asks.goOn(); };
            auto outcome = (work.*tried)();
            auto const found = work.problem(outcome.has_value());
            return found.isEmpty() ? outcome : fail(ErrorCode::Corrupt, found.toStdString());
        };
        Asks all;
        Work whole(place.root);
        REQUIRE_OK(attempt(whole, all));
        QVERIFY2(all.count >= fewest, qPrintable(QString::number(all.count)));
        for (auto const at : Asks::toTry(all.count)) {
            putBack(before, place.root);
            Work work(place.root);
            Asks asks { at };
            auto const cancelled = attempt(work, asks);
            if (!asks.hasRefused())
                continue; // who waits for another thread asks while that takes long
            auto const where = QStringLiteral("ask %1 of %2: ").arg(at).arg(all.count);
            QVERIFY2(!cancelled && cancelled.error().code == ErrorCode::Cancelled,
                qPrintable(where + (cancelled ? "it goes on" : cancelled.error().message().c_str())));
            QVERIFY2(!leavesNothing || namesIn(place.root) == names, qPrintable(where + "something is left"));
            Asks again;
            auto const done = attempt(work, again);
            QVERIFY2(done, qPrintable(where + "again: " + (done ? "" : done.error().message().c_str())));
        }
    }

private:
    struct Tried {
        char const* name;
        Operation operation;
        bool leavesNothing; ///< else what disks have kept goes when the machine comes to rest
        unsigned fewest;    ///< of the times that it asks
    };
    static inline std::vector<Tried> const operations {
        { "take", static_cast<Operation>(&Work::keep), false, 3 },
        { "take of a suspended machine", static_cast<Operation>(&Work::keepSuspended), false, 3 },
        { "prune", static_cast<Operation>(&Work::prune), false, 2 },
        { "fork", static_cast<Operation>(&Work::fork), true, 6 },
        { "fork of a running machine", &Work::forkWhileItRuns, true, 6 },
        { "export", static_cast<Operation>(&Work::exportDirectory), true, 6 },
        { "export a bundle", static_cast<Operation>(&Work::exportOneFile), true, 10 },
        { "import a bundle", static_cast<Operation>(&Work::import), true, 3 },
    };
};

REGISTER_SUITE(CancelTest);
#include "cancel_test.moc"
