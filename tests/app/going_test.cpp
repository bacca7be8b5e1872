#include "app/runner/machine_runner.h"
#include "app/store/machine_lock.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/altered_moment.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QFile>
#include <QTemporaryDir>
#include <future>

using namespace app;
using tests::FakeMachine;
using Present = MachineRunner::Present;

namespace {

struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::unique_ptr<MachineRunner> runner;
    std::mutex mutex;
    std::vector<notice::PastNeglected> neglected;
    std::vector<notice::PresentLeft> left;

    Bench() { open(tests::exampleConfig()); }
    void open(vmm::VmConfig const& config)
    {
        runner = std::make_unique<MachineRunner>(config,
            MachinePlaces { path("state"), path("machine.lock"), path("timeline") }, FakeMachine::factory(script));
        runner->addObserver([this](Notice const& notice) {
            std::lock_guard const lock(mutex);
            if (auto const* one = std::get_if<notice::PastNeglected>(&notice))
                neglected.push_back(*one);
            else if (auto const* present = std::get_if<notice::PresentLeft>(&notice))
                left.push_back(*present);
        });
    }
    /// As another process would find it.
    void openAgain()
    {
        auto const config = runner->config();
        runner.reset();
        open(config);
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    template<typename Ask>
    vmm::Result<> wait(Ask ask) const
    {
        auto outcome = tests::answerOf(ask);
        runner->drain();
        return outcome;
    }
    vmm::Result<> start() const
    {
        return wait([&](auto done) { runner->start(done); });
    }
    vmm::Result<> goTo(std::string const& moment, Present present) const
    {
        return wait([&](auto done) { runner->goTo(moment, present, done); });
    }
    std::string keep(std::string const& name) const
    {
        auto const moment = tests::must(
            tests::answerOf<vmm::timeline::Moment>([&](auto done) { runner->keepMoment({ .name = name }, done); }));
        runner->drain();
        return moment.id;
    }
    std::string altered(std::string const& like, std::function<void(vmm::Json&)> const& alter) const
    {
        std::string id;
        tests::must(wait([&](auto done) {
            runner->changeTimeline(
                [&](vmm::timeline::Timeline& timeline) {
                    id = tests::alteredMoment(timeline, like, alter);
                    return vmm::Result<>();
                },
                done);
        }));
        return id;
    }
    /// Is answered when the moment that is being kept is held up no more.
    std::future<vmm::Result<>> goToWhileKeepingIsHeld(std::string const& moment) const
    {
        script->holdKeep = true;
        auto answer = tests::laterAnswerOf([&](auto done) { runner->goTo(moment, Present::Keep, done); });
        if (!tests::becomes([this] { return script->has("keep before-going"); }))
            qFatal("nothing is kept");
        script->holdKeep = false;
        return answer;
    }
    std::size_t moments() const { return tests::must(runner->timeline())->moments().size(); }
    std::string present() const { return tests::must(runner->timeline())->present(); }
    bool hasSavedState() const { return QFile::exists(directory.filePath("state/state.json")); }
    void damage(char const* name) const
    {
        QFile file(directory.filePath(QStringLiteral("timeline/%1").arg(name)));
        if (!file.open(QIODevice::ReadWrite) || !file.seek(20) || file.write("\xff\xff") != 2)
            qFatal("%s cannot be damaged", name);
    }
};

}

/// Where a machine cannot go it stays what it is.
class GoingTest final : public QObject {
    Q_OBJECT
private slots:
    void whereThePresentWentIsTold()
    {
        Bench bench;
        auto const off = bench.keep("off");
        tests::must(bench.start());
        tests::must(bench.goTo(off, Present::Keep));
        auto const past = tests::must(bench.runner->timeline());
        QCOMPARE(bench.left.size(), std::size_t(1));
        auto const running = tests::must(past->moment(bench.left[0].moment));
        QCOMPARE(running.reason, vmm::timeline::Reason::BeforeGoing);
        QCOMPARE(running.power, vmm::timeline::Power::On);
        tests::must(bench.goTo(running.id, Present::Keep));
        QCOMPARE(bench.left.size(), std::size_t(2));
        QCOMPARE(tests::must(tests::must(bench.runner->timeline())->moment(bench.left[1].moment)).power,
            vmm::timeline::Power::Off);
        tests::must(bench.goTo(off, Present::Lose));
        bench.script->failGo = vmm::Error { vmm::ErrorCode::IoError, "no", 0 };
        QVERIFY(!bench.goTo(running.id, Present::Keep));
        QCOMPARE(bench.left.size(), std::size_t(2));
    }

