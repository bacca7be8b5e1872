#include "tests/support/still_machine.h"
#include "tests/support/suite.h"
#include "vmm/machine/disk_costs.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <sys/stat.h>

using namespace vmm;

namespace {

constexpr std::uint64_t cluster = 64 << 10;

/// The machine's disks have so many clusters of each kind; each is written by itself.
struct Past {
    tests::TemporaryStillMachine machine;
    std::shared_ptr<timeline::Timeline> timeline = machine.open();

    /// On both disks.
    void write(std::vector<std::uint64_t> const& clusters) const
    {
        InlineEngine engine;
        for (auto disk : machine.config.disks) {
            disk.format = formatNow(disk);
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            for (auto const one : clusters)
                tests::must(image->writeSync(one * cluster, Bytes(cluster, 7)));
            tests::must(image->flushSync());
        }
    }
    std::string keep() const { return tests::must(Machine::keepOff(machine.config, *timeline, {})).id; }
    DiskCost costOf(std::string const& moment) const
    {
        return tests::must(tests::must(diskCosts(*timeline, machine.config)).moments.at(moment));
    }
    timeline::Freed freed(std::vector<std::string> const& order) const
    {
        return tests::must(freedByDisks(*timeline, machine.config, order));
    }
    /// On both disks, in clusters.
    std::vector<std::uint64_t> eachOf(std::vector<std::string> const& order) const
    {
        auto each = freed(order).each;
        for (auto& bytes : each)
            bytes /= 2 * cluster;
        return each;
    }
    /// What the first disk's files take.
    std::uint64_t taken() const
    {
        std::uint64_t blocks = 0;
        for (auto const& file : std::filesystem::directory_iterator(machine.folder)) {
            struct stat status { };
            if (file.path().filename().string().starts_with("one.img") && ::stat(file.path().c_str(), &status) == 0)
                blocks += std::uint64_t(status.st_blocks);
        }
        return blocks * 512;
    }
    /// Four moments: of five clusters of each disk only the first three have what the last one, and the present, have
    /// not: one is the first's, two are the first two's, one is the second's and third's, and one all three's.
    std::vector<std::string> fourMoments() const
    {
        std::vector<std::string> ids;
        for (auto const& clusters :
            std::vector<std::vector<std::uint64_t>> { { 0, 1, 2, 3 }, { 1 }, { 0, 2 }, { 1, 3 } }) {
            write(clusters);
            ids.push_back(keep());
        }
        return ids;
    }
};

}

/// On two disks, one with overlays and one with internal snapshots, where neither file system shares blocks.
class DiskCostsTest final : public QObject {
    Q_OBJECT

private slots:
    void init()
    {
        Past const past;
        past.write({ 0 });
        auto const kept = past.timeline->moment(past.keep());
        if (kept->disks[0].checkpoint.way != CheckpointWay::Overlay)
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
    }

    void whatNobodyElseNeedsIsItsOwn()
    {
        Past const past;
        past.write({ 0, 1, 2, 3 });
        auto const first = past.keep();
        QCOMPARE(past.costOf(first), (DiskCost { 0, 2 * 4 * cluster })); // the disks still read as then
        past.write({ 1, 2, 3 });
        QCOMPARE(past.costOf(first), (DiskCost { 2 * 3 * cluster, 2 * 1 * cluster }));
        auto const second = past.keep();
        past.write({ 3, 4 });
        QCOMPARE(past.costOf(first), (DiskCost { 2 * 3 * cluster, 2 * 1 * cluster }));
        QCOMPARE(past.costOf(second), (DiskCost { 2 * 1 * cluster, 2 * 3 * cluster }));
        // What both have in common only they have, once the disks have something else there.
        past.write({ 0 });
        QCOMPARE(past.costOf(first), (DiskCost { 2 * 3 * cluster, 2 * 1 * cluster }));
        REQUIRE_OK(past.timeline->purge(second));
        REQUIRE_OK(past.machine.tidy(*past.timeline));
        QCOMPARE(past.costOf(first), (DiskCost { 2 * 4 * cluster, 0 }));
    }

    void whatSomebodyElseHasTooIsShared()
    {
        Past const past;
        past.write({ 0, 1, 2, 3 });
        auto const first = past.keep();
        past.write({ 1, 2, 3 });
        // As a fork has it, or a person.
        auto const base = past.machine.folder + "/" + past.timeline->moment(first)->disks[0].checkpoint.place;
        std::filesystem::create_hard_link(base, past.machine.folder + "/of a fork");
        QCOMPARE(past.costOf(first), (DiskCost { 3 * cluster, (2 + 3) * cluster }));
        QCOMPARE(past.freed({ first }).total, 3 * cluster); // the other disk's
        QVERIFY(std::filesystem::remove(past.machine.folder + "/of a fork"));
        QCOMPARE(past.costOf(first), (DiskCost { 2 * 3 * cluster, 2 * 1 * cluster }));
    }

    void whatIsOnlyReadSinceIsNeededToo()
    {
        Past past;
        past.write({ 0, 1, 2, 3 });
        auto const first = past.keep();
        for (auto& disk : past.machine.config.disks)
            disk.readOnly = true;
        QCOMPARE(past.costOf(first), (DiskCost { 0, 2 * 4 * cluster }));
        QCOMPARE(past.freed({ first }).total, 0u);
    }

