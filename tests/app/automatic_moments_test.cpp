#include "app/runner/machine_runner.h"
#include "app/runner/moment_schedule.h"
#include "app/store/machine_lock.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/fakes/manual_loop.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/machine/moment_disks.h"

#include <QFile>
#include <QTemporaryDir>
#include <algorithm>
#include <future>

using namespace app;
using namespace std::chrono_literals;
using tests::FakeMachine;
using vmm::timeline::Moment;
using vmm::timeline::Policy;
using vmm::timeline::Reason;

namespace {

/// A schedule whose minutes a test lets pass.
struct Clock {
    tests::ManualLoop loop;
    vmm::MachineStatistics figures;
    unsigned due = 0;
    MomentSchedule schedule { loop, { [this] { return figures; }, [this] { ++due; } }, 60s };

    void works() { figures.cpuNanoseconds += 10'000'000'000; }
    void passes(unsigned minutes)
    {
        for (unsigned i = 0; i < minutes; ++i)
            loop.runTimers();
    }
    void keep() { schedule.kept(schedule.mark()); }
};

Policy every(std::uint16_t minutes)
{
    Policy policy;
    policy.everyMinutes = minutes;
    return policy;
}

/// A machine of which a minute is so short that a test need not wait for it.
struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    vmm::VmConfig config = tests::exampleConfig();
    std::unique_ptr<MachineRunner> runner;

    explicit Bench(std::chrono::nanoseconds minute = 1h)
    {
        runner = std::make_unique<MachineRunner>(config,
            MachinePlaces { path("state"), path("machine.lock"), path("timeline") }, FakeMachine::factory(script),
            minute);
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    void start()
    {
        tests::must(tests::answerOf([&](auto done) { runner->start(done); }));
    }
    bool startsWithOneThatIsHeld()
    {
        script->holdKeep = true;
        setPolicy(every(1));
        start();
        works();
        return tests::becomes([&] { return script->has("keep automatic"); });
    }
    std::future<vmm::Result<Moment>> askFor(std::string const& name) const
    {
        return tests::laterAnswerOf<Moment>([&](auto done) { runner->keepMoment({ .name = name }, done); });
    }
    void setPolicy(Policy const& policy)
    {
        tests::must(tests::answerOf([&](auto done) { runner->setPolicy(policy, done); }));
    }
    void keepUnasked(Reason reason)
    {
        tests::must(tests::answerOf([&](auto done) { runner->keepUnasked(reason, done); }));
        runner->drain();
    }
    Moment keep(std::string const& name)
    {
        auto moment
            = tests::must(tests::answerOf<Moment>([&](auto done) { runner->keepMoment({ .name = name }, done); }));
        runner->drain();
        return moment;
    }
    vmm::Result<vmm::timeline::Pruned> prune(std::optional<Policy> policy = {})
    {
        return tests::answerOf<vmm::timeline::Pruned>([&](auto done) { runner->prune(policy, done); });
    }
    std::vector<Moment> moments() const { return tests::must(runner->timeline())->moments(); }
    std::vector<Reason> reasons() const
    {
        std::vector<Reason> reasons;
        for (auto const& moment : moments())
            reasons.push_back(moment.reason);
        return reasons;
    }
    void works() { script->cpuNanoseconds += 5'000'000'000; }
    void hasANetwork()
    {
        config.networks = { { "net0", vmm::makeMac(), vmm::NetworkMode::User, {} } };
        runner->setConfig(config);
    }
    vmm::Result<> forward(std::uint16_t port)
    {
        auto outcome = tests::answerOf([&](auto done) {
            runner->setForwards("net0", { { vmm::Protocol::Tcp, "127.0.0.1", port, 22 } }, done);
        });
        runner->drain();
        return outcome;
    }
    /// The machine is off: of 4 MiB the first half is other at each. False: by another way than overlays.
    bool keepsThreeOfADisk()
    {
        config.disks.push_back({ "disk0", path("disk0.img"), vmm::DiskFormat::Raw });
        runner->setConfig(config);
        tests::must(vmm::createImage(path("disk0.img"), { .format = vmm::ImageFormat::Raw, .size = 4 << 20 }));
        vmm::InlineEngine engine;
        for (std::uint8_t round = 1; round <= 3; ++round) {
            auto disk = config.disks[0];
            disk.format = vmm::formatNow(disk);
            auto image = tests::must(vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk)));
            tests::must(image->writeSync(0, vmm::Bytes((round == 1 ? 4u : 2u) << 20, round)));
            tests::must(image->flushSync());
            image.reset(); // who has it open has it alone
            keepUnasked(Reason::BeforeChange);
        }
        [&] { QCOMPARE(moments().size(), std::size_t(3)); }();
        return std::ranges::all_of(
            moments(), [](auto const& one) { return one.disks[0].checkpoint.way == vmm::CheckpointWay::Overlay; });
    }
    std::size_t placeOf(char const* step) const
    {
        return std::size_t(std::ranges::find(script->log, step) - script->log.begin());
    }
};

}

