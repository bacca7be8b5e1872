#include "tests/support/answer.h"
#include "tests/support/guest_machine.h"
#include "tests/support/mounted_image.h"
#include "tests/support/open_timeline.h"
#include "tests/support/pagers.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/machine/disk_costs.h"
#include "vmm/machine/forked_machine.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QSet>
#include <QTemporaryDir>
#include <csignal>
#include <future>
#include <list>
#include <numeric>
#include <optional>

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
    void whatAForkDoesNotTouchStaysWhereItIs_data() { everyWay(); }
    void whatAForkDoesNotTouchStaysWhereItIs();
    void damagedMemoryStopsTheMachine_data() { everyWay(); }
    void damagedMemoryStopsTheMachine();
    void theServerOfMemoryIsKilled();
    void computationGoesOnFromEachMoment();
    void disksFollow_data();
    void disksFollow();
    void momentsOfARawDiskGoInAnyOrder();
    void aCancelledMomentLeavesNothingOfDisks();
    void whatACrashLeftIsTidied();
    void aMachineThatIsOffHasMoments();
    void aSuspendedMachineHasMoments();
    void aForkHasTheDisksOfItsMoment_data();
    void aForkHasTheDisksOfItsMoment();
    void processorsGoOn();
    void whoGoesBackHearsOfItAndTellsTheNetwork_data();
    void whoGoesBackHearsOfItAndTellsTheNetwork();
    void theMachineRunsOnWhileAMomentIsWritten();
    void keepingIsCancelled();
    void whatIsKeptIsStoredThoughTheMachineEnds_data();
    void whatIsKeptIsStoredThoughTheMachineEnds();
    void aSuspendThatWaitsForAMomentIsCancelledAlone();
    void aMachineThatEndsLeavesNoHalfMoment();

private:
    static void everyWay();
};

