#include "tests/support/golden.h"
#include "tests/support/guest_machine.h"
#include "vmm/block/image.h"
#include "vmm/machine/host_check.h"

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// Moments of the demo machine, as each release has kept them: whatever has changed since, it goes on from there.
///
/// tests/golden/moments/VERSION-VENDOR has one's timeline and disk, VERSION-everything-VENDOR those of a machine with
/// all devices that there are; nothing in them says where that was. A processor's state can go on with its vendor's
/// only, so there are two of each, and the lab must go on from AMD's. A release adds its own (CONTRIBUTING.md):
/// `CHRONOVISOR_REWRITE_GOLDEN=1 build/…/bin/kvm_tests GoldenMomentTest` writes them.
class GoldenMomentTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void thisVersionIsWritten_data();
    void thisVersionIsWritten();
    void itGoesOnFromThere_data();
    void itGoesOnFromThere();
};

namespace {

auto const goldenFolder = tests::goldenFolder("moments");

std::string pathIn(GuestMachine const& guest, std::string const& name)
{
    return guest.folder().toStdString() + "/" + name;
}

void addKernel(QString const& folder)
{
    QVERIFY(QFile::copy(CHRONOVISOR_BINARY "/share/chronovisor/demo.elf", folder + "/demo.elf"));
}

/// What the demo says when it is asked for its count, which stands in its memory and on its disk; empty: the two do not
/// agree, or it says nothing.
QString count(GuestMachine& guest)
{
    if (!guest.ask("count", "Memory and disk agree. Boot 1,"))
        return {};
    guest.type("serial0", "echo\r");
    guest.waitForLine("echo", 2s); // the line before it is whole then
    auto const said = guest.lines().filter("Memory and disk agree. Boot 1,");
    return said.isEmpty() ? QString() : said.last();
}

/// What there can be besides; two of some. Not the firmware: the demo comes up without it.
void addEverything(GuestMachine& guest)
{
    auto& config = guest.config;
    auto const addDisk = [&](DiskBus bus) {
        auto const id = "disk" + std::to_string(config.disks.size());
        auto const path = pathIn(guest, id + ".qcow2");
        tests::must(createImage(path, { .size = 64 << 10, .clusterBits = 9 }));
        config.disks.push_back({ id, path, DiskFormat::Qcow2, bus });
    };
    for (auto const bus : { DiskBus::Virtio, DiskBus::Ahci, DiskBus::Usb, DiskBus::Uas })
        addDisk(bus);
    config.cpus = 2;
    config.debugConsole = true;
    config.cds = { { "cd0", "" } };
    config.serials.push_back({ "console0", true });
    config.displays.resize(2);
    config.displays[1].id = "display1";
    config.networks
        = { { "net0", "52:54:00:12:34:56", NetworkMode::User }, { "net1", "52:54:00:12:34:57", NetworkMode::None } };
    config.usbControllers = { { "usb0" } };
    config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "mouse0", UsbKind::Mouse }, { "pen0", UsbKind::Tablet },
        { "hub0", UsbKind::Hub }, { "line0", UsbKind::Serial, "hub0" }, { "audio0", UsbKind::Audio, "hub0" },
        { "pad0", UsbKind::Gamepad, "hub0" } };
    config.randomGenerators = 2;
}

QString said(GuestMachine& guest)
{
    return guest.reason() + guest.lines().join('\n');
}

}

void GoldenMomentTest::initTestCase()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void GoldenMomentTest::thisVersionIsWritten_data()
{
    QTest::addColumn<bool>("hasEverything");
    QTest::newRow("demo") << false;
    QTest::newRow("everything") << true;
}

void GoldenMomentTest::thisVersionIsWritten()
{
    QFETCH(bool, hasEverything);
    if (!tests::rewritesGolden())
        QSKIP("only where golden files are rewritten");
    GuestMachine guest("share/chronovisor/demo.elf");
    addKernel(guest.folder());
    guest.config.name = "golden";
    guest.config.memoryMiB = 64;
    guest.config.cpuModel = CpuModel::Baseline; // what each host of the vendor has
    guest.config.kernel->kernel = pathIn(guest, "demo.elf");
    auto const path = pathIn(guest, "disk0.qcow2");
    REQUIRE_OK(createImage(path, { .size = 1 << 20, .clusterBits = 9 }));
    guest.config.disks = { { "disk0", path, DiskFormat::Qcow2, DiskBus::Virtio, false, 1 } };
    if (hasEverything)
        addEverything(guest);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(said(guest)));
    QVERIFY2(!count(guest).isEmpty(), qPrintable(said(guest)));
    auto const moment = tests::must(guest.keepMoment("golden"));
    auto const header = tests::must(savedMachineAt(*guest.timeline(), moment)).header;
    guest.end();

    auto const target = goldenFolder + "/" + tests::goldenName(header, hasEverything ? "everything" : QString());
    QDir(target).removeRecursively();
    tests::copyTree(guest.folder() + "/timeline", target + "/timeline");
    for (auto const& disk : QDir(guest.folder()).entryList({ "disk*" }))
        QVERIFY(QFile::copy(guest.folder() + "/" + disk, target + "/" + disk));
}

void GoldenMomentTest::itGoesOnFromThere_data()
{
    QTest::addColumn<QString>("version");
    for (auto const& version : tests::goldenOnes("moments"))
        QTest::newRow(qPrintable(version)) << version;
}

void GoldenMomentTest::itGoesOnFromThere()
{
    QFETCH(QString, version);
    GuestMachine guest("share/chronovisor/demo.elf");
    tests::copyTree(goldenFolder + "/" + version, guest.folder());
    // The first ones name their files as if those lay in the timeline's folder.
    for (auto const& folder : { guest.folder(), guest.folder() + "/timeline" }) {
        addKernel(folder);
        for (auto const& disk : QDir(guest.folder()).entryList({ "disk*" }))
            QVERIFY(
                QFile::exists(folder + "/" + disk) || QFile::copy(guest.folder() + "/" + disk, folder + "/" + disk));
    }
    auto const timeline = guest.timeline();
    QVERIFY(timeline->damages().empty());
    QVERIFY(tests::must(timeline->verify()).empty());
    QCOMPARE(timeline->moments().size(), 1u);
    auto const moment = timeline->moments().front();
    QCOMPARE(moment.name, "golden");
    auto const saved = tests::must(savedMachineAt(*timeline, moment.id));
    if (auto const why = tests::whyNotHere(checkHost(saved.header.cpu), version); !why.isEmpty())
        QSKIP(qPrintable(why));
    REQUIRE_OK(guest.goTo(moment.id));
    auto const first = count(guest);
    QVERIFY2(!first.isEmpty(), qPrintable(said(guest)));
    // It counts on, in memory and on its disk.
    QTest::qWait(1500);
    auto const second = count(guest);
    QVERIFY2(!second.isEmpty() && second != first, qPrintable(first + " / " + second));
    // And what it is now can be kept beside it.
    REQUIRE_OK(guest.keepMoment("now"));
    QCOMPARE(guest.timeline()->moments().back().parent, moment.id);
}

REGISTER_SUITE(GoldenMomentTest);
#include "golden_moment_test.moc"
