#include "app/session/vm_session.h"
#include "app/store/machine_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "tests/vmm/usb/redir_peer.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <future>
#include <thread>

using namespace app;
using tests::FakeMachine;

namespace {

/// A session over a fake machine, in a directory of its own.
struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::shared_ptr<MachineRunner> runner = std::make_shared<MachineRunner>(
        tests::exampleConfig(), MachinePlaces { path("state"), path("machine.lock") }, FakeMachine::factory(script));
    VmSession session { runner };

    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    bool becomes(SessionState state)
    {
        return tests::becomes([&] { return session.state() == state; });
    }
    bool isLogged(char const* line)
    {
        return tests::becomes([&] { return script->has(line); });
    }
    /// A suspended machine whose networks find their ports taken when it comes back.
    bool suspendsAndTakesPorts()
    {
        auto config = session.config();
        config.networks = { { "net0", "52:54:00:00:00:01" }, { "net1", "52:54:00:00:00:02" } };
        runner->setConfig(config);
        session.start();
        if (!becomes(SessionState::Running))
            return false;
        session.suspend();
        if (!becomes(SessionState::Suspended))
            return false;
        script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "the port is taken", 0 };
        return true;
    }
    bool hasSavedState() const { return QFile::exists(directory.filePath("state/state.json")); }
};

}

class VmSessionTest : public QObject {
    Q_OBJECT
private slots:
    void aNewMachineIsOffAndOnlyStarts()
    {
        Bench bench;
        QCOMPARE(bench.session.state(), SessionState::Off);
        QVERIFY(bench.session.can(Action::Start));
        QVERIFY(!bench.session.can(Action::Pause));
        QVERIFY(!bench.session.can(Action::Suspend));
    }