namespace {

QString said(GuestMachine& guest)
{
    return guest.reason() + guest.lines().join('\n');
}

/// How that ends.
std::future<Result<>> beginToKeep(GuestMachine& guest)
{
    return tests::laterAnswerOf([&](auto done) {
        guest.machine().post(command::KeepMoment { guest.timeline(), {} }, done);
    });
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

void MomentTest::whatAForkDoesNotTouchStaysWhereItIs()
{
    QFETCH(MemoryWay, way);
    constexpr std::uint64_t mib = 1 << 20;
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const filled = keepFilled(guest, 128);
    REQUIRE_OK(guest.timeline()->setGoingTo(filled)); // as a fork's timeline says before its first start
    REQUIRE_OK(guest.goTo(filled, way));
    // A moment does not wait for the rest, and has it all the same.
    auto const early = tests::must(guest.keepMoment("early"));
    auto const changed = tests::must(guest.timeline()->moment(early)).changedPages * 4096;
    QVERIFY2(changed < 16 * mib, qPrintable(QString::number(changed)));
    if (way == MemoryWay::Faults)
        QVERIFY(guest.machine().statistics().residentBytes < 100 * mib);
    auto const check = [&] {
        guest.clearLines();
        guest.type("serial0", "mem check\r");
        return guest.waitForLine("128 MiB read, 0 of", 20s);
    };
    QVERIFY2(check(), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(early, way));
    QVERIFY2(check(), qPrintable(said(guest)));

    // A suspend needs all of it.
    REQUIRE_OK(guest.timeline()->setGoingTo(early));
    REQUIRE_OK(guest.goTo(early, way));
    REQUIRE_OK(guest.suspendAndRestore());
    QVERIFY2(check(), qPrintable(said(guest)));
}

void MomentTest::damagedMemoryStopsTheMachine()
{
    QFETCH(MemoryWay, way);
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const moment = keepFilled(guest, 64);
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
    QVERIFY2(guest.waitForLine("NOTE second ", 20s), qPrintable(said(guest)));
    std::vector<std::string> moments;
    for (int i = 0; i < 3; ++i) {
        auto const moment = guest.keepMoment(std::to_string(i));
        if (!moment)
            QCOMPARE(moment.error().code, ErrorCode::NotNow);
        if (!moments.empty() && guest.said("serial0").contains(" compute.computes"))
            break; // a slow host: the guest is done, or is saying so
        moments.push_back(tests::must(moment));
    }
    QVERIFY2(guest.waitForWholeLine("DONE 4 0 1", 30s), qPrintable(said(guest)));
    for (auto const& moment : moments) {
        guest.clearLines();
        REQUIRE_OK(guest.goTo(moment));
        QVERIFY2(guest.waitForWholeLine("DONE 4 0 1", 30s), qPrintable(said(guest)));
    }
}

namespace {

/// Set where there is a real ZFS: tests/lab/zfs_test.
QString zfsPool()
{
    return qEnvironmentVariable("CHRONOVISOR_ZFS_POOL");
}

/// What one leaves behind is in the way of the next one, which says so.
void createInPool(QStringList const& arguments)
{
    auto const created = tests::runTool("zfs", QStringList { "create" } + arguments);
    if (created.status != 0)
        qFatal("zfs create %s: %s", qPrintable(arguments.join(' ')), qPrintable(created.output));
}

/// A file system, mounted for as long as the object lives; of ZFS one of a pool that is there.
class Mounted {
public:
    explicit Mounted(QString const& type)
    {
        if (type == "zfs")
            makeDataset();
        else if (!type.isEmpty())
            m_image.emplace(type);
    }
    Mounted(Mounted const&) = delete;
    Mounted& operator=(Mounted const&) = delete;
    ~Mounted()
    {
        if (!m_dataset.isEmpty())
            tests::runTool("zfs", { "destroy", "-r", m_dataset });
    }
    QString path() const { return m_image ? m_image->path() : m_dataset.isEmpty() ? QString() : m_folder.path(); }
    /// Empty: it is there.
    QString whyNot() const { return m_image ? m_image->whyNot : QString(); }

private:
    void makeDataset()
    {
        m_dataset = zfsPool() + "/files";
        createInPool({ "-o", "mountpoint=" + m_folder.path(), m_dataset });
    }

    QTemporaryDir m_folder;
    QString m_dataset;
    std::optional<tests::MountedImage> m_image;
};

/// A volume of ZFS for as long as the object lives.
class Volume {
public:
    explicit Volume(QString const& name) : m_dataset(zfsPool() + "/" + name)
    {
        createInPool({ "-V", "64M", m_dataset });
    }
    Volume(Volume const&) = delete;
    Volume& operator=(Volume const&) = delete;
    ~Volume() { tests::runTool("zfs", { "destroy", "-R", m_dataset }); } // with its clones
    /// Made by udev, in its own time.
    QString path() const
    {
        auto const path = "/dev/zvol/" + m_dataset;
        return tests::becomes([&] { return QFile::exists(path); }, 10'000 * tests::patience()) ? path : QString();
    }

private:
    QString m_dataset;
};

/// The demo machine counts in memory and on its disk each second, and says when the two differ; how much of its memory
/// was filled tells moments apart.
bool isAt(GuestMachine& guest, int mebibytes, int boot = 1)
{
    return guest.ask("mem check", QString("%1 MiB read, 0 of").arg(mebibytes))
        && guest.ask("count", QString("Memory and disk agree. Boot %1,").arg(boot));
}

/// Until it has counted on, in memory and on its disk.
bool countsOn(GuestMachine& guest)
{
    auto const onDisk = [&] {
        QString const agree = "Memory and disk agree. ";
        bool const isSaid = guest.ask("count", agree) && guest.waitForWholeLine(agree, 20s);
        return isSaid ? guest.lines().filter(agree).last().section(", ", -1) : QString();
    };
    auto const before = onDisk();
    auto const hasCounted = [&] {
        auto const now = onDisk();
        return !now.isEmpty() && now != before;
    };
    return !before.isEmpty() && tests::becomes(hasCounted);
}

std::string keepAt(GuestMachine& guest, int mebibytes)
{
    if (!guest.ask("mem fill " + std::to_string(mebibytes), QString("%1 MiB filled").arg(mebibytes)))
        qFatal("%s", qPrintable(said(guest)));
    auto moment = tests::must(guest.keepMoment(std::to_string(mebibytes)));
    if (!countsOn(guest))
        qFatal("%s", qPrintable(said(guest)));
    return moment;
}

QString checkedByQemu(GuestMachine const& guest)
{
    QString complaints;
    for (auto const& disk : guest.config.disks) {
        auto const path = QString::fromStdString(disk.path);
        auto const info = tests::runTool("qemu-img", { "info", "-U", path });
        if (info.status != 0)
            complaints += path + ": there is no judgement: " + info.output;
        else if (info.output.contains("file format: qcow2"))
            complaints += tests::QemuTools::check(path);
    }
    return complaints;
}

}

void MomentTest::disksFollow_data()
{
    QTest::addColumn<QString>("fileSystem");
    QTest::addColumn<bool>("raw");
    QTest::addColumn<CheckpointWay>("way");
    QTest::newRow("qcow2, inside: internal snapshots") << "" << false << CheckpointWay::Internal;
    QTest::newRow("qcow2: overlays") << "" << false << CheckpointWay::Overlay;
    QTest::newRow("raw: overlays") << "" << true << CheckpointWay::Overlay;
    QTest::newRow("btrfs, qcow2: reflinks") << "btrfs" << false << CheckpointWay::Reflink;
    QTest::newRow("btrfs, raw: reflinks") << "btrfs" << true << CheckpointWay::Reflink;
    QTest::newRow("XFS, qcow2: reflinks") << "xfs" << false << CheckpointWay::Reflink;
    QTest::newRow("XFS, raw: reflinks") << "xfs" << true << CheckpointWay::Reflink;
    if (!zfsPool().isEmpty()) {
        QTest::newRow("ZFS, qcow2: snapshots") << "zfs" << false << CheckpointWay::Zfs;
        QTest::newRow("ZFS, raw: snapshots") << "zfs" << true << CheckpointWay::Zfs;
        QTest::newRow("ZFS, volumes: snapshots") << "volumes" << true << CheckpointWay::Zfs;
    }
}

void MomentTest::disksFollow()
{
    QFETCH(QString, fileSystem);
    QFETCH(bool, raw);
    QFETCH(CheckpointWay, way);
    bool const onVolumes = fileSystem == "volumes";
    Mounted const mounted(onVolumes ? "" : fileSystem);
    if (!mounted.whyNot().isEmpty())
        QSKIP(qPrintable(mounted.whyNot()));
    std::list<Volume> volumes; // outlive the machine
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.diskFolder = mounted.path();
    for (auto const bus : { DiskBus::Virtio, DiskBus::Ahci, DiskBus::Virtio }) {
        if (onVolumes)
            guest.addDiskAt(volumes.emplace_back(QString::number(volumes.size())).path(), bus);
        else
            raw ? guest.addDisk(bus) : guest.addQcow2Disk(bus);
        guest.config.disks.back().moments
            = way == CheckpointWay::Internal ? MomentPlace::Inside : MomentPlace::Automatic;
    }
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    std::vector<std::string> moments;
    for (auto const mebibytes : { 8, 16, 24 })
        moments.push_back(keepAt(guest, mebibytes));
    auto const disks = tests::must(guest.timeline()->moment(moments[1])).disks;
    QCOMPARE(disks.size(), 3u);
    for (auto const& disk : disks)
        QCOMPARE(disk.checkpoint.way, way);
    QVERIFY(guest.timeline()->loose().empty());
    for (auto const turn : { 0, 2, 1 }) {
        REQUIRE_OK(guest.goTo(moments[unsigned(turn)]));
        QVERIFY2(isAt(guest, 8 * (turn + 1)), qPrintable(said(guest)));
        QVERIFY2(countsOn(guest), qPrintable(said(guest)));
        QVERIFY2(isAt(guest, 8 * (turn + 1)), qPrintable(said(guest)));
    }
    // What that gives back can be told beside the guest, too.
    auto const freed = tests::must(freedByDisks(*guest.timeline(), guest.config, moments));
    QCOMPARE(std::accumulate(freed.each.begin(), freed.each.end(), freed.first), freed.total);
    // One in the middle goes beside the guest, and the others are whole.
    REQUIRE_OK(guest.endMoment(moments[1]));
    for (auto const turn : { 2, 0 }) {
        REQUIRE_OK(guest.goTo(moments[unsigned(turn)]));
        QVERIFY2(isAt(guest, 8 * (turn + 1)), qPrintable(said(guest)));
    }
    guest.end();
    QCOMPARE(checkedByQemu(guest), QString());
    if (way == CheckpointWay::Internal || onVolumes)
        return;
    // What is kept beside images brings them back.
    for (auto const& disk : guest.config.disks)
        REQUIRE_OK(removeFile(disk.path));
    REQUIRE_OK(guest.goTo(moments[2]));
    QVERIFY2(isAt(guest, 24), qPrintable(said(guest)));
    QVERIFY2(countsOn(guest), qPrintable(said(guest)));
}

/// While the machine runs. What it was configured with still says that the disk is raw.
void MomentTest::momentsOfARawDiskGoInAnyOrder()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    std::vector<std::string> moments;
    for (auto const mebibytes : { 8, 16, 24, 32 })
        moments.push_back(keepAt(guest, mebibytes));
    auto const files = [&] { return QDir(guest.folder()).entryList({ "disk0*" }, QDir::Files).size(); };
    QCOMPARE(files(), 5);
    REQUIRE_OK(guest.endMoment(moments[1]));
    QVERIFY2(isAt(guest, 32), qPrintable(said(guest)));
    QCOMPARE(files(), 4);
    REQUIRE_OK(guest.endMoment(moments[3])); // the disk itself stands on that
    QVERIFY2(isAt(guest, 32), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(moments[0]));
    QVERIFY2(isAt(guest, 8), qPrintable(said(guest)));
    REQUIRE_OK(guest.machine().call(command::TidyDisks { guest.timeline() }));
    QCOMPARE(files(), 3); // nothing stands on the fourth any more
    REQUIRE_OK(guest.endMoment(moments[0]));
    QVERIFY2(isAt(guest, 8), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(moments[2]));
    QVERIFY2(isAt(guest, 24), qPrintable(said(guest)));
    REQUIRE_OK(guest.endMoment(moments[2]));
    QVERIFY2(files() <= 3, qPrintable(QString::number(files())));
    QVERIFY2(isAt(guest, 24), qPrintable(said(guest)));
    guest.end();
    QCOMPARE(checkedByQemu(guest), QString());
    QCOMPARE(guest.config.disks[0].format, std::nullopt);
    guest.config.disks[0].format = DiskFormat::Raw;
    guest.clearLines();
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 2,"), qPrintable(said(guest)));
}

void MomentTest::aCancelledMomentLeavesNothingOfDisks()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    guest.config.disks.back().moments = MomentPlace::Inside;
    guest.addDisk(DiskBus::Ahci);
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY2(guest.ask("mem fill 128", "128 MiB filled"), qPrintable(said(guest)));
    // The disks have it, and the memory is being stored.
    guest.atFirstProgress = [&] { guest.machine().post(command::CancelJob {}, {}); };
    auto kept = beginToKeep(guest);
    QCOMPARE(tests::answered(kept).error().code, ErrorCode::Cancelled);
    QVERIFY2(isAt(guest, 128), qPrintable(said(guest)));
    guest.end();
    auto const listed
        = tests::runTool("qemu-img", { "snapshot", "-l", QString::fromStdString(guest.config.disks[0].path) });
    QVERIFY2(listed.status == 0 && !listed.output.contains("Chronovisor"), qPrintable(listed.output));
    QCOMPARE(checkedByQemu(guest), QString());
}

/// As if the process had ended after the disks have kept it, and before the moment has its record.
void MomentTest::whatACrashLeftIsTidied()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    guest.config.disks.back().moments = MomentPlace::Inside;
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    auto const moment = keepAt(guest, 8);
    auto const known = tests::must(guest.timeline()->moment(moment));
    guest.end();
    auto const folder = guest.folder() + "/timeline/moments/";
    for (QString const ending : { ".json", ".state" })
        QVERIFY(QFile::remove(folder + QString::fromStdString(moment) + ending));
    auto const timeline = tests::openTimeline((guest.folder() + "/timeline").toStdString());
    REQUIRE_OK(timeline->setLoose({ moment, known.disks }));
    REQUIRE_OK(Machine::tidyDisks(guest.config, *timeline));
    auto const path = [&](std::size_t disk) { return QString::fromStdString(guest.config.disks[disk].path); };
    auto const listed = tests::runTool("qemu-img", { "snapshot", "-l", path(0) });
    QVERIFY2(listed.status == 0 && !listed.output.contains("Chronovisor"), qPrintable(listed.output));
    QCOMPARE(checkedByQemu(guest), QString());
    guest.clearLines();
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 2,"), qPrintable(said(guest)));
}

