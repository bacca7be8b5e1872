#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

#include <random>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolderDisk;

namespace {

constexpr std::uint64_t headerSize = 64;

/// Moments of pages that cannot be compressed: each page lies in the first pack as it is, where its number says.
struct Past {
    FakeFolderDisk disk;
    std::unique_ptr<Timeline> timeline;
    tests::FakeMemory memory { { 4u << 20 } };
    std::map<std::string, Bytes> model; // what each moment has

    Past() { open(); }
    void open() { timeline = tests::openTimeline(disk); }
    /// A moment in which so many pages have changed, from the first on.
    std::string take(std::uint32_t pages)
    {
        std::mt19937 random(static_cast<std::uint32_t>(model.size() + 1));
        for (std::size_t i = 0; i < pages * pageSize; ++i)
            memory.data[0][i] = static_cast<std::uint8_t>(random());
        return keep().id;
    }
    Moment keep()
    {
        auto taken = tests::must(timeline->take({ .time = model.size() + 1, .state = "state" }, memory, {}));
        model[taken.id] = memory.data[0];
        return taken;
    }
    void purge(std::string const& id)
    {
        tests::must(timeline->purge(id));
        model.erase(id);
    }
    /// The disk changes a byte of a page in the first pack.
    void rot(std::uint64_t page) { disk.files.at(packName(1))->bytes[headerSize + page * pageSize] ^= 1; }

    std::vector<std::string> names() const
    {
        std::vector<std::string> names;
        for (auto const& [name, content] : disk.files)
            names.push_back(name);
        return names;
    }
    std::size_t size(std::uint32_t number) const { return disk.files.at(packName(number))->bytes.size(); }
    bool has(std::uint32_t number) const { return disk.files.contains(packName(number)); }
    bool isWhole() const
    {
        return tests::must(timeline->verify()).empty() && std::ranges::all_of(model, [this](auto const& moment) {
            Bytes data(moment.second.size());
            return tests::must(timeline->memory(moment.first)).read(0, 0, data) && data == moment.second;
        });
    }
};

}

/// What comes back of a timeline that something is wrong with. (TimelineTest has what comes back of one that is whole.)
class SweepTest final : public QObject {
    Q_OBJECT

private slots:
    /// Where there is no room to write a pack anew, those that nobody needs go all the same, and make it.
    void aFullDiskGivesBackWhatGoesWhole()
    {
        Past past;
        auto const first = past.take(1000), second = past.take(900);
        past.take(900);
        past.purge(first);
        past.purge(second);
        past.disk.isFull = true;
        auto const before = past.size(1);
        QCOMPARE(past.timeline->sweep().error().code, ErrorCode::NoSpace);
        QVERIFY(!past.has(2));
        QCOMPARE(past.size(1), before);
        QVERIFY(past.timeline->hasWaste() && past.isWhole());
        past.disk.isFull = false;
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(past.size(1) < before / 4);
        QVERIFY(!past.timeline->hasWaste() && past.isWhole());
    }

    void aPackThatCannotBeWrittenKeepsNoOtherFromIt()
    {
        Past past;
        auto const first = past.take(1000), second = past.take(900);
        past.take(800);
        past.purge(first);
        past.purge(second);
        auto const before = past.size(1);
        past.disk.fault = FakeFolderDisk::Fault::Fail;
        past.disk.faultAt = past.disk.operations + 1; // behind making durable what was purged
        QCOMPARE(past.timeline->sweep().error().code, ErrorCode::NoSpace);
        QCOMPARE(past.size(1), before);
        QVERIFY(past.size(2) < before / 4);
        QVERIFY(past.timeline->hasWaste() && past.isWhole());
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(past.size(1) < before / 4);
        QVERIFY(!past.timeline->hasWaste() && past.isWhole());
    }

