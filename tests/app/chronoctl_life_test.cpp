#include "app/control/key_names.h"
#include "app/store/machine_lock.h"
#include "tests/support/answer.h"
#include "tests/support/chronoctl_bench.h"
#include "tests/support/machine_owner.h"
#include "tests/support/stopped_host.h"
#include "tests/support/terminal.h"

#include <QDateTime>
#include <QJsonArray>
#include <algorithm>
#include <csignal>

using namespace app;
using tests::FakeMachine;
using tests::Hosting;
using Bench = tests::ChronoctlBench;
using Owner = tests::MachineOwner;

namespace {

/// Made, run, and suspended by who has had it.
bool makeSuspended(Bench& bench, std::string const& machine, std::string const& network = "none")
{
    if (bench.call({ "create", machine, "--net", network }).code != 0)
        return false;
    Hosting hosting(bench, { machine });
    return hosting.isRunning(machine.c_str()) && bench.call({ "suspend", machine }).code == 0;
}

Owner ownerOfTwoThatRun(Bench& bench)
{
    for (auto const* machine : { "web", "mail" })
        bench.call({ "create", machine });
    Owner owner(bench, { "web", "mail" });
    for (auto const& runner : owner.runners)
        tests::must(tests::answerOf([&](auto done) { runner->start(done); }));
    return owner;
}

/// A call at a terminal, on a thread of its own.
struct AtTerminal {
    Bench& bench;
    Owner const& owner;
    tests::Terminal terminal { 80, 24 };
    vmm::UniqueFd none { ::open("/dev/null", O_RDWR | O_CLOEXEC) };
    int code = -1;
    std::jthread thread; // last: it uses the others

    AtTerminal(Bench& inBench, Owner const& ofMachines, std::vector<std::string> const& arguments)
        : bench(inBench), owner(ofMachines), thread([this, arguments] {
              ctl::Surroundings around { bench.store, bench.path("run"), FakeMachine::factory(bench.script), none.get(),
                  none.get(), terminal.program.get() };
              code = ctl::runChronoctl(arguments, around);
          })
    {
    }
    /// Where the test has failed, it may wait for what is held.
    ~AtTerminal()
    {
        bench.script->holdSuspend = false;
        bench.script->holdKeep = false;
        for (auto const& runner : owner.runners) {
            runner->cancelJob();
            runner->cancelKeeping();
        }
    }
    int end()
    {
        thread.join();
        return code;
    }
};

}

