#include "tests/support/answer.h"
#include "tests/support/machine_owner.h"
#include "tests/support/terminal.h"

#include <csignal>
#include <future>

using namespace app;
using tests::Hosting;
using Bench = tests::ChronoctlBench;

namespace {

/// A machine that a process has which has others too, as the desktop does, and its console.
struct Desktop : Bench {
    std::future<Said> console;
    std::unique_ptr<tests::MachineOwner> owner; // its end is that of who still talks to it

    Desktop()
    {
        call({ "create", "web" });
        owner = std::make_unique<tests::MachineOwner>(*this, std::vector<std::string> { "web" });
    }
    MachineRunner& machine() const { return *owner->runners.front(); }
    void start() const
    {
        tests::must(tests::answerOf([this](auto done) { machine().start(done); }));
    }
    vmm::Console& port() const { return *script->last->consoles.at("serial0"); }
    vmm::UniqueFd file(std::string_view text) const
    {
        tests::must(writeWholeFile(path("typed"), vmm::bytesOf(text)));
        return vmm::UniqueFd(::open(path("typed").c_str(), O_RDONLY | O_CLOEXEC));
    }
    void talk(int in, std::vector<std::string> arguments = {})
    {
        arguments.insert(arguments.begin(), { "console", "web" });
        console = std::async(std::launch::async, [this, in, arguments] { return call(arguments, {}, in); });
    }
    /// What it has said; a code of -1 where it goes on.
    Said end() { return tests::comes(console) ? console.get() : Said {}; }
};

}

/// A machine's serial port on the command line.
class ConsoleTest : public QObject {
    Q_OBJECT
private slots:
    void theConsoleAnswersScripts()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        auto const booted = bench.call({ "console", "web", "--wait", "^boot$" });
        QCOMPARE(booted.code, 0);
        QCOMPARE(booted.out, QByteArray("boot\n"));
        QCOMPARE(bench.call({ "console", "web", "--send", "ls\\n", "--wait", "\\[ls" }).code, 0);
        // What came before is no answer to what is sent now.
        QCOMPARE(bench.call({ "console", "web", "--send", "x", "--wait", "boot", "--timeout", "0.2" }).code, 1);
        QCOMPARE(bench.call({ "console", "web", "--wait", "(" }).code, 1);
        QCOMPARE(bench.call({ "console", "web", "serial9", "--wait", "x" }).code, 1);
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    void theGuestHearsHowLargeTheTerminalIs()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        tests::Terminal const host(100, 30);
        Hosting hosting(bench, { "web" }, {}, host.program.get());
        QVERIFY(hosting.isRunning("web"));
        auto const size = [&] { return bench.script->last->consoles.at("serial0")->size(); };
        QCOMPARE(size(), (vmm::TerminalSize { 100, 30 }));
        // One that is attached later, and is resized: the signal comes to the thread that is the program here.
        tests::Terminal const second(132, 43);
        std::thread console([&] { bench.call({ "console", "web" }, {}, second.program.get()); });
        QTRY_COMPARE(size(), (vmm::TerminalSize { 132, 43 }));
        second.resize(90, 20);
        ::pthread_kill(console.native_handle(), SIGWINCH);
        QTRY_COMPARE(size(), (vmm::TerminalSize { 90, 20 }));
        second.type("\x1d");
        console.join();
        host.resize(80, 24);
        ::pthread_kill(hosting.thread.native_handle(), SIGWINCH);
        QTRY_COMPARE(size(), (vmm::TerminalSize { 80, 24 }));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    void whatIsTypedIsAllOfIt()
    {
        Desktop desktop;
        desktop.start();
        auto const typed = desktop.file("ls\n");
        desktop.talk(typed.get());
        auto const said = desktop.end();
        QCOMPARE(said.code, 0);
        QCOMPARE(said.out, "boot\n[ls\n]");
    }

    void whatIsTypedWaitsForTheMachine()
    {
        Desktop desktop;
        auto const typed = desktop.file("ls\n");
        desktop.talk(typed.get());
        QTRY_COMPARE(::lseek(typed.get(), 0, SEEK_CUR), off_t(3));
        desktop.start();
        auto const said = desktop.end();
        QCOMPARE(said.code, 0);
        QVERIFY2(said.out.contains("[ls\n]"), said.out.constData());
    }

    void whatDoesNotFitWaitsForTheGuest()
    {
        Desktop desktop;
        desktop.start();
        vmm::Bytes taken(vmm::Console::inputLimit, 'y');
        desktop.port().setInputReady({});
        QVERIFY(desktop.port().type(taken));
        auto const typed = desktop.file("x");
        desktop.talk(typed.get());
        QTRY_COMPARE(::lseek(typed.get(), 0, SEEK_CUR), off_t(1));
        QCOMPARE(desktop.port().takeInput(taken), taken.size());
        QCOMPARE(desktop.end().code, 0);
        QCOMPARE(desktop.port().takeInput(taken), std::size_t(1));
        QCOMPARE(taken[0], std::uint8_t('x'));
    }

    void aPersonLeavesAlsoWhereNobodyTakesWhatIsTyped()
    {
        Desktop desktop;
        tests::Terminal const terminal(80, 24);
        desktop.talk(terminal.program.get());
        terminal.type("ls\x1d");
        QCOMPARE(desktop.end().code, 0);
    }

    void itEndsWithTheMachine_data()
    {
        QTest::addColumn<bool>("isSuspended");
        QTest::newRow("off") << false;
        QTest::newRow("suspended") << true;
    }
    void itEndsWithTheMachine()
    {
        QFETCH(bool, isSuspended);
        Desktop desktop;
        desktop.start();
        tests::Terminal const terminal(132, 43);
        desktop.talk(terminal.program.get());
        QTRY_COMPARE(desktop.port().size(), (vmm::TerminalSize { 132, 43 }));
        tests::must(tests::answerOf(
            [&](auto done) { isSuspended ? desktop.machine().suspend(done) : desktop.machine().powerOff(done); }));
        auto const said = desktop.end();
        QCOMPARE(said.code, 0);
        QCOMPARE(said.out, "boot\n");
    }

    void whoWaitsForWordsIsToldThatTheyDoNotCome()
    {
        Desktop desktop;
        desktop.start();
        desktop.talk(-1, { "--send", "x", "--wait", "never", "--timeout", "600" });
        auto const printed = [&] {
            vmm::Bytes bytes;
            desktop.port().readFrom(0, bytes);
            return QByteArray(reinterpret_cast<char const*>(bytes.data()), qsizetype(bytes.size()));
        };
        QTRY_VERIFY(printed().contains("[x]"));
        tests::must(tests::answerOf([&](auto done) { desktop.machine().powerOff(done); }));
        auto const said = desktop.end();
        QCOMPARE(said.code, int(ctl::Failed));
        QVERIFY2(said.err.contains("the machine has ended"), said.err.constData());
    }
};

REGISTER_SUITE(ConsoleTest);
#include "console_test.moc"
