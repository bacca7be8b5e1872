#include "app/library/library.h"
#include "app/session/timeline_session.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"

#include <QTemporaryDir>

using namespace app;
using tests::FakeMachine;

namespace {

struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    Library library { directory.path(), FakeMachine::factory(script) };
    std::optional<vmm::Result<>> outcome;

    QString create(char const* name)
    {
        QString id;
        auto config = tests::exampleConfig(name);
        config.uuid.clear();
        library.create({ config, {} }, [&](vmm::Result<QString> made) { id = made ? *made : QString("failed"); });
        return tests::becomes([&] { return !id.isEmpty(); }) ? id : QString();
    }
    QString createRunning(char const* name)
    {
        auto const id = create(name);
        library.session(id)->start();
        return becomes(id, SessionState::Running) ? id : QString();
    }
    bool becomes(QString const& id, SessionState state)
    {
        return tests::becomes([&] { return library.session(id)->state() == state; });
    }
    Library::Done<void> done()
    {
        return [this](vmm::Result<> result) { outcome = std::move(result); };
    }
};

}

class ClosingTest : public QObject {
    Q_OBJECT
private slots:
    void allAreSuspendedTogether()
    {
        Bench bench;
        auto const first = bench.createRunning("first"), second = bench.createRunning("second");
        QCOMPARE(bench.library.inMemory().size(), 2);
        bench.library.suspendAll(bench.done());
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
        QVERIFY(bench.library.inMemory().isEmpty());
        QVERIFY(bench.library.store().load(first.toStdString())->isSuspended);
        QVERIFY(bench.library.store().load(second.toStdString())->isSuspended);
    }

    /// As a person left it, it can be gone back to.
    void whatIsNewIsKeptAsAMomentFirst_data()
    {
        QTest::addColumn<bool>("isSuspended");
        QTest::newRow("suspended") << true;
        QTest::newRow("shut down") << false;
    }
    void whatIsNewIsKeptAsAMomentFirst()
    {
        QFETCH(bool, isSuspended);
        Bench bench;
        auto const id = bench.createRunning("busy");
        bench.script->cpuNanoseconds = 5'000'000'000;
        if (isSuspended)
            bench.library.suspendAll(bench.done());
        else
            bench.library.shutDownAll(1, bench.done());
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
        auto const& log = bench.script->log;
        auto const kept = std::find(log.begin(), log.end(), "keep on-close");
        QVERIFY(kept < std::find(log.begin(), log.end(), isSuspended ? "suspend" : "power button"));
        auto const timeline = tests::must(bench.library.session(id)->runner()->timeline());
        QCOMPARE(timeline->moments().size(), std::size_t(1));
    }

    void whatAPersonHasKeptIsStoredFirst_data()
    {
        QTest::addColumn<bool>("isSuspended");
        QTest::newRow("suspended") << true;
        QTest::newRow("powered off") << false;
    }
    void whatAPersonHasKeptIsStoredFirst()
    {
        QFETCH(bool, isSuspended);
        Bench bench;
        auto const id = bench.createRunning("busy");
        bench.script->holdKeep = true;
        bench.library.session(id)->timeline().keep("mine");
        QTRY_VERIFY(bench.script->has("keep mine"));
        if (isSuspended) {
            bench.library.suspendAll(bench.done());
            QVERIFY(bench.becomes(id, SessionState::Suspending));
        } else {
            bench.library.shutDownAll(1, bench.done());
            QTRY_VERIFY(bench.script->has("power off"));
        }
        bench.library.session(id)->runner()->drain();
        QVERIFY(isInMemory(bench.library.session(id)->runner()->state()));
        QVERIFY(!bench.outcome);
        bench.script->last->keepWhatIsHeld();
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
        auto const moments = tests::must(bench.library.session(id)->runner()->timeline())->moments();
        QCOMPARE(moments.size(), std::size_t(1));
        QCOMPARE(moments[0].name, "mine");
        QCOMPARE(bench.library.store().load(id.toStdString())->isSuspended, isSuspended);
    }