    void aConsoleTellsWhichMomentItsRunCameFrom()
    {
        Bench bench;
        tests::must(bench.start());
        auto const good = bench.keep("good");
        auto const kept = tests::must(tests::must(bench.runner->timeline())->moment(good));
        auto const console = bench.runner->console("serial0");
        QVERIFY(!console->origin());
        tests::must(bench.goTo(good, Present::Lose));
        QCOMPARE(console->origin(), std::optional(RunOrigin { "good", vmm::timeline::Reason::Kept, kept.time }));
        QVERIFY(console->past().empty()); // it is not what that guest has printed
        tests::must(bench.wait([&](auto done) { bench.runner->powerOff(done); }));
        QVERIFY(console->origin()); // the text of that run is there still
        tests::must(bench.start());
        QVERIFY(!console->origin());
    }

    void whereItComesBackItsConsoleShowsWhatItHasShown()
    {
        Bench bench;
        tests::must(bench.start());
        auto const good = bench.keep("good");
        bench.script->last->guestPrints("hello\n");
        bench.script->failGo = vmm::Error { vmm::ErrorCode::IoError, "no", 0 };
        QVERIFY(!bench.goTo(good, Present::Keep));
        QCOMPARE(bench.runner->state(), SessionState::Running);
        auto const console = bench.runner->console("serial0");
        auto const past = console->past();
        QCOMPARE(std::string(past.begin(), past.end()), std::string("boot\nhello\n"));
        QVERIFY(!console->origin());
    }

    void whatIsNotUnderstoodChangesNothing_data()
    {
        QTest::addColumn<std::function<void(vmm::Json&)>>("alter");
        QTest::addColumn<QString>("named");
        using Alter = std::function<void(vmm::Json&)>;
        QTest::newRow("field") << Alter([](vmm::Json& state) { tests::partOf(state, "serial0")["state"]["mood"] = 1; })
                               << "mood";
        QTest::newRow("device") << Alter([](vmm::Json& state) { tests::partOf(state, "serial0")["kind"] = "flux"; })
                                << "serial0: this program knows no device of the kind \"flux\"";
        QTest::newRow("version") << Alter([](vmm::Json& state) { tests::partOf(state, "serial0")["version"] = 99; })
                                 << "99";
        QTest::newRow("header") << Alter([](vmm::Json& state) { state["header"]["state"]["mood"] = 1; }) << "mood";
        QTest::newRow("config") << Alter([](vmm::Json& state) { state["config"]["state"]["mood"] = 1; }) << "mood";
        QTest::newRow("whose") << Alter([](vmm::Json& state) { state["config"]["state"]["uuid"] = vmm::makeUuid(); })
                               << "another machine's";
        QTest::newRow("file") << Alter([](vmm::Json& state) {
            vmm::SavedHeader header;
            header.files = { { "cd0", "/no/such/medium", 1, 1 } };
            state["header"] = vmm::state::save(header).toJson();
        }) << "/no/such/medium";
    }

    void whatIsNotUnderstoodChangesNothing()
    {
        QFETCH(std::function<void(vmm::Json&)>, alter);
        QFETCH(QString, named);
        Bench bench;
        tests::must(bench.start());
        auto const good = bench.keep("good"), bad = bench.altered(good, alter);
        auto* const machine = bench.script->last;
        auto const refused = [&](SessionState state) {
            for (auto const present : { Present::Keep, Present::Lose }) {
                auto const gone = bench.goTo(bad, present);
                QVERIFY(!gone);
                QVERIFY2(gone.error().message().find(named.toStdString()) != std::string::npos,
                    gone.error().message().c_str());
                QCOMPARE(bench.runner->state(), state);
                QCOMPARE(bench.moments(), std::size_t(2));
                QCOMPARE(bench.present(), good);
                QVERIFY(!bench.script->has("go altered"));
            }
        };
        refused(SessionState::Running);
        QCOMPARE(bench.script->last, machine);
        QCOMPARE(bench.script->alive.load(), 1);
        tests::must(bench.wait([&](auto done) { bench.runner->suspend(done); }));
        refused(SessionState::Suspended);
        QVERIFY(bench.hasSavedState());
        tests::must(bench.start());
        tests::must(bench.wait([&](auto done) { bench.runner->powerOff(done); }));
        refused(SessionState::Off);
        QVERIFY(!MachineLock::owner(bench.path("machine.lock")));
        tests::must(bench.goTo(good, Present::Lose));
        QCOMPARE(bench.runner->state(), SessionState::Running);
    }

