#include "app/runner/machine_runner.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/call_faults.h"
#include "tests/support/still_machine.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QFile>

using namespace app;
using tests::StillMachine;
using vmm::timeline::Moment;
using vmm::timeline::Reason;

namespace {

constexpr unsigned onItsDisks = 7;

/// A suspended machine with memory and disks.
struct Bench {
    tests::TemporaryStillMachine machine;
    std::string state = machine.folder + "/state";
    std::vector<notice::PresentLeft> left;
    bool cancelsKeeping = false;
    std::unique_ptr<MachineRunner> runner;

    Bench()
    {
        machine.write(onItsDisks);
        machine.suspendTo(state);
        runner = std::make_unique<MachineRunner>(machine.config,
            MachinePlaces { state, machine.folder + "/machine.lock", machine.folder + "/timeline" },
            tests::FakeMachine::factory());
        runner->addObserver([this](Notice const& notice) {
            if (auto const* present = std::get_if<notice::PresentLeft>(&notice))
                left.push_back(*present);
            if (std::holds_alternative<notice::Progress>(notice) && cancelsKeeping)
                runner->cancelKeeping();
        });
    }
    vmm::Result<> discard(Really really = Really::No) const
    {
        return tests::answerOf([&](auto done) { runner->discardState(done, really); });
    }
    std::vector<Moment> moments() const { return tests::must(runner->timeline())->moments(); }
};

/// Starts it suspended, while one call fails; and once more.
QString useUp(StillMachine const& machine, tests::CallFault const& fault)
{
    auto const state = machine.folder + "/state";
    machine.suspendTo(state);
    if (!tests::CallFaults::begin()) // for the threads that are made from now on
        return "no faults";
    MachineRunner runner(
        machine.config, MachinePlaces { state, machine.folder + "/machine.lock", {} }, tests::FakeMachine::factory());
    auto const start = [&] { return tests::answerOf([&](auto done) { runner.start(done); }); };
    auto const isThere = [&] { return vmm::holdsSavedMachine(state); };
    tests::CallFaults::plan(fault);
    auto const first = start();
    tests::CallFaults::end();
    if (!first && (runner.state() != SessionState::Suspended || !isThere()))
        return "its state is gone, and it did not start: " + QString::fromStdString(first.error().message());
    if (first ? isThere() : !start().has_value())
        return first ? "its state is still there" : "it cannot be tried again";
    return runner.state() == SessionState::Running && !isThere() ? QString() : "it does not run, or has its state";
}

QString const stranded = "it is neither here nor there, and that was told";

/// Starts it suspended, while all calls fail from one on; and goes on as the message says, or again, if the state is
/// nowhere then.
QString strand(StillMachine const& machine, unsigned at, bool isPutBack)
{
    auto const state = machine.folder + "/state";
    machine.suspendTo(state);
    if (!tests::CallFaults::begin())
        return "no faults";
    MachinePlaces const places { state, machine.folder + "/machine.lock", {} };
    MachineRunner runner(machine.config, places, tests::FakeMachine::factory());
    auto const start = [](MachineRunner& its) { return tests::answerOf([&](auto done) { its.start(done); }); };
    tests::CallFaults::plan({ .at = at, .way = tests::CallFault::Way::FromThenOn });
    auto const first = start(runner);
    tests::CallFaults::end();
    if (first || vmm::holdsSavedMachine(state))
        return {};
    auto const leaves = state + "/state.json", left = leaves + ".new";
    if (runner.state() != SessionState::Off || first.error().code != vmm::ErrorCode::NotFound)
        return QString::fromStdString("it is told otherwise: " + first.error().message());
    if (first.error().message().find("rename " + left + " to " + leaves) == std::string::npos)
        return "nobody knows where it is";
    if (!isPutBack) {
        if (!start(runner) || runner.state() != SessionState::Running)
            return "it does not start without it";
        return vmm::existsFile(left) ? "it would be there again after a power cut" : stranded;
    }
    tests::must(vmm::renameFile(left, leaves));
    if (auto const problem = machine.problemOfState(state, StillMachine::Asks::AsBefore); !problem.isEmpty())
        return problem;
    MachineRunner again(machine.config, places, tests::FakeMachine::factory());
    if (again.state() != SessionState::Suspended || !start(again))
        return "it does not come back";
    return vmm::holdsSavedMachine(state) ? "its state is still there" : stranded;
}

}

/// What is thrown away of a suspended machine is a moment before.
class DiscardStateTest final : public QObject {
    Q_OBJECT
private slots:
    void theStateIsKeptFirst()
    {
        Bench bench;
        REQUIRE_OK(bench.discard());
        QCOMPARE(bench.runner->state(), SessionState::Off);
        QVERIFY(!QFile::exists(QString::fromStdString(bench.state + "/state.json")));
        auto const moments = bench.moments();
        QCOMPARE(moments.size(), std::size_t(1));
        QCOMPARE(moments[0].reason, Reason::BeforeDiscard);
        QCOMPARE(moments[0].power, vmm::timeline::Power::On);
        QCOMPARE(bench.machine.problem(bench.machine.open(), { moments[0].id }), QString());
        QCOMPARE(bench.machine.differenceNow(onItsDisks), QString());
        QCOMPARE(bench.left.size(), std::size_t(1));
        QCOMPARE(bench.left[0].moment, moments[0].id);
    }

