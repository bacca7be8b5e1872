#include "tests/support/guest_machine.h"
#include "tests/support/pagers.h"
#include "tests/support/suite.h"

#include <QProcess>
#include <csignal>
#include <future>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// Moments of running machines, with our own guests, which notice by themselves when something of them is not as it
/// was.
class MomentTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void backAndForth_data() { everyWay(); }
    void backAndForth();
    void momentsFollowEachOtherAtOnce_data() { everyWay(); }
    void momentsFollowEachOtherAtOnce();
    void damagedMemoryStopsTheMachine_data() { everyWay(); }
    void damagedMemoryStopsTheMachine();
    void theServerOfMemoryIsKilled();
    void computationGoesOnFromEachMoment();
    void disksFollow();
    void disksThatCannotFollowAreNamed();
    void processorsGoOn();
    void theMachineRunsOnWhileAMomentIsWritten();
    void keepingIsCancelled();
    void aMachineThatEndsLeavesNoHalfMoment();

private:
    static void everyWay();
};

namespace {

QString said(GuestMachine& guest)
{
    return guest.reason() + guest.lines().join('\n');
}

/// The demo machine with so much of its memory filled, and a moment of that.
std::string keepFilled(GuestMachine& guest, int mebibytes)
{
    tests::must(guest.start());
    guest.waitForLine("Chronovisor demo machine", 20s);
    guest.type("serial0", "mem fill " + std::to_string(mebibytes) + "\r");
    if (!guest.waitForLine(QString("%1 MiB filled").arg(mebibytes), 20s))
        qFatal("%s", qPrintable(said(guest)));
    return tests::must(guest.keepMoment("filled"));
}

}

/// How memory comes back; where the host does not allow one of them, another is tested twice.
void MomentTest::everyWay()
{
    QTest::addColumn<MemoryWay>("way");
    QTest::newRow("faults") << MemoryWay::Faults;
    QTest::newRow("file") << MemoryWay::File;
    QTest::newRow("at once") << MemoryWay::AtOnce;
}

void MomentTest::initTestCase()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void MomentTest::backAndForth()
{
    QFETCH(MemoryWay, way);
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    auto const fill = [&](int mebibytes) {
        guest.type("serial0", "mem fill " + std::to_string(mebibytes) + "\r");
        QVERIFY2(guest.waitForLine(QString("%1 MiB filled").arg(mebibytes), 20s), qPrintable(said(guest)));
    };
    auto const check = [&](int mebibytes) {
        guest.clearLines();
        guest.type("serial0", "mem check\r");
        QVERIFY2(guest.waitForLine(QString("%1 MiB read, 0 of").arg(mebibytes), 20s), qPrintable(said(guest)));
    };
    fill(16);
    auto const first = tests::must(guest.keepMoment("sixteen"));
    fill(48);
    auto const second = tests::must(guest.keepMoment("forty-eight"));

    REQUIRE_OK(guest.goTo(first, way));
    check(16);
    fill(24);
    auto const branch = tests::must(guest.keepMoment("another way"));
    REQUIRE_OK(guest.goTo(second, way));
    check(48);
    REQUIRE_OK(guest.goTo(branch, way));
    check(24);

    auto const timeline = guest.timeline();
    QCOMPARE(tests::must(timeline->moment(first)).parent, "");
    QCOMPARE(tests::must(timeline->moment(second)).parent, first);
    QCOMPARE(tests::must(timeline->moment(branch)).parent, first);
    QCOMPARE(timeline->present(), branch);
    // The second has only what 48 MiB filled have changed, the first one's memory is there once.
    QVERIFY(tests::must(timeline->moment(second)).changedPages < 64 * 256);
    QVERIFY(tests::must(timeline->verify()).empty());
}

/// While memory is still coming back: the next moment, another place, a reset, the end.
void MomentTest::momentsFollowEachOtherAtOnce()
{
    QFETCH(MemoryWay, way);
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const first = keepFilled(guest, 128);
    REQUIRE_OK(guest.goTo(first, way));
    auto const second = tests::must(guest.keepMoment("at once"));
    REQUIRE_OK(guest.goTo(second, way));
    REQUIRE_OK(guest.goTo(first, way));
    REQUIRE_OK(guest.machine().call(command::Reset {}));
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(first, way));
    REQUIRE_OK(guest.machine().call(command::PowerOff {}));
    REQUIRE_OK(guest.machine().call(command::Start {}));
    REQUIRE_OK(guest.goTo(second, way));
    REQUIRE_OK(guest.suspendAndRestore());
    guest.clearLines();
    guest.type("serial0", "mem check\r");
    QVERIFY2(guest.waitForLine("128 MiB read, 0 of", 20s), qPrintable(said(guest)));
}