void MomentTest::aMachineThatIsOffHasMoments()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    guest.config.disks.back().moments = MomentPlace::Inside;
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    auto const on = keepAt(guest, 8);
    guest.end();
    auto const off = tests::must(Machine::keepOff(guest.config, *guest.timeline(), { .name = "off" }));
    QCOMPARE(off.power, timeline::Power::Off);
    QCOMPARE(off.parent, on);
    guest.clearLines();
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 2,"), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(on));
    QVERIFY2(isAt(guest, 8), qPrintable(said(guest)));
    guest.end();
    auto const config = tests::must(Machine::goToOff(guest.timeline(), off.id));
    QCOMPARE(config.uuid, guest.config.uuid);
    QCOMPARE(guest.timeline()->present(), off.id);
    QCOMPARE(checkedByQemu(guest), QString());
    guest.clearLines();
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 2,"), qPrintable(said(guest)));
    QVERIFY(tests::must(guest.timeline()->verify()).empty());
}

/// What is suspended stays as good as it was, and the moment is one like any other.
void MomentTest::aSuspendedMachineHasMoments()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addQcow2Disk(DiskBus::Virtio);
    guest.config.disks.back().moments = MomentPlace::Inside;
    guest.addDisk(DiskBus::Ahci);
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY2(guest.ask("mem fill 24", "24 MiB filled"), qPrintable(said(guest)));
    auto const directory = guest.folder().toStdString() + "/suspended";
    QDir().mkpath(QString::fromStdString(directory));
    REQUIRE_OK(guest.machine().call(command::Suspend { directory, true }));
    guest.end();
    auto const kept = tests::must(Machine::keepSuspended(directory, *guest.timeline(), { .name = "suspended" }));
    QCOMPARE(kept.power, timeline::Power::On);
    REQUIRE_OK(guest.restore());
    QVERIFY2(isAt(guest, 24), qPrintable(said(guest)));
    auto const later = keepAt(guest, 40);
    REQUIRE_OK(guest.goTo(kept.id));
    QVERIFY2(isAt(guest, 24), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(later));
    QVERIFY2(isAt(guest, 40), qPrintable(said(guest)));
}