class AutomaticMomentsTest final : public QObject {
    Q_OBJECT
private slots:
    // When

    void aBusyGuestIsKeptEverySoManyMinutes()
    {
        Clock clock;
        clock.schedule.begin(every(10));
        clock.works();
        clock.passes(9);
        QCOMPARE(clock.due, 0u);
        clock.passes(1);
        QCOMPARE(clock.due, 1u);
        clock.keep();
        clock.works();
        clock.passes(9);
        QCOMPARE(clock.due, 1u);
        clock.passes(1);
        QCOMPARE(clock.due, 2u);
    }

    void anIdleOneIsNot()
    {
        Clock clock;
        clock.schedule.begin(every(1));
        for (unsigned minute = 0; minute < 1000; ++minute) {
            clock.figures.cpuNanoseconds += 1'000'000'000; // a second of each minute
            clock.figures.diskBytesWritten += 64 << 10;
            clock.passes(1);
        }
        QCOMPARE(clock.due, 0u);
        clock.figures.diskBytesRead += 4 << 20;
        clock.passes(1);
        QCOMPARE(clock.due, 1u);
    }

    /// What was done in one minute is worth a moment, however long nothing happens then.
    void aShortBurstIsKeptAndThenNothing()
    {
        Clock clock;
        clock.schedule.begin(every(10));
        clock.passes(100);
        QCOMPARE(clock.due, 0u);
        clock.works();
        clock.passes(1);
        QCOMPARE(clock.due, 1u);
        clock.keep();
        clock.passes(100);
        QCOMPARE(clock.due, 1u);
    }

    void whatCouldNotBeKeptIsDueAgain()
    {
        Clock clock;
        clock.schedule.begin(every(5));
        clock.works();
        clock.passes(6);
        QCOMPARE(clock.due, 2u); // each minute
        clock.schedule.postpone();
        clock.passes(4);
        QCOMPARE(clock.due, 2u);
        clock.passes(1);
        QCOMPARE(clock.due, 3u);
    }

    void whatIsDoneWhileAMomentIsStoredIsTheNextOnes()
    {
        Clock clock;
        clock.schedule.begin(every(1));
        clock.works();
        auto const mark = clock.schedule.mark();
        clock.works();
        clock.schedule.mark();
        clock.schedule.kept(mark);
        clock.passes(1);
        QCOMPARE(clock.due, 1u);
    }

    void aMachineThatStandsStillHasNoMinutes()
    {
        Clock clock;
        clock.schedule.begin(every(2));
        clock.works();
        clock.passes(1);
        clock.schedule.end();
        clock.passes(100);
        QCOMPARE(clock.due, 0u);
        clock.schedule.begin(every(2));
        clock.passes(1);
        QCOMPARE(clock.due, 1u);
    }

    void whoDoesNotWantThemGetsNone()
    {
        Clock clock;
        auto policy = every(1);
        policy.automatic = false;
        clock.schedule.begin(policy);
        clock.works();
        clock.passes(10);
        QCOMPARE(clock.due, 0u);
        clock.schedule.begin(every(1)); // and then does
        clock.works();
        clock.passes(1);
        QCOMPARE(clock.due, 1u);
    }

    void aLittleIsSomethingNew()
    {
        Clock clock;
        QVERIFY(!clock.schedule.hasAnythingNew());
        clock.figures.cpuNanoseconds += 1'500'000'000;
        QVERIFY(clock.schedule.hasAnythingNew());
        clock.keep();
        QVERIFY(!clock.schedule.hasAnythingNew());
        clock.figures.diskBytesWritten += 100 << 10;
        QVERIFY(clock.schedule.hasAnythingNew());
    }

