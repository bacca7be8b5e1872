#include "tests/support/guest_clock.h"
#include "tests/support/suite.h"
#include "vmm/usb/usb_device.h"

#include <QFile>
#include <nlohmann/json.hpp>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// Suspending and restoring with our own guests, which notice by themselves when something of them is not as it was.
class SuspendTest final : public QObject {
    Q_OBJECT

private slots:
    void computationGoesOn();
    void processorsGoOn_data();
    void processorsGoOn();
    void memoryOnBothSidesOfTheHoleGoesOn();
    void thePortableProcessorGoesOn();
    void theClockIsTheHosts();
    void whatCannotBeSavedIsSaid();
    void demoMachineGoesOn();
    void demoMachineShutsDownByItsButton();
};

namespace {

QString allLines(GuestMachine const& guest)
{
    return guest.lines().join('\n');
}

}

void SuspendTest::computationGoesOn()
{
    GuestMachine guest("guests/compute.elf", "seconds=12 work=32");
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    for (int i = 0; i < 4; ++i) {
        guest.clearLines();
        QVERIFY2(guest.waitForWholeLine("NOTE second ", 20s), qPrintable(guest.reason() + allLines(guest)));
        REQUIRE_OK(guest.suspendAndRestore());
    }
    QVERIFY2(guest.waitForWholeLine("DONE ", 30s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(guest.lines().contains("DONE 5 0 0"), qPrintable(allLines(guest)));
    QVERIFY(guest.waitForState(RunState::Off, 5s));
}

void SuspendTest::processorsGoOn_data()
{
    QTest::addColumn<int>("cpus");
    QTest::addColumn<bool>("busy");
    for (int const cpus : { 1, 2, 4, 16 })
        QTest::addRow("%d", cpus) << cpus << false;
    for (int const cpus : { 2, 4 })
        QTest::addRow("%d, which count", cpus) << cpus << true;
}

void SuspendTest::processorsGoOn()
{
    QFETCH(int, cpus);
    QFETCH(bool, busy);
    GuestMachine guest("guests/smp.elf", (busy ? "pause=1 busy=1 cpus=" : "pause=1 cpus=") + std::to_string(cpus));
    guest.config.cpus = std::uint16_t(cpus);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForWholeLine("NOTE suspend me", 20s), qPrintable(allLines(guest)));
    REQUIRE_OK(guest.suspendAndRestore());
    guest.type("serial0", "x");
    QVERIFY2(guest.waitForWholeLine("DONE ", 60s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(guest.lines().contains(busy ? "DONE 6 0 0" : "DONE 5 0 0"), qPrintable(allLines(guest)));
}

/// Two GiB below 4 GiB and the rest above, with a word of its own in every second mebibyte.
void SuspendTest::memoryOnBothSidesOfTheHoleGoesOn()
{
    GuestMachine guest("guests/processor.elf", "memory=2848 pause=1");
    guest.config.memoryMiB = 2848;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForWholeLine("NOTE suspend me", 60s), qPrintable(guest.reason() + allLines(guest)));
    REQUIRE_OK(guest.suspendAndRestore());
    guest.type("serial0", "x");
    QVERIFY2(guest.waitForWholeLine("DONE ", 60s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(guest.lines().contains("PASS processor.allMemoryIsThereOnce"), qPrintable(allLines(guest)));
    QVERIFY2(guest.lines().filter("FAIL ").isEmpty(), qPrintable(allLines(guest)));
}

void SuspendTest::thePortableProcessorGoesOn()
{
    GuestMachine guest("guests/compute.elf", "seconds=5 work=32");
    guest.config.cpuModel = CpuModel::Baseline;
    guest.addDisk(DiskBus::Virtio);
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::Unsupported) // the lab's KVM can
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    QVERIFY2(guest.waitForLine("NOTE second ", 20s), qPrintable(guest.reason() + allLines(guest)));
    REQUIRE_OK(guest.suspendAndRestore());
    QVERIFY2(guest.waitForWholeLine("DONE ", 30s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(guest.lines().contains("DONE 5 0 0"), qPrintable(allLines(guest)));
}

/// The time of day by kvmclock, before and after an hour in which the machine was suspended: the hour has passed when
/// the guest looks for the first time, at once and as a whole.
void SuspendTest::theClockIsTheHosts()
{
    GuestMachine guest("guests/kvmclock.elf");
    tests::GuestClock clock(guest);
    REQUIRE_OK(guest.start());
    QVERIFY2(clock.isReady(), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(clock.isAheadBy(0s), qPrintable(allLines(guest)));

    REQUIRE_OK(guest.suspendAndRestore());
    QVERIFY2(clock.isAheadBy(0s), qPrintable(allLines(guest)));

    auto const directory = guest.folder().toStdString() + "/suspended";
    REQUIRE_OK(guest.machine().call(command::Suspend { directory, true }));
    QFile file(QString::fromStdString(directory) + "/state.json");
    QVERIFY(file.open(QIODevice::ReadWrite));
    auto state = Json::parse(file.readAll().toStdString());
    tests::GuestClock::setBack(state, 1h);
    QVERIFY(file.resize(0) && file.seek(0) && file.write(QByteArray::fromStdString(state.dump())) > 0);
    file.close();
    REQUIRE_OK(guest.restore());
    QVERIFY2(clock.isAheadBy(1h), qPrintable(allLines(guest)));
    QCOMPARE(clock.leaps(), 1u);
    QVERIFY2(clock.neverWentBack(), qPrintable(allLines(guest)));
    QCOMPARE(clock.leaps(), 1u);
}

void SuspendTest::whatCannotBeSavedIsSaid()
{
    /// A device of which nobody has thought whether it can be saved.
    struct Stubborn final : UsbDevice {
        UsbSpeed speed() const override { return UsbSpeed::High; }
        std::string_view identity() const override { return "stubborn"; }
        void busReset() override { }
        void submit(UsbTransfer& transfer) override { complete(transfer, UsbStatus::Stall); }
        void cancel(UsbTransfer&) override { }
        void reset() override { }
        Section save() const override { return {}; }
        Result<> load(Section const&) override { return {}; }
    };
    GuestMachine guest("guests/kvmclock.elf");
    guest.config.usbControllers = { { "usb0" } };
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForWholeLine("NOTE ready", 20s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY(guest.machine().saveObstacles().empty());
    REQUIRE_OK(guest.machine().call(command::PlugUsb { "visitor", std::make_shared<Stubborn>() }));
    auto const obstacles = guest.machine().saveObstacles();
    QCOMPARE(obstacles.size(), std::size_t(1));
    auto const why = QString("visitor: this device does not say whether it can be saved");
    QCOMPARE(QString::fromStdString(obstacles[0].message()), why);
    auto const suspended = guest.suspendAndRestore();
    QVERIFY(!suspended);
    QCOMPARE(suspended.error().code, ErrorCode::Unsupported);
    QCOMPARE(QString::fromStdString(suspended.error().message()), why);
    auto const kept = guest.keepMoment("no");
    QVERIFY(!kept);
    QCOMPARE(QString::fromStdString(kept.error().message()), why);
    QCOMPARE(guest.machine().state(), RunState::Running);
    REQUIRE_OK(guest.machine().call(command::UnplugUsb { "visitor" }));
    REQUIRE_OK(guest.suspendAndRestore());
}

void SuspendTest::demoMachineGoesOn()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine, boot 1.", 10s), qPrintable(guest.reason()));
    guest.type("serial0", "mem fill 64\r");
    QVERIFY2(guest.waitForLine("64 MiB filled", 10s), qPrintable(allLines(guest)));

    auto const display = guest.config.displays.front().id;
    Frame before;
    guest.machine().screen(display)->refresh(before);
    QCOMPARE(before.width, 800u);
    QCOMPARE(before.height, 600u);

    for (int i = 0; i < 3; ++i) {
        REQUIRE_OK(guest.suspendAndRestore());
        guest.clearLines();
        guest.type("serial0", "count\r");
        QVERIFY2(guest.waitForLine("Memory and disk agree. Boot 1,", 10s), qPrintable(allLines(guest)));
    }
    Frame after;
    guest.machine().screen(display)->refresh(after);
    QCOMPARE(after.pixels.size(), before.pixels.size());
    QCOMPARE(after.pixels.front(), before.pixels.front()); // the background is what it was
    guest.type("serial0", "mem check\r");
    QVERIFY2(guest.waitForLine("64 MiB read, 0 of", 10s), qPrintable(allLines(guest)));
    guest.type("serial0", "poweroff\r");
    QVERIFY(guest.waitForState(RunState::Off, 10s));

    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine, boot 2.", 10s), qPrintable(allLines(guest)));
}

void SuspendTest::demoMachineShutsDownByItsButton()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 10s), qPrintable(guest.reason()));
    REQUIRE_OK(guest.machine().call(command::PressPowerButton {}));
    QVERIFY2(guest.waitForState(RunState::Off, 10s), qPrintable(allLines(guest)));
    QVERIFY(guest.lines().contains("The power button was pressed."));
}

REGISTER_SUITE(SuspendTest);
#include "suspend_test.moc"