void MomentTest::aForkHasTheDisksOfItsMoment_data()
{
    QTest::addColumn<QString>("fileSystem");
    QTest::addColumn<bool>("inside");
    QTest::addColumn<CheckpointWay>("way");
    QTest::newRow("any") << "" << false << CheckpointWay::Overlay;
    QTest::newRow("any, one that has its moments inside") << "" << true << CheckpointWay::Overlay;
    QTest::newRow("btrfs") << "btrfs" << false << CheckpointWay::Reflink;
    if (!zfsPool().isEmpty()) {
        QTest::newRow("ZFS") << "zfs" << false << CheckpointWay::Zfs;
        QTest::newRow("ZFS, volumes") << "volumes" << false << CheckpointWay::Zfs;
    }
}

/// While the original runs; neither harms the other.
void MomentTest::aForkHasTheDisksOfItsMoment()
{
    QFETCH(QString, fileSystem);
    QFETCH(bool, inside);
    QFETCH(CheckpointWay, way);
    bool const onVolumes = fileSystem == "volumes";
    Mounted const mounted(onVolumes ? "" : fileSystem);
    if (!mounted.whyNot().isEmpty())
        QSKIP(qPrintable(mounted.whyNot()));
    std::list<Volume> volumes; // outlive the machines
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.diskFolder = mounted.path();
    if (onVolumes) {
        for (auto const* name : { "first", "second" })
            guest.addDiskAt(volumes.emplace_back(name).path(), DiskBus::Virtio);
    } else {
        guest.addQcow2Disk(DiskBus::Virtio);
        guest.config.disks.back().moments = inside ? MomentPlace::Inside : MomentPlace::Beside;
        guest.addDisk(DiskBus::Virtio);
    }
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    auto const moment = tests::must(guest.timeline()->moment(keepAt(guest, 8)));
    QCOMPARE(moment.disks.size(), 2u);
    QCOMPARE(moment.disks[0].checkpoint.way, inside ? CheckpointWay::Internal : way);
    QCOMPARE(moment.disks[1].checkpoint.way, way);
    QTemporaryDir const folder((mounted.path().isEmpty() ? QDir::tempPath() : mounted.path()) + "/fork-XXXXXX");
    auto const place = onVolumes ? "/dev/zvol/" + zfsPool() + "/" : folder.path() + "/";
    auto forked = guest.config;
    forked.disks[0].path = (place + "one").toStdString();
    forked.disks[1].path = (place + "two").toStdString();
    auto const made = tests::must(forkDisks(guest.config, moment, forked, makeUuid(), [](double) { return true; }));
    if (fileSystem.isEmpty()) {
        QCOMPARE(made.kept.size(), 2u);
        QCOMPARE(made.loose.size(), 1u);
        QCOMPARE(made.loose[0].disks.size(), inside ? 1u : 2u); // what they stand on, where they are no copies
        QCOMPARE(forked.disks[1].format, DiskFormat::Qcow2);
    }
    QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(place + "one") && QFile::exists(place + "two"),
        10'000 * tests::patience()); // udev's volumes
    QVERIFY2(isAt(guest, 8), qPrintable(said(guest)));
    REQUIRE_OK(guest.endMoment(moment.id));

    GuestMachine fork("share/chronovisor/demo.elf");
    fork.config.disks = forked.disks;
    REQUIRE_OK(fork.start());
    QVERIFY2(fork.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(fork)));
    QVERIFY2(fork.ask("count", "Memory and disk agree. Boot 2,"), qPrintable(said(fork)));
    QVERIFY2(isAt(guest, 8), qPrintable(said(guest)));
    fork.end();
    QCOMPARE(checkedByQemu(fork), QString());
}

