#include "app/library/library.h"
#include "app/usb/usb_rule_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/suite.h"

#include <QSignalSpy>
#include <QTemporaryDir>

using namespace app;
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

private:
    QTemporaryDir m_runtime;
};

REGISTER_SUITE(HostUsbWatchTest);
#include "host_usb_watch_test.moc"
