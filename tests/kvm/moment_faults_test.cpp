#include "tests/fakes/fake_folder.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/answer.h"
#include "tests/support/guest_machine.h"
#include "tests/support/mounted_image.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/base/time_of_day.h"
#include "vmm/machine/disk_costs.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/moment_export.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/timeline/thinning.h"

#include <QDir>
#include <QRegularExpression>
#include <QScopeGuard>
#include <QSemaphore>
#include <QThread>
#include <csignal>
#include <fcntl.h>
#include <random>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;
using tests::QemuTools;

/// Memory and disks of one instant, whatever comes between. The guest is tests/guests/counter.c, which counts in memory
/// and on all of its disks, and compares each time.
class MomentFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void memoryAndDisksAreOfOneInstant_data();
    void memoryAndDisksAreOfOneInstant();
    void momentsGoInAnyOrderBesideTheGuest();
    void whatIsTouchedLaterIsKeptAsItWas();
    void everyStepOfKeepingCanFail();
    void killedAtAnyInstant();
};

namespace {

constexpr unsigned disks = 3, instants = 20, kills = 12;
constexpr unsigned turnsPerLine = 8; // of the guest

enum class Has { Disks, SharingDisks, Everything };

struct Counter : GuestMachine {
    /// `area`: how many mebibytes it writes to. `folder`: where disks that share blocks lie.
    explicit Counter(unsigned area, Has has = Has::Disks, QString const& folder = {})
        : GuestMachine("guests/counter.elf",
            "disks=" + std::to_string(has == Has::SharingDisks ? 2 : disks) + " area=" + std::to_string(area))
    {
        config.memoryMiB = 64;
        if (has == Has::SharingDisks) {
            diskFolder = folder;
            addDisk(DiskBus::Virtio);
            config.disks.back().format = DiskFormat::Raw;
            addQcow2Disk(DiskBus::Virtio);
            return;
        }
        for (unsigned i = 0; i < disks; ++i) {
            // A raw one goes on in overlays, which are merged beside the running machine.
            if (has == Has::Everything && i == 1) {
                addDisk(DiskBus::Virtio);
                config.disks.back().format = DiskFormat::Raw;
            } else {
                addQcow2Disk(DiskBus::Virtio);
                config.disks.back().moments = i == 0 ? MomentPlace::Inside : MomentPlace::Beside;
            }
        }
        if (has == Has::Disks)
            return;
        config.networks = { { "net0", "52:54:00:12:34:56" } };
        config.cds = { { "cd0", "" } };
        config.usbControllers = { { "usb0" } };
        for (auto const kind :
            { UsbKind::Keyboard, UsbKind::Tablet, UsbKind::Serial, UsbKind::Audio, UsbKind::Gamepad })
            config.usbDevices.push_back({ .id = "usb-" + std::to_string(int(kind)), .kind = kind });
        addQcow2Disk(DiskBus::Ahci);
        config.disks.back().moments = MomentPlace::Inside;
        addQcow2Disk(DiskBus::Usb);
    }

    struct Counts {
        unsigned first, last;
    };
    /// It counts on, and nothing has disagreed. What it has said; nothing: that is not so.
    std::optional<Counts> countsOn()
    {
        clearLines();
        if (!waitForWholeLine("COUNT", 30s))
            return std::nullopt;
        // What it had begun to print before is no whole line.
        auto const counts = lines().filter(QRegularExpression("^COUNT \\d+$"));
        if (counts.isEmpty())
            return countsOn();
        if (!lines().filter("DISAGREE").isEmpty())
            return std::nullopt;
        return Counts { counts.first().mid(6).toUInt(), counts.last().mid(6).toUInt() };
    }

    QString problem(QemuTools::Leaks leaks = QemuTools::Leaks::No)
    {
        for (auto const& disk : config.disks) {
            if (disk.format == DiskFormat::Raw && formatNow(disk) == DiskFormat::Raw)
                continue;
            if (auto wrong = QemuTools::check(QString::fromStdString(disk.path), leaks); !wrong.isEmpty())
                return wrong;
        }
        return {};
    }
};

QString said(GuestMachine& guest)
{
    return guest.reason() + guest.lines().join('\n');
}

struct Kept {
    std::string id;
    unsigned after, before; ///< what the guest had said by then, and next, or a line before
};

/// While it counts on; nothing: it does not.
std::optional<Kept> keepBetween(Counter& guest)
{
    auto const after = guest.countsOn();
    if (!after)
        return std::nullopt;
    auto const id = tests::must(guest.keepMoment("kept"));
    auto const before = guest.countsOn();
    if (!before)
        return std::nullopt;
    return Kept { id, after->last, before->last + turnsPerLine };
}

/// Why the guest does not go on from there; empty: it does.
QString problemOfGoing(Counter& guest, Kept const& moment)
{
    guest.clearLines();
    if (auto const gone = guest.goTo(moment.id); !gone)
        return QString::fromStdString(gone.error().message());
    auto const first = guest.countsOn();
    if (!first)
        return "it does not count on: " + said(guest);
    if (first->first <= moment.after || first->first > moment.before)
        return QString("%1 < %2 <= %3").arg(moment.after).arg(first->first).arg(moment.before);
    // The one that it had begun may have looked at its pages before.
    return guest.countsOn() ? QString() : "it does not go on counting: " + said(guest);
}

}