    void whoAsksAgainMeanwhileHasItKeptOnce()
    {
        Bench bench;
        std::future<vmm::Result<>> second;
        auto first = tests::laterAnswerOf([&](auto done) {
            // On the runner's thread, which gets to them one after the other.
            bench.runner->measure([&, done](vmm::MachineStatistics const&) {
                bench.runner->discardState(done);
                second = tests::laterAnswerOf([&](auto again) { bench.runner->discardState(again); });
            });
        });
        REQUIRE_OK(tests::answered(first));
        REQUIRE_OK(tests::answered(second));
        QCOMPARE(bench.moments().size(), std::size_t(1));
        QCOMPARE(bench.left.size(), std::size_t(1));
    }

    void whatCannotBeKeptGoesAllTheSameAndIsTold()
    {
        Bench bench;
        QVERIFY(QFile::resize(QString::fromStdString(bench.state + "/ram"), 1));
        REQUIRE_OK(bench.discard());
        QCOMPARE(bench.runner->state(), SessionState::Off);
        QVERIFY(bench.moments().empty());
        QCOMPARE(bench.left.size(), std::size_t(1));
        QCOMPARE(bench.left[0].moment, std::string());
    }

    /// What stands in the way of the moment can be mended, and the state is not damaged.
    void whereTheDiskFailsItGoesOnlyReally()
    {
        Bench bench;
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->setPolicy({}, done); }));
        // A file in the place of a folder, which nobody can look into.
        auto const folder = QString::fromStdString(bench.machine.folder + "/timeline/moments");
        QVERIFY(QDir(folder).removeRecursively());
        QFile file(folder);
        QVERIFY(file.open(QIODevice::WriteOnly));
        QCOMPARE(bench.discard().error().code, vmm::ErrorCode::IoError);
        QCOMPARE(bench.runner->state(), SessionState::Suspended);
        QVERIFY(QFile::exists(QString::fromStdString(bench.state + "/state.json")));
        QVERIFY(bench.left.empty());
        REQUIRE_OK(bench.discard(Really::Yes));
        QCOMPARE(bench.runner->state(), SessionState::Off);
        QCOMPARE(bench.left.size(), std::size_t(1));
        QCOMPARE(bench.left[0].moment, std::string());
    }

    void whereThePolicyCannotBeReadItIsNotLostInSilence()
    {
        Bench bench;
        REQUIRE_OK(tests::answerOf<Moment>([&](auto done) { bench.runner->keepMoment({ .name = "one" }, done); }));
        for (auto const* name : { "timeline.json", "timeline.copy.json" })
            REQUIRE_OK(
                writeWholeFile(bench.machine.folder + "/timeline/" + name, vmm::bytesOf(std::string("nothing"))));
        REQUIRE_OK(bench.discard());
        QCOMPARE(bench.runner->state(), SessionState::Off);
        QCOMPARE(bench.left.size(), std::size_t(1));
    }

    void whoCancelsTheKeepingKeepsTheState()
    {
        Bench bench;
        bench.cancelsKeeping = true;
        auto const discarded = bench.discard();
        QVERIFY(!discarded);
        QCOMPARE(discarded.error().code, vmm::ErrorCode::Cancelled);
        QCOMPARE(bench.runner->state(), SessionState::Suspended);
        QCOMPARE(bench.machine.problemOfState(bench.state, StillMachine::Asks::AsBefore), QString());
        QVERIFY(bench.moments().empty());
        QVERIFY(bench.left.empty());
    }

    /// The disks move on with the guest: it runs when its state is gone for good, and not before.
    void whereAnythingFailsWhenItIsUsedUpTheStateIsThereOrTheGuestRuns()
    {
        unsigned at = 0;
        for (bool goesOn = true; goesOn; ++at) {
            tests::TemporaryStillMachine const machine;
            machine.write(onItsDisks);
            auto const told = tests::tellWithFaults([&] { return useUp(machine, { .at = at }); });
            QVERIFY2(told.wrong.isEmpty(), qPrintable(QStringLiteral("call %1: ").arg(at) + told.wrong));
            goesOn = told.hasStruck;
        }
        QVERIFY2(at > 2, qPrintable(QString::number(at)));
    }

    /// It is lost in no case, and the next start is one without it.
    void whatCanNeitherGoForGoodNorBePutBackIsToldWithItsPlace_data()
    {
        QTest::addColumn<bool>("isPutBack");
        QTest::newRow("a person puts it back") << true;
        QTest::newRow("the machine is started again") << false;
    }
    void whatCanNeitherGoForGoodNorBePutBackIsToldWithItsPlace()
    {
        QFETCH(bool, isPutBack);
        int count = 0;
        bool goesOn = true;
        for (unsigned at = 0; goesOn; ++at) {
            tests::TemporaryStillMachine const machine;
            machine.write(onItsDisks);
            auto const told = tests::tellWithFaults([&] { return strand(machine, at, isPutBack); });
            goesOn = told.hasStruck;
            if (told.wrong == stranded)
                ++count;
            else
                QVERIFY2(told.wrong.isEmpty(), qPrintable(QStringLiteral("call %1: ").arg(at) + told.wrong));
        }
        QCOMPARE(count, 1); // where it leaves and is to be made durable
    }

    void whereThePolicyDoesNotWantItNothingIsKept()
    {
        Bench bench;
        vmm::timeline::Policy policy;
        policy.beforeChange = false;
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->setPolicy(policy, done); }));
        REQUIRE_OK(bench.discard());
        QCOMPARE(bench.runner->state(), SessionState::Off);
        QVERIFY(bench.moments().empty());
        QVERIFY(bench.left.empty());
    }
};

REGISTER_SUITE(DiscardStateTest);
#include "discard_state_test.moc"