/// A machine as a whole: its saved state, its name, its end, and what `run` tells of that.
class ChronoctlLifeTest : public QObject {
    Q_OBJECT
private slots:
    void aSavedStateIsThrownAway()
    {
        Bench bench;
        QVERIFY(makeSuspended(bench, "web"));
        QCOMPARE(bench.stateOf("web"), QString("suspended"));
        auto const discarded = bench.call({ "discard-state", "web" });
        QCOMPARE(discarded.code, 0);
        // The fake's file is of no size that a record of memory has.
        QCOMPARE(discarded.err, "chronoctl: what the machine was could not be kept as a moment\n");
        QCOMPARE(bench.stateOf("web"), QString("off"));
        QVERIFY(bench.call({ "discard-state", "web" }).err.contains("off"));
        QCOMPARE(bench.call({ "discard-state", "nobody" }).code, 1);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QVERIFY(!bench.script->has("restore"));
            QVERIFY(bench.call({ "discard-state", "web" }).err.contains("running"));
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        }
    }

    /// As the desktop has it, which shows it as off at once.
    void whoHasTheMachineThrowsItsSavedStateAway()
    {
        Bench bench;
        QVERIFY(makeSuspended(bench, "web"));
        Owner const owner(bench, { "web" });
        auto const& runner = owner.runners.front();
        QCOMPARE(runner->state(), SessionState::Suspended);
        auto const discarded = bench.call({ "discard-state", "web" });
        QCOMPARE(discarded.code, 0);
        QCOMPARE(discarded.err, "chronoctl: what the machine was could not be kept as a moment\n");
        QCOMPARE(runner->state(), SessionState::Off);
        QVERIFY(!tests::must(bench.store.find("web")).isSuspended);
    }

    void portsThatItCameBackWithoutAreToldByWhoeverHasIt()
    {
        Bench bench;
        QVERIFY(makeSuspended(bench, "web", "user"));
        Owner const owner(bench, { "web" });
        bench.script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "127.0.0.1:80", 0 };
        auto const started = bench.call({ "restore", "web" });
        QCOMPARE(started.code, 0);
        QCOMPARE(started.err, "chronoctl: net0: 127.0.0.1:80\n");
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        auto const gone = bench.call({ "moment", "restore", "web", "one" });
        QCOMPARE(gone.code, 0);
        QVERIFY2(gone.err.contains("chronoctl: net0: 127.0.0.1:80\n"), gone.err.constData());
        auto const left = tests::must(owner.runners.front()->timeline())->moments().back().id.substr(0, 8);
        auto const told = "chronoctl: what the machine was is the moment " + left + "\n";
        QVERIFY2(gone.err.contains(told.c_str()), gone.err.constData());
    }

    /// And of nothing else that the process does which has it.
    void aSuspendTellsHowFarItIs()
    {
        Bench bench;
        Owner const owner = ownerOfTwoThatRun(bench);
        auto const &web = owner.runners.front(), &mail = owner.runners.back();
        bench.script->holdSuspend = true;
        AtTerminal suspending(bench, owner, { "suspend", "web" });
        QTRY_VERIFY(suspending.terminal.hasShown("suspending:  25 %"));
        REQUIRE_OK(tests::answerOf([&](auto done) {
            auto const look = [](MachineRunner::JobProgress const& progress) {
                progress(0.5);
                return vmm::Result<>();
            };
            web->work("verify", look, done);
        }));
        mail->suspend();
        QTRY_COMPARE(mail->state(), SessionState::Suspending);
        for (auto const& runner : { mail, web }) {
            REQUIRE_OK(tests::answerOf([&](auto done) { runner->cancelJob(done); }));
            QTRY_COMPARE(runner->state(), SessionState::Running);
        }
        QCOMPARE(suspending.end(), int(ctl::Failed));
        QVERIFY(suspending.terminal.hasShown("cancelled"));
        QCOMPARE(suspending.terminal.shown.count('%'), 1);
    }

    /// And not of the one that another machine of the same process keeps.
    void aMomentTellsHowFarItIs()
    {
        Bench bench;
        Owner const owner = ownerOfTwoThatRun(bench);
        auto const &web = owner.runners.front(), &mail = owner.runners.back();
        bench.script->holdKeep = true;
        AtTerminal taking(bench, owner, { "moment", "take", "web" });
        QTRY_VERIFY(taking.terminal.hasShown(" 50 %"));
        mail->keepMoment({ .name = "mail's" });
        QTRY_VERIFY(bench.script->has("keep mail's"));
        for (auto const& runner : { mail, web })
            REQUIRE_OK(tests::answerOf([&](auto done) { runner->cancelKeeping(done); }));
        QCOMPARE(taking.end(), int(ctl::Failed));
        QVERIFY(taking.terminal.hasShown("cancelled"));
        QCOMPARE(taking.terminal.shown.count('%'), 1);
    }

    void aMachineInTheBackgroundRunsWhenItsProcessSaysSo_data()
    {
        QTest::addColumn<std::string>("script");
        QTest::addColumn<int>("code");
        QTest::addColumn<QByteArray>("told");
        QTest::newRow("first") << std::string("printf 'ready\\n' >&3") << 0 << QByteArray();
        QTest::newRow("in between") << std::string("printf 'net0: taken\\nready\\nmore\\n' >&3") << 0
                                    << QByteArray("net0: taken\nmore\n");
        QTest::newRow("end of another line")
            << std::string("printf 'it is ready\\n' >&2; exit 5") << 5 << QByteArray("it is ready\n");
    }
    void aMachineInTheBackgroundRunsWhenItsProcessSaysSo()
    {
        QFETCH(std::string, script);
        QFETCH(int, code);
        QFETCH(QByteArray, told);
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        bench.program = bench.path("program");
        REQUIRE_OK(writeWholeFile(bench.program, vmm::bytesOf("#!/bin/sh\n" + script + "\n")));
        std::filesystem::permissions(bench.program, std::filesystem::perms::owner_all);
        auto const said = bench.call({ "start", "web" });
        QCOMPARE(said.code, code);
        QCOMPARE(said.err, told);
    }

    void onlyASuspendedMachineIsRestored()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        for (std::vector<std::string> const& line :
            { std::vector<std::string> { "restore", "web" }, { "restore", "web", "--foreground" } }) {
            auto const refused = bench.call(line);
            QCOMPARE(refused.code, int(ctl::Failed));
            QCOMPARE(refused.err, "chronoctl: web is off, not suspended; start begins it anew\n");
        }
        QVERIFY(!bench.script->has("create"));
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "restore", "web" }).err, "chronoctl: web is running, not suspended\n");
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    /// The process that hosts a machine is there for a while after that has ended.
    void whoAsksAsTheHostEndsIsAnswered()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        for (int round = 0; round < 20; ++round) {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
            for (int asked = 0; asked < 3; ++asked) {
                auto const listed = bench.call({ "moment", "list", "web" });
                QVERIFY2(listed.code == 0, listed.err.constData());
            }
            auto const refused = bench.call({ "pause", "web" });
            QCOMPARE(refused.err, "chronoctl: web is off\n");
        }
    }

    void aMachineComesBackInTheForeground()
    {
        Bench bench;
        QVERIFY(makeSuspended(bench, "web"));
        Hosting hosting(bench, { "web", "--foreground" }, "typed", -1, "restore");
        QVERIFY(hosting.isRunning("web"));
        QVERIFY(bench.script->has("restore"));
        QTRY_VERIFY(bench.call({ "console", "web", "--wait", "typed", "--timeout", "1" }).code == 0);
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        QCOMPARE(hosting.end().code, int(ctl::MachineStopped));
        QVERIFY(hosting.said.out.contains("[typed]"));
    }

    /// Each option of `create` that says what a machine is built of; one that is new needs a line here.
    void whatComesBackIsBuiltAsItWas()
    {
        Bench bench;
        QVERIFY(makeSuspended(bench, "web"));
        auto left = bench.options("create");
        for (auto const* other : { "--help", "--from", "--new-disk", "--notes", "--cpu" })
            left.removeAll(other);
        auto const saved = tests::must(bench.store.find("web")).directory + "/state";
        for (std::vector<std::string> const& option :
            { std::vector<std::string> { "--kernel", "k" }, { "--initrd", "i" }, { "--append", "a" }, { "--disk", "d" },
                { "--cd", "c" }, { "--net", "user" }, { "--usb", "mouse" }, { "--cpus", "2" }, { "--memory", "8192" },
                { "--firmware", "ovmf" }, { "--console", "virtio" }, { "--displays", "2" }, { "--no-display" },
                { "--random-generators", "2" }, { "--no-tablet" }, { "--debug-console" } }) {
            left.removeAll(QString::fromStdString(option[0]));
            for (std::vector<std::string> line : { std::vector<std::string> { "run", "web" },
                     { "run", "--restore", saved }, { "run", "--state", saved } }) {
                line.insert(line.end(), option.begin(), option.end());
                auto const refused = bench.call(line);
                QCOMPARE(refused.code, int(ctl::Failed));
                QVERIFY2(refused.err.startsWith(QByteArray::fromStdString("chronoctl: " + option[0] + " cannot")),
                    refused.err);
            }
        }
        QVERIFY2(left.isEmpty(), qPrintable(left.join(", ") + " is not tried here"));
        QVERIFY(!bench.script->has("restore"));
        QVERIFY(bench.call({ "run", "web", "--memory", "64" }).err.contains("web is suspended"));
        {
            QFile::remove(QString::fromStdString(bench.store.placesOf(bench.store.find("web")->id).cpuFile));
            Hosting hosting(bench, { "web", "--cpu", "baseline" });
            QVERIFY(hosting.isRunning("web"));
            QVERIFY(bench.script->has("restore"));
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        }
        QVERIFY(!QFile::exists(QString::fromStdString(bench.store.placesOf(bench.store.find("web")->id).cpuFile)));
    }

    /// The moment's hardware, where the machine is off.
    void whatGoesToAMomentIsBuiltAsItWas()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const refused = bench.call({ "run", "web", "--moment", "one", "--memory", "8192" });
        QCOMPARE(refused.err, "chronoctl: --memory cannot be used here: a moment has its hardware in it\n");
    }

    void aMachineGetsAnotherName()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "create", "mail" }).code, 0);
        auto const id = tests::must(bench.store.find("web")).id;
        QVERIFY(bench.call({ "rename", "web", "mail" }).err.contains("there is a machine called mail"));
        QCOMPARE(bench.call({ "rename", "web", "" }).code, 1);
        QCOMPARE(bench.call({ "rename", "nobody", "site" }).code, 1);
        QCOMPARE(bench.call({ "rename", "web", "site" }).code, 0);
        QCOMPARE(tests::must(bench.store.find("site")).id, id);
        QVERIFY(!bench.store.find("web"));
        QCOMPARE(bench.call({ "rename", "site", "site" }).code, 0);
    }

    /// As they come from a desktop, or out of bundles.
    void whatTwoMachinesAreCalledNoThirdIs()
    {
        Bench bench;
        for (int i = 0; i < 2; ++i) {
            MachineRequest request;
            request.config = tests::exampleConfig("web");
            request.config.uuid.clear();
            tests::must(bench.store.create(std::move(request)));
        }
        QCOMPARE(bench.call({ "create", "mail" }).code, 0);
        auto const refused = QByteArray("chronoctl: there is a machine called web\n");
        QCOMPARE(bench.call({ "create", "web" }).err, refused);
        QCOMPARE(bench.call({ "rename", "mail", "web" }).err, refused);
        QCOMPARE(bench.store.list().size(), std::size_t(3));
        REQUIRE_OK(bench.store.find("mail"));
    }

    void aMachineGoesIntoTheTrash()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const id = tests::must(bench.store.find("web")).id;
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            auto const refused = bench.call({ "remove", "web" });
            QCOMPARE(refused.code, 1);
            QVERIFY2(refused.err.contains("process " + QByteArray::number(qint64(::getpid()))), refused.err);
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        }
        QCOMPARE(bench.call({ "remove", "nobody" }).code, 1);
        QCOMPARE(bench.call({ "remove", "web" }).code, 0);
        QVERIFY(bench.json({ "list" }).array().isEmpty());
        REQUIRE_OK(bench.store.restoreRemoved(id));
        REQUIRE_OK(bench.store.find("web"));
    }

    void aMachineThatCannotBeReadIsRemovedByItsUuid()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const stored = tests::must(bench.store.find("web"));
        REQUIRE_OK(writeWholeFile(stored.directory + "/machine.json", vmm::bytesOf("{}")));
        {
            auto const lock = tests::must(MachineLock::take(bench.store.placesOf(stored.id).lockFile));
            auto const refused = bench.call({ "remove", stored.id });
            QVERIFY2(refused.err.contains("has the machine in memory"), refused.err);
        }
        QCOMPARE(bench.call({ "remove", stored.id }).code, 0);
        QVERIFY(bench.store.list().empty());
    }

    void aRemovedMachineIsBroughtBack()
    {
        Bench bench;
        for (auto const* name : { "web", "mail" })
            QCOMPARE(bench.call({ "create", name }).code, 0);
        auto const id = tests::must(bench.store.find("web")).id;
        QCOMPARE(bench.call({ "remove", "web" }).code, 0);
        auto const listed = bench.json({ "removed" }).array();
        QCOMPARE(listed.size(), 1);
        QCOMPARE(listed[0]["name"].toString(), "web");
        QCOMPARE(listed[0]["uuid"].toString().toStdString(), id);
        QVERIFY(qAbs(listed[0]["removedAt"].toInteger() / 1'000'000'000 - QDateTime::currentSecsSinceEpoch()) < 3600);
        QVERIFY(bench.call({ "removed" }).out.contains("web "));
        auto const unknown = bench.call({ "bring-back", "mail" });
        QCOMPARE(unknown.code, 1);
        QCOMPARE(unknown.err, "chronoctl: there is no removed machine called mail\n");
        QCOMPARE(bench.call({ "bring-back", "web" }).code, 0);
        QCOMPARE(tests::must(bench.store.find("web")).id, id);
        QVERIFY(bench.json({ "removed" }).array().isEmpty());
    }

    void imagesComeBackByTheNameOfTheirMachine()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        auto const machine = tests::must(bench.store.find("web"));
        auto const path = machine.config.disks[0].path;
        auto without = machine.config;
        without.disks.clear();
        REQUIRE_OK(bench.store.save(without, {}, { path }));
        QCOMPARE(bench.call({ "bring-back", "web" }).code, 0);
        QVERIFY(tests::must(bench.store.find("web")).config.disks == machine.config.disks);
        for (int i = 0; i < 2; ++i) {
            auto with = without;
            with.disks.resize(1);
            with.disks[0].id = "disk0";
            REQUIRE_OK(bench.store.save(with, { { "disk0", 1u << 20, DiskFormat::Raw } }));
            auto const made = tests::must(bench.store.find("web")).config.disks[0].path;
            REQUIRE_OK(bench.store.save(without, {}, { made }));
        }
        auto const several = bench.call({ "bring-back", "web" });
        QCOMPARE(several.code, 1);
        QVERIFY2(several.err.contains("images of web were removed 2 times"), several.err.constData());
    }

    void whichIsBroughtBackIsSaidByItsUuid()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const id = tests::must(bench.store.find("web")).id;
        QCOMPARE(bench.call({ "remove", "web" }).code, 0);
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "remove", "web" }).code, 0);
        auto const several = bench.call({ "bring-back", "web" });
        QCOMPARE(several.code, 1);
        QCOMPARE(several.err, "chronoctl: 2 removed machines are called web; name one by its uuid\n");
        QCOMPARE(bench.call({ "bring-back", id.substr(0, 13) }).code, 0);
        REQUIRE_OK(bench.store.load(id));
        QCOMPARE(bench.call({ "bring-back", "web" }).code, 0); // the other one is the only one now
        QCOMPARE(bench.store.list().size(), std::size_t(2));
    }

    void aSignalEndsItAsWasAsked_data()
    {
        using Options = std::vector<std::string>;
        QTest::addColumn<int>("signal");
        QTest::addColumn<Options>("options");
        QTest::addColumn<std::string>("done");
        QTest::addColumn<int>("code");
        QTest::newRow("as usual") << SIGHUP << Options { "web" } << std::string("suspend")
                                  << int(ctl::MachineSuspended);
        QTest::newRow("suspend") << SIGTERM << Options { "web", "--on-signal", "suspend" } << std::string("suspend")
                                 << int(ctl::MachineSuspended);
        QTest::newRow("poweroff") << SIGINT << Options { "web", "--on-signal", "poweroff" } << std::string("power off")
                                  << int(ctl::MachineStopped);
    }
    void aSignalEndsItAsWasAsked()
    {
        QFETCH(int, signal);
        QFETCH(std::vector<std::string>, options);
        QFETCH(std::string, done);
        QFETCH(int, code);
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, options);
        QVERIFY(hosting.isRunning("web"));
        ::pthread_kill(hosting.thread.native_handle(), signal);
        QTRY_VERIFY(hosting.hasEnded.load());
        QCOMPARE(hosting.end().code, code);
        QVERIFY(bench.script->has(done));
    }

    void aSecondSignalPowersOffWhoDoesNotShutDown()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web", "--on-signal", "shutdown" });
        QVERIFY(hosting.isRunning("web"));
        ::pthread_kill(hosting.thread.native_handle(), SIGTERM);
        QTRY_VERIFY(bench.script->has("power button"));
        QCOMPARE(bench.stateOf("web"), QString("running"));
        ::pthread_kill(hosting.thread.native_handle(), SIGTERM);
        QTRY_VERIFY(hosting.hasEnded.load());
        QCOMPARE(hosting.end().code, int(ctl::MachineStopped));
    }

    void aSecondSignalEndsASuspendAndTheMachine()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        bench.script->holdSuspend = true;
        ::pthread_kill(hosting.thread.native_handle(), SIGTERM);
        QTRY_COMPARE(bench.stateOf("web"), QString("suspending"));
        ::pthread_kill(hosting.thread.native_handle(), SIGTERM);
        QTRY_VERIFY(hosting.hasEnded.load());
        QCOMPARE(hosting.end().code, int(ctl::MachineStopped));
        QCOMPARE(bench.stateOf("web"), QString("off"));
    }

    /// At a terminal: the key after it is for us, and not for the guest.
    void ctrlBracketIsTheEscapeKey()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        tests::Terminal const terminal(80, 24);
        {
            Hosting hosting(bench, { "web" }, {}, terminal.program.get());
            QVERIFY(hosting.isRunning("web"));
            terminal.type("\x1d?");    // which is none: what there is is told
            terminal.type("\x1d\x1d"); // the key itself
            terminal.type("\x1dr");
            QTRY_VERIFY(bench.script->has("reset"));
            terminal.type("\x1dp");
            QTRY_VERIFY(bench.script->has("power button"));
            terminal.type("\x1ds");
            QTRY_VERIFY(hosting.hasEnded.load());
            QCOMPARE(hosting.end().code, int(ctl::MachineSuspended));
            QVERIFY2(hosting.said.err.contains("q powers off"), hosting.said.err);
            QCOMPARE(hosting.said.out, QByteArray("boot\n[\x1d]"));
        }
        Hosting hosting(bench, { "web" }, {}, terminal.program.get());
        QVERIFY(hosting.isRunning("web"));
        terminal.type("\x1dq");
        QTRY_VERIFY(hosting.hasEnded.load());
        QCOMPARE(hosting.end().code, int(ctl::MachineStopped));
    }

    void whatRunTellsIsJsonToo()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const message = [](Hosting& hosting) {
            return QJsonDocument::fromJson(hosting.end().err)["error"]["message"].toString();
        };
        {
            Hosting hosting(bench, { "--json", "web" });
            QVERIFY(hosting.isRunning("web"));
            bench.script->last->guestCrashes();
            QCOMPARE(message(hosting), QString("the guest has crashed: triple fault at 0x1000"));
            QCOMPARE(hosting.said.code, int(ctl::GuestCrashed));
        }
        {
            Hosting hosting(bench, { "--json", "web" });
            QVERIFY(hosting.isRunning("web"));
            bench.script->last->hostPauses({ vmm::ErrorCode::NoSpace, "disk0 is full", 0 });
            QTRY_COMPARE(bench.stateOf("web"), QString("paused"));
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
            QCOMPARE(message(hosting), QString("paused: disk0 is full"));
        }
        Hosting hosting(bench, { "--json", "web" });
        QVERIFY(hosting.isRunning("web"));
        bench.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "no room", 0 };
        ::pthread_kill(hosting.thread.native_handle(), SIGTERM);
        QTRY_VERIFY(bench.script->has("suspend"));
        QTRY_COMPARE(bench.stateOf("web"), QString("running"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        QCOMPARE(message(hosting), QString("cannot suspend: no room"));
    }

    void whatAPersonKeepsIsStoredThoughTheGuestCrashes()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        bench.script->holdKeep = true;
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        Hosting keeping(bench, { "take", "web", "--name", "mine" }, {}, -1, "moment");
        QTRY_VERIFY(bench.script->has("keep mine"));
        bench.script->last->guestCrashes();
        QTRY_VERIFY(bench.script->has("power off"));
        bench.script->last->keepWhatIsHeld();
        QCOMPARE(hosting.end().code, int(ctl::GuestCrashed));
        QVERIFY2(hosting.said.err.contains("triple fault"), hosting.said.err);
        QCOMPARE(keeping.end().code, 0);
        QCOMPARE(bench.json({ "moment", "list", "web" })["moments"][0]["name"].toString(), QString("mine"));
    }

    /// The guest runs on until a moment is stored that its suspend waits for.
    void whatPowersOffBeforeItsSuspendIsNotSuspended()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        bench.script->holdKeep = true;
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        Hosting keeping(bench, { "take", "web", "--name", "mine" }, {}, -1, "moment");
        QTRY_VERIFY(bench.script->has("keep mine"));
        Hosting suspending(bench, { "web" }, {}, -1, "suspend");
        QTRY_COMPARE(bench.stateOf("web"), QString("suspending"));
        bench.script->last->guestPowersOff();
        bench.script->last->keepWhatIsHeld();
        QVERIFY2(hosting.end().code == int(ctl::Done), hosting.said.err);
        QCOMPARE(suspending.end().code, int(ctl::Failed));
        QCOMPARE(keeping.end().code, 0);
        QCOMPARE(bench.stateOf("web"), QString("off"));
    }

    /// That nobody can reach a machine is told of one that there is.
    void aMachineWithoutASocketSaysSoWhenItRuns()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QVERIFY(QDir().rmdir(bench.directory.filePath("run")));
        REQUIRE_OK(writeWholeFile(bench.path("run"), vmm::bytesOf("no directory")));
        bench.script->failCreate = vmm::Error { vmm::ErrorCode::NoKvm, "there is no /dev/kvm", 0 };
        auto const failed = QJsonDocument::fromJson(bench.call({ "--json", "run", "web" }).err);
        QCOMPARE(failed["error"]["message"].toString(), QString("there is no /dev/kvm"));
        bench.script->failCreate.reset();
        auto const isTold = [&] {
            auto const names = QDir(bench.directory.path()).entryList({ "*.err" });
            return std::any_of(names.begin(), names.end(), [&](QString const& name) {
                return bench.contents(bench.path(qPrintable(name))).startsWith("chronoctl: no control socket: ");
            });
        };
        Hosting hosting(bench, { "web" });
        QTRY_VERIFY(isTold());
        bench.script->last->guestPowersOff();
        QCOMPARE(hosting.end().code, int(ctl::Done));
    }

    void keysAreListedByTheirNames()
    {
        Bench bench;
        auto const names = QByteArray::fromStdString(control::allKeyNames());
        QVERIFY(names.split(' ').contains("kp7"));
        QVERIFY(bench.call({ "send-keys", "--help" }).out.contains(names));
        QVERIFY(bench.call({ "manual" }).out.contains(names));
    }

    /// Or a process that is stopped would be waited for once for each machine.
    void aListAsksEachProcessOnce()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "mail" }).code, 0);
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        {
            tests::StoppedHost const stopped(bench.path("run"));
            auto const list = bench.json({ "list" });
            QCOMPARE(stopped.visitors(), 1);
            QCOMPARE(list[0]["state"].toString(), QString("off"));
            QCOMPARE(list[1]["state"].toString(), QString("running"));
        }
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }
};

REGISTER_SUITE(ChronoctlLifeTest);
#include "chronoctl_life_test.moc"
