#include "tests/support/still_machine.h"
#include "tests/support/suite.h"
#include "vmm/machine/disk_costs.h"

#include <filesystem>

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
        return tests::must(tests::must(diskCosts(*timeline, machine.config)).at(moment));
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
        QVERIFY(std::filesystem::remove(past.machine.folder + "/of a fork"));
        QCOMPARE(past.costOf(first), (DiskCost { 2 * 3 * cluster, 2 * 1 * cluster }));
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
        QVERIFY(!costs.at(first));
        QVERIFY(costs.at(first).error().message().find("disk1") != std::string::npos);
        REQUIRE_OK(costs.at(second));
        QCOMPARE(*costs.at(second), (DiskCost { 0, 2 * 2 * cluster }));
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
        QVERIFY(costs.error().message().find("disk0") != std::string::npos);
    }

    void itIsCancelled()
    {
        Past const past;
        past.keep();
        auto const cancelled
            = diskCosts(*past.timeline, past.machine.config, [](std::uint64_t, std::uint64_t) { return false; });
        QCOMPARE(cancelled.error().code, ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(DiskCostsTest);
#include "disk_costs_test.moc"