    // A machine that does it

    void aRunningMachineKeepsItselfAndThinsOut()
    {
        Bench bench(5ms);
        auto policy = every(1);
        policy.tiers.clear();
        bench.setPolicy(policy);
        bench.start();
        bench.keep("by hand");
        for (std::uint8_t round = 2; round < 6; ++round) {
            bench.works();
            QTRY_VERIFY(bench.script->moments >= round);
        }
        // Of its own only the present is left.
        QTRY_COMPARE(bench.reasons(), (std::vector { Reason::Kept, Reason::Automatic }));
        QCOMPARE(bench.runner->state(), SessionState::Running);
    }

    /// No tier lets go of any, and nobody asks for it.
    void aRunningMachineStaysWithinItsBudget()
    {
        Bench bench(5ms);
        auto policy = every(1);
        policy.budget = 1;
        bench.setPolicy(policy);
        bench.start();
        for (std::uint8_t round = 1; round < 5; ++round) {
            bench.works();
            QTRY_VERIFY(bench.script->moments >= round);
        }
        QTRY_COMPARE(bench.reasons(), std::vector { Reason::Automatic }); // which the present came from
        QCOMPARE(bench.runner->state(), SessionState::Running);
    }

    void whatIsAskedForWaitsForOneKeptUnasked()
    {
        Bench bench(1ms);
        QVERIFY(bench.startsWithOneThatIsHeld());
        auto answer = bench.askFor("mine");
        bench.runner->drain();
        QVERIFY(!bench.script->has("keep mine"));
        QVERIFY(answer.wait_for(0s) == std::future_status::timeout); // and is not refused
        bench.script->holdKeep = false;
        bench.script->last->keepWhatIsHeld();
        auto const mine = tests::answered(answer);
        REQUIRE_OK(mine);
        QCOMPARE(mine->name, "mine");
        QCOMPARE(bench.reasons(), (std::vector { Reason::Automatic, Reason::Kept }));
    }

    void whatWaitsForOneIsStoredBeforeASuspend()
    {
        Bench bench(1ms);
        QVERIFY(bench.startsWithOneThatIsHeld());
        auto mine = bench.askFor("mine");
        auto suspended = tests::laterAnswerOf([&](auto done) { bench.runner->suspend(done); });
        QTRY_VERIFY(bench.script->has("keep mine")); // the automatic one has given way
        QTRY_COMPARE(bench.runner->state(), SessionState::Suspending);
        QVERIFY(!bench.script->has("suspend"));
        bench.script->last->keepWhatIsHeld();
        REQUIRE_OK(tests::answered(mine));
        REQUIRE_OK(tests::answered(suspended));
        QCOMPARE(bench.runner->state(), SessionState::Suspended);
        QCOMPARE(bench.reasons(), std::vector { Reason::Kept });
    }

    void aSuspendThatWaitsCanBeCancelled()
    {
        Bench bench(1ms);
        QVERIFY(bench.startsWithOneThatIsHeld());
        std::future<vmm::Result<Moment>> mine;
        auto suspended = tests::laterAnswerOf([&](auto done) {
            // On the runner's thread, which gets to them one after the other before the machine answers.
            bench.runner->measure([&, done](vmm::MachineStatistics const&) {
                mine = bench.askFor("mine");
                bench.runner->suspend(done);
                bench.runner->cancelJob();
            });
        });
        QCOMPARE(tests::answered(suspended).error().code, vmm::ErrorCode::Cancelled);
        QTRY_VERIFY(bench.script->has("keep mine"));
        bench.script->holdKeep = false;
        bench.script->last->keepWhatIsHeld();
        REQUIRE_OK(tests::answered(mine));
        QCOMPARE(bench.runner->state(), SessionState::Running);
        QVERIFY(!bench.script->has("suspend"));
    }