    /// Of what only the machine that is made can find out.
    void whatIsFoundOutTooLateEndsWhereThePresentWasKept()
    {
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        for (auto const state : { SessionState::Running, SessionState::Paused }) {
            if (state == SessionState::Paused)
                tests::must(bench.wait([&](auto done) { bench.runner->pause(done); }));
            bench.script->failGo = vmm::Error { vmm::ErrorCode::Corrupt, "vcpu0: cr4", 0 };
            auto const before = bench.moments();
            auto const gone = bench.goTo(there, Present::Keep);
            QVERIFY(!gone);
            QCOMPARE(gone.error().detail, "vcpu0: cr4");
            QCOMPARE(bench.runner->state(), state);
            QCOMPARE(bench.moments(), before + 1);
            auto const kept = tests::must(bench.runner->timeline())->moments().back();
            QCOMPARE(kept.reason, vmm::timeline::Reason::BeforeGoing);
            QCOMPARE(bench.present(), kept.id);
        }
    }

    /// As where the disk is full: neither way can be gone then.
    void whereNoWayLeadsBackThePresentIsToldOf()
    {
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        bench.script->failGo = vmm::Error { vmm::ErrorCode::NoSpace, "disk0: full", 0 };
        bench.script->failGoAgain = 1;
        auto const gone = bench.goTo(there, Present::Keep);
        QCOMPARE(gone.error().code, vmm::ErrorCode::NoSpace);
        QCOMPARE(gone.error().detail, "the machine is off, and what it was is kept as a moment: disk0: full");
        QCOMPARE(bench.runner->state(), SessionState::Off);
        QCOMPARE(bench.left.size(), std::size_t(1));
        QCOMPARE(bench.left[0].moment, bench.present());
        QCOMPARE(bench.left[0].reason, vmm::timeline::Reason::BeforeGoing);
        tests::must(bench.goTo(bench.left[0].moment, Present::Lose));
        QCOMPARE(bench.runner->state(), SessionState::Running);
    }

    /// What it did after the instant would be in neither of the two moments.
    void itStandsStillUntilThePresentIsKept()
    {
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        auto const known = bench.script->log.size();
        auto gone = bench.goToWhileKeepingIsHeld(there);
        QCOMPARE(bench.script->last->state(), vmm::RunState::Paused);
        QTRY_COMPARE(bench.runner->state(), SessionState::Paused);
        QCOMPARE(bench.goTo(there, Present::Lose).error().code, vmm::ErrorCode::Busy); // one way at a time
        QCOMPARE(bench.script->last->state(), vmm::RunState::Paused);
        bench.script->last->keepWhatIsHeld();
        REQUIRE_OK(tests::answered(gone));
        QCOMPARE(bench.runner->state(), SessionState::Running);
        std::vector<std::string> const did(bench.script->log.begin() + std::ptrdiff_t(known), bench.script->log.end());
        QCOMPARE(did, (std::vector<std::string> { "pause", "keep before-going", "go there", "resume" }));
    }

    /// The disks would part from it before there is a moment: whoever is killed in between would have neither.
    void whatASavedStateStillHoldsIsNotKept()
    {
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        tests::must(bench.wait([&](auto done) { bench.runner->suspend(done); }));
        tests::must(bench.wait([&](auto done) { bench.runner->startPaused(done); }));
        auto const kept = tests::answerOf<vmm::timeline::Moment>(
            [&](auto done) { bench.runner->keepMoment({ .name = "now" }, done); });
        QVERIFY(!kept && kept.error().message().find("resume it first") != std::string::npos);
        auto const gone = bench.goTo(there, Present::Keep);
        QVERIFY(!gone && gone.error().message().find("resume it first") != std::string::npos);
        QVERIFY(!bench.script->has("keep now") && !bench.script->has("keep before-going"));
        QVERIFY(bench.hasSavedState());
        tests::must(bench.wait([&](auto done) { bench.runner->resume(done); }));
        REQUIRE_OK(bench.goTo(there, Present::Keep));
    }

    void whatDoesNotGoRunsOn_data()
    {
        QTest::addColumn<std::function<void(Bench&)>>("instead");
        using Instead = std::function<void(Bench&)>;
        QTest::newRow("cancelled") << Instead(
            [](Bench& bench) { tests::must(bench.wait([&](auto done) { bench.runner->cancelKeeping(done); })); });
        QTest::newRow("resumed") << Instead([](Bench& bench) {
            QTRY_COMPARE(bench.runner->state(), SessionState::Paused);
            tests::must(bench.wait([&](auto done) { bench.runner->resume(done); }));
            QCOMPARE(bench.runner->state(), SessionState::Running); // when that is answered
        });
    }

