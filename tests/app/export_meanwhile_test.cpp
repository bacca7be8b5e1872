#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "tests/support/travelling_machine.h"

#include <QTemporaryDir>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <unistd.h>
#include <utility>

using namespace vmm;

namespace {

namespace fs = std::filesystem;

/// A machine with moments, and a look at them that hears nothing of what another process does.
struct Bench {
    QTemporaryDir directory;
    tests::Place const place { directory.filePath("place").toStdString() };
    std::shared_ptr<timeline::Timeline const> timeline;
    std::string moment;

    Bench()
    {
        place.make();
        timeline = tests::openTimeline(place.its.timelineFolder, timeline::Timeline::Access::ReadOnly);
        moment = timeline->moments().front().id;
    }
    /// Deletes the moment once more than that part is done, and what its disks have kept with it.
    std::function<bool(double)> endingAfter(double most) const
    {
        return [this, most, isGone = false](double part) mutable {
            if (part > most && !std::exchange(isGone, true)) {
                auto const elsewhere = place.machine.open();
                tests::must(elsewhere->purge(moment));
                tests::must(place.machine.tidy(*elsewhere));
            }
            return true;
        };
    }
    std::set<std::string> names() const
    {
        std::set<std::string> names;
        for (auto const& folder : { place.root, place.store.machinesDirectory() }) {
            for (auto const& entry : fs::directory_iterator(folder))
                names.insert(entry.path().string());
        }
        return names;
    }
};

constexpr char const* deleted = "the moment was deleted while it was exported";

}

/// A moment is deleted by another process while it is exported.
class ExportMeanwhileTest final : public QObject {
    Q_OBJECT

private slots:
    void neitherDirectoryNorBundleIsLeft()
    {
        Bench bench;
        auto const names = bench.names();
        auto const exported = exportMoment(
            bench.timeline, bench.moment, bench.place.exported, ExportFiles::All, bench.endingAfter(0.1));
        QVERIFY(!exported);
        QCOMPARE(exported.error().detail, deleted);
        QVERIFY(bench.names() == names);

        bench.moment = bench.timeline->moments().back().id;
        auto const bundled = app::exportBundleFile(
            bench.place.store, bench.timeline, bench.moment, bench.place.bundle, bench.endingAfter(0.1));
        QVERIFY(!bundled);
        QCOMPARE(bundled.error().detail, deleted);
        QVERIFY(bench.names() == names);
    }

    void nothingGoesThroughAPipe()
    {
        Bench bench;
        std::array<int, 2> ends {};
        QCOMPARE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
        UniqueFd const out(ends[0]);
        UniqueFd in(ends[1]);
        auto const bundled
            = app::exportBundle(bench.place.store, bench.timeline, bench.moment, in.get(), bench.endingAfter(0.1));
        QVERIFY(!bundled);
        QCOMPARE(bundled.error().detail, deleted);
        in.reset();
        char byte = 0;
        QCOMPARE(::read(out.get(), &byte, 1), 0);
    }

    /// By then the store has all of it.
    void bundleThatIsOnlyPackedIsWhole()
    {
        Bench bench;
        REQUIRE_OK(app::exportBundleFile(
            bench.place.store, bench.timeline, bench.moment, bench.place.bundle, bench.endingAfter(0.5)));
        QVERIFY(!bench.place.machine.open()->moment(bench.moment));
        auto store = bench.place.store;
        auto const file = tests::must(openFile(bench.place.bundle, O_RDONLY));
        auto const imported = tests::must(
            app::importBundle(store, file.get(), "imported", [](CpuFeatures const&) { return Result<>(); }));
        InlineEngine engine;
        for (auto const& disk : imported.config.disks) {
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            QCOMPARE(tests::StillMachine::difference(*image, 10), QString());
        }
    }
};

REGISTER_SUITE(ExportMeanwhileTest);
#include "export_meanwhile_test.moc"