    void nobodyGoesPastWhatWaitsForOne()
    {
        Bench bench(1ms);
        bench.config.usbControllers = { { "usb0" } };
        bench.config.disks.push_back({ .id = "stick",
            .path = bench.path("stick.img"),
            .format = vmm::DiskFormat::Raw,
            .bus = vmm::DiskBus::Usb });
        bench.runner->setConfig(bench.config);
        QVERIFY(bench.startsWithOneThatIsHeld());
        auto mine = bench.askFor("mine");
        auto const gone = tests::answerOf(
            [&](auto done) { bench.runner->goTo(vmm::makeUuid(), MachineRunner::Present::Lose, done); });
        QCOMPARE(gone.error().code, vmm::ErrorCode::Busy);
        auto const removed = tests::answerOf([&](auto done) { bench.runner->removeUsb("stick", done); });
        QCOMPARE(removed.error().code, vmm::ErrorCode::Busy);
        bench.script->holdKeep = false;
        bench.script->last->keepWhatIsHeld();
        REQUIRE_OK(tests::answered(mine));
    }

    void oneThatIsCancelledLeavesNothingAndIsTriedAgain()
    {
        Bench bench(1ms);
        QVERIFY(bench.startsWithOneThatIsHeld());
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->cancelKeeping(done); }));
        bench.runner->drain();
        QVERIFY(bench.moments().empty()); // what is tried again is held too
        bench.script->holdKeep = false;
        bench.script->last->keepWhatIsHeld();
        QTRY_COMPARE(bench.reasons(), std::vector { Reason::Automatic });
    }

    void whatWaitsForOneIsCancelledWithIt()
    {
        Bench bench(1ms);
        QVERIFY(bench.startsWithOneThatIsHeld());
        auto mine = bench.askFor("mine");
        bench.script->holdKeep = false;
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->cancelKeeping(done); }));
        QCOMPARE(tests::answered(mine).error().code, vmm::ErrorCode::Cancelled);
        QVERIFY(!bench.script->has("keep mine"));
    }

    void whatIsBeingWrittenIsCancelledWithWhatHasNotBegun()
    {
        Bench bench;
        bench.start();
        bench.script->holdKeep = true;
        auto written = bench.askFor("written");
        QTRY_VERIFY(bench.script->has("keep written"));
        std::future<vmm::Result<Moment>> waiting;
        REQUIRE_OK(tests::answerOf([&](auto done) {
            // On the runner's thread, which gets to them one after the other.
            bench.runner->measure([&, done](vmm::MachineStatistics const&) {
                waiting = bench.askFor("waiting");
                bench.runner->cancelKeeping(done);
            });
        }));
        QCOMPARE(tests::answered(waiting).error().code, vmm::ErrorCode::Cancelled);
        QCOMPARE(tests::answered(written).error().code, vmm::ErrorCode::Cancelled);
        QVERIFY(bench.moments().empty());
    }

    /// Also when one was cancelled before that waited for it.
    void whereNothingIsKeptThereIsNothingToCancel()
    {
        Bench bench(1ms);
        QVERIFY(bench.startsWithOneThatIsHeld());
        auto mine = bench.askFor("mine");
        auto policy = every(1);
        policy.automatic = false; // so that it is not tried again
        bench.setPolicy(policy);
        bench.script->holdKeep = false;
        auto const cancel = [&] { return tests::answerOf([&](auto done) { bench.runner->cancelKeeping(done); }); };
        REQUIRE_OK(cancel());
        QCOMPARE(tests::answered(mine).error().code, vmm::ErrorCode::Cancelled);
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_COMPARE(bench.runner->state(), SessionState::Off);
        QCOMPARE(cancel().error().code, vmm::ErrorCode::NotNow);
    }

    void whatHasNotBegunIsCancelledAndWhatIsAskedForLaterIsNot()
    {
        Bench bench;
        std::future<vmm::Result<Moment>> first, second;
        std::ignore = tests::answerOf([&](auto done) {
            // On the runner's thread, which gets to them one after the other.
            bench.runner->measure([&, done](vmm::MachineStatistics const&) {
                first = bench.askFor("first");
                bench.runner->cancelKeeping(done);
                second = bench.askFor("second");
            });
        });
        QCOMPARE(tests::answered(first).error().code, vmm::ErrorCode::Cancelled);
        REQUIRE_OK(tests::answered(second));
        QCOMPARE(bench.moments().size(), std::size_t(1));
    }

    void aPolicyHoldsAtOnce()
    {
        Bench bench(5ms);
        bench.start();
        bench.works();
        bench.setPolicy(every(1));
        QTRY_VERIFY(bench.script->has("keep automatic"));
        auto policy = every(1);
        policy.automatic = false;
        bench.setPolicy(policy);
        QVERIFY(!tests::must(policyOf(bench.path("timeline"))).automatic);
    }

    void beforeAChangeAndOnCloseOnlyWhatIsNew()
    {
        Bench bench;
        bench.start();
        bench.keepUnasked(Reason::OnClose); // it has done nothing yet
        QVERIFY(!bench.script->has("keep on-close"));
        bench.works();
        bench.keepUnasked(Reason::OnClose);
        bench.keepUnasked(Reason::BeforeChange);
        bench.works();
        bench.keepUnasked(Reason::BeforeChange);
        QCOMPARE(bench.reasons(), (std::vector { Reason::OnClose, Reason::BeforeChange }));
        Policy policy;
        policy.beforeChange = policy.onClose = false;
        bench.setPolicy(policy);
        bench.works();
        bench.keepUnasked(Reason::OnClose);
        bench.keepUnasked(Reason::BeforeChange);
        QCOMPARE(bench.moments().size(), std::size_t(2));
    }

    void whatCannotBeKeptHoldsNothingUp()
    {
        Bench bench;
        bench.start();
        bench.works();
        bench.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "the disk is full", 0 };
        bench.keepUnasked(Reason::OnClose);
        QVERIFY(bench.script->has("keep on-close"));
        QVERIFY(bench.moments().empty());
    }

    void aMachineThatIsOffIsKeptBeforeAChangeWhereItsDisksHoldSomething()
    {
        Bench bench;
        bench.keepUnasked(Reason::BeforeChange); // it has no disk
        QVERIFY(!QFile::exists(bench.directory.filePath("timeline")));

        QFile disk(bench.directory.filePath("disk0.img"));
        QVERIFY(disk.open(QIODevice::WriteOnly));
        QVERIFY(disk.resize(16 << 20));
        bench.config.disks.push_back({ "disk0", bench.path("disk0.img"), vmm::DiskFormat::Raw });
        bench.runner->setConfig(bench.config);
        bench.keepUnasked(Reason::BeforeChange); // nobody has written to it
        QVERIFY(!QFile::exists(bench.directory.filePath("timeline")));

        disk.write(QByteArray(2 << 20, 'x'));
        disk.close();
        bench.keepUnasked(Reason::OnClose); // it does not run
        bench.keepUnasked(Reason::BeforeChange);
        QCOMPARE(bench.reasons(), (std::vector { Reason::BeforeChange }));
        QCOMPARE(bench.moments().front().power, vmm::timeline::Power::Off);
        QVERIFY(!MachineLock::owner(bench.path("machine.lock")));
    }

    /// As a disk is just after a moment, and a fork's.
    void aDiskThatHasLittleOfItsOwnHoldsWhatItStandsOn()
    {
        Bench bench;
        REQUIRE_OK(writeWholeFile(bench.path("base.img"), vmm::Bytes(2 << 20, 'x')));
        REQUIRE_OK(vmm::createImage(bench.path("disk0.qcow2"),
            { .size = 16 << 20, .backingFile = "base.img", .backingFormat = vmm::ImageFormat::Raw }));
        bench.config.disks.push_back({ "disk0", bench.path("disk0.qcow2"), vmm::DiskFormat::Qcow2 });
        bench.runner->setConfig(bench.config);
        bench.keepUnasked(Reason::BeforeChange);
        QCOMPARE(bench.reasons(), (std::vector { Reason::BeforeChange }));
    }

    void aMachineInMemoryIsKeptBeforeItsForwardsChange()
    {
        Bench bench;
        bench.hasANetwork();
        bench.start();
        bench.works();
        REQUIRE_OK(bench.forward(2222));
        QVERIFY(bench.placeOf("keep before-change") < bench.placeOf("forwards net0 1"));
        bench.works();
        REQUIRE_OK(bench.forward(2222)); // which changes nothing
        QCOMPARE(bench.reasons(), std::vector { Reason::BeforeChange });
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->setConnected("net0", false, done); }));
        QVERIFY(!bench.forward(0)); // no port
        QCOMPARE(bench.reasons(), std::vector { Reason::BeforeChange });
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->pause(done); }));
        REQUIRE_OK(bench.forward(2223));
        QCOMPARE(bench.reasons(), (std::vector { Reason::BeforeChange, Reason::BeforeChange }));
        QCOMPARE(bench.runner->state(), SessionState::Paused);
        Policy policy;
        policy.beforeChange = false;
        bench.setPolicy(policy);
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->resume(done); }));
        bench.works();
        REQUIRE_OK(bench.forward(2224));
        QCOMPARE(bench.moments().size(), std::size_t(2));
        // It would come back with the forwards that are saved.
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->suspend(done); }));
        bench.setPolicy({});
        QCOMPARE(bench.forward(2225).error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(bench.moments().size(), std::size_t(2));
    }

    void whatCannotBeKeptHoldsNoForwardUp()
    {
        Bench bench;
        bench.hasANetwork();
        bench.start();
        bench.works();
        bench.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "the disk is full", 0 };
        REQUIRE_OK(bench.forward(2222));
        QVERIFY(bench.script->has("forwards net0 1"));
    }

    void aMachineThatIsOffIsKeptBeforeItsForwardsChange()
    {
        Bench bench;
        bench.hasANetwork();
        REQUIRE_OK(bench.forward(2222)); // it has no disk
        QVERIFY(!QFile::exists(bench.directory.filePath("timeline")));
        QFile disk(bench.directory.filePath("disk0.img"));
        QVERIFY(disk.open(QIODevice::WriteOnly));
        disk.write(QByteArray(2 << 20, 'x'));
        disk.close();
        bench.config.disks.push_back({ "disk0", bench.path("disk0.img"), vmm::DiskFormat::Raw });
        bench.runner->setConfig(bench.config);
        REQUIRE_OK(bench.forward(2223));
        QCOMPARE(bench.reasons(), std::vector { Reason::BeforeChange });
        QCOMPARE(int(bench.runner->config().networks[0].forwards[0].hostPort), 2223);
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->setConnected("net0", false, done); }));
        QVERIFY(!bench.runner->config().networks[0].connected);
        QCOMPARE(bench.moments().size(), std::size_t(1));
        auto const nowhere = [&](auto done) { bench.runner->setConnected("net1", false, done); };
        QCOMPARE(tests::answerOf(nowhere).error().code, vmm::ErrorCode::NotFound);
        QVERIFY(!MachineLock::owner(bench.path("machine.lock")));
    }

    /// What the same hand puts back that has changed it.
    void whatIsOnlyPluggedInIsNotGoneBackTo()
    {
        Bench bench;
        bench.hasANetwork();
        bench.start();
        bench.works();
        auto wanted = bench.runner->config();
        wanted.name = "another";
        wanted.notes = "of no matter";
        wanted.networks[0].connected = false;
        wanted.cds[0].path = bench.path("cd.iso");
        wanted.usbDevices = { { "usb1", vmm::UsbKind::Keyboard } };
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->keepBeforeChange(wanted, done); }));
        QVERIFY(bench.moments().empty());
        ++wanted.cpus;
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->keepBeforeChange(wanted, done); }));
        QCOMPARE(bench.reasons(), std::vector { Reason::BeforeChange });
    }

    // Thinning out

    void pruningTellsWhatWentAndWhatIsOver()
    {
        Bench bench;
        bench.start();
        for (int i = 0; i < 3; ++i) {
            bench.works();
            bench.keepUnasked(Reason::BeforeChange);
        }
        auto const hand = bench.keep("by hand");
        bench.works();
        bench.keepUnasked(Reason::BeforeChange);
        auto pruned = tests::must(bench.prune());
        QVERIFY(pruned.gone.empty());
        QCOMPARE(pruned.over, 0u);

        Policy policy; // for this once
        policy.budget = 1;
        pruned = tests::must(bench.prune(policy));
        QCOMPARE(pruned.gone.size(), std::size_t(3));
        QCOMPARE(pruned.gone[0].why, vmm::timeline::Thinned::Budget);
        QCOMPARE(pruned.over, pruned.bytesAfter - 1);
        QVERIFY(pruned.bytesAfter < pruned.bytesBefore);
        QCOMPARE(bench.moments().size(), std::size_t(2));
        QCOMPARE(bench.moments().front().id, hand.id);
        QCOMPARE(tests::must(policyOf(bench.path("timeline"))).budget, Policy {}.budget);
    }

    void oneThatIsOffCanBePruned()
    {
        Bench bench;
        bench.start();
        bench.works();
        bench.keepUnasked(Reason::OnClose);
        bench.works();
        bench.keepUnasked(Reason::OnClose);
        tests::must(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        Policy policy;
        policy.tiers.clear();
        QCOMPARE(tests::must(bench.prune(policy)).gone.size(), std::size_t(1));
        QCOMPARE(bench.moments().size(), std::size_t(1));
        QTRY_VERIFY(!MachineLock::owner(bench.path("machine.lock")));
    }

    /// Of a machine that is off, which lets go of it at once.
    void whatDisksKeepIsPrunedToo()
    {
        Bench bench;
        if (!bench.keepsThreeOfADisk())
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
        auto pruned = tests::must(bench.prune());
        QCOMPARE(tests::must(pruned.onDisks), 4u << 20);
        Policy policy;
        policy.budget = pruned.bytesAfter - (1 << 20);
        pruned = tests::must(bench.prune(policy));
        QCOMPARE(pruned.gone.size(), std::size_t(1));
        QCOMPARE(tests::must(pruned.onDisks), 2u << 20);
        QCOMPARE(pruned.over, 0u);
        QVERIFY(pruned.bytesBefore - pruned.bytesAfter >= 2 << 20);
        QCOMPARE(bench.moments().size(), std::size_t(2));
    }

    /// The fake machine says that it has tidied its disks, and has not.
    void whatDisksDoNotLetGoOfIsOver()
    {
        Bench bench;
        if (!bench.keepsThreeOfADisk())
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
        auto pruned = tests::must(bench.prune());
        bench.start();
        Policy policy;
        policy.budget = pruned.bytesAfter - (1 << 20);
        pruned = tests::must(bench.prune(policy));
        QCOMPARE(pruned.gone.size(), std::size_t(1));
        QVERIFY(bench.script->has("tidy"));
        QCOMPARE(tests::must(pruned.onDisks), 4u << 20);
        QCOMPARE(pruned.over, pruned.bytesAfter - policy.budget);
        QVERIFY(pruned.over > 0);
    }

    void anUnreadableDiskIsNotKnownAndEndsNothing()
    {
        Bench bench;
        if (!bench.keepsThreeOfADisk())
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
        QVERIFY(QFile::remove(bench.directory.filePath("disk0.img")));
        Policy policy;
        policy.budget = 1 << 20; // which the timeline alone keeps
        auto const pruned = tests::must(bench.prune(policy));
        QVERIFY(pruned.gone.empty());
        QVERIFY(pruned.onDisks.error().message().find("disk0") != std::string::npos);
        QCOMPARE(bench.moments().size(), std::size_t(3));
    }

    /// A saved state knows its disks as they are, to the byte: they are let go of when it is no more.
    void disksAreLeftAloneWhileASavedStateKnowsThem()
    {
        Bench bench;
        bench.start();
        auto const moment = bench.keep("gone");
        tests::must(tests::answerOf([&](auto done) { bench.runner->suspend(done); }));
        tests::must(tests::answerOf([&](auto done) { bench.runner->startPaused(done); }));
        QCOMPARE(bench.runner->state(), SessionState::Paused);
        tests::must(tests::answerOf([&](auto done) {
            auto const note = [id = moment.id](vmm::timeline::Timeline& timeline) {
                vmm::timeline::LooseDisks loose { vmm::makeUuid(), { { "disk0", "/no/such/disk", {} } } };
                return timeline.setLoose(loose);
            };
            bench.runner->changeTimeline(note, done);
        }));
        tests::must(tests::answerOf([&](auto done) { bench.runner->endMoment(moment.id, done); }));
        bench.runner->drain();
        QVERIFY(!bench.script->has("tidy"));
        tests::must(tests::answerOf([&](auto done) { bench.runner->resume(done); }));
        QTRY_VERIFY(bench.script->has("tidy"));
    }
};

REGISTER_SUITE(AutomaticMomentsTest);
#include "automatic_moments_test.moc"