    void whatCannotBeKeptIsSuspendedAllTheSame()
    {
        Bench bench;
        auto const id = bench.createRunning("full");
        bench.script->cpuNanoseconds = 5'000'000'000;
        bench.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        bench.library.suspendAll(bench.done());
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
        QVERIFY(bench.script->has("keep on-close"));
        QVERIFY(bench.becomes(id, SessionState::Suspended));
    }

    void withNothingInMemoryItIsDoneAtOnce()
    {
        Bench bench;
        bench.create("off");
        bench.library.suspendAll(bench.done());
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
    }

    void whatIsUnderWayIsWaitedFor()
    {
        Bench bench;
        auto const id = bench.createRunning("slow");
        bench.script->holdSuspend = true;
        bench.library.session(id)->suspend();
        QVERIFY(bench.becomes(id, SessionState::Suspending));
        bench.library.suspendAll(bench.done());
        QTest::qWait(250);
        QVERIFY(!bench.outcome);
        bench.script->holdSuspend = false;
        bench.library.session(id)->cancelJob();
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
        QVERIFY(bench.becomes(id, SessionState::Suspended));
    }

    void aSuspendThatFailsIsToldAndTheMachineStays()
    {
        Bench bench;
        auto const id = bench.createRunning("full");
        bench.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        bench.library.suspendAll(bench.done());
        QTRY_VERIFY(bench.outcome);
        QCOMPARE(bench.outcome->error().code, vmm::ErrorCode::NoSpace);
        QVERIFY(bench.becomes(id, SessionState::Running));
    }

    void aCancelledSuspendGoesOnRunning()
    {
        Bench bench;
        auto const id = bench.createRunning("wanted");
        bench.script->holdSuspend = true;
        bench.library.suspendAll(bench.done());
        QVERIFY(bench.becomes(id, SessionState::Suspending));
        bench.library.cancelClosing();
        QVERIFY(bench.becomes(id, SessionState::Running));
        QVERIFY(!bench.outcome);
    }

    void whoDoesNotShutDownIsPoweredOff()
    {
        Bench bench;
        bench.createRunning("deaf");
        bench.library.shutDownAll(1, bench.done());
        QTRY_VERIFY(bench.outcome);
        QVERIFY(bench.script->has("power button"));
        QVERIFY(bench.script->has("power off"));
    }

    void theSecondsThatAreLeftAreTold()
    {
        Bench bench;
        bench.createRunning("deaf");
        std::vector<int> left;
        bench.library.shutDownAll(3, bench.done(), [&](int seconds) { left.push_back(seconds); });
        QTRY_VERIFY(bench.outcome);
        QCOMPARE(left, (std::vector { 2, 1, 0 }));
    }

    void afterCancelNobodyIsPoweredOff()
    {
        Bench bench;
        auto const id = bench.createRunning("deaf");
        bench.library.shutDownAll(1, bench.done());
        QTRY_VERIFY(bench.script->has("power button"));
        bench.library.cancelClosing();
        QTest::qWait(1500);
        QVERIFY(!bench.script->has("power off"));
        QVERIFY(!bench.outcome);
        QCOMPARE(bench.library.session(id)->state(), SessionState::Running);
    }

    void whoIsStartedLaterIsLeftAlone()
    {
        Bench bench;
        bench.createRunning("deaf");
        bench.library.shutDownAll(1, bench.done());
        auto const later = bench.createRunning("later");
        QTRY_VERIFY(bench.outcome);
        QCOMPARE(bench.library.inMemory(), QStringList { later });
    }

    void aPausedGuestGoesOnInOrderToShutDown()
    {
        Bench bench;
        auto const id = bench.createRunning("paused");
        bench.library.session(id)->pause();
        QVERIFY(bench.becomes(id, SessionState::Paused));
        bench.library.shutDownAll(60, bench.done());
        QTRY_VERIFY(bench.script->has("power button"));
        QVERIFY(bench.script->has("resume"));
        QVERIFY(!bench.script->has("power off"));
        bench.script->last->guestPowersOff();
        QTRY_VERIFY(bench.outcome);
        REQUIRE_OK(*bench.outcome);
    }
};

REGISTER_SUITE(ClosingTest);
#include "closing_test.moc"