void MomentTest::processorsGoOn()
{
    GuestMachine guest("guests/smp.elf", "pause=1 busy=1 cpus=4");
    guest.config.cpus = 4;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForWholeLine("NOTE suspend me", 20s), qPrintable(said(guest)));
    auto const moment = tests::must(guest.keepMoment("arrived"));
    guest.type("serial0", "x");
    QVERIFY2(guest.waitForWholeLine("DONE 6 0 0", 60s), qPrintable(said(guest)));
    guest.clearLines();
    REQUIRE_OK(guest.goTo(moment));
    guest.type("serial0", "x");
    QVERIFY2(guest.waitForWholeLine("DONE 6 0 0", 60s), qPrintable(said(guest)));
}

void MomentTest::whoGoesBackHearsOfItAndTellsTheNetwork_data()
{
    QTest::addColumn<bool>("isConnected");
    QTest::newRow("connected") << true;
    QTest::newRow("pulled out") << false;
}

/// The guest was running, and runs: it sees another generation id and the event that tells of it, each time; and its
/// card, through which it sends nothing, says where it is.
void MomentTest::whoGoesBackHearsOfItAndTellsTheNetwork()
{
    QFETCH(bool, isConnected);
    constexpr std::uint64_t announcement = 60; // bytes
    GuestMachine guest("guests/past.elf");
    guest.config.networks = { { "net0", "52:54:00:12:34:56", NetworkMode::User, {}, isConnected } };
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForWholeLine("NOTE generation ", 20s), qPrintable(said(guest)));
    QSet<QString> generations { guest.lines().filter("NOTE generation ").first().section(' ', -1) };
    auto const moment = tests::must(guest.keepMoment("there"));
    QCOMPARE(guest.machine().statistics().networkBytesSent, 0u); // which is no coming back
    for (int i = 0; i < 3; ++i) {
        guest.clearLines();
        REQUIRE_OK(guest.goTo(moment));
        QVERIFY2(guest.waitForWholeLine("NOTE came back, event 1, ", 20s), qPrintable(said(guest)));
        generations.insert(guest.lines().filter("NOTE came back").first().section(' ', -1));
        QCOMPARE(generations.size(), i + 2);
        QCOMPARE(guest.machine().statistics().networkBytesSent, isConnected ? announcement : 0);
    }
    QCOMPARE(guest.lines().filter("NOTE came back").size(), 1);
}