    void whatIsUnknownOfOneMomentIsKnownOfTheOthers()
    {
        Past const past;
        past.write({ 0 });
        auto const first = past.keep();
        past.write({ 1 });
        auto const second = past.keep();
        {
            InlineEngine engine;
            auto disk = past.machine.config.disks[1];
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            REQUIRE_OK(image->deleteSnapshot(past.timeline->moment(first)->disks[1].checkpoint.id)); // by somebody else
        }
        auto const costs = tests::must(diskCosts(*past.timeline, past.machine.config));
        QVERIFY(!costs.moments.at(first));
        QVERIFY(costs.moments.at(first).error().message().find("disk1") != std::string::npos);
        REQUIRE_OK(costs.moments.at(second));
        QCOMPARE(*costs.moments.at(second), (DiskCost { 0, 2 * 2 * cluster }));
        // So what all of them take is not known, nor what comes back of any.
        QVERIFY(!costs.total);
        auto const freed = freedByDisks(*past.timeline, past.machine.config, { second });
        QVERIFY(!freed);
        QVERIFY(freed.error().message().find("disk1") != std::string::npos);
        REQUIRE_OK(past.timeline->purge(first));
        QCOMPARE(past.freed({ second }).total, 0u);
    }

    /// Whoever waits for the end of this, to close, does not wait for all of a disk.
    void itIsGivenUpWithinADisk()
    {
        Past const past;
        auto const& disk = past.machine.config.disks[1];
        REQUIRE_OK(removeFile(disk.path));
        REQUIRE_OK(createImage(disk.path, { .size = 256 * cluster }));
        {
            InlineEngine engine;
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            for (unsigned one = 0; one < 256; one += 2) // so there is much to look at
                REQUIRE_OK(image->writeSync(one * cluster, Bytes(cluster, 7)));
        }
        past.keep();
        for (unsigned most = 1; most < 6; ++most) {
            unsigned asked = 0;
            auto const goOn = [&](std::uint64_t, std::uint64_t) { return ++asked < most; };
            QCOMPARE(freedByDisks(*past.timeline, past.machine.config, {}, goOn).error().code, ErrorCode::Cancelled);
            QCOMPARE(asked, most);
            asked = 0;
            QCOMPARE(diskCosts(*past.timeline, past.machine.config, goOn).error().code, ErrorCode::Cancelled);
            QCOMPARE(asked, most);
        }
    }

    /// What several need comes back with the last of them, and all of it together in any order.
    void whatIsSaidToComeBackComesBack()
    {
        std::vector<std::size_t> order { 0, 1, 2 };
        do {
            Past const past;
            auto const ids = past.fourMoments();
            std::vector<std::string> going;
            for (auto const place : order)
                going.push_back(ids[place]);
            auto const told = past.freed(going);
            QCOMPARE(told.total, 2 * 5 * cluster);
            QCOMPARE(told.first, 0u);
            QCOMPARE(std::accumulate(told.each.begin(), told.each.end(), std::uint64_t(0)), told.total);
            QCOMPARE(tests::must(diskCosts(*past.timeline, past.machine.config).value().total), told.total);
            auto left = told.total;
            auto const before = past.taken();
            for (std::size_t i = 0; i < going.size(); ++i) {
                REQUIRE_OK(past.timeline->purge(going[i]));
                auto const untidy = past.freed({});
                QCOMPARE(untidy.total, left);
                QCOMPARE(untidy.first, told.each[i]); // for no moment any more, and still there
                REQUIRE_OK(past.machine.tidy(*past.timeline));
                left -= told.each[i];
                QCOMPARE(past.freed({}).total, left);
            }
            QVERIFY(before - past.taken() >= 5 * cluster); // on the host, too
        } while (std::ranges::next_permutation(order).found);
    }

    void whatSeveralNeedBelongsToTheLastOfThem()
    {
        using Each = std::vector<std::uint64_t>;
        Past const past;
        auto const ids = past.fourMoments();
        auto const &a = ids[0], &b = ids[1], &c = ids[2], &d = ids[3];
        QCOMPARE(past.eachOf({ a, b, c }), (Each { 1, 2, 2 }));
        QCOMPARE(past.eachOf({ c, b, a }), (Each { 0, 1, 4 }));
        QCOMPARE(past.eachOf({ a, c, b }), (Each { 1, 0, 4 }));
        QCOMPARE(past.eachOf({ b, a }), (Each { 0, 3 })); // the rest is still needed
        QCOMPARE(past.eachOf({ d }), Each { 0 });         // it is what the disks are
    }

    void aDiskThatCannotBeReadIsNamed()
    {
        Past const past;
        past.write({ 0 });
        auto const first = past.keep();
        past.write({ 1 });
        auto const second = past.keep();
        auto const place = past.timeline->moment(first)->disks[0].checkpoint.place;
        QVERIFY(std::filesystem::remove(past.machine.folder + "/" + place));
        auto const costs = diskCosts(*past.timeline, past.machine.config);
        QVERIFY(!costs); // the disk stands on it
        QVERIFY(!freedByDisks(*past.timeline, past.machine.config, {}));
        QVERIFY(costs.error().message().find("disk0") != std::string::npos);
    }

    void itIsCancelled()
    {
        Past const past;
        past.keep();
        auto const cancelled
            = diskCosts(*past.timeline, past.machine.config, [](std::uint64_t, std::uint64_t) { return false; });
        QCOMPARE(cancelled.error().code, ErrorCode::Cancelled);
        auto const freed
            = freedByDisks(*past.timeline, past.machine.config, {}, [](std::uint64_t, std::uint64_t) { return false; });
        QCOMPARE(freed.error().code, ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(DiskCostsTest);
#include "disk_costs_test.moc"