    void whatDoesNotGoRunsOn()
    {
        QFETCH(std::function<void(Bench&)>, instead);
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        auto gone = bench.goToWhileKeepingIsHeld(there);
        instead(bench);
        QCOMPARE(tests::answered(gone).error().code, vmm::ErrorCode::Cancelled);
        QTRY_COMPARE(bench.runner->state(), SessionState::Running);
        QCOMPARE(bench.moments(), std::size_t(1));
        QVERIFY(!bench.script->has("go there"));
        tests::must(bench.goTo(there, Present::Keep));
        QCOMPARE(bench.moments(), std::size_t(2));
    }

    void whatCannotBeKeptRunsOn()
    {
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        for (auto const state : { SessionState::Running, SessionState::Paused }) {
            if (state == SessionState::Paused)
                tests::must(bench.wait([&](auto done) { bench.runner->pause(done); }));
            bench.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "the disk is full", 28 };
            auto const gone = bench.goTo(there, Present::Keep);
            QCOMPARE(gone.error().code, vmm::ErrorCode::NoSpace);
            QCOMPARE(bench.runner->state(), state);
            QVERIFY(!bench.script->has("go there"));
        }
    }

    void aSavedStateIsThereUntilTheMachineHasGone()
    {
        Bench bench;
        tests::must(bench.start());
        auto const there = bench.keep("there");
        tests::must(bench.wait([&](auto done) { bench.runner->suspend(done); }));
        bench.script->failGo = vmm::Error { vmm::ErrorCode::Corrupt, "vcpu0: cr4", 0 };
        QVERIFY(!bench.goTo(there, Present::Lose));
        QCOMPARE(bench.runner->state(), SessionState::Suspended);
        QVERIFY(bench.hasSavedState());
        tests::must(bench.goTo(there, Present::Lose));
        QCOMPARE(bench.runner->state(), SessionState::Running);
        QVERIFY(!bench.hasSavedState());
    }

    // What the timeline's record was

    void aDamagedRecordIsAsItsCopy()
    {
        Bench bench;
        tests::must(bench.start());
        auto const kept = bench.keep("kept");
        bench.openAgain();
        bench.damage("timeline.json");
        tests::must(bench.start());
        QCOMPARE(bench.present(), kept);
        QVERIFY(bench.neglected.empty());
    }

    void bothDamagedAreMadeAnewAndThatIsTold()
    {
        Bench bench;
        tests::must(bench.start());
        bench.keep("first"); // of zeros: no pack
        auto const kept = bench.keep("kept");
        bench.openAgain();
        for (auto const* name : { "timeline.json", "timeline.copy.json" })
            bench.damage(name);
        tests::must(bench.start());
        QCOMPARE(bench.runner->state(), SessionState::Running);
        QCOMPARE(bench.neglected.size(), std::size_t(1));
        QCOMPARE(bench.neglected[0].what, notice::PastNeglected::What::Timeline);
        QCOMPARE(bench.moments(), std::size_t(2));
        tests::must(bench.goTo(kept, Present::Keep));
    }

    void aMachineRunsWithoutATimelineThatNobodyCanRead()
    {
        Bench bench;
        tests::must(bench.start());
        bench.keep("first");
        bench.keep("kept");
        bench.openAgain();
        for (auto const* name : { "timeline.json", "timeline.copy.json", "packs/00000001" })
            bench.damage(name);
        tests::must(bench.start());
        QCOMPARE(bench.runner->state(), SessionState::Running);
        QCOMPARE(bench.neglected.size(), std::size_t(1));
        QCOMPARE(bench.neglected[0].what, notice::PastNeglected::What::Timeline);
        QCOMPARE(bench.neglected[0].why.code, vmm::ErrorCode::Corrupt);
    }

    void aMomentThatCouldNotBeKeptIsToldOnce()
    {
        Bench bench;
        tests::must(bench.start());
        bench.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "the disk is full", 28 };
        for (int i = 0; i < 3; ++i) {
            bench.script->cpuNanoseconds += 5'000'000'000;
            tests::must(
                bench.wait([&](auto done) { bench.runner->keepUnasked(vmm::timeline::Reason::BeforeChange, done); }));
        }
        QCOMPARE(bench.neglected.size(), std::size_t(1));
        QCOMPARE(bench.neglected[0].what, notice::PastNeglected::What::Moment);
        QCOMPARE(bench.neglected[0].why.code, vmm::ErrorCode::NoSpace);
    }
};

REGISTER_SUITE(GoingTest);
#include "going_test.moc"