void MomentTest::theMachineRunsOnWhileAMomentIsWritten()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 128\r");
    QVERIFY2(guest.waitForLine("128 MiB filled", 20s), qPrintable(said(guest)));
    auto kept = beginToKeep(guest);
    // One at a time; the rest of the commands are as ever.
    QCOMPARE(guest.machine().call(command::KeepMoment { guest.timeline(), {} }).error().code, ErrorCode::Busy);
    REQUIRE_OK(guest.machine().call(command::Pause {}));
    REQUIRE_OK(guest.machine().call(command::Resume {}));
    guest.clearLines();
    guest.type("serial0", "mem check\r");
    QVERIFY2(guest.waitForLine("128 MiB read, 0 of", 20s), qPrintable(said(guest)));
    REQUIRE_OK(tests::answered(kept));
    QCOMPARE(guest.timeline()->moments().size(), 1u);
}

void MomentTest::keepingIsCancelled()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 128\r");
    QVERIFY2(guest.waitForLine("128 MiB filled", 20s), qPrintable(said(guest)));
    auto kept = beginToKeep(guest);
    REQUIRE_OK(guest.machine().call(command::CancelJob {}));
    QCOMPARE(tests::answered(kept).error().code, ErrorCode::Cancelled);
    QVERIFY(guest.timeline()->moments().empty());
    QCOMPARE(guest.machine().state(), RunState::Running);
    REQUIRE_OK(guest.keepMoment("then"));
}