    /// Whatever step of it fails: nothing is left for which the disk has to have room.
    void aTakeThatFailsLeavesNothing()
    {
        for (std::uint64_t at = 0;; ++at) {
            Past past;
            past.take(100);
            auto const before = past.names();
            past.memory.data[0][0] ^= 1;
            past.disk.fault = FakeFolderDisk::Fault::Fail;
            past.disk.faultAt = past.disk.operations + at;
            auto const taken = past.timeline->take({ .state = "state", .picture = Bytes(9) }, past.memory, {});
            bool const struck = past.disk.operations > past.disk.faultAt;
            QVERIFY(struck || taken);
            // Where only the last step could not be confirmed it is there, and whole.
            if (past.timeline->moments().size() == 1)
                QCOMPARE(past.names(), before);
            QVERIFY(!past.timeline->hasWaste() && past.isWhole());
            if (!struck)
                return;
        }
    }

    /// Between the end of its pack and its record.
    void whatACrashLeavesOfATakeIsSweptAway()
    {
        Past past;
        past.take(100);
        auto const second = past.take(90);
        past.open();
        QVERIFY(!past.timeline->hasWaste());
        past.model.erase(second);
        past.disk.files.erase("moments/" + second + ".json");
        past.open();
        QVERIFY(past.timeline->hasWaste());
        QVERIFY(past.has(2));
        // It may as well be used.
        past.keep();
        past.open();
        QVERIFY(past.timeline->hasWaste() && past.isWhole());
        past.purge(past.timeline->present());
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(!past.has(2) && !past.has(3));
        past.open();
        QVERIFY(!past.timeline->hasWaste() && past.isWhole());
    }

    /// What was damaged comes back with the moment that needed it, and damage that another one needs stays named.
    void aDamagedPageKeepsNothingFromComingBack_data()
    {
        QTest::addColumn<unsigned>("page");
        QTest::addColumn<bool>("isNeeded");
        QTest::newRow("compressed with nothing that is needed") << 5U << false;
        QTest::newRow("compressed with what is needed") << 897U << false;
        QTest::newRow("needed, compressed with what is not") << 905U << true;
        QTest::newRow("needed, compressed with nothing else") << 950U << true;
    }
    void aDamagedPageKeepsNothingFromComingBack()
    {
        QFETCH(unsigned, page);
        QFETCH(bool, isNeeded);
        Past past;
        auto const first = past.take(1000), second = past.take(900);
        past.rot(page);
        past.open();
        QCOMPARE(tests::must(past.timeline->verify()).front().error.code, ErrorCode::Corrupt);
        past.purge(first);
        auto const before = past.size(1);
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(past.size(1) < before / 4);
        past.open();
        QCOMPARE(past.isWhole(), !isNeeded);
        auto const damaged = tests::must(past.timeline->verify());
        QVERIFY(damaged.empty() != isNeeded);
        QVERIFY(!isNeeded || damaged.front().moment == second);
    }

    /// Whatever step fails: what has been given back is not referred to any more.
    void aMomentAfterASweepThatFailedIsWhole()
    {
        bool struck = true;
        for (std::uint64_t at = 0; struck; ++at) {
            Past past;
            auto const first = past.take(600);
            auto const before = past.memory.data[0];
            past.take(500);
            past.purge(first);
            past.disk.fault = FakeFolderDisk::Fault::Fail;
            past.disk.faultAt = past.disk.operations + at;
            struck = !past.timeline->sweep();
            past.disk.fault = FakeFolderDisk::Fault::None;
            past.memory.data[0] = before;
            past.keep();
            past.open();
            QVERIFY2(past.isWhole(), qPrintable(QString::number(at)));
        }
    }