    void whatIsDoneBesideTheMachineIsToldAndCancelled()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QVERIFY(!bench.session.canCancel());
        bench.runner->work("export", [](MachineRunner::JobProgress const& progress) -> vmm::Result<> {
            while (progress(0.5))
                std::this_thread::yield();
            return vmm::fail(vmm::ErrorCode::Cancelled, "exporting was cancelled");
        });
        QTRY_VERIFY(bench.session.work().has_value());
        QCOMPARE(bench.session.work()->name, "export");
        QCOMPARE(bench.session.work()->fraction, 0.5);
        QVERIFY(!bench.session.job()); // the machine itself is at nothing
        QVERIFY(bench.session.canCancel());
        bench.session.cancelJob();
        QTRY_VERIFY(!bench.session.work());
        QCOMPARE(bench.session.state(), SessionState::Running);
    }

    void whatIsCancelledIsOneThingAndNotAllOfThem()
    {
        std::atomic<bool> mayEnd = false; // jobs end before it
        Bench bench;
        bench.script->holdSuspend = true;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        auto const untilToldTo = [&mayEnd](MachineRunner::JobProgress const& progress) -> vmm::Result<> {
            while (progress(0.5)) {
                if (mayEnd)
                    return {};
                std::this_thread::yield();
            }
            return vmm::fail(vmm::ErrorCode::Cancelled, "it was cancelled");
        };
        auto exported = tests::laterAnswerOf([&](auto done) { bench.runner->work("export", untilToldTo, done); });
        auto verified = tests::laterAnswerOf([&](auto done) { bench.runner->work("verify", untilToldTo, done); });
        QTRY_VERIFY(bench.session.work(QLatin1String("export")));
        bench.session.suspend();
        QTRY_VERIFY(bench.session.job());
        bench.session.cancelJob(); // the suspending, which is told before what is beside it
        QVERIFY(bench.becomes(SessionState::Running));
        QVERIFY(bench.session.work(QLatin1String("export")));
        bench.session.cancelWork(QStringLiteral("export"));
        QCOMPARE(exported.get().error().code, vmm::ErrorCode::Cancelled);
        QTRY_VERIFY(bench.session.work(QLatin1String("verify")));
        mayEnd = true;
        REQUIRE_OK(verified.get());
    }

    void aDeviceOfAnotherComputerThatGoesIsToldOfWhileItIsKnownStill()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        UsbPeerAddress const there { .path = bench.path("usb.sock") };
        std::ignore
            = tests::must(tests::answerOf<RedirectedUsb>([&](auto done) { bench.runner->listenForUsb(there, done); }));
        auto const cancel = tests::must(vmm::makeEventFd());
        tests::RedirPeer peer(tests::must(connectToUsbPeer(there, tests::waitLimit, cancel.get())));
        QVERIFY(tests::becomes([&] {
            peer.pump();
            return peer.heard().starts_with("hello ");
        }));
        peer.offer();
        QVERIFY(tests::becomes([&] {
            peer.pump();
            return bench.session.redirectedUsb().size() == 2;
        }));
        auto const id = QString::fromStdString(bench.session.redirectedUsb()[1].id);
        QCoreApplication::processEvents();
        QStringList told;
        connect(&bench.session, &VmSession::redirectedUsbLost, this, [&](QString const& lost, vmm::Error const& why) {
            QCOMPARE(why.code, vmm::ErrorCode::Disconnected);
            told += lost;
        });
        connect(&bench.session, &VmSession::redirectedUsbChanged, this, [&] { told += "changed"; });
        peer.close();
        QTRY_COMPARE(told, (QStringList { id, "changed" }));
    }

    void startsPausesResumesAndPowersOff()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.pause();
        QVERIFY(bench.becomes(SessionState::Paused));
        bench.session.resume();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Off));
        QCOMPARE(bench.script->alive.load(), 0);
    }

    void whatCannotBeDoneNowFailsWithWhatWasTried()
    {
        Bench bench;
        QSignalSpy failed(&bench.session, &VmSession::failed);
        bench.session.pause();
        QVERIFY(failed.wait(tests::waitLimit));
        QCOMPARE(failed[0][0].value<Action>(), Action::Pause);
        QCOMPARE(failed[0][1].value<vmm::Error>().code, vmm::ErrorCode::NotNow);
    }

    void aMachineThatCannotBeMadeIsOffAgain()
    {
        Bench bench;
        bench.script->failCreate = vmm::Error { vmm::ErrorCode::NoKvm, "no /dev/kvm", 0 };
        QSignalSpy failed(&bench.session, &VmSession::failed);
        bench.session.start();
        QVERIFY(failed.wait(tests::waitLimit));
        QCOMPARE(failed[0][1].value<vmm::Error>().code, vmm::ErrorCode::NoKvm);
        QVERIFY(bench.becomes(SessionState::Off));
        QVERIFY(!MachineLock::owner(bench.path("machine.lock")));
    }

    void aMachineThatDoesNotStartIsOffAgain()
    {
        Bench bench;
        bench.script->failStart = vmm::Error { vmm::ErrorCode::IoError, "no", 0 };
        QSignalSpy failed(&bench.session, &VmSession::failed);
        bench.session.start();
        QVERIFY(failed.wait(tests::waitLimit));
        QVERIFY(bench.becomes(SessionState::Off));
        QTRY_COMPARE(bench.script->alive.load(), 0);
    }

    void suspendsAndComesBack()
    {
        Bench bench;
        QSignalSpy progressed(&bench.session, &VmSession::jobProgressed);
        QSignalSpy jobEnded(&bench.session, &VmSession::jobEnded);
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.suspend();
        QVERIFY(bench.becomes(SessionState::Suspended));
        QCOMPARE(progressed.size(), 1);
        QCOMPARE(jobEnded.size(), 1);
        QVERIFY(bench.hasSavedState());
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QVERIFY(bench.script->has("restore"));
        QVERIFY(bench.script->has("resume"));
        // From now on the disks move on: the saved state is no machine's any more.
        QVERIFY(!bench.hasSavedState());
        QVERIFY(!QFile::exists(bench.directory.filePath("state/ram")));
    }

    void whatIsSetDuringARunHoldsFromTheNextStart()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        auto next = bench.session.config();
        next.cpus = 3;
        bench.runner->setConfig(next);
        QCOMPARE(int(bench.session.config().cpus), 1);
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Off));
        QCOMPARE(int(bench.session.config().cpus), 3);
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QCOMPARE(int(bench.script->last->config().cpus), 3);
    }

    void aMediumChangedDuringARunIsThereAtTheNextStart()
    {
        Bench bench;
        auto config = bench.session.config();
        config.cds[0].path = "/images/installer.iso";
        bench.runner->setConfig(config);
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QSignalSpy changed(&bench.session, &VmSession::mediumChanged);
        bench.session.ejectMedium("cd0");
        QVERIFY(changed.wait(tests::waitLimit));
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Off));
        QCOMPARE(bench.session.mediumPath("cd0"), QString());
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QCOMPARE(bench.script->last->config().cds[0].path, std::string());
    }

    void figuresAreMeasuredElsewhere()
    {
        Bench bench;
        QVERIFY(!bench.session.statistics());
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QTRY_VERIFY(bench.session.statistics());
        QCOMPARE(bench.session.statistics()->cpuNanoseconds, 42u);
        QVERIFY(bench.script->measuredOn != std::this_thread::get_id());
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Off));
        QVERIFY(!bench.session.statistics());
    }

    void whoAsksWhatCannotBeSavedKeepsNobodyElseWaiting()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        std::jthread other;
        std::promise<void> asked, goOn; // which whoever waits hears the end of
        bench.script->beforeObstacles = [&asked, goesOn = goOn.get_future().share()] {
            asked.set_value();
            goesOn.wait();
        };
        other = std::jthread([&] { std::ignore = bench.runner->saveObstacles(); });
        QVERIFY(tests::comes(asked.get_future()));
        bench.session.sendKey({ 30, true });
        QCOMPARE(bench.runner->statistics().cpuNanoseconds, 42u);
        goOn.set_value();
        other.join();
        QVERIFY(bench.isLogged("key 30 1"));
    }

    void aRestoredMachineThatHasNotRunKeepsItsState()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.suspend();
        QVERIFY(bench.becomes(SessionState::Suspended));
        bench.runner->startPaused();
        QVERIFY(bench.becomes(SessionState::Paused));
        QVERIFY(bench.hasSavedState());
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Suspended));
        bench.runner->startPaused();
        QVERIFY(bench.becomes(SessionState::Paused));
        bench.session.resume();
        QVERIFY(bench.becomes(SessionState::Running));
        QVERIFY(!bench.hasSavedState());
    }

    void missingPortForwardsAreOfAllNetworksAndToldOnce()
    {
        Bench bench;
        QVERIFY(bench.suspendsAndTakesPorts());
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        auto const missed = bench.session.takeForwardsMissed();
        QVERIFY(missed);
        QCOMPARE(missed->detail, std::string("net0: the port is taken; net1: the port is taken"));
        QVERIFY(!bench.session.takeForwardsMissed());
    }

    void missingPortForwardsAreForgottenWithTheirRun()
    {
        Bench bench;
        QVERIFY(bench.suspendsAndTakesPorts());
        bench.runner->startPaused();
        QVERIFY(bench.becomes(SessionState::Paused));
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Suspended));
        bench.script->failForwards.reset();
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QVERIFY(!bench.session.takeForwardsMissed());
    }

    void aSuspendThatFailsLeavesTheMachineRunning()
    {
        Bench bench;
        bench.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        QSignalSpy failed(&bench.session, &VmSession::failed);
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.suspend();
        QVERIFY(failed.wait(tests::waitLimit));
        QCOMPARE(failed[0][0].value<Action>(), Action::Suspend);
        QVERIFY(bench.becomes(SessionState::Running));
    }

    void aSuspendCanBeCancelled()
    {
        Bench bench;
        bench.script->holdSuspend = true;
        QSignalSpy failed(&bench.session, &VmSession::failed);
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.suspend();
        QVERIFY(bench.becomes(SessionState::Suspending));
        QVERIFY(bench.session.can(Action::CancelJob));
        bench.session.cancelJob();
        QVERIFY(bench.becomes(SessionState::Running));
        QCOMPARE(failed.size(), 0);
    }

    void aSavedStateCanBeDiscarded()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.suspend();
        QVERIFY(bench.becomes(SessionState::Suspended));
        bench.session.discardState();
        QVERIFY(bench.becomes(SessionState::Off));
    }

    void aMachineElsewhereIsBusy()
    {
        Bench bench;
        auto const lock = MachineLock::take(bench.path("machine.lock"));
        REQUIRE_OK(lock);
        QSignalSpy failed(&bench.session, &VmSession::failed);
        bench.session.start();
        QVERIFY(failed.wait(tests::waitLimit));
        QCOMPARE(failed[0][1].value<vmm::Error>().code, vmm::ErrorCode::Busy);
        QVERIFY(!bench.script->has("create"));
    }

    void aGuestThatPowersOffTakesTheMachineAlong()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.script->last->guestPowersOff();
        QVERIFY(bench.becomes(SessionState::Off));
        QVERIFY(bench.session.reason());
        QCOMPARE(bench.script->alive.load(), 0);
    }

    void aCrashIsKeptForALook()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.script->last->guestCrashes();
        QVERIFY(bench.becomes(SessionState::Crashed));
        QCOMPARE(bench.session.reason()->code, vmm::ErrorCode::GuestFault);
        QVERIFY(!bench.session.can(Action::Suspend));
        bench.session.reset();
        QVERIFY(bench.becomes(SessionState::Running));
    }

    void theLastOutputStaysAndANewRunBeginsAgain()
    {
        Bench bench;
        auto* console = bench.session.console("serial0");
        QVERIFY(console);
        QVERIFY(!console->type("early"));
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        ConsoleSession::Position position;
        auto output = console->read(position);
        QVERIFY(output.isNewRun);
        QCOMPARE(output.data, QByteArray("boot\n"));
        QVERIFY(console->type("hello"));
        QByteArray answer;
        QTRY_COMPARE((answer += console->read(position).data), QByteArray("[hello]"));
        bench.session.powerOff();
        QVERIFY(bench.becomes(SessionState::Off));
        ConsoleSession::Position late;
        QCOMPARE(console->read(late).data, QByteArray("boot\n[hello]"));
        QVERIFY(console->read(position).data.isEmpty());
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        output = console->read(position);
        QVERIFY(output.isNewRun);
        QCOMPARE(output.data, QByteArray("boot\n"));
    }

    void aDeviceThatComesAgainHasItsTerminalAndScreen()
    {
        Bench bench;
        auto* const console = bench.session.console("serial0");
        auto* const screen = bench.session.mainScreen();
        auto const with = bench.session.config();
        auto without = with;
        without.serials.clear();
        without.displays.clear();
        bench.runner->setConfig(without);
        QVERIFY(bench.session.console("serial0") == nullptr);
        QVERIFY(bench.session.screen("display0") == nullptr);
        bench.runner->setConfig(with);
        QCOMPARE(bench.session.console("serial0"), console);
        QCOMPARE(bench.session.mainScreen(), screen);
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        ConsoleSession::Position position;
        QCOMPARE(console->read(position).data, QByteArray("boot\n"));
        QVERIFY(console->type("x"));
        QCOMPARE(int(screen->screenshot().width), 64);
    }

    void aSuspendedMachinesTerminalIsThereInANewProcess()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.script->last->guestPrints("before");
        bench.session.suspend();
        QVERIFY(bench.becomes(SessionState::Suspended));

        auto const runner = std::make_shared<app::MachineRunner>(
            bench.session.config(), bench.session.runner()->places(), tests::FakeMachine::factory(bench.script));
        VmSession later(runner);
        auto* console = later.console("serial0");
        ConsoleSession::Position position;
        auto output = console->read(position);
        QVERIFY(output.isNewRun);
        QCOMPARE(output.past, QByteArray("boot\nbefore"));
        later.start();
        QTRY_COMPARE(later.state(), SessionState::Running);
        bench.script->last->guestPrints("after");
        ConsoleSession::Position fresh;
        output = console->read(fresh);
        QCOMPARE(output.past, QByteArray("boot\nbefore"));
        QVERIFY(output.data.endsWith("after"));
        later.powerOff();
        QTRY_COMPARE(later.state(), SessionState::Off);
        // A start from the beginning has no past.
        later.start();
        QTRY_COMPARE(later.state(), SessionState::Running);
        QVERIFY(console->read(fresh).past.isEmpty());
        QVERIFY(!QFile::exists(bench.directory.filePath("state/terminal-serial0")));
    }

    void howeverMuchIsPrintedOneSignalIsUnderWay()
    {
        Bench bench;
        auto* console = bench.session.console("serial0");
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        QCoreApplication::processEvents();
        QSignalSpy ready(console, &ConsoleSession::outputReady);
        for (int i = 0; i < 1000; ++i)
            bench.script->last->guestPrints("x");
        QCoreApplication::processEvents();
        QCOMPARE(ready.size(), 1);
    }

    void theScreenIsFollowedOnlyWhileSomebodyLooks()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        auto* screen = bench.session.mainScreen();
        auto& fake = *bench.script->last->screens.begin()->second;
        QTest::qWait(60);
        QCOMPARE(fake.refreshes.load(), 0);
        QSignalSpy changed(screen, &ScreenSession::frameChanged);
        {
            ScreenSession::Viewer const viewer(*screen);
            QVERIFY(changed.wait(tests::waitLimit));
            {
                ScreenSession::Picture picture(*screen);
                QCOMPARE(picture.width(), 64u);
                QCOMPARE(picture.pixels()[0], 0x00204060u);
                QCOMPARE(picture.takeChanges(), (std::vector<vmm::RowRange> { { 0, 48 } }));
            }
            fake.paintRow(7, 0x00ffffff);
            QVERIFY(changed.wait(tests::waitLimit));
            ScreenSession::Picture picture(*screen);
            QCOMPARE(picture.takeChanges(), (std::vector<vmm::RowRange> { { 7, 8 } }));
            QCOMPARE(picture.pixels()[7 * 64], 0x00ffffffu);
        }
        auto const before = fake.refreshes.load();
        QTest::qWait(400);
        QVERIFY(fake.refreshes - before <= 1); // which had begun
    }

    void aStillPictureIsLookedAtSeldom()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        ScreenSession::Viewer const viewer(*bench.session.mainScreen());
        QTest::qWait(400);
        auto& fake = *bench.script->last->screens.begin()->second;
        auto const before = fake.refreshes.load();
        QElapsedTimer timer;
        timer.start();
        QTest::qWait(500);
        auto const looks = fake.refreshes.load() - before;
        QVERIFY2(looks <= 2 + timer.elapsed() / 100, qPrintable(QString::number(looks))); // 10 Hz; the display's is 60
    }

    void thumbnailsKeepTheirProportions()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        auto* screen = bench.session.mainScreen();
        QSignalSpy changed(screen, &ScreenSession::thumbnailChanged);
        screen->setThumbnails(true, { 16, 16 });
        QVERIFY(changed.wait(tests::waitLimit));
        auto const picture = screen->thumbnail();
        QCOMPARE(picture.width, 16u);
        QCOMPARE(picture.height, 12u);
        QCOMPARE(picture.pixels[0], 0xff204060u);
    }

    void aMediumOfAMachineThatIsOffIsTheNextStarts()
    {
        Bench bench;
        QSignalSpy changed(&bench.session, &VmSession::mediumChanged);
        bench.session.insertMedium("cd0", "/tmp/some.iso");
        QVERIFY(changed.wait(tests::waitLimit));
        QCOMPARE(bench.session.config().cds[0].path, std::string("/tmp/some.iso"));
        QSignalSpy failed(&bench.session, &VmSession::mediumFailed);
        bench.session.ejectMedium("cd9");
        QVERIFY(failed.wait(tests::waitLimit));
    }

    void aChordLetsGoInTheOtherOrder()
    {
        Bench bench;
        bench.session.start();
        QVERIFY(bench.becomes(SessionState::Running));
        bench.session.sendChord({ 29, 56, 111 });
        QVERIFY(bench.isLogged("key 29 0"));
        auto const& log = bench.script->log;
        std::vector<std::string> const keys(log.end() - 6, log.end());
        QCOMPARE(keys,
            (std::vector<std::string> { "key 29 1", "key 56 1", "key 111 1", "key 111 0", "key 56 0", "key 29 0" }));
    }

    void aSessionMayGoWhileItsMachineRuns()
    {
        auto script = std::make_shared<FakeMachine::Script>();
        {
            auto const runner = std::make_shared<MachineRunner>(
                tests::exampleConfig(), MachinePlaces {}, FakeMachine::factory(script));
            auto session = std::make_unique<VmSession>(runner);
            session->start();
            session.reset();
            QTRY_COMPARE(runner->state(), SessionState::Running);
        }
        QCOMPARE(script->alive.load(), 0);
    }

    void twoHundredStartsLeaveNothingBehind()
    {
        Bench bench;
        auto const descriptors
            = [] { return QDir("/proc/self/fd").entryList(QDir::NoDotAndDotDot | QDir::System | QDir::Files).size(); };
        qsizetype before = 0;
        for (int i = 0; i < 200; ++i) {
            bench.session.start();
            QVERIFY(bench.becomes(SessionState::Running));
            bench.session.powerOff();
            QVERIFY(bench.becomes(SessionState::Off));
            before = i == 0 ? descriptors() : before;
        }
        QTRY_VERIFY(descriptors() <= before);
        QCOMPARE(bench.script->alive.load(), 0);
    }
};

REGISTER_SUITE(VmSessionTest);
#include "vm_session_test.moc"