void MomentTest::whatIsKeptIsStoredThoughTheMachineEnds_data()
{
    QTest::addColumn<bool>("isSuspended");
    QTest::newRow("suspended") << true;
    QTest::newRow("powered off") << false;
}

void MomentTest::whatIsKeptIsStoredThoughTheMachineEnds()
{
    QFETCH(bool, isSuspended);
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY2(guest.ask("mem fill 128", "128 MiB filled"), qPrintable(said(guest)));
    Command const end = isSuspended ? Command(command::Suspend { guest.folder().toStdString() + "/suspended" })
                                    : Command(command::PowerOff {});
    std::future<Result<>> ended;
    // The instant was.
    guest.atFirstProgress = [&] { ended = tests::laterAnswerOf([&](auto done) { guest.machine().post(end, done); }); };
    auto kept = beginToKeep(guest);
    REQUIRE_OK(tests::answered(kept));
    QVERIFY(ended.valid());
    REQUIRE_OK(tests::answered(ended));
    QCOMPARE(guest.machine().state(), RunState::Off);
    REQUIRE_OK(guest.goTo(guest.timeline()->moments().front().id));
    QVERIFY2(guest.ask("mem check", "128 MiB read, 0 of"), qPrintable(said(guest)));
}

void MomentTest::aSuspendThatWaitsForAMomentIsCancelledAlone()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY2(guest.ask("mem fill 128", "128 MiB filled"), qPrintable(said(guest)));
    std::future<Result<>> suspended;
    guest.atFirstProgress = [&] {
        suspended = tests::laterAnswerOf([&](auto done) {
            guest.machine().post(command::Suspend { guest.folder().toStdString() + "/suspended" }, done);
        });
        guest.machine().post(command::CancelJob {}, {});
    };
    auto kept = beginToKeep(guest);
    REQUIRE_OK(tests::answered(kept));
    QVERIFY(suspended.valid());
    QCOMPARE(tests::answered(suspended).error().code, ErrorCode::Cancelled);
    QCOMPARE(guest.machine().state(), RunState::Running);
}

void MomentTest::aMachineThatEndsLeavesNoHalfMoment()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 128\r");
    QVERIFY2(guest.waitForLine("128 MiB filled", 20s), qPrintable(said(guest)));
    auto kept = beginToKeep(guest);
    guest.end();
    // Whole or not at all.
    QVERIFY(tests::comes(kept));
    auto const outcome = kept.get();
    QCOMPARE(guest.timeline()->moments().size(), outcome ? 1u : 0u);
    QVERIFY(tests::must(guest.timeline()->verify()).empty());
}

REGISTER_SUITE(MomentTest);
#include "moment_test.moc"