    /// Memory is read while a sweep goes on, and has the old file then: for itself, and for nobody after it.
    void aPackThatIsWrittenAnewWhileItIsOpened()
    {
        Past past;
        auto const first = past.take(1000);
        auto const before = past.memory.data[0];
        auto const second = past.take(900);
        past.purge(first);
        past.open();
        auto const tree = tests::must(past.timeline->memory(second));
        Bytes page(pageSize);
        REQUIRE_OK(tree.read(0, 0, page)); // opens the second pack, and the nodes
        auto const size = past.size(1);
        past.disk.opened = [&] { tests::must(past.timeline->sweep()); };
        REQUIRE_OK(tree.read(0, 950 * pageSize, page));
        QVERIFY(past.size(1) < size / 4);
        QVERIFY(std::equal(page.begin(), page.end(), past.memory.data[0].begin() + 950 * pageSize));
        past.memory.data[0] = before;
        QCOMPARE(past.keep().newPages, std::uint64_t(900));
        past.open();
        QVERIFY(past.isWhole());
    }

    void whatIsKnownToBeDamagedIsStoredAnew_data()
    {
        QTest::addColumn<bool>("byReading");
        QTest::newRow("everything was compared with its hash") << false;
        QTest::newRow("somebody has read it") << true;
    }
    void whatIsKnownToBeDamagedIsStoredAnew()
    {
        QFETCH(bool, byReading);
        Past past;
        auto const first = past.take(40);
        past.rot(20);
        past.open();
        Bytes page(pageSize);
        if (byReading)
            QVERIFY(!tests::must(past.timeline->memory(first)).read(0, 20 * pageSize, page));
        else
            QCOMPARE(tests::must(past.timeline->verify()).size(), std::size_t(1));
        auto const again = past.keep();
        QCOMPARE(again.newPages, std::uint64_t(pagesPerFrame));
        // Elsewhere, too; and what has been stored anew is found.
        std::copy_n(past.memory.data[0].begin() + 20 * pageSize, pageSize, past.memory.data[0].end() - pageSize);
        QCOMPARE(past.keep().newPages, std::uint64_t(0));
        auto const damaged = tests::must(past.timeline->verify());
        QCOMPARE(damaged.size(), std::size_t(1));
        QCOMPARE(damaged[0].moment, first);
        past.purge(first);
        past.open();
        QVERIFY(past.isWhole());
    }

    /// A pack that has the number of one that was damaged, and is gone, is as good as any.
    void damageIsForgottenWithItsPack()
    {
        Past past;
        auto const first = past.take(40);
        past.rot(20);
        past.open();
        QCOMPARE(tests::must(past.timeline->verify()).size(), std::size_t(1));
        past.purge(first);
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(!past.has(1));
        past.keep();
        QVERIFY(past.has(1));
        QCOMPARE(past.keep().newPages, std::uint64_t(0));
    }

    /// Only that: not what a moment needs that can be brought back, nor a machine; and what cannot be read now may be
    /// read another time, or by another version.
    void aDamagedPackThatNobodyNeedsGoes()
    {
        Past past;
        auto const first = past.take(100);
        auto const second = past.take(100);
        auto const name = packName(1);
        auto const whole = past.disk.files.at(name)->bytes;
        auto& bytes = past.disk.files.at(name)->bytes;
        bytes[bytes.size() - 20] ^= 1; // of the footer
        past.open();
        REQUIRE_OK(past.timeline->remove(first, 1));
        QCOMPARE(past.timeline->sweep().error().code, ErrorCode::Corrupt);
        QVERIFY(past.has(1));
        auto held = past.timeline->hold(tests::must(past.timeline->memory(first)));
        past.purge(first);
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(past.has(1));
        held.reset();

        past.disk.unreadable = name;
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(past.has(1));
        past.disk.unreadable.clear();
        constexpr std::size_t versionAt = 8;
        bytes[versionAt] = 9;
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(past.has(1));
        bytes[versionAt] = whole[versionAt];

        auto const before = past.timeline->size();
        REQUIRE_OK(past.timeline->sweep());
        QVERIFY(!past.has(1));
        QCOMPARE(past.timeline->size(), before - whole.size());
        QVERIFY(past.isWhole());
        past.open();
        QVERIFY(past.isWhole() && past.timeline->present() == second);
    }
};

REGISTER_SUITE(SweepTest);
#include "sweep_test.moc"
