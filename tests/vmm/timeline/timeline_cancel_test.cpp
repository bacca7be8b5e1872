#include "tests/fakes/fake_memory.h"
#include "tests/support/asks.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/timeline/thinning.h"

using namespace vmm;
using namespace vmm::timeline;
using tests::Asks;
using tests::FakeFolder;
using tests::FakeFolderDisk;

namespace {

/// A timeline with three moments, of which the first is purged and not swept yet, so that its pack is to be written
/// anew.
struct Branch {
    FakeFolderDisk disk;
    std::unique_ptr<Timeline> timeline = tests::openTimeline(disk);
    tests::FakeMemory memory { { 4u << 20 } };
    std::vector<std::string> moments;

    Branch()
    {
        for (std::uint32_t const pages : { 600, 400, 400 }) {
            auto const number = std::uint32_t(moments.size() + 1);
            for (std::uint32_t page = 0; page < pages; ++page)
                memory.fill(0, page, 1000 * number + page);
            moments.push_back(tests::must(timeline->take({ .time = number, .state = "state" }, memory, {})).id);
        }
        tests::must(timeline->purge(moments[0]));
    }
    std::size_t packs() const
    {
        return std::size_t(
            std::ranges::count_if(disk.files, [](auto const& file) { return file.first.starts_with("packs/"); }));
    }
};

Progress refusing(Asks& asks)
{
    return [&asks](std::uint64_t, std::uint64_t) { return asks.goOn(); };
}

}

/// Each time that a timeline asks whether to go on, the answer is no: every moment is whole then, and what was to be
/// done can be done. (Keeping a moment is in TimelineTest.)
class TimelineCancelTest final : public QObject {
    Q_OBJECT

private slots:
    void sweeping()
    {
        Asks all;
        REQUIRE_OK(Branch().timeline->sweep(refusing(all)));
        QVERIFY2(all.count > 40, qPrintable(QString::number(all.count)));
        for (auto const at : Asks::toTry(all.count)) {
            Branch const past;
            auto const before = past.timeline->size();
            Asks asks { at };
            QCOMPARE(past.timeline->sweep(refusing(asks)).error().code, ErrorCode::Cancelled);
            QVERIFY(past.timeline->hasWaste());
            QVERIFY(tests::must(past.timeline->verify()).empty());
            QVERIFY(
                std::ranges::none_of(past.disk.files, [](auto const& file) { return file.first.ends_with(".new"); }));
            REQUIRE_OK(past.timeline->sweep());
            QVERIFY(past.timeline->size() < before && !past.timeline->hasWaste());
            QVERIFY(tests::must(past.timeline->verify()).empty());
        }
    }

    void verifying()
    {
        Branch const past;
        auto const operations = past.disk.operations;
        Asks all;
        QVERIFY(tests::must(past.timeline->verify(refusing(all))).empty());
        QVERIFY2(all.count > 8, qPrintable(QString::number(all.count)));
        for (auto const at : Asks::toTry(all.count)) {
            Asks asks { at };
            QCOMPARE(past.timeline->verify(refusing(asks)).error().code, ErrorCode::Cancelled);
        }
        QCOMPARE(past.disk.operations, operations);
    }

    /// What is purged while it is looked at is not there as it was, and is no damage.
    void verifyingWhatGoesMeanwhile()
    {
        Branch const past;
        auto const damaged = past.timeline->verify([&](std::uint64_t done, std::uint64_t) {
            if (done == 0 && past.timeline->moment(past.moments[1]))
                tests::must(past.timeline->purge(past.moments[1]));
            return true;
        });
        REQUIRE_OK(damaged);
        QVERIFY2(damaged->empty(), damaged->empty() ? "" : damaged->front().error.message().c_str());
        QVERIFY(past.timeline->isGone(past.moments[1]) && !past.timeline->isGone(past.moments[2]));
    }

    void counting()
    {
        Branch const past;
        Asks all;
        REQUIRE_OK(past.timeline->usage([&] { return all.goOn(); }));
        QVERIFY2(all.count > past.packs() + 4, qPrintable(QString::number(all.count)));
        for (auto const at : Asks::toTry(all.count)) {
            Asks asks { at };
            QCOMPARE(past.timeline->usage([&] { return asks.goOn(); }).error().code, ErrorCode::Cancelled);
        }
    }

    void planning()
    {
        Branch const past;
        Asks all;
        REQUIRE_OK(planThinning(*past.timeline, {}, 10, [&] { return all.goOn(); }));
        QVERIFY2(all.count > 4, qPrintable(QString::number(all.count)));
        for (auto const at : Asks::toTry(all.count)) {
            Asks asks { at };
            auto const plan = planThinning(*past.timeline, {}, 10, [&] { return asks.goOn(); });
            QCOMPARE(plan.error().code, ErrorCode::Cancelled);
        }
    }

    void forking_data()
    {
        QTest::addColumn<bool>("hasLinks");
        QTest::newRow("by links") << true;
        QTest::newRow("by copies") << false;
    }

    void forking()
    {
        QFETCH(bool, hasLinks);
        Branch const past;
        auto const fork = [&](FakeFolderDisk& other, Asks& asks) {
            other.hasLinks = hasLinks;
            FakeFolder into(other);
            return past.timeline->fork(past.moments[2], makeUuid(), "state", into, refusing(asks));
        };
        Asks all;
        FakeFolderDisk whole;
        REQUIRE_OK(fork(whole, all));
        QVERIFY2(all.count > past.packs(), qPrintable(QString::number(all.count)));
        for (auto const at : Asks::toTry(all.count)) {
            FakeFolderDisk other;
            Asks asks { at };
            auto const cancelled = fork(other, asks);
            QCOMPARE(cancelled.error().code, ErrorCode::Cancelled);
            QVERIFY(!other.files.contains("timeline.json"));
            QVERIFY(std::ranges::none_of(other.files, [](auto const& file) { return file.first.ends_with(".new"); }));
            QVERIFY(tests::must(past.timeline->verify()).empty());
        }
    }
};

REGISTER_SUITE(TimelineCancelTest);
#include "timeline_cancel_test.moc"
