#include "app/ctl/chronoctl.h"
#include "app/runner/usb_peer_address.h"
#include "app/store/cpu_file.h"
#include "app/store/whole_file.h"
#include "tests/support/chronoctl_bench.h"
#include "tests/support/media.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "tests/vmm/usb/redir_peer.h"
#include "vmm/block/image.h"

#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>

using namespace app;
using tests::FakeMachine;
using tests::Hosting;
using Bench = tests::ChronoctlBench;

class ChronoctlTest : public QObject {
    Q_OBJECT
private slots:
    void makesListsAndShows()
    {
        Bench bench;
        auto const made = bench.call({ "create", "web", "--new-disk", "1M", "--memory", "128", "--cpus", "2", "--net",
            "user,forward=tcp:127.0.0.1:2222:22" });
        QCOMPARE(made.err, QByteArray());
        QCOMPARE(made.code, 0);
        auto const stored = bench.store.find("web");
        REQUIRE_OK(stored);
        QCOMPARE(stored->config.memoryMiB, 128u);
        QCOMPARE(stored->config.networks[0].forwards[0].hostPort, 2222);
        QVERIFY(bench.call({ "list" }).out.contains("web"));
        auto const list = bench.json({ "list" });
        QCOMPARE(list.array().size(), 1);
        QCOMPARE(list[0]["state"].toString(), QString("off"));
        QCOMPARE(bench.json({ "show", "web" })["config"]["state"]["cpus"].toInt(), 2);
        QCOMPARE(bench.call({ "create", "web" }).code, 1);
    }