void MomentTest::damagedMemoryStopsTheMachine()
{
    QFETCH(MemoryWay, way);
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const moment = keepFilled(guest, 128);
    guest.end();
    QFile pack(guest.folder() + "/timeline/packs/00000001");
    QVERIFY(pack.open(QIODevice::ReadWrite));
    // In its middle is what was filled, and the guest comes there only when it is asked to.
    for (qint64 at = pack.size() / 3; at < pack.size() / 2; at += 4096)
        QVERIFY(pack.seek(at) && pack.write("damaged") == 7);
    pack.close();
    auto const gone = guest.goTo(moment, way);
    if (way == MemoryWay::AtOnce) {
        QCOMPARE(gone.error().code, ErrorCode::Corrupt);
        return;
    }
    REQUIRE_OK(gone);
    guest.type("serial0", "mem check\r");
    QVERIFY2(guest.waitForState(RunState::Crashed, 20s), qPrintable(said(guest)));
    QTRY_VERIFY2(guest.reason().contains("packs/00000001"), qPrintable(guest.reason()));
    guest.clearLines();
    REQUIRE_OK(guest.machine().call(command::Reset {}));
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
}

void MomentTest::theServerOfMemoryIsKilled()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const moment = keepFilled(guest, 128);
    REQUIRE_OK(guest.goTo(moment, MemoryWay::File));
    auto const serving = tests::pagers();
    if (serving.isEmpty())
        QSKIP("CHRONOVISOR-SKIP: the host allows no file systems in user space");
    QCOMPARE(::kill(serving.front(), SIGKILL), 0);
    guest.type("serial0", "mem check\r");
    QVERIFY2(guest.waitForState(RunState::Crashed, 20s), qPrintable(said(guest)));
    // The guest may have met a hole before that was known.
    QTRY_VERIFY2(guest.reason().contains("has ended"), qPrintable(guest.reason()));
    guest.clearLines();
    REQUIRE_OK(guest.machine().call(command::Reset {}));
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
}

void MomentTest::computationGoesOnFromEachMoment()
{
    GuestMachine guest("guests/compute.elf", "seconds=5 work=32");
    REQUIRE_OK(guest.start());
    std::vector<std::string> moments;
    for (int second = 1; second <= 3; ++second) {
        QVERIFY2(guest.waitForLine("NOTE second " + QString::number(second), 20s), qPrintable(said(guest)));
        moments.push_back(tests::must(guest.keepMoment(std::to_string(second))));
    }
    QVERIFY2(guest.waitForLine("DONE 4 0 1", 30s), qPrintable(said(guest)));
    for (auto const& moment : moments) {
        guest.clearLines();
        REQUIRE_OK(guest.goTo(moment));
        QVERIFY2(guest.waitForLine("DONE 4 0 1", 30s), qPrintable(said(guest)));
    }
}

/// The demo machine counts in memory and on its disk each second, and says when the two differ.
void MomentTest::disksFollow()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    guest.addQcow2Disk(DiskBus::Ahci);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    // An empty line first: the moment may have been in the middle of one.
    auto const ask = [&](std::string const& question, QString const& answer) {
        guest.type("serial0", "\r");
        guest.clearLines();
        guest.type("serial0", question + "\r");
        return guest.waitForLine(answer, 20s);
    };
    auto const fits = [&](int mebibytes) {
        return ask("mem check", QString("%1 MiB read, 0 of").arg(mebibytes))
            && ask("count", "Memory and disk agree. Boot 1,");
    };
    std::vector<std::string> moments;
    for (auto const mebibytes : { 8, 16, 24 }) {
        QVERIFY2(ask("mem fill " + std::to_string(mebibytes), QString("%1 MiB filled").arg(mebibytes)),
            qPrintable(said(guest)));
        moments.push_back(tests::must(guest.keepMoment(std::to_string(mebibytes))));
        QTest::qWait(2500); // it counts on
    }
    for (auto const turn : { 0, 2, 1, 2, 0 }) {
        REQUIRE_OK(guest.goTo(moments[unsigned(turn)]));
        QVERIFY2(fits(8 * (turn + 1)), qPrintable(said(guest)));
        QTest::qWait(1200);
        QVERIFY2(fits(8 * (turn + 1)), qPrintable(said(guest)));
    }
    guest.end();
    for (auto const* disk : { "disk0", "disk1" }) {
        QProcess check;
        check.start("qemu-img", { "check", guest.folder() + "/" + disk + ".qcow2" });
        QVERIFY(check.waitForFinished());
        QVERIFY2(check.exitCode() == 0, check.readAll().constData());
    }
}

