#include "app/control/moment_methods.h"
#include "app/runner/machine_runner.h"
#include "app/store/whole_file.h"
#include "app/usb/host_usb_list.h"
#include "app/usb/usb_rule_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QTemporaryDir>
#include <QTest>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

using namespace app;
using tests::FakeMachine;
using tests::SimulatedUsbDevice;

namespace {

/// A machine of a library, with a USB controller.
struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::unique_ptr<MachineRunner> runner
        = std::make_unique<MachineRunner>(config(), places(), FakeMachine::factory(script));
    std::optional<SimulatedUsbDevice> marker;
    std::mutex mutex;
    std::vector<std::string> failures; // of what was to come by itself
    MachineRunner::ObserverId observer = runner->addObserver([this](Notice const& notice) {
        if (auto const* failed = std::get_if<notice::HostUsbFailed>(&notice)) {
            std::lock_guard const lock(mutex);
            failures.push_back(failed->error.message());
        }
    });

    static vmm::VmConfig config()
    {
        auto made = tests::exampleConfig("web");
        made.usbControllers = { { "usb0" } };
        return made;
    }
    MachinePlaces places() const
    {
        return { .stateDirectory = path("state"),
            .lockFile = path("machine.lock"),
            .timelineFolder = path("timeline"),
            .libraryRoot = path("library") };
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    void start()
    {
        tests::must(tests::answerOf([&](auto done) { runner->start(done); }));
    }
    vmm::Result<> attach(std::string const& which, Really really = Really::No)
    {
        return tests::answerOf([&](auto done) { runner->attachHostUsb(which, really, done); });
    }
    vmm::Result<> detach(std::string const& which)
    {
        return tests::answerOf([&](auto done) { runner->detachHostUsb(which, done); });
    }
    std::string keep()
    {
        return tests::must(tests::answerOf<vmm::timeline::Moment>([&](auto done) {
            runner->keepMoment({ .name = "one" }, done);
        })).id;
    }
    vmm::Result<> goTo(std::string const& moment)
    {
        return tests::answerOf([&](auto done) { runner->goTo(moment, MachineRunner::Present::Lose, done); });
    }
    void rule(std::string const& match, UsbAction action)
    {
        UsbRule rule { tests::must(parseUsbMatch(match)), action, {}, {} };
        if (action == UsbAction::Attach)
            rule.machine = runner->id();
        tests::must(UsbRuleStore(path("library")).change([&](UsbRules& rules) { return rules.set(rule); }));
    }
    void restores(UsbRestore policy)
    {
        tests::must(UsbRuleStore(path("library")).change([&](UsbRules& rules) {
            rules.setRestore(runner->id(), policy);
            return vmm::Result<>();
        }));
    }
    /// And has looked at all that is plugged in.
    void startAndLook()
    {
        marker.emplace("1-8", 90u);
        start();
        letItLook();
    }
    /// A device by hand comes after what the machine does by itself.
    void letItLook()
    {
        tests::must(attach("1-8"));
        tests::must(detach("1-8"));
    }
    std::string attached() const
    {
        std::string ports;
        for (auto const& device : runner->attachedHostUsb())
            ports += device.port + " ";
        return ports;
    }
    std::string asked() const
    {
        std::string ports;
        for (auto const& question : runner->usbQuestions())
            ports += question.device.port + " ";
        return ports;
    }
    std::string failed()
    {
        std::lock_guard const lock(mutex);
        return fmt::format("{}", fmt::join(failures, "; "));
    }
    /// As a guest does, once it has found it.
    void resetVisitor(std::string const& port)
    {
        if (auto const there = visitor(port))
            there->busReset();
    }
    void submit(std::string const& port, tests::Asked& asked)
    {
        auto const there = visitor(port);
        std::lock_guard const lock(script->usb.usbMutex());
        there->submit(asked.transfer);
    }
    std::shared_ptr<vmm::UsbDevice> visitor(std::string const& port)
    {
        std::lock_guard const lock(script->mutex);
        return script->visitors.at(port).lock();
    }
};

vmm::HostUsbInfo device(std::string port, std::string serial)
{
    vmm::HostUsbInfo info;
    info.port = std::move(port);
    info.vendor = 0x0951;
    info.product = 0x1666;
    info.serial = std::move(serial);
    return info;
}

}