    void theProcessorThatAGuestHasHadIsRenewed()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QVERIFY(bench.call({ "renew-cpu", "web" }).out.contains("there was none"));
        auto const path = bench.store.placesOf(bench.store.find("web")->id).cpuFile;
        REQUIRE_OK(writeCpuFile(path, { vmm::CpuModel::Host, bench.script->hostCpu }));
        QVERIFY(bench.call({ "validate", "web" }).out.contains("the CPU that its guest keeps, 2 leaves"));
        QCOMPARE(bench.json({ "renew-cpu", "web" })["wasKept"].toBool(), true);
        QVERIFY(!QFile::exists(QString::fromStdString(path)));
        QCOMPARE(bench.call({ "renew-cpu", "nobody" }).code, 1);
    }

    void aProcessorForThisOnceIsNotKept()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web", "--cpu", "baseline" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        QCOMPARE(hosting.end().code, int(ctl::MachineStopped));
        QVERIFY(!QFile::exists(QString::fromStdString(bench.store.placesOf(bench.store.find("web")->id).cpuFile)));
    }

    void aDiskThatStandsOnAFileElsewhereIsRefusedUntilItIsNamed()
    {
        Bench bench;
        auto const secret = bench.path("secret"), image = bench.path("strangers/image.qcow2");
        QDir().mkpath(bench.directory.filePath("strangers"));
        REQUIRE_OK(writeWholeFile(secret, vmm::Bytes(4096, 's')));
        vmm::NewImage what;
        what.size = 1 << 20;
        what.backingFile = secret;
        what.backingFormat = vmm::ImageFormat::Raw;
        REQUIRE_OK(vmm::createImage(image, what));
        for (std::string const format : { "", ",format=qcow2" }) {
            auto const refused = bench.call({ "create", "web", "--disk", image + format });
            QCOMPARE(refused.code, 1);
            QVERIFY2(refused.err.contains("outside of its folder"), refused.err);
            QVERIFY2(refused.err.contains(QByteArray::fromStdString("backing=" + secret)), refused.err);
            QVERIFY(!bench.store.find("web"));
        }
        auto const made = bench.call({ "create", "web", "--disk", image + ",backing=" + secret });
        QCOMPARE(made.err, QByteArray());
        auto stored = bench.store.find("web");
        REQUIRE_OK(stored);
        QCOMPARE(stored->config.disks.at(0).backing, std::vector { secret });
        QCOMPARE(stored->config.disks.at(0).format, std::optional(DiskFormat::Qcow2));

        // Settings are no way around it, and what has not changed is not looked at again.
        stored->config.disks[0].backing.clear();
        QVERIFY(!bench.store.save(stored->config));
        QVERIFY(QFile::remove(QString::fromStdString(secret)));
        REQUIRE_OK(bench.store.rename(stored->id, "server"));
    }

    void aPathWithCommasIsSaidWithTwoForEach()
    {
        Bench bench;
        auto const plain = bench.path("a,b,,c.img"), written = bench.path("a,,b,,,,c.img");
        REQUIRE_OK(writeWholeFile(plain, vmm::Bytes(4096, 'x')));
        QCOMPARE(bench
                     .call({ "create", "web", "--disk",
                         written + ",bus=ahci,backing=" + written + ",readonly,moments=inside" })
                     .code,
            0);
        auto const disk = bench.store.find("web")->config.disks.at(0);
        QCOMPARE(disk.path, plain);
        QCOMPARE(disk.backing, std::vector { plain });
        QCOMPARE(disk.bus, vmm::DiskBus::Ahci);
        QVERIFY(disk.readOnly);
        QCOMPARE(disk.moments, vmm::MomentPlace::Inside);
        REQUIRE_OK(writeWholeFile(bench.path("pen,"), vmm::Bytes(4096, 'x')));
        QCOMPARE(bench.call({ "create", "db" }).code, 0);
        QCOMPARE(bench.call({ "usb", "add", "db", "--stick", bench.path("pen,,") + ",bus=uas" }).code, 0);
        QCOMPARE(bench.store.find("db")->config.disks.at(0).path, bench.path("pen,"));
        QCOMPARE(bench.store.find("db")->config.disks.at(0).bus, vmm::DiskBus::Uas);
    }

    void theFormatOfADiskIsFixedWhenItIsAttached()
    {
        Bench bench;
        REQUIRE_OK(writeWholeFile(bench.path("disk.img"), vmm::Bytes(4096, 'x')));
        QCOMPARE(bench.call({ "create", "web", "--disk", bench.path("disk.img") }).code, 0);
        QCOMPARE(bench.store.find("web")->config.disks.at(0).format, std::optional(DiskFormat::Raw));
        QCOMPARE(bench.call({ "create", "db", "--disk", bench.path("disk.img") + ",format=qcow2" }).code, 1);
    }

    void aMachineIsProposedForAMedium()
    {
        Bench bench;
        // A CD that libosinfo's database knows by its names.
        auto const iso = tests::iso("Debian 11.0.0 amd64 n", { 0 });
        vmm::ignore(writeWholeFile(bench.path("debian.iso"),
            { reinterpret_cast<std::uint8_t const*>(iso.constData()), std::size_t(iso.size()) }));
        auto const made = bench.call({ "create", "web", "--from", bench.path("debian.iso"), "--cpus", "1" });
        QCOMPARE(made.code, 0);
        auto const config = bench.store.find("web")->config;
        QCOMPARE(config.name, "web");
        QCOMPARE(config.cds.at(0).path, bench.path("debian.iso"));
        QCOMPARE(config.cpus, 1);
        QCOMPARE(config.networks.size(), 1u);
        QVERIFY(QFile::exists(QString::fromStdString(config.disks.at(0).path)));
        if (!QDir("/usr/share/osinfo").exists())
            QSKIP("CHRONOVISOR-SKIP: no osinfo-db installed");
        QCOMPARE(config.system, "http://debian.org/debian/11");
        QVERIFY(made.err.startsWith("Debian "));
        QCOMPARE(bench.call({ "create", "odd", "--from", "/dev/null" }).code, 1);
    }

    void noMachineIsProposedForWhatIsPacked()
    {
        Bench bench;
        auto const xz = tests::xz().toStdString();
        REQUIRE_OK(writeWholeFile(bench.path("cloud.img.xz"), vmm::bytesOf(xz)));
        auto const refused = bench.call({ "create", "odd", "--from", bench.path("cloud.img.xz") });
        QCOMPARE(refused.code, 1);
        QVERIFY2(refused.err.contains("cloud.img.xz is compressed with xz, to be unpacked first"), refused.err);
    }

    void consolesScreensAndThePointerAreChosen()
    {
        Bench bench;
        QCOMPARE(bench
                     .call({ "create", "web", "--console", "serial", "--console", "virtio", "--displays", "3",
                         "--random-generators", "2", "--no-tablet" })
                     .code,
            0);
        auto const config = bench.store.find("web")->config;
        QCOMPARE(config.serials,
            (std::vector<vmm::SerialConfig> { { "serial0" }, { "serial1", false }, { "serial2", true } }));
        QCOMPARE(config.displays, (std::vector<vmm::DisplayConfig> { { "display0" }, { "display1" }, { "display2" } }));
        QCOMPARE(config.randomGenerators, 2);
        QVERIFY(!config.tablet);
        QCOMPARE(bench.call({ "create", "mute", "--console", "none", "--displays", "0" }).code, 0);
        QVERIFY(bench.store.find("mute")->config.serials.empty());
        QVERIFY(bench.store.find("mute")->config.displays.empty());
        QCOMPARE(bench.call({ "create", "odd", "--displays", "5" }).code, int(ctl::Failed));
        QCOMPARE(bench.call({ "create", "odd", "--random-generators", "256" }).code, int(ctl::Failed));
        QCOMPARE(bench.call({ "create", "odd", "--console", "usb" }).code, int(ctl::WrongUsage));
        QCOMPARE(bench.call({ "create", "odd", "--displays", "2", "--no-display" }).code, int(ctl::WrongUsage));
    }

    void wrongUseIsToldFromFailure()
    {
        Bench bench;
        QCOMPARE(bench.call({}).code, int(ctl::WrongUsage));
        QCOMPARE(bench.call({ "explode" }).code, int(ctl::WrongUsage));
        QCOMPARE(bench.call({ "pause" }).code, int(ctl::WrongUsage));
        QCOMPARE(bench.call({ "--help" }).code, 0);
        auto const missing = bench.call({ "pause", "nobody" });
        QCOMPARE(missing.code, int(ctl::Failed));
        QVERIFY(missing.err.contains("nobody"));
        auto const error = bench.call({ "--json", "pause", "nobody" });
        QCOMPARE(QJsonDocument::fromJson(error.err)["error"]["code"].toString(), QString("not-found"));
        auto const usage = bench.call({ "--json", "explode" });
        QCOMPARE(usage.code, int(ctl::WrongUsage));
        QCOMPARE(QJsonDocument::fromJson(usage.err)["error"]["code"].toString(), QString("invalid-argument"));
        QCOMPARE(bench.call({ "create", "odd", "--disk", "/tmp/x,bus=scsi" }).code, 1);
        QCOMPARE(bench.call({ "create", "odd", "--net", "user,forward=tcp:x:22" }).code, 1);
        QCOMPARE(bench.call({ "create", "odd", "--new-disk", "20X" }).code, 1);
    }

    /// Before anything is done or asked; what is not the same in whichever machine is told from it.
    void whatIsMissingOrMisplacedIsWrongUse_data()
    {
        QTest::addColumn<QStringList>("words");
        QTest::addColumn<QString>("named");
        auto const row = [](char const* words, char const* named) {
            QTest::newRow(words) << QString(words).split(' ') << QString(named);
        };
        row("create odd --append quiet", "--kernel");
        row("create odd --initrd image", "--kernel");
        row("suspend web --keep-running", "--to");
        row("forward web --remove", "forward");
        row("console web --json", "--wait");
        row("console web --send x --timeout 1", "--wait");
        row("moment take web one --name two", "--name");
        row("moment export web one --to -", "--bundle");
        row("run --moment one", "machine");
        row("run web --lose-present", "--moment");
        row("run web --moment one --paused", "--paused");
        row("run web --restore place", "machine");
        row("run --restore place --state other", "--state");
        row("usb list web 1-2", "device");
        row("usb attach", "machine");
        row("usb attach web", "device");
        row("usb attach web 1-2 --from desk:1", "--from");
        row("usb attach web --from desk:1 --listen 2", "--listen");
        row("usb attach web --from desk:1 --always", "--always");
        row("usb attach web --listen 2 --force", "--force");
        row("usb detach web", "device");
        row("usb add web", "--stick");
        row("usb add web mouse --stick image", "--stick");
        row("usb remove web", "device");
        row("usb restore", "machine");
        row("usb foresee", "machine");
        row("usb rule", "remove");
        row("usb rule polish", "remove");
        row("usb rule list any", "device");
        row("usb rule add", "device");
        row("usb rule remove", "device");
        row("usb rule add 0951:1666", "--never");
        row("usb rule add 0951:1666 --ask --never", "--never");
        row("disk stream web", "disk");
        row("disk grow web disk0", "size");
        row("disk stream web disk0 12M", "size");
    }
    void whatIsMissingOrMisplacedIsWrongUse()
    {
        QFETCH(QStringList, words);
        QFETCH(QString, named);
        Bench bench;
        std::vector<std::string> arguments;
        for (auto const& word : words)
            arguments.push_back(word.toStdString());
        auto const told = bench.call(arguments);
        QCOMPARE(told.code, int(ctl::WrongUsage)); // and there is no machine
        QVERIFY2(told.err.contains(named.toUtf8()), told.err.constData());
    }

    void whatIsNotUtf8IsToldAsJsonToo()
    {
        Bench bench;
        auto const said = bench.call({ "--json", "show", "\xff\xfe" });
        QCOMPARE(said.code, 1);
        QCOMPARE(QJsonDocument::fromJson(said.err)["error"]["code"].toString(), QString("not-found"));
    }

    void aPathCanBeMissingOrRelativeToNowhere()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "insert", "web", "cd0", "" }).code, 1);
        auto const here = QDir::currentPath();
        QVERIFY(QDir().mkpath(bench.directory.filePath("gone")) && QDir::setCurrent(bench.directory.filePath("gone")));
        QVERIFY(QDir().rmdir(bench.directory.filePath("gone")));
        auto const said = bench.call({ "create", "odd", "--from", "disk.img" });
        QDir::setCurrent(here);
        QVERIFY(said.code != 0);
    }

    void aRunningMachineIsDriven()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "pause", "web" }).code, 0);
        QCOMPARE(bench.stateOf("web"), QString("paused"));
        QCOMPARE(bench.call({ "pause", "web" }).code, 1);
        QCOMPARE(bench.call({ "resume", "web" }).code, 0);
        QCOMPARE(bench.call({ "reset", "web" }).code, 0);
        QCOMPARE(bench.call({ "shutdown", "web" }).code, 0);
        QCOMPARE(bench.call({ "send-keys", "web", "ctrl-alt-del", "a" }).code, 0);
        QTRY_VERIFY(bench.script->has("key 30 0"));
        QCOMPARE(bench.call({ "screenshot", "web", bench.path("shot.png") }).code, 0);
        QCOMPARE(bench.call({ "screenshot", "web", bench.path("shot.ppm") }).code, 0);
        QCOMPARE(bench.contents(bench.path("shot.ppm")).left(15), QByteArray("P6\n64 48\n255\n\x20\x40", 15));
        QCOMPARE(bench.call({ "screenshot", "web", bench.path("shot.gif") }).code, 1);
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        QCOMPARE(hosting.end().code, int(ctl::MachineStopped));
    }

    void cablesAndForwardsChangeWhetherItRunsOrNot()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--net", "user", "--net", "isolated" }).code, 0);
        auto const network = [&](std::size_t index) { return bench.store.find("web")->config.networks[index]; };
        QCOMPARE(bench.call({ "cable", "web", "out" }).code, 0);
        QVERIFY(!network(0).connected);
        QVERIFY(network(1).connected);
        QCOMPARE(bench.call({ "forward", "web", "tcp:2222:22" }).code, 0);
        QCOMPARE(bench.call({ "forward", "web" }).out, QByteArray("tcp:127.0.0.1:2222:22\n"));
        QCOMPARE(bench.call({ "forward", "web", "tcp:22" }).code, 1);
        auto const named = bench.call({ "forward", "web", "tcp:localhost:2222:22" });
        QCOMPARE(named.code, 1);
        QVERIFY2(named.err.contains("host port 2222 is forwarded from \"localhost\""), named.err);
        QCOMPARE(network(0).forwards.size(), 1u);
        QCOMPARE(bench.call({ "forward", "web", "tcp:2223:23", "--remove" }).code, 1);
        QCOMPARE(bench.call({ "forward", "web", "tcp:2223:23", "--network", "net1" }).code, 1);
        QCOMPARE(bench.call({ "cable", "web", "in", "--network", "net9" }).code, 1);

        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "cable", "web", "in", "--network", "net0" }).code, 0);
        QVERIFY(bench.script->has("cable net0 in"));
        QTRY_VERIFY(network(0).connected);
        QCOMPARE(bench.call({ "forward", "web", "udp:0.0.0.0:5353:53" }).code, 0);
        QVERIFY(bench.script->has("forwards net0 2"));
        QCOMPARE(bench.call({ "forward", "web", "tcp:2222:22", "--remove" }).code, 0);
        QCOMPARE(bench.json({ "forward", "web" })[0]["hostPort"].toInt(), 5353);
        QTRY_COMPARE(network(0).forwards.size(), 1u);
        bench.script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "127.0.0.1:80", 0 };
        QCOMPARE(bench.call({ "forward", "web", "tcp:80:80" }).code, 1);
        QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        hosting.end();
        QCOMPARE(network(0).forwards.size(), 1u);
        QCOMPARE(bench.call({ "cable", "web", "out" }).code, 1); // suspended
        QCOMPARE(bench.call({ "forward", "web", "tcp:80:80" }).code, 1);
        QCOMPARE(bench.call({ "forward", "web" }).out, "udp:0.0.0.0:5353:53\n");
        QVERIFY(network(0).connected);
    }

    /// As the desktop and the socket have it.
    void aMachineIsKeptBeforeItsForwardsChange()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--net", "user", "--new-disk", "8M" }).code, 0);
        auto const reasons = [&] {
            QStringList found;
            for (auto const& moment : bench.json({ "moment", "list", "web" })["moments"].toArray())
                found += moment.toObject()["reason"].toString();
            return found;
        };
        vmm::InlineEngine engine;
        auto const write = [&] {
            auto const path = tests::must(bench.store.find("web")).config.disks[0].path;
            auto const image = tests::must(vmm::BlockImage::open(engine, path));
            tests::must(image->writeSync(0, vmm::Bytes(2u << 20, 7)));
        };
        QCOMPARE(bench.call({ "forward", "web", "tcp:2222:22" }).code, 0);
        QVERIFY(reasons().isEmpty()); // its disk is empty
        write();
        QCOMPARE(bench.call({ "cable", "web", "out" }).code, 0);
        QVERIFY(reasons().isEmpty());
        QCOMPARE(bench.call({ "forward", "web", "tcp:2222:22", "--remove" }).code, 0);
        QCOMPARE(reasons(), QStringList { "before-change" });
        QCOMPARE(bench.call({ "renew-cpu", "web" }).code, 0); // there was none
        QCOMPARE(reasons().size(), 1);

        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        bench.script->cpuNanoseconds += 5'000'000'000;
        QCOMPARE(bench.call({ "forward", "web", "tcp:2223:22" }).code, 0);
        QCOMPARE(reasons(), QStringList({ "before-change", "before-change" }));
        QCOMPARE(bench.call({ "pause", "web" }).code, 0);
        bench.script->cpuNanoseconds += 5'000'000'000;
        QCOMPARE(bench.call({ "forward", "web", "tcp:2223:22", "--remove" }).code, 0);
        QCOMPARE(reasons().size(), 3);
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        hosting.end();
        QCOMPARE(bench.call({ "renew-cpu", "web" }).code, 0); // other hardware
        QCOMPARE(reasons().size(), 4);
    }

    void usbDevicesComeFromOtherComputers()
    {
        Bench bench;
        bench.call({ "create", "web", "--usb", "controller" });
        QCOMPARE(bench.call({ "usb", "attach", "web", "--listen", "127.0.0.1:0" }).code, 1); // it is off
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QVERIFY(bench.call({ "usb", "attach", "web", "--from", "desk" }).err.contains("HOST:PORT"));
        QCOMPARE(bench.call({ "usb", "list", "web", "--from", "desk:1" }).code, 2);
        auto const place = bench.json({ "usb", "attach", "web", "--listen", "127.0.0.1:0" });
        QCOMPARE(place["id"].toString(), "redir1");
        auto const address = tests::must(parseUsbPeerAddress(place["address"].toString().toStdString()));
        auto const never = tests::must(vmm::makeEventFd());
        tests::RedirPeer peer(tests::must(connectToUsbPeer(address, 5000, never.get())));
        QTRY_VERIFY((peer.pump(), usbredirparser_have_peer_caps(peer.parser) != 0));
        peer.offer();
        QTRY_COMPARE(bench.json({ "usb", "list", "web" }).array().size(), 2);
        auto const said = bench.call({ "usb", "list", "web" }).out;
        QVERIFY2(said.contains("redir1") && said.contains("waited for at 127.0.0.1:"), said.constData());
        QVERIFY2(said.contains("redir2") && said.contains("1209:0001 from 127.0.0.1:"), said.constData());
        QCOMPARE(bench.call({ "usb", "detach", "web", "redir2" }).code, 0);
        QVERIFY(bench.script->has("usb redir2 out"));
        QCOMPARE(bench.call({ "usb", "detach", "web", "redir1" }).code, 0);
        QCOMPARE(bench.call({ "usb", "detach", "web", "redir1" }).code, 1);
        QCOMPARE(bench.json({ "usb", "list", "web" }).array().size(), 0);
        QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
    }

    void usbDevicesArePluggedWhetherItRunsOrNot()
    {
        Bench bench;
        auto const stick = bench.path("stick.raw");
        REQUIRE_OK(writeWholeFile(stick, vmm::Bytes(1 << 16)));
        QCOMPARE(
            bench.call({ "create", "web", "--usb", "hub", "--usb", "serial", "--disk", stick + ",bus=uas" }).code, 0);
        auto const config = [&] { return bench.store.find("web")->config; };
        QCOMPARE(config().usbControllers.size(), 1u);
        QCOMPARE(bench.call({ "usb", "list", "web" }).out.count("\n"), 3);
        QCOMPARE(bench.call({ "usb", "detach", "web", "disk0" }).code, 0);
        QVERIFY(!config().disks[0].plugged);
        QVERIFY(bench.call({ "usb", "attach", "web", "disk7" }).err.contains("--always"));
        QVERIFY(bench.call({ "usb", "detach", "web", "disk7" }).err.contains("none of the host's while it is off"));

        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "usb", "attach", "web", "disk0" }).code, 0);
        QVERIFY(bench.script->has("usb disk0 in"));
        QTRY_VERIFY(config().disks[0].plugged);
        QCOMPARE(bench.call({ "usb", "detach", "web", "usb-serial-0" }).code, 0);
        auto const listed = bench.json({ "usb", "list", "web" });
        QCOMPARE(listed[1]["id"].toString(), "usb-serial-0");
        QCOMPARE(listed[1]["plugged"].toBool(), false);
        QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        hosting.end();
        QCOMPARE(bench.call({ "usb", "detach", "web", "disk0" }).code, 1); // suspended
        QCOMPARE(bench.call({ "usb", "list", "web" }).code, 0);
        QVERIFY(config().disks[0].plugged);
    }

    void usbDevicesComeAndGoWhetherItRunsOrNot()
    {
        Bench bench;
        auto const stick = bench.path("stick.raw");
        REQUIRE_OK(writeWholeFile(stick, vmm::Bytes(1 << 16)));
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const config = [&] { return bench.store.find("web")->config; };
        QCOMPARE(bench.call({ "usb", "add", "web", "keyboard" }).out, "usb-keyboard-0\n");
        QCOMPARE(config().usbControllers.size(), 1u); // which it had none of
        QCOMPARE(config().usbDevices.size(), 1u);
        QCOMPARE(bench.call({ "usb", "add", "web", "lamp" }).code, 1);
        QCOMPARE(bench.call({ "usb", "add", "web", "--stick", stick + ",bus=ahci" }).code, 1);
        auto const absent = bench.call({ "usb", "add", "web", "--stick", bench.path("none.img") });
        QCOMPARE(absent.code, 1);
        QVERIFY(absent.err.contains("none.img"));
        for (std::vector<std::string> const& misplaced : { std::vector<std::string> { "list", "web", "--stick", stick },
                 { "detach", "web", "1-2", "--always" }, { "add", "web", "mouse", "--force" },
                 { "rule", "remove", "0951:1666", "--never" }, { "attach", "web", "1-2", "--attach", "web" } }) {
            std::vector<std::string> words { "usb" };
            words.insert(words.end(), misplaced.begin(), misplaced.end());
            auto const told = bench.call(words);
            QCOMPARE(told.code, 2);
            QVERIFY2(told.err.contains(" with "), told.err.constData());
        }
        QCOMPARE(config().disks.size(), 0u);
        QCOMPARE(bench.call({ "usb", "add", "web", "--stick", stick }).out, "disk0\n");
        QCOMPARE(config().disks.size(), 1u);
        QCOMPARE(bench.call({ "usb", "remove", "web", "disk0" }).code, 0);
        QCOMPARE(config().disks.size(), 0u);
        QVERIFY(QFile::exists(QString::fromStdString(stick)));

        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.json({ "usb", "add", "web", "--stick", stick + ",readonly" })["device"].toString(), "disk0");
        QVERIFY(bench.script->has("usb disk0 added"));
        QTRY_COMPARE(config().disks.size(), 1u);
        QCOMPARE(config().disks[0].path, stick);
        QVERIFY(config().disks[0].readOnly);
        QCOMPARE(config().disks[0].format, vmm::DiskFormat::Raw);
        QCOMPARE(bench.json({ "usb", "list", "web" }).array().size(), 2);
        QCOMPARE(bench.call({ "usb", "remove", "web", "usb-keyboard-0" }).code, 0);
        QTRY_COMPARE(config().usbDevices.size(), 0u);
        auto const gone = bench.call({ "usb", "remove", "web", "usb-keyboard-0" });
        QCOMPARE(gone.code, 1);
        QVERIFY2(gone.err.contains("chronoctl usb detach"), gone.err.constData());
        QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        hosting.end();
        QCOMPARE(bench.call({ "usb", "remove", "web", "disk0" }).code, 1); // suspended
        QCOMPARE(config().disks.size(), 1u);
    }

    void rulesForUsbDevicesAreAddedListedAndRemoved()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const rule = [&](std::vector<std::string> arguments) {
            arguments.insert(arguments.begin(), { "usb", "rule" });
            return bench.call(arguments).code;
        };
        QCOMPARE(rule({ "add", "0951:1666,serial=AB12", "--attach", "web" }), 0);
        QCOMPARE(rule({ "add", "class=08", "--never" }), 0);
        QCOMPARE(rule({ "add", "any", "--ask" }), 0);
        auto const listed = bench.json({ "usb", "rule", "list" });
        QCOMPARE(listed.array().size(), 3);
        QCOMPARE(listed[0]["match"].toString(), "0951:1666,serial=AB12");
        QCOMPARE(listed[0]["machine"].toString().toStdString(), bench.store.find("web")->id);
        QCOMPARE(listed[1]["action"].toString(), "never");
        auto const told = bench.call({ "usb", "rule", "list" }).out;
        QVERIFY(told.contains("0951:1666,serial=AB12") && told.contains("always to web"));
        QCOMPARE(rule({ "add", "class=08", "--ask" }), 0); // in its place
        QCOMPARE(bench.json({ "usb", "rule", "list" })[1]["action"].toString(), "ask");
        QCOMPARE(rule({ "remove", "class=08" }), 0);
        QCOMPARE(rule({ "remove", "class=08" }), 1);
        QCOMPARE(bench.json({ "usb", "rule", "list" }).array().size(), 2);

        QCOMPARE(rule({ "add", "any", "--attach", "web" }), 1);
        QCOMPARE(rule({ "add", "0951:1666", "--attach", "nobody" }), 1);
        QCOMPARE(rule({ "add", "usb stick", "--ask" }), 1);
        QCOMPARE(bench.json({ "usb", "rule", "list" }).array().size(), 2);
    }

    void whatARestoreDoesToUsbDevicesIsTheMachines()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "usb", "restore", "web" }).out, "attach\n");
        QCOMPARE(bench.call({ "usb", "restore", "web", "ask" }).code, 0);
        QCOMPARE(bench.json({ "usb", "restore", "web" })["restore"].toString(), "ask");
        QCOMPARE(bench.call({ "usb", "restore", "web", "burn" }).code, 1);
        QCOMPARE(bench.call({ "usb", "restore", "nobody", "ask" }).code, 1);
        QVERIFY(bench.json({ "usb", "foresee", "web" }).array().isEmpty()); // it is off, and has none
        QCOMPARE(bench.call({ "usb", "foresee", "web", "nosuch" }).code, 1);
    }

    void whoComesSecondIsToldWhoHasTheMachine()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        QDir().mkpath(bench.directory.filePath("home"));
        QDir().mkpath(bench.directory.filePath("nothing"));
        QVERIFY(QFile::link(bench.directory.filePath("data"), bench.directory.filePath("home/chronovisor")));
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        auto environment = QProcessEnvironment::systemEnvironment();
        environment.insert("XDG_DATA_HOME", bench.directory.filePath("home"));
        environment.insert("XDG_RUNTIME_DIR", bench.directory.filePath("nothing"));
        auto const first = QStringLiteral("process %1 has").arg(QCoreApplication::applicationPid());
        for (QStringList const& words : { QStringList { "run", "web" }, QStringList { "moment", "take", "web" },
                 QStringList { "moment", "restore", "web", "one" }, QStringList { "moment", "delete", "web", "one" },
                 QStringList { "moment", "prune", "web" }, QStringList { "discard-state", "web" },
                 QStringList { "rename", "web", "site" }, QStringList { "remove", "web" } }) {
            QProcess second;
            second.setProcessEnvironment(environment);
            second.start(CHRONOVISOR_BINARY "/bin/chronoctl", words);
            QVERIFY(second.waitForFinished());
            auto const said = second.readAllStandardError();
            QVERIFY(second.exitCode() != 0);
            QVERIFY2(said.contains(first.toUtf8()), qPrintable(words.join(' ') + ": " + said));
        }
        // Looking needs nobody's leave, and what the first one has is as it was.
        QCOMPARE(bench.json({ "moment", "list", "web" })["moments"].toArray().size(), 1);
        QCOMPARE(bench.stateOf("web"), QString("running"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    void schemasOfFilesArePrinted()
    {
        Bench bench;
        for (auto const* kind :
            { "machine", "cpu", "moment", "timeline", "working-set", "state", "bundle", "checksums", "usb-rules" })
            QCOMPARE(bench.json({ "schema", kind })["title"].toString(), kind);
        QCOMPARE(bench.call({ "schema", "teapot" }).code, int(ctl::WrongUsage));
    }

    void goingToWhereItWasOffEndsIt()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "off" }).code, 0);
        QVERIFY(bench.json({ "moment", "list", "web" })["moments"][0]["isOff"].toBool());
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "moment", "restore", "web", "off" }).code, 0);
        QTRY_COMPARE(bench.stateOf("web"), QString("off"));
        auto const list = bench.json({ "moment", "list", "web" });
        QCOMPARE(list["moments"].toArray().size(), 2);
        QCOMPARE(list["moments"][1]["reason"].toString(), "before-going");
        QVERIFY(!list["moments"][1]["isOff"].toBool());
        QCOMPARE(list["present"], list["moments"][0]["id"]);
    }

    /// Disks that a crash has left on their way to a moment arrive there at the next start.
    void aWayThatWasInterruptedIsGoneToItsEnd()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "moment", "take", "web", "--name", "there" }).code, 0);
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
            hosting.end();
        }
        {
            auto const places = bench.store.placesOf(bench.store.find("web")->id);
            auto const timeline = tests::openTimeline(places.timelineFolder);
            REQUIRE_OK(timeline->setGoingTo(timeline->moments().front().id));
        }
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QVERIFY(bench.script->has("go there"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        hosting.end();
        bench.script->log.clear();
        Hosting again(bench, { "web" });
        QVERIFY(again.isRunning("web"));
        QVERIFY(!bench.script->has("go there"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    /// The process that start leaves behind dies before it can say why.
    void aSilentEndIsToldToo()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const said = bench.call({ "start", "web" });
        QCOMPARE(said.code, 1);
        QVERIFY2(said.err.contains("without a word"), said.err);
    }

    void aSuspendedMachineComesBackPaused()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        }
        Hosting hosting(bench, { "web", "--paused" });
        QTRY_COMPARE(bench.stateOf("web"), QString("paused"));
        QCOMPARE(bench.call({ "resume", "web" }).code, 0);
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    void suspendsAndRunsOn()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
            QCOMPARE(hosting.end().code, int(ctl::MachineSuspended));
        }
        QCOMPARE(bench.stateOf("web"), QString("suspended"));
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QVERIFY(bench.script->has("restore"));
        // To another place, and on.
        QCOMPARE(bench.call({ "suspend", "web", "--to", bench.path("elsewhere"), "--keep-running" }).code, 0);
        QVERIFY(QFile::exists(bench.directory.filePath("elsewhere/state.json")));
        QCOMPARE(bench.stateOf("web"), QString("running"));
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    void runSaysHowTheGuestEnded()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        {
            Hosting hosting(bench, { "web" }, "typed");
            QVERIFY(hosting.isRunning("web"));
            QTRY_VERIFY(bench.call({ "console", "web", "--wait", "typed", "--timeout", "1" }).code == 0);
            bench.script->last->guestPowersOff();
            QCOMPARE(hosting.end().code, int(ctl::Done));
            QVERIFY(hosting.said.out.contains("boot\n")); // either may come first
            QVERIFY(hosting.said.out.contains("[typed]"));
        }
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        bench.script->last->guestCrashes();
        QCOMPARE(hosting.end().code, int(ctl::GuestCrashed));
        QVERIFY(hosting.said.err.contains("triple fault"));
    }

    void aMachineCanBeMadeUp()
    {
        Bench bench;
        REQUIRE_OK(writeWholeFile(bench.path("kernel"), vmm::bytesOf("kernel")));
        Hosting hosting(
            bench, { "--kernel", bench.path("kernel"), "--serial", "file:" + bench.path("serial"), "--serial", "pty" });
        QTRY_COMPARE(bench.json({ "list" }).array().size(), 1);
        auto const uuid = bench.json({ "list" })[0]["uuid"].toString().toStdString();
        QVERIFY(hosting.isRunning(uuid.c_str()));
        QTRY_COMPARE(bench.contents(bench.path("serial")), QByteArray("boot\n"));
        QCOMPARE(bench.call({ "stop", uuid }).code, 0);
        QVERIFY(hosting.end().err.contains("serial1 is /dev/pts/"));
    }

    void aMachineThatCannotStartSaysWhy()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        bench.script->failCreate = vmm::Error { vmm::ErrorCode::NoKvm, "there is no /dev/kvm", 0 };
        auto const said = bench.call({ "run", "web" });
        QCOMPARE(said.code, 1);
        QVERIFY(said.err.contains("there is no /dev/kvm"));
        QCOMPARE(bench.call({ "run", "web", "--serial", "printer" }).code, 1);
    }

    void validateTellsGoodFromBad()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        auto const machine = *bench.store.find("web");
        QCOMPARE(bench.call({ "validate", machine.directory + "/machine.json" }).code, 0);
        QCOMPARE(bench.call({ "validate", machine.directory + "/disk0.qcow2" }).code, 0);
        REQUIRE_OK(
            writeWholeFile(bench.path("bad.json"), vmm::bytesOf("{\"kind\":\"machine\",\"version\":1,\"state\":{}}")));
        QCOMPARE(bench.call({ "validate", bench.path("bad.json") }).code, 1);
        REQUIRE_OK(writeWholeFile(bench.path("bad.qcow2"), vmm::bytesOf("QFI\xfb\xff\xff\xff\xff")));
        QCOMPARE(bench.call({ "validate", bench.path("bad.qcow2") }).code, 1);
        QCOMPARE(bench.call({ "validate", bench.path("nowhere") }).code, 1);
        QCOMPARE(bench.call({ "inspect", bench.path("nowhere") }).code, 1);
        QVERIFY(bench.call({ "validate", "nobody" }).err.contains("neither a file nor a machine"));
    }

    void aMachineIsValidatedByItsName()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        auto const machine = *bench.store.find("web");
        auto const good = bench.call({ "validate", "web" });
        QCOMPARE(good.code, 0);
        QVERIFY(good.out.contains("disk0 is a qcow2 disk image of 1 MiB"));
        QVERIFY(bench.json({ "validate", "web" })["what"].toArray().contains("the configuration of web"));
        QVERIFY(bench.call({ "inspect", "web" }).err.contains("state.json")); // nothing is saved of it
        REQUIRE_OK(writeWholeFile(machine.directory + "/disk0.qcow2", vmm::bytesOf("QFI\xfb\xff\xff\xff\xff")));
        auto const bad = bench.call({ "validate", "web" });
        QCOMPARE(bad.code, 1);
        QVERIFY(bad.err.contains("disk0"));
    }

    void removedMachinesAreDeletedForGood()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        auto const id = bench.store.find("web")->id;
        REQUIRE_OK(bench.store.remove(id));
        QCOMPARE(bench.call({ "empty-trash", "--older-than", "1" }).code, 0);
        QVERIFY(bench.store.trashUsage() > 0);
        auto const emptied = bench.json({ "empty-trash" });
        QVERIFY(emptied["freedBytes"].toInteger() > 0);
        QCOMPARE(bench.store.trashUsage(), 0u);
        QVERIFY(!bench.store.restoreRemoved(id));
    }

    void theManualPageHasEveryVerbAndOption()
    {
        Bench bench;
        auto const page = bench.call({ "manual" }).out;
        QVERIFY(page.startsWith(".TH CHRONOCTL 1"));
        QVERIFY(bench.verbs().size() >= 18);
        auto const written = [](QString const& name) { return name.toUtf8().replace("-", "\\-"); };
        for (auto const& verb : bench.verbs()) {
            auto const begin = page.indexOf(".SS " + written(verb) + "\n");
            QVERIFY2(begin >= 0, qPrintable(verb));
            auto const part = page.mid(begin, page.indexOf("\n.S", begin) - begin);
            for (auto const& option : bench.options(verb))
                QVERIFY2(part.contains(".B " + written(option)), qPrintable(verb + " " + option));
        }
        QVERIFY(page.contains("The firmware (seabios, ovmf)") && page.contains("Seconds to wait; 30 without it"));
        QVERIFY(page.contains(".B \\-\\-pin,\\-\\-unpin\n"));
        QVERIFY(!page.contains("ready\\-fd"));
    }
};

REGISTER_SUITE(ChronoctlTest);
#include "chronoctl_test.moc"
