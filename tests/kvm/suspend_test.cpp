#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// Suspending and restoring with our own guests, which notice by themselves when something of them is not as it was.
class SuspendTest final : public QObject {
    Q_OBJECT

private slots:
    void computationGoesOn();
    void processorsGoOn();
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
    GuestMachine guest("guests/compute.elf", "seconds=6 work=32");
    guest.addDisk(DiskBus::Virtio);
    REQUIRE_OK(guest.start());
    for (int second = 1; second <= 4; ++second) {
        QVERIFY2(guest.waitForLine("NOTE second " + QString::number(second), 20s),
            qPrintable(guest.reason() + allLines(guest)));
        REQUIRE_OK(guest.suspendAndRestore());
    }
    QVERIFY2(guest.waitForWholeLine("DONE ", 30s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(guest.lines().contains("DONE 5 0 0"), qPrintable(allLines(guest)));
    QVERIFY(guest.waitForState(RunState::Off, 5s));
}

void SuspendTest::processorsGoOn()
{
    GuestMachine guest("guests/smp.elf", "cpus=4");
    guest.config.cpus = 4;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForLine("PASS smp.allArrive", 20s), qPrintable(allLines(guest)));
    REQUIRE_OK(guest.suspendAndRestore());
    QVERIFY2(guest.waitForWholeLine("DONE ", 60s), qPrintable(guest.reason() + allLines(guest)));
    QVERIFY2(guest.lines().contains("DONE 5 0 0"), qPrintable(allLines(guest)));
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
