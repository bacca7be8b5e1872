#include "tests/fakes/fake_memory.h"
#include "tests/support/asks.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/rtc_mc146818.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/machine/moment_diff.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/writer.h"

#include <QTemporaryDir>
#include <nlohmann/json.hpp>

using namespace vmm;
using namespace vmm::timeline;

namespace {

SavedMachine example()
{
    SavedMachine machine;
    machine.config.uuid = makeUuid();
    machine.config.name = "example";
    machine.config.disks
        = { { .id = "disk0", .path = "/a", .readOnly = true }, { .id = "disk1", .path = "/b", .readOnly = true } };
    machine.parts = { { "serial0", state::save(Uart16550::State {}) }, { "rtc", state::save(RtcMc146818::State {}) } };
    return machine;
}

struct Past {
    tests::FakeFolderDisk disk;
    std::unique_ptr<Timeline> timeline = tests::openTimeline(disk);
    tests::FakeMemory memory { { 64 * 4096 } };

    std::string take(Json const& state)
    {
        return tests::must(timeline->take({ .time = 1, .state = state::toText(state) }, memory, {})).id;
    }
    std::string take(SavedMachine const& machine) { return take(savedMachineToJson(machine)); }
};

}

class MomentDiffTest : public QObject {
    Q_OBJECT

private slots:
    void fieldsConfigurationAndMemoryAreNamed()
    {
        Past past;
        auto machine = example();
        auto const before = past.take(machine);
        machine.config.disks.erase(machine.config.disks.begin());
        machine.config.memoryMiB = 2048;
        machine.header.guestTime = 77;
        Uart16550::State uart;
        uart.lcr = 3;
        machine.parts = { { "serial0", state::save(uart) }, { "serial1", state::save(uart) } };
        past.memory.fill(0, 5, 5);
        auto const after = past.take(machine);

        auto const diff = tests::must(compareMoments(*past.timeline, before, after));
        QCOMPARE(diff.config.size(), 2u);
        QCOMPARE(diff.config[0], (state::Difference { "memoryMiB", "1024", "2048" }));
        QCOMPARE(diff.config[1].path, "disks[disk0]");
        QCOMPARE(diff.config[1].after, "");
        std::vector<PartDiff> const parts {
            { "machine", "saved-machine", PartDiff::Presence::Both, { { "guestTime", "0", "77" } } },
            { "rtc", "rtc-mc146818", PartDiff::Presence::Removed, {} },
            { "serial0", "uart-16550", PartDiff::Presence::Both, { { "lcr", "0", "3" } } },
            { "serial1", "uart-16550", PartDiff::Presence::Added, {} },
        };
        QCOMPARE(diff.parts, parts);
        QCOMPARE(diff.memory.size(), 1u);
        QCOMPARE(diff.memory[0].changed.runs, (std::vector<ChangedRuns::Run> { { 5 * 4096, 4096 } }));
        QVERIFY(tests::must(compareMoments(*past.timeline, after, after)).isEmpty());
        QVERIFY(tests::must(compareMoments(*past.timeline, before, after, { .memory = false })).memory.empty());
    }

    /// fw-cfg's first version has a field that the second lacks; what it said is nothing to us any more.
    void aStateOfAnOlderVersionIsComparedAsItIsUnderstood()
    {
        Past past;
        auto machine = example();
        machine.parts = { { "fw_cfg", state::save(FwCfg::State {}) } };
        auto const after = past.take(machine);
        auto json = savedMachineToJson(machine);
        json["parts"][0]["version"] = 1u;
        json["parts"][0]["state"]["writable"] = Json::array();
        json["parts"][0]["state"].erase("files");
        auto const before = past.take(json);
        QVERIFY(tests::must(compareMoments(*past.timeline, before, after)).isEmpty());
    }

    void disksAreComparedAsTheyWere()
    {
        Past past;
        QTemporaryDir directory;
        auto const path = directory.filePath("disk.qcow2").toStdString();
        InlineEngine engine;
        REQUIRE_OK(createImage(path, { .size = 1 << 20 }));
        auto machine = example();
        machine.config.disks = { { .id = "disk0", .path = path, .format = DiskFormat::Qcow2 } };
        std::vector<std::string> moments;
        for (std::uint8_t value : { 1, 2 }) {
            auto const image = tests::must(BlockImage::open(engine, path));
            REQUIRE_OK(image->writeSync(64 << 10, Bytes(8192, value)));
            NewMoment what { .id = makeUuid(), .time = 1, .state = state::toText(savedMachineToJson(machine)) };
            what.disks = { { "disk0", path, { CheckpointWay::Internal, what.id, "", ImageFormat::Qcow2 } } };
            moments.push_back(tests::must(past.timeline->take(what, past.memory, {})).id);
            REQUIRE_OK(image->takeSnapshot({ .id = what.id }));
        }
        tests::Asks all;
        auto const asking
            = [](tests::Asks& asks) { return [&asks](std::uint64_t, std::uint64_t) { return asks.goOn(); }; };
        auto const diff = tests::must(compareMoments(*past.timeline, moments[0], moments[1], {}, asking(all)));
        QVERIFY2(all.count > 2, qPrintable(QString::number(all.count)));
        for (auto const at : tests::Asks::toTry(all.count)) {
            tests::Asks asks { at };
            QCOMPARE(compareMoments(*past.timeline, moments[0], moments[1], {}, asking(asks)).error().code,
                ErrorCode::Cancelled);
        }
        QCOMPARE(diff.disks.size(), 1u);
        QCOMPARE(diff.disks[0].id, "disk0");
        QCOMPARE(diff.disks[0].problem, "");
        QCOMPARE(diff.disks[0].changed.runs, (std::vector<ChangedRuns::Run> { { 64 << 10, 8192 } }));
        // One that has nothing of a moment says so, and is nobody else's business.
        auto const third = past.take(machine);
        auto const without = tests::must(compareMoments(*past.timeline, moments[0], third));
        QVERIFY(!without.disks[0].problem.empty());
    }

    void whatIsDamagedOrUnknownIsNamed()
    {
        Past past;
        auto const good = past.take(example());
        auto json = savedMachineToJson(example());
        json["parts"][0]["kind"] = "teapot";
        auto const unknown = past.take(json);
        auto const refused = compareMoments(*past.timeline, good, unknown);
        QVERIFY(!refused);
        QVERIFY(refused.error().detail.find("teapot") != std::string::npos);
        QVERIFY(refused.error().detail.find(unknown) != std::string::npos);
        QCOMPARE(compareMoments(*past.timeline, good, "nobody").error().code, ErrorCode::NotFound);
    }
};

REGISTER_SUITE(MomentDiffTest);
#include "moment_diff_test.moc"