void MomentFaultsTest::initTestCase()
{
    Counter guest(1);
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void MomentFaultsTest::memoryAndDisksAreOfOneInstant_data()
{
    QTest::addColumn<QString>("fileSystem");
    QTest::newRow("inside and beside") << "";
    for (auto const* const sharing : { "btrfs", "xfs" })
        QTest::addRow("%s: reflinks", sharing) << sharing;
}

void MomentFaultsTest::memoryAndDisksAreOfOneInstant()
{
    QFETCH(QString, fileSystem);
    std::optional<tests::MountedImage> mounted; // outlives the machine
    if (!fileSystem.isEmpty() && !mounted.emplace(fileSystem).whyNot.isEmpty())
        QSKIP(qPrintable(mounted->whyNot));
    Counter guest(4, mounted ? Has::SharingDisks : Has::Disks, mounted ? mounted->path() : QString());
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.countsOn(), qPrintable(said(guest)));
    std::mt19937 random(1);
    std::vector<Kept> moments;
    for (unsigned i = 0; i < instants; ++i) {
        QThread::msleep(random() % 40);
        auto const kept = keepBetween(guest);
        QVERIFY2(kept, qPrintable(said(guest)));
        moments.push_back(*kept);
        for (auto const& disk : tests::must(guest.timeline()->moment(kept->id)).disks)
            QCOMPARE(disk.checkpoint.way == CheckpointWay::Reflink, mounted.has_value());
    }
    std::shuffle(moments.begin(), moments.end(), random);
    for (auto const& moment : moments)
        QCOMPARE(problemOfGoing(guest, moment), QString());
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

/// In a random order, on two branches, beside the guest: the one that is left is whole, the guest goes on from there,
/// and what only the others needed is given back, of memory and of disks.
void MomentFaultsTest::momentsGoInAnyOrderBesideTheGuest()
{
    constexpr unsigned count = 8, beforeTheBranch = 5;
    auto const asked = qEnvironmentVariableIntValue("CHRONOVISOR_TEST_SEED");
    auto const seed = asked ? unsigned(asked) : std::random_device()() >> 1;
    auto const inThisOrder = QString("CHRONOVISOR_TEST_SEED=%1: ").arg(seed);
    qInfo("%s", qPrintable(inThisOrder));
    std::mt19937 random(seed);
    Counter guest(4, Has::Everything);
    REQUIRE_OK(guest.start());
    std::vector<Kept> moments;
    while (moments.size() < count) {
        if (moments.size() == beforeTheBranch)
            QCOMPARE(problemOfGoing(guest, moments[1]), QString());
        auto const kept = keepBetween(guest);
        QVERIFY2(kept, qPrintable(said(guest)));
        moments.push_back(*kept);
    }
    auto const timeline = guest.timeline();
    auto const before = timeline->size();
    std::shuffle(moments.begin(), moments.end(), random);
    for (; moments.size() > 1; moments.pop_back()) {
        REQUIRE_OK(guest.endMoment(moments.back().id));
        if (moments.size() % 2 == 0)
            REQUIRE_OK(timeline->sweep());
        QVERIFY2(guest.countsOn(), qPrintable(inThisOrder + said(guest)));
    }
    REQUIRE_OK(timeline->sweep());
    auto const& left = moments.front();
    QCOMPARE(timeline->moments().size(), 1u);
    QVERIFY(tests::must(timeline->verify()).empty());
    // In some packs too little is waste for them to be written anew: that is no more than sweep() leaves.
    QCOMPARE(tests::must(timeline->freed({})).first, 0u);
    QVERIFY2(timeline->size() < before, qPrintable(QString("%1 of %2").arg(timeline->size()).arg(before)));

    auto const found = problemOfGoing(guest, left);
    QVERIFY2(found.isEmpty(), qPrintable(inThisOrder + found));
    // The disks do not stand on what the others had any more.
    REQUIRE_OK(guest.machine().call(command::TidyDisks { timeline }));
    QVERIFY2(timeline->loose().empty(), qPrintable(inThisOrder));
    QCOMPARE(tests::must(freedByDisks(*timeline, guest.config, {})).first, 0u);
    QVERIFY2(guest.countsOn(), qPrintable(inThisOrder + said(guest)));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

/// However long the guest runs before the first page is read, compared and compressed: it counts on all the time, and
/// what it writes to by then, in memory and on its disks, is kept as it was at the instant.
void MomentFaultsTest::whatIsTouchedLaterIsKeptAsItWas()
{
    QSemaphore held, goOn;
    Counter guest(4);
    auto const endsAnyway = qScopeGuard([&] { goOn.release(); });
    REQUIRE_OK(guest.start());
    auto const after = guest.countsOn();
    QVERIFY2(after, qPrintable(said(guest)));
    // The picture is asked for once the instant is held.
    auto const picture = [&]() -> Bytes {
        held.release();
        goOn.acquire();
        return {};
    };
    auto kept = tests::laterAnswerOf([&](auto done) {
        guest.machine().post(command::KeepMoment { guest.timeline(), {}, picture }, done);
    });
    QVERIFY(held.tryAcquire(1, 60'000 * tests::patience()));
    auto const before = guest.countsOn();
    QVERIFY2(before, qPrintable(said(guest)));
    for (unsigned line = 0; line < 20; ++line)
        QVERIFY2(guest.countsOn(), qPrintable(said(guest)));
    QVERIFY(guest.timeline()->moments().empty());
    goOn.release();
    REQUIRE_OK(tests::answered(kept));

    guest.clearLines();
    REQUIRE_OK(guest.goTo(guest.timeline()->present()));
    auto const first = guest.countsOn();
    QVERIFY2(first, qPrintable(said(guest)));
    QVERIFY2(first->first > after->last && first->first <= before->last + turnsPerLine,
        qPrintable(QString("%1 < %2 <= %3").arg(after->last).arg(first->first).arg(before->last + turnsPerLine)));
    QVERIFY2(guest.countsOn(), qPrintable(said(guest)));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

/// The timeline's disk fails at each of its steps: the machine runs on, its disks keep nothing of the moment that is
/// not, and the next one is kept, however many files the disks stand on by then.
void MomentFaultsTest::everyStepOfKeepingCanFail()
{
    Counter guest(1);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.countsOn(), qPrintable(said(guest)));
    tests::FakeFolderDisk disk;
    auto const timeline = std::shared_ptr(tests::must(
        timeline::Timeline::open(std::make_unique<tests::FakeFolder>(disk), timeline::Timeline::Access::ReadWrite)));
    auto const keep = [&] { return guest.machine().call(command::KeepMoment { timeline, {} }); };
    unsigned failures = 0;
    for (bool struck = true; struck; ++failures) {
        auto const before = timeline->moments().size();
        disk.fault = tests::FakeFolderDisk::Fault::Fail;
        disk.faultAt = disk.operations + failures;
        disk.faultStays = failures % 2 == 0;
        auto const kept = keep();
        struck = disk.operations > disk.faultAt;
        QVERIFY2(kept || struck, kept ? "" : kept.error().message().c_str());
        disk.fault = tests::FakeFolderDisk::Fault::None;
        QCOMPARE(guest.machine().state(), RunState::Running);
        QVERIFY2(guest.countsOn(), qPrintable(said(guest)));
        REQUIRE_OK(keep());
        QVERIFY(timeline->moments().size() >= before + 1);
        QVERIFY(tests::must(timeline->verify()).empty());
    }
    QVERIFY2(failures > 8, qPrintable(QString::number(failures)));
    guest.end();
    QCOMPARE(guest.problem(), QString());
}

namespace {

/// Keeps moments, goes to them, exports and forgets them, some of them as a policy does, and says on the pipe which it
/// has kept ("+ID") and is about to forget ("-ID").
[[noreturn]] void workUntilKilled(Counter& guest, std::string const& from, unsigned seed, int to)
{
    auto const say = [to](char what, std::string const& id) {
        auto const line = what + id + "\n";
        if (::write(to, line.data(), line.size()) != ssize_t(line.size()))
            ::_exit(1);
    };
    std::mt19937 random(seed);
    guest.imagesAreJudged = false; // whoever kills it does that; here it would be most of what there is to kill
    if (from.empty())
        tests::must(guest.start());
    else
        tests::must(guest.goTo(from));
    if (!guest.countsOn()) {
        std::fputs(qPrintable(said(guest)), stderr);
        ::_exit(2);
    }
    if (from.empty()) // else the next one would begin anew, on disks that have gone on
        say('+', tests::must(guest.keepMoment("first")));
    say('!', "");
    auto const purge = [&](std::string const& id) -> Result<bool> {
        say('-', id);
        TRY(guest.timeline()->purge(id));
        return true;
    };
    for (;;) {
        say('+', tests::must(guest.keepMoment("kept")));
        auto const moments = guest.timeline()->moments();
        auto const& any = moments[random() % moments.size()].id;
        auto const chance = random() % 4;
        if (moments.size() > 4 && chance < 2) {
            tests::must(purge(any));
            tests::must(guest.machine().call(command::TidyDisks { guest.timeline() }));
            tests::must(guest.timeline()->sweep());
        } else if (moments.size() > 4) {
            timeline::NewMoment own;
            own.reason = timeline::Reason::Automatic;
            for (int i = 0; i < 2; ++i) // the first is not the last of its branch any more
                tests::must(guest.machine().call(command::KeepMoment { guest.timeline(), own }));
            timeline::Policy none;
            none.tiers.clear();
            tests::must(timeline::prune(*guest.timeline(), none, timeOfDay(), purge));
            tests::must(guest.machine().call(command::TidyDisks { guest.timeline() }));
        } else if (chance == 0) {
            auto const place = guest.folder().toStdString() + "/export-" + makeUuid();
            tests::must(exportMoment(guest.timeline(), any, place, ExportFiles::All, {}));
        } else if (chance < 3) {
            tests::must(guest.goTo(any));
        }
    }
}

}

void MomentFaultsTest::killedAtAnyInstant()
{
    Counter guest(1, Has::Everything);
    std::mt19937 random(7);
    std::set<std::string> kept;
    QDir const folder(guest.folder());
    std::string from;
    for (unsigned turn = 0; turn < kills; ++turn) {
        std::array<int, 2> pipe {};
        QCOMPARE(::pipe2(pipe.data(), O_CLOEXEC), 0);
        auto const seed = unsigned(random());
        auto const child = ::fork();
        if (child == 0)
            workUntilKilled(guest, from, seed, pipe[1]);
        ::close(pipe[1]);
        std::string said;
        std::array<char, 256> some {};
        bool works = false;
        for (ssize_t got; (got = ::read(pipe[0], some.data(), some.size())) > 0;) {
            said.append(some.data(), std::size_t(got));
            if (!works && said.find("!\n") != std::string::npos) {
                works = true;
                QThread::usleep(random() % 300'000);
                ::kill(child, SIGKILL);
            }
        }
        ::close(pipe[0]);
        int status = 0;
        ::waitpid(child, &status, 0);
        QVERIFY2(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, qPrintable(QString("it ended as %1").arg(status)));
        for (auto const& line : QString::fromStdString(said).split('\n')) {
            if (line.startsWith('+'))
                kept.insert(line.mid(1).toStdString());
            else if (line.startsWith('-'))
                kept.erase(line.mid(1).toStdString());
        }

        QVERIFY(tests::must(guest.timeline()->verify()).empty());
        for (auto const& id : kept)
            QVERIFY2(guest.timeline()->moment(id), id.c_str());
        for (auto const& name : folder.entryList({ "export-*" }, QDir::Dirs | QDir::Hidden)) {
            if (name.size() == qsizetype(std::string("export-").size() + makeUuid().size())) // else it is half made
                REQUIRE_OK(readSavedMachine(folder.filePath(name).toStdString()));
            QVERIFY(QDir(folder.filePath(name)).removeRecursively());
        }
        if (kept.empty())
            continue;
        // An interrupted way is gone to its end first, as every start does.
        auto const files = tests::must(timeline::openFolder(guest.folder().toStdString() + "/timeline"));
        auto const goingTo = tests::must(timeline::Timeline::goingTo(*files));
        from = goingTo.empty() ? *std::next(kept.begin(), std::ptrdiff_t(random() % kept.size())) : goingTo;
        REQUIRE_OK(guest.goTo(from));
        QVERIFY2(guest.countsOn(), qPrintable(::said(guest)));
        guest.end();
        guest.closeTimeline();
    }
    for (auto const& id : kept) {
        REQUIRE_OK(guest.goTo(id));
        QVERIFY2(guest.countsOn(), qPrintable(::said(guest)));
    }
    // What was exported goes on as well, without anything of this one.
    auto const last = guest.timeline()->moments().back().id;
    REQUIRE_OK(exportMoment(guest.timeline(), last, guest.folder().toStdString() + "/suspended", ExportFiles::All, {}));
    guest.clearLines();
    REQUIRE_OK(guest.restore());
    QVERIFY2(guest.countsOn(), qPrintable(::said(guest)));
    guest.end();
    QCOMPARE(guest.problem(QemuTools::Leaks::Allowed), QString());
}

REGISTER_SUITE(MomentFaultsTest);
#include "moment_faults_test.moc"
