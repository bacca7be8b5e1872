#include "app/usb/usb_claim.h"
#include "app/usb/usb_rule_store.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/machine_owner.h"
#include "tests/support/suite.h"

#include <QJsonArray>
#include <QJsonObject>

using tests::Hosting;
using tests::SimulatedUsbDevice;
using Bench = tests::ChronoctlBench;

/// chronoctl with USB devices of the host's, which umockdev simulates.
class ChronoctlUsbTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
        qputenv("XDG_RUNTIME_DIR", m_runtime.path().toUtf8());
    }
    void cleanupTestCase() { qunsetenv("XDG_RUNTIME_DIR"); }

    void whatTheHostHasIsListedWithWhoHasIt()
    {
        SimulatedUsbDevice first("1-1", 2);
        SimulatedUsbDevice const second("1-2", 3);
        first.typeOnTheHost();
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "usb", "rule", "add", "1209:*", "--never" }).code, 0);
        auto const claim = tests::must(app::UsbClaim::take("1-2", { "uuid", "db", 7 }));
        auto const listed = bench.json({ "usb", "list" });
        QCOMPARE(listed.array().size(), 2);
        QCOMPARE(listed[0]["host"][0]["kind"].toString(), "keyboard");
        QCOMPARE(listed[0]["host"][0]["only"].toBool(), true);
        QCOMPARE(listed[0]["rule"]["match"].toString(), "1209:*");
        QVERIFY(listed[0]["holder"].isUndefined());
        QCOMPARE(listed[1]["holder"]["name"].toString(), "db");
        auto const told = bench.call({ "usb", "list" }).out;
        QVERIFY2(told.contains("in the machine db"), told.constData());
        QVERIFY2(told.contains("it is a keyboard of this host, the only one"), told.constData());
        QVERIFY2(told.contains("rule 1209:*: never"), told.constData());
    }

    void alwaysMakesARuleAndForceOverrulesTheHost()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        simulated.typeOnTheHost();
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "usb", "attach", "web", "1-1" }).code, 1); // it is off
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        auto const refused = bench.call({ "usb", "attach", "web", "1-1", "--always" });
        QCOMPARE(refused.code, 1);
        QVERIFY2(
            refused.err.contains("keyboard of this host") && refused.err.contains("--force"), refused.err.constData());
        QVERIFY(simulated.hasDriver());
        QVERIFY(bench.json({ "usb", "rule", "list" }).array().isEmpty()); // nothing came of it
        auto const taken = bench.call({ "usb", "attach", "web", "1-1", "--always", "--force" });
        QCOMPARE(taken.code, 0);
        QVERIFY2(taken.err.contains("1209:0001,serial=S2"), taken.err.constData());
        QVERIFY(!simulated.hasDriver());
        QCOMPARE(bench.json({ "usb", "list" })[0]["holder"]["name"].toString(), "web");
        QCOMPARE(bench.json({ "usb", "list", "web" })[0]["device"]["port"].toString(), "1-1");
        auto const rules = bench.json({ "usb", "rule", "list" });
        QCOMPARE(rules[0]["match"].toString(), "1209:0001,serial=S2");
        QCOMPARE(rules[0]["name"].toString(), "Example Loop");
        QCOMPARE(bench.call({ "usb", "attach", "web", "1-1", "--always" }).code, 0); // it has it, and the rule
        QCOMPARE(bench.json({ "usb", "foresee", "web" })[0]["outcome"].toString(), "plugged-anew");
        QVERIFY(bench.call({ "usb", "foresee", "web" }).out.contains("Example Loop (port 1-1) is pulled out"));
        QCOMPARE(bench.call({ "usb", "detach", "web", "1-1" }).code, 0);
        QVERIFY(simulated.hasDriver());
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        hosting.end();
    }

    /// Whether another process has it, as the desktop does, or nobody.
    void alwaysMakesARuleAlsoForAMachineThatIsOff_data()
    {
        QTest::addColumn<bool>("hasOwner");
        QTest::newRow("nobody has it") << false;
        QTest::newRow("a desktop has it") << true;
    }
    void alwaysMakesARuleAlsoForAMachineThatIsOff()
    {
        QFETCH(bool, hasOwner);
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        tests::MachineOwner const owner(
            bench, hasOwner ? std::vector<std::string> { "web" } : std::vector<std::string> {});
        auto const refused = bench.call({ "usb", "attach", "web", "1-1" });
        QCOMPARE(refused.code, 1);
        QVERIFY2(refused.err.contains("with --always it comes when the machine does"), refused.err.constData());
        QVERIFY(bench.json({ "usb", "rule", "list" }).array().isEmpty());
        QCOMPARE(bench.call({ "usb", "attach", "web", "1-1", "--always" }).code, 0);
        QCOMPARE(bench.json({ "usb", "rule", "list" })[0]["match"].toString(), "1209:0001,serial=S2");
    }

    void withoutTheRightToItTheLineThatHelpsIsSaid()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        simulated.denyAccess();
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        auto const refused = bench.call({ "usb", "attach", "web", "1-1" });
        QCOMPARE(refused.code, 1);
        QVERIFY2(refused.err.contains("sudo setfacl -m u:$USER:rw /dev/bus/usb/001/002"), refused.err.constData());
        QVERIFY(bench.json({ "usb", "list", "web" }).array().isEmpty());
        QVERIFY(bench.json({ "usb", "list" })[0]["holder"].isUndefined());
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        hosting.end();
    }

    void aRestoreSaysWhatWillBeUnplugged()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "usb", "restore", "web", "leave" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "usb", "attach", "web", "1-1" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "good" }).code, 0);
        auto const gone = bench.call({ "moment", "restore", "web", "good" });
        QCOMPARE(gone.code, 0);
        QVERIFY2(gone.err.contains("Example Loop (port 1-1) is unplugged"), gone.err.constData());
        QTRY_VERIFY(simulated.hasDriver());
        QVERIFY(bench.json({ "usb", "list", "web" }).array().isEmpty());
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        hosting.end();
    }

    /// On both sides: the one it leaves, and the one where it comes back.
    void aMachineThatTravelsSaysWhatWillBeUnplugged()
    {
        auto simulated = std::make_unique<SimulatedUsbDevice>("1-1", 2);
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const bundle = bench.path("good.bundle");
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "usb", "attach", "web", "1-1" }).code, 0);
            QCOMPARE(bench.call({ "moment", "take", "web", "good" }).code, 0);
            auto const left = bench.call({ "moment", "export", "web", "good", "--bundle", "--to", bundle });
            QCOMPARE(left.code, 0);
            QVERIFY2(left.err.contains("a USB device of this host (1209:0001, port 1-1)"), left.err.constData());
            auto const told = bench.json({ "moment", "export", "web", "good", "--to", bench.path("folder") });
            QCOMPARE(told["devices"][0]["id"].toString(), "1209:0001");
            QCOMPARE(told["devices"][0]["outcome"].toString(), "not-here");
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
            hosting.end();
        }
        auto const here = bench.call({ "moment", "import", bundle, "--name", "here" });
        QCOMPARE(here.code, 0);
        QVERIFY2(here.err.contains("Example Loop (port 1-1) is pulled out and plugged in again"), here.err.constData());
        auto const told = bench.json({ "moment", "import", bundle, "--name", "told" });
        QCOMPARE(told["name"].toString(), "told");
        QCOMPARE(told["devices"][0]["name"].toString(), "Example Loop");
        QCOMPARE(told["devices"][0]["outcome"].toString(), "plugged-anew");
        simulated.reset();
        auto const elsewhere = bench.call({ "moment", "import", bundle, "--name", "elsewhere" });
        QCOMPARE(elsewhere.code, 0);
        QVERIFY2(elsewhere.err.contains("1209:0001 (port 1-1) is unplugged, and not to be had on this host now"),
            elsewhere.err.constData());
        QCOMPARE(elsewhere.out.trimmed().toStdString(), bench.store.find("elsewhere")->id);
    }

    /// Where it begins at its moment, it has what had been its device as the person wants that there.
    void whatHasTravelledFollowsThePolicyOfItsHost_data()
    {
        QTest::addColumn<QString>("policy");
        QTest::addColumn<int>("attached");
        QTest::addRow("attach") << "attach" << 1;
        QTest::addRow("leave") << "leave" << 0;
    }
    void whatHasTravelledFollowsThePolicyOfItsHost()
    {
        QFETCH(QString, policy);
        QFETCH(int, attached);
        SimulatedUsbDevice const simulated("1-1", 2), marker("1-2", 3);
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const bundle = bench.path("good.bundle");
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "usb", "attach", "web", "1-1" }).code, 0);
            QCOMPARE(bench.call({ "moment", "take", "web", "good" }).code, 0);
            QCOMPARE(bench.call({ "moment", "export", "web", "good", "--bundle", "--to", bundle }).code, 0);
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
            hosting.end();
        }
        QTRY_VERIFY(simulated.hasDriver());
        QCOMPARE(bench.call({ "moment", "import", bundle, "--name", "here" }).code, 0);
        QCOMPARE(bench.call({ "usb", "restore", "here", policy.toStdString() }).code, 0);
        Hosting hosting(bench, { "here" });
        QVERIFY(hosting.isRunning("here"));
        // By hand comes after what a machine does by itself.
        QCOMPARE(bench.call({ "usb", "attach", "here", "1-2" }).code, 0);
        QCOMPARE(bench.call({ "usb", "detach", "here", "1-2" }).code, 0);
        QTRY_COMPARE(bench.json({ "usb", "list", "here" }).array().size(), attached);
        QTRY_COMPARE(simulated.hasDriver(), attached == 0);
        QCOMPARE(bench.call({ "stop", "here" }).code, 0);
        hosting.end();
    }

private:
    QTemporaryDir m_runtime;
};

REGISTER_SUITE(ChronoctlUsbTest);
#include "chronoctl_usb_test.moc"