void MomentTest::disksThatCannotFollowAreNamed()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    auto const refused = guest.keepMoment("no");
    QCOMPARE(refused.error().code, ErrorCode::Unsupported);
    QVERIFY2(refused.error().detail.starts_with("disk1: "), refused.error().detail.c_str());
    QVERIFY(guest.timeline()->moments().empty());
}

void MomentTest::processorsGoOn()
{
    GuestMachine guest("guests/smp.elf", "cpus=4");
    guest.config.cpus = 4;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("PASS smp.allArrive", 20s), qPrintable(said(guest)));
    auto const moment = tests::must(guest.keepMoment("arrived"));
    QVERIFY2(guest.waitForLine("DONE 5 0 0", 60s), qPrintable(said(guest)));
    guest.clearLines();
    REQUIRE_OK(guest.goTo(moment));
    QVERIFY2(guest.waitForLine("DONE 5 0 0", 60s), qPrintable(said(guest)));
}

void MomentTest::theMachineRunsOnWhileAMomentIsWritten()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 128\r");
    QVERIFY2(guest.waitForLine("128 MiB filled", 20s), qPrintable(said(guest)));
    std::promise<Result<>> kept;
    guest.machine().post(
        command::KeepMoment { guest.timeline(), {} }, [&](Result<> outcome) { kept.set_value(std::move(outcome)); });
    // One at a time; the rest of the commands are as ever.
    QCOMPARE(guest.machine().call(command::KeepMoment { guest.timeline(), {} }).error().code, ErrorCode::Busy);
    REQUIRE_OK(guest.machine().call(command::Pause {}));
    REQUIRE_OK(guest.machine().call(command::Resume {}));
    guest.clearLines();
    guest.type("serial0", "mem check\r");
    QVERIFY2(guest.waitForLine("128 MiB read, 0 of", 20s), qPrintable(said(guest)));
    REQUIRE_OK(kept.get_future().get());
    QCOMPARE(guest.timeline()->moments().size(), 1u);
}

void MomentTest::keepingIsCancelled()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 128\r");
    QVERIFY2(guest.waitForLine("128 MiB filled", 20s), qPrintable(said(guest)));
    std::promise<Result<>> kept;
    guest.machine().post(
        command::KeepMoment { guest.timeline(), {} }, [&](Result<> outcome) { kept.set_value(std::move(outcome)); });
    REQUIRE_OK(guest.machine().call(command::CancelJob {}));
    QCOMPARE(kept.get_future().get().error().code, ErrorCode::Cancelled);
    QVERIFY(guest.timeline()->moments().empty());
    QCOMPARE(guest.machine().state(), RunState::Running);
    REQUIRE_OK(guest.keepMoment("then"));
}

void MomentTest::aMachineThatEndsLeavesNoHalfMoment()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 128\r");
    QVERIFY2(guest.waitForLine("128 MiB filled", 20s), qPrintable(said(guest)));
    std::promise<Result<>> kept;
    guest.machine().post(
        command::KeepMoment { guest.timeline(), {} }, [&](Result<> outcome) { kept.set_value(std::move(outcome)); });
    guest.end();
    // Whole or not at all.
    auto const outcome = kept.get_future().get();
    QCOMPARE(guest.timeline()->moments().size(), outcome ? 1u : 0u);
    QVERIFY(tests::must(guest.timeline()->verify()).empty());
}

REGISTER_SUITE(MomentTest);
#include "moment_test.moc"
