#include "app/library/library.h"
#include "app/usb/usb_rule_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

using namespace app;
using namespace std::chrono_literals;
using tests::FakeMachine;
using tests::SimulatedUsbDevice;

/// The desktop's list of this host's USB devices, which umockdev simulates.
class HostUsbWatchTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
        qputenv("XDG_RUNTIME_DIR", m_runtime.path().toUtf8());
    }
    void cleanupTestCase() { qunsetenv("XDG_RUNTIME_DIR"); }

    void itFollowsWhatIsPluggedInAndOut()
    {
        SimulatedUsbDevice const first("1-1", 2);
        QTemporaryDir const root;
        HostUsbWatch watch(root.path().toStdString());
        QVERIFY(!watch.isRead());
        watch.open();
        watch.open();
        QTRY_VERIFY(watch.isRead());
        QVERIFY(!watch.problem());
        QCOMPARE(watch.devices().size(), 1u);
        {
            SimulatedUsbDevice const second("1-2", 3);
            QTRY_COMPARE(watch.devices().size(), 2u);
            QCOMPARE(watch.devices().back().device.serial, "S3");
        }
        QTRY_COMPARE(watch.devices().size(), 1u);
    }

    void andWhoTakesThemOfWhicheverProcess()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        QTemporaryDir const root;
        HostUsbWatch watch(root.path().toStdString());
        watch.open();
        QTRY_COMPARE(watch.devices().size(), 1u);
        {
            auto const claim = tests::must(UsbClaim::take("1-1", { "uuid", "db", 7 }));
            QTRY_VERIFY(watch.devices().front().holder);
            QCOMPARE(watch.devices().front().holder->name, "db");
        }
        QTRY_VERIFY(!watch.devices().front().holder);
    }

    void andTheRulesWhoeverChangesThem()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        QTemporaryDir const root;
        HostUsbWatch watch(root.path().toStdString());
        watch.open();
        QTRY_COMPARE(watch.devices().size(), 1u);
        UsbRuleStore const store(root.path().toStdString());
        tests::must(store.change(
            [&](UsbRules& rules) { return rules.set(alwaysAttach(watch.devices().front().device, "uuid")); }));
        QTRY_VERIFY(watch.devices().front().rule);
        QCOMPARE(watch.rules().rules.size(), 1u);
        tests::must(writeWholeFile(store.path(), vmm::bytesOf("{")));
        QTRY_VERIFY(watch.rulesProblem());
        QVERIFY(!watch.devices().front().rule);
    }

    void aLookThatIsAskedForIsAnswered()
    {
        QTemporaryDir const root;
        HostUsbWatch watch(root.path().toStdString());
        QSignalSpy const refreshed(&watch, &HostUsbWatch::refreshed), changed(&watch, &HostUsbWatch::changed);
        watch.refresh();
        QTRY_COMPARE(refreshed.count(), 1);
        watch.refresh();
        QTRY_COMPARE(refreshed.count(), 2);
        QCOMPARE(changed.count(), 1); // nothing was different
    }

    void aSessionAttachesAndTells()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        QTemporaryDir const root;
        auto const script = std::make_shared<FakeMachine::Script>();
        Library library(root.path(), FakeMachine::factory(script));
        QString id;
        library.create({ tests::exampleConfig("web"), {} }, [&](vmm::Result<QString> made) { id = tests::must(made); });
        QTRY_VERIFY(!id.isEmpty());
        auto& session = *library.session(id);
        session.start();
        QTRY_COMPARE(session.state(), SessionState::Running);
        std::optional<vmm::Result<>> done;
        session.attachHostUsb("1-1", Really::No, [&](vmm::Result<> const& outcome) { done = outcome; });
        QTRY_VERIFY(done);
        REQUIRE_OK(*done);
        QTRY_COMPARE(session.attachedHostUsb().size(), 1u);
        library.hostUsb().open();
        QTRY_COMPARE(library.hostUsb().devices().size(), 1u);
        QCOMPARE(library.hostUsb().devices().front().holder->name, "web");
        std::optional<vmm::Result<std::vector<UsbFate>>> fates;
        session.foreseeUsb({}, [&](auto foreseen) { fates = foreseen; });
        QTRY_VERIFY(fates);
        QCOMPARE(tests::must(*fates).front().outcome, UsbFate::Outcome::PluggedAnew);

        done.reset();
        library.changeUsbRules(
            [id](UsbRules& rules) {
                rules.setRestore(id.toStdString(), UsbRestore::Leave);
                return vmm::Result<>();
            },
            [&](vmm::Result<> const& outcome) { done = outcome; });
        QTRY_VERIFY(done);
        REQUIRE_OK(*done);
        QTRY_COMPARE(library.hostUsb().rules().restoreOf(id.toStdString()), UsbRestore::Leave);
        done.reset();
        session.detachHostUsb("1-1", [&](vmm::Result<> const& outcome) { done = outcome; });
        QTRY_VERIFY(done);
        REQUIRE_OK(*done);
        QTRY_VERIFY(session.attachedHostUsb().empty());
        session.powerOff();
        QTRY_COMPARE(session.state(), SessionState::Off);
    }

    /// Also into a machine that was suspended without it.
    void whatIsSetToAMachineComesBackWithTheProgram()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        QTemporaryDir const root;
        auto const script = std::make_shared<FakeMachine::Script>();
        QString id;
        {
            Library library(root.path(), FakeMachine::factory(script));
            library.create(
                { tests::exampleConfig("web"), {} }, [&](vmm::Result<QString> made) { id = tests::must(made); });
            QTRY_VERIFY(!id.isEmpty());
            auto& session = *library.session(id);
            session.start();
            QTRY_COMPARE(session.state(), SessionState::Running);
            library.hostUsb().open();
            QTRY_COMPARE(library.hostUsb().devices().size(), 1u);
            QVERIFY(session.attachedHostUsb().empty());
            session.suspend();
            QTRY_COMPARE(session.state(), SessionState::Suspended);
            auto const rule = alwaysAttach(library.hostUsb().devices().front().device, id.toStdString());
            std::optional<vmm::Result<>> done;
            library.changeUsbRules([rule](UsbRules& rules) { return rules.set(rule); },
                [&](vmm::Result<> const& outcome) { done = outcome; });
            QTRY_VERIFY(done);
            REQUIRE_OK(*done);
        }
        QVERIFY(simulated.hasDriver());
        Library library(root.path(), FakeMachine::factory(script));
        QTRY_VERIFY(library.session(id));
        auto& session = *library.session(id);
        QTRY_COMPARE(session.state(), SessionState::Suspended);
        QVERIFY(simulated.hasDriver());
        session.start();
        QTRY_COMPARE(session.state(), SessionState::Running);
        QTRY_COMPARE(session.attachedHostUsb().size(), 1u);
        QVERIFY(!simulated.hasDriver());
        session.powerOff();
        QTRY_COMPARE(session.state(), SessionState::Off);
        QTRY_VERIFY(simulated.hasDriver());
    }

    /// The kernel keeps whoever looks at a device that is being reset; the window goes on meanwhile.
    void whatBecomesOfDevicesIsAskedBesideTheWindow()
    {
        SimulatedUsbDevice const simulated("1-1", 2), silent("1-2", 3);
        // Without a configuration it is looked at anew each time.
        auto const directory = qgetenv("UMOCKDEV_DIR").toStdString() + "/sys/bus/usb/devices/1-2/";
        auto const name = directory + "product";
        std::ofstream(directory + "bConfigurationValue").flush();
        QTemporaryDir const root;
        std::optional<Library> library;
        library.emplace(root.path(), FakeMachine::factory(std::make_shared<FakeMachine::Script>()));
        QString id;
        library->create(
            { tests::exampleConfig("web"), {} }, [&](vmm::Result<QString> made) { id = tests::must(made); });
        QTRY_VERIFY(!id.isEmpty());
        auto& session = *library->session(id);
        session.start();
        QTRY_COMPARE(session.state(), SessionState::Running);
        std::optional<vmm::Result<>> done;
        session.attachHostUsb("1-1", Really::No, [&](vmm::Result<> const& outcome) { done = outcome; });
        QTRY_VERIFY(done);
        REQUIRE_OK(*done);
        QCOMPARE(::unlink(name.c_str()), 0);
        QCOMPARE(::mkfifo(name.c_str(), 0600), 0);
        vmm::UniqueFd const answers(
            ::open(name.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)); // who opens it need not wait

        std::optional<vmm::Result<std::vector<UsbFate>>> fates;
        std::promise<void> back, over;
        auto waking = std::async(std::launch::async, [&] {
            bool const wasFree = tests::comes(back.get_future());
            auto const isOver = over.get_future();
            while (isOver.wait_for(1ms) != std::future_status::ready)
                std::ignore = ::write(answers.get(), "\n", 1); // who waits for its name gets none
            return wasFree;
        });
        session.foreseeUsb({}, [&](auto foreseen) { fates = foreseen; });
        session.pause();
        bool const pauses = QTest::qWaitFor([&] { return session.state() == SessionState::Paused; });
        bool const waits = !fates;
        back.set_value();
        bool const comes = QTest::qWaitFor([&] { return fates.has_value(); }, 60000);
        session.powerOff();
        bool const ends = QTest::qWaitFor([&] { return session.state() == SessionState::Off; }, 60000);
        library.reset();
        over.set_value();
        QVERIFY(waking.get());
        QVERIFY(pauses && waits && comes && ends);
        QCOMPARE(tests::must(*fates).size(), 1u);
        QCOMPARE(::unlink(name.c_str()), 0);
    }

private:
    QTemporaryDir m_runtime;
};

REGISTER_SUITE(HostUsbWatchTest);
#include "host_usb_watch_test.moc"