/// A machine's runner with USB devices of the host's, which umockdev simulates.
class AttachedUsbTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
        qputenv("XDG_RUNTIME_DIR", m_runtime.path().toUtf8());
    }
    void cleanupTestCase() { qunsetenv("XDG_RUNTIME_DIR"); }

    void aDeviceIsMeantByPortNumbersOrSerial()
    {
        std::vector const devices { device("1-1", "A"), device("1-2.4", "B") };
        QCOMPARE(findHostUsb(devices, "1-1")->serial, "A");
        QCOMPARE(findHostUsb(devices, "B")->port, "1-2.4");
        QCOMPARE(findHostUsb(devices, "0951:1666").error().code, vmm::ErrorCode::InvalidArgument);
        QCOMPARE(findHostUsb(devices, "").error().code, vmm::ErrorCode::NotFound);
        QCOMPARE(findHostUsb({ devices[1] }, "0951:1666")->port, "1-2.4");
    }

    void attachedAndDetached()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::NotNow); // it is off
        bench.start();
        QCOMPARE(bench.attach("1-9").error().code, vmm::ErrorCode::NotFound);
        REQUIRE_OK(bench.attach("1209:0001"));
        QCOMPARE(bench.attached(), "1-1 ");
        QVERIFY(!simulated.hasDriver());
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::AlreadyExists);
        QCOMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.detach("1-2").error().code, vmm::ErrorCode::NotFound);
        REQUIRE_OK(bench.detach("1-1"));
        QCOMPARE(bench.attached(), "");
        QCOMPARE(bench.script->times("usb 1-1 out"), 1);
        QTRY_VERIFY(simulated.hasDriver());
    }

    void givenBackWhereTheMachineDoesNotTakeIt()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        bench.script->failPlug = vmm::Error { vmm::ErrorCode::NotNow, "every connector is taken", 0 };
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(bench.attached(), "");
        QTRY_VERIFY(simulated.hasDriver());
    }

    void pluggedOutOfTheHost()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        simulated.unplug();
        QTRY_COMPARE(bench.attached(), "");
        QCOMPARE(bench.script->times("usb 1-1 out"), 1);
    }

    void givenBackWhenTheMachineEnds()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_COMPARE(bench.attached(), "");
        QTRY_VERIFY(simulated.hasDriver());
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        bench.runner.reset();
        QVERIFY(simulated.hasDriver());
    }

    void staysWhenTheMachineIsReset()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->reset(done); }));
        bench.runner->drain();
        QCOMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.script->times("usb 1-1 in"), 1);
        QCOMPARE(bench.script->times("usb 1-1 out"), 0);
        QVERIFY(!simulated.hasDriver());
    }

    void pluggedInAnewWhenAMomentTakesTheMachinesPlace()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        auto const moment = bench.keep();
        REQUIRE_OK(bench.attach("1-1"));
        QCOMPARE(bench.script->times("usb 1-1 in"), 1);
        REQUIRE_OK(bench.goTo(moment));
        QTRY_COMPARE(bench.script->times("usb 1-1 in"), 2);
        QCOMPARE(bench.attached(), "1-1 ");
        QVERIFY(!simulated.hasDriver());
    }

    void whatIsDetachedAsAMomentTakesTheMachinesPlaceIsInNeither()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        auto const moment = bench.keep();
        REQUIRE_OK(bench.attach("1-1"));
        REQUIRE_OK(tests::answerOf([&](auto done) {
            // On the runner's thread, which gets to them one after the other before the machine answers.
            bench.runner->measure([&, done](vmm::MachineStatistics const&) {
                bench.runner->detachHostUsb("1-1", done);
                bench.runner->goTo(moment, MachineRunner::Present::Lose);
            });
        }));
        QCOMPARE(bench.attached(), "");
        QCOMPARE(bench.script->times("usb 1-1 in"), 2);
        QCOMPARE(bench.script->times("usb 1-1 out"), 2);
        QVERIFY(simulated.hasDriver());
    }

    void whatIsSetToTheMachineComesWhenItStarts()
    {
        SimulatedUsbDevice const first("1-1", 2), second("1-2", 3);
        Bench bench;
        bench.rule("serial=S3", UsbAction::Attach);
        bench.start();
        QTRY_COMPARE(bench.attached(), "1-2 ");
        QVERIFY(first.hasDriver());
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_VERIFY(second.hasDriver());
        bench.start();
        QTRY_COMPARE(bench.attached(), "1-2 ");
        QCOMPARE(bench.asked(), "");
        QCOMPARE(bench.failed(), "");
    }

    void andAgainWhenItIsPluggedInAgain()
    {
        Bench bench;
        bench.rule("1209:0001", UsbAction::Attach);
        bench.start();
        for (unsigned round = 0; round < 5; ++round) {
            SimulatedUsbDevice simulated("1-1", 2 + round); // another address each time
            QTRY_COMPARE(bench.attached(), "1-1 ");
            QVERIFY(!simulated.hasDriver());
            simulated.unplug();
            QTRY_COMPARE(bench.attached(), "");
        }
        QCOMPARE(bench.script->times("usb 1-1 in"), 5);
        QCOMPARE(bench.script->times("usb 1-1 out"), 5);
        QCOMPARE(bench.failed(), "");
    }

    void whatWasAttachedByHandComesBackToItsPort()
    {
        auto simulated = std::make_unique<SimulatedUsbDevice>("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        simulated.reset(); // firmware is loaded, or the host sleeps: it comes back at another address
        simulated = std::make_unique<SimulatedUsbDevice>("1-1", 3);
        QTRY_COMPARE(bench.script->times("usb 1-1 in"), 2);
        QTRY_COMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.runner->attachedHostUsb().front().address, 3);
        QCOMPARE(bench.asked(), "");
        simulated.reset();
        SimulatedUsbDevice const elsewhere("1-2", 4);
        QTRY_COMPARE(bench.asked(), "1-2 "); // that is another one
        QTRY_COMPARE(bench.attached(), "");
    }

    /// Firmware is loaded into it, or a telephone changes its mode: no number but the vendor's is as it was.
    void soDoesWhatHasBecomeAnotherProduct()
    {
        auto simulated = std::make_unique<SimulatedUsbDevice>("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        auto loaded = SimulatedUsbDevice::usualDescriptors();
        loaded[10] = 0x34; // [idProduct]
        simulated.reset();
        simulated = std::make_unique<SimulatedUsbDevice>("1-1", 3, loaded);
        QTRY_COMPARE(bench.script->times("usb 1-1 in"), 2);
        QTRY_COMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.runner->attachedHostUsb().front().product, 0x0034);
        QVERIFY(!simulated->hasDriver());
        QCOMPARE(bench.asked(), "");
        auto other = loaded;
        other[8] = 0x35; // [idVendor]
        simulated.reset();
        simulated = std::make_unique<SimulatedUsbDevice>("1-1", 4, other);
        QTRY_COMPARE(bench.asked(), "1-1 "); // somebody has plugged in another one there
        QCOMPARE(bench.attached(), "");
        QVERIFY(simulated->hasDriver());
    }

    void whatTheHostsDriverTookWhileItSleptIsTakenAgain()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        simulated.resetByTheHost();
        tests::Asked out(vmm::UsbTransfer::Kind::Bulk, 0x02, vmm::Bytes(8));
        bench.submit("1-1", out);
        QTRY_COMPARE(bench.script->times("usb 1-1 in"), 2);
        QTRY_COMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.script->times("usb 1-1 out"), 1);
        QVERIFY(!simulated.hasDriver());
    }

    void whatDiesWhereItIsIsTakenAgain()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        simulated.changeAtReset(); // the kernel ends the handle, and no device comes or goes
        bench.resetVisitor("1-1");
        QTRY_COMPARE(bench.script->times("usb 1-1 in"), 2);
        QTRY_COMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.script->times("usb 1-1 out"), 1);
        // One that does nothing but die is left to the host, and that is told.
        for (int round = 2; round <= 3; ++round) {
            bench.resetVisitor("1-1");
            QTRY_COMPARE(bench.script->times("usb 1-1 in"), round + 1);
            QTRY_COMPARE(bench.attached(), "1-1 ");
        }
        bench.resetVisitor("1-1");
        QTRY_VERIFY(bench.failed().find("again and again") != std::string::npos);
        QCOMPARE(bench.attached(), "");
    }

    void whatIsDetachedByHandStaysWithTheHost()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.rule("serial=S2", UsbAction::Attach);
        bench.start();
        QTRY_COMPARE(bench.attached(), "1-1 ");
        REQUIRE_OK(bench.detach("1-1"));
        QVERIFY(simulated.hasDriver()); // it has been given back when that is answered
        SimulatedUsbDevice const next("1-9", 9);
        QTRY_COMPARE(bench.asked(), "1-9 "); // the host was looked at once more
        QCOMPARE(bench.attached(), "");
    }

    void whatTheHostUsesIsTakenWithTheWordOnly()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        simulated.typeOnTheHost();
        Bench bench;
        bench.rule("1209:0001", UsbAction::Attach);
        bench.start();
        QTRY_COMPARE(bench.asked(), "1-1 "); // not even a rule takes the only keyboard
        QCOMPARE(bench.runner->usbQuestions().front().reason, UsbQuestion::Reason::UsedByHost);
        QVERIFY(simulated.hasDriver());
        auto const refused = bench.attach("1-1");
        QCOMPARE(refused.error().code, vmm::ErrorCode::Busy);
        QVERIFY(refused.error().detail.find("keyboard of this host, the only one") != std::string::npos);
        QVERIFY(simulated.hasDriver());
        bench.runner->dismissUsbQuestion("1-1");
        QTRY_COMPARE(bench.asked(), "");
        REQUIRE_OK(bench.attach("1-1", Really::Yes));
        QCOMPARE(bench.attached(), "1-1 ");
    }

    /// As udev and modem managers do with all that is plugged in. More than five seconds of it is a use, and a host may
    /// take those to start the machine.
    void whatAProgramOnlyLooksAtIsTakenAfterThat()
    {
        bool isTaken = false;
        for (unsigned address = 2; !isTaken && address < 5; ++address) {
            SimulatedUsbDevice simulated("1-1", address);
            simulated.becomePort();
            vmm::UniqueFd looking(::open("/dev/full", O_RDONLY | O_CLOEXEC));
            Bench bench;
            bench.rule(fmt::format("serial=S{}", address), UsbAction::Attach);
            bench.startAndLook();
            QCOMPARE(bench.attached(), "");
            looking.reset();
            QTRY_VERIFY(bench.attached() == "1-1 " || bench.asked() == "1-1 ");
            isTaken = bench.attached() == "1-1 ";
            QCOMPARE(bench.failed(), "");
        }
        QVERIFY(isTaken);
    }

    void neverIsOverruledByTheWordOnly()
    {
        Bench bench;
        bench.rule("1209:0001", UsbAction::Never);
        bench.start();
        bench.restores(UsbRestore::Attach);
        SimulatedUsbDevice const simulated("1-1", 2);
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::Busy);
        QVERIFY(bench.attach("1-1").error().detail.find("1209:0001") != std::string::npos);
        REQUIRE_OK(bench.attach("1-1", Really::Yes));
        QCOMPARE(bench.asked(), "");
    }

    void aNewDeviceIsAskedAbout()
    {
        Bench bench;
        bench.startAndLook();
        {
            SimulatedUsbDevice const simulated("1-1", 2);
            QTRY_COMPARE(bench.asked(), "1-1 ");
            QCOMPARE(bench.runner->usbQuestions().front().reason, UsbQuestion::Reason::PluggedIn);
        }
        QTRY_COMPARE(bench.asked(), "");
        SimulatedUsbDevice const other("1-2", 3);
        QTRY_COMPARE(bench.asked(), "1-2 ");
        REQUIRE_OK(bench.attach("1-2", Really::Yes));
        QCOMPARE(bench.asked(), "");
    }

    void aSecondMachineIsToldWhoHasIt()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench first, second;
        first.start();
        second.start();
        REQUIRE_OK(first.attach("1-1"));
        auto const refused = second.attach("1-1", Really::Yes);
        QCOMPARE(refused.error().code, vmm::ErrorCode::Busy);
        QVERIFY2(
            refused.error().detail.find("the machine web has it") != std::string::npos, refused.error().detail.c_str());
        auto const listed = listHostUsb(*tests::must(hostUsb()), {});
        QCOMPARE(listed.front().holder, std::optional(UsbHolder { first.runner->id(), "web", ::getpid() }));
        REQUIRE_OK(first.detach("1-1"));
        REQUIRE_OK(second.attach("1-1")); // at once
    }

    void soIsOneOfAnotherProcess()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        std::array<int, 2> pipe {};
        QCOMPARE(::pipe(pipe.data()), 0);
        auto const child = ::fork();
        if (child == 0) {
            auto const claim = UsbClaim::take("1-1", { "uuid-of-db", "db", ::getpid() });
            char const word = claim ? 'y' : 'n';
            if (::write(pipe[1], &word, 1) == 1)
                ::pause();
            ::_exit(0);
        }
        char word = 0;
        QCOMPARE(::read(pipe[0], &word, 1), ssize_t(1));
        QCOMPARE(word, 'y');
        Bench bench;
        bench.rule("1209:0001", UsbAction::Attach);
        bench.start();
        QTRY_VERIFY(bench.failed().find("the machine db has it") != std::string::npos);
        QVERIFY(bench.attach("1-1", Really::Yes).error().detail.find("the machine db has it") != std::string::npos);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        REQUIRE_OK(bench.attach("1-1")); // what a process leaves behind holds nothing
        ::close(pipe[0]);
        ::close(pipe[1]);
    }

    void aRestoreFollowsThePolicy_data()
    {
        QTest::addColumn<UsbRestore>("policy");
        QTest::addColumn<QString>("attached");
        QTest::addColumn<QString>("asked");
        QTest::addColumn<UsbFate::Outcome>("outcome");
        QTest::addRow("attach") << UsbRestore::Attach << "1-1 "
                                << "" << UsbFate::Outcome::PluggedAnew;
        QTest::addRow("leave") << UsbRestore::Leave << ""
                               << "" << UsbFate::Outcome::Unplugged;
        QTest::addRow("ask") << UsbRestore::Ask << ""
                             << "1-1 " << UsbFate::Outcome::Asked;
    }
    void aRestoreFollowsThePolicy()
    {
        QFETCH(UsbRestore, policy);
        QFETCH(QString, attached);
        QFETCH(QString, asked);
        QFETCH(UsbFate::Outcome, outcome);
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.restores(policy);
        bench.startAndLook();
        REQUIRE_OK(bench.attach("1-1"));
        auto const moment = bench.keep();
        QCOMPARE(tests::must(bench.runner->foreseeUsb(moment)).front().outcome, outcome);
        REQUIRE_OK(bench.goTo(moment)); // with the device
        bench.letItLook();
        QTRY_COMPARE(bench.attached(), attached.toStdString());
        QTRY_COMPARE(bench.asked(), asked.toStdString());
        QTRY_COMPARE(simulated.hasDriver(), attached.isEmpty());

        if (bench.attached().empty())
            REQUIRE_OK(bench.attach("1-1", Really::Yes));
        REQUIRE_OK(bench.detach("1-1"));
        auto const fates = tests::must(bench.runner->foreseeUsb(moment));
        QCOMPARE(fates.size(), 1u);
        QCOMPARE(fates.front().outcome, outcome);
        QVERIFY(!fates.front().isAttached);
        QCOMPARE(fates.front().serial, "S2");
        REQUIRE_OK(bench.goTo(moment)); // without it, to where the machine had it
        bench.letItLook();
        QTRY_COMPARE(bench.attached(), attached.toStdString());
        QTRY_COMPARE(bench.asked(), asked.toStdString());
    }

    void aSuspendedMachineFollowsItToo()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->suspend(done); }));
        QTRY_VERIFY(simulated.hasDriver());
        QTRY_COMPARE(tests::must(bench.runner->foreseeUsb({})).front().outcome, UsbFate::Outcome::PluggedAnew);
        bench.start();
        QTRY_COMPARE(bench.attached(), "1-1 ");
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->suspend(done); }));
        QTRY_VERIFY(simulated.hasDriver());
        bench.restores(UsbRestore::Ask);
        bench.start();
        QTRY_COMPARE(bench.asked(), "1-1 ");
        QCOMPARE(bench.runner->usbQuestions().front().reason, UsbQuestion::Reason::Restored);
        QCOMPARE(bench.attached(), "");
    }

    void aProgramThatExportsIsToldWhatDoesNotTravel()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        auto const moment = bench.keep();
        auto const told = tests::must(tests::answerOf<vmm::Json>([&](auto done) {
            control::callMomentMethod(
                *bench.runner, "moment.export", { { "moment", moment }, { "to", bench.path("exported") } }, done);
        }));
        auto const devices = told.at("devices");
        QCOMPARE(devices.size(), 1u);
        QCOMPARE(devices[0].at("id").get<std::string>(), "1209:0001");
        QCOMPARE(devices[0].at("serial").get<std::string>(), "S2");
        QCOMPARE(devices[0].at("outcome").get<std::string>(), "not-here");
    }

    void aDeviceThatIsNotThereAnyMoreIsNamedBefore()
    {
        auto simulated = std::make_unique<SimulatedUsbDevice>("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        auto const moment = bench.keep();
        simulated.reset();
        QTRY_COMPARE(bench.attached(), "");
        QCOMPARE(tests::must(bench.runner->foreseeUsb(moment)).front().outcome, UsbFate::Outcome::NotHere);
        REQUIRE_OK(bench.goTo(moment));
        QCOMPARE(bench.failed(), "");
    }

    void rulesThatCannotBeReadTakeNothing()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.rule("1209:0001", UsbAction::Attach);
        tests::must(writeWholeFile(UsbRuleStore(bench.path("library")).path(), vmm::bytesOf("{")));
        bench.startAndLook();
        QCOMPARE(bench.attached(), "");
        REQUIRE_OK(bench.attach("1-1")); // by hand
    }

private:
    QTemporaryDir m_runtime;
};

REGISTER_SUITE(AttachedUsbTest);
#include "attached_usb_test.moc"
