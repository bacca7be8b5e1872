#include "tests/support/guest_machine.h"
#include "tests/support/library_guest.h"
#include "tests/support/suite.h"

#include <QTemporaryDir>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// Moments of a machine with 2 GiB of memory below the hole and 3 GiB above 4 GiB, of which its guest has written a
/// word in every 64 MiB. It looks at each of them when it is told to go on.
class LargeMachineTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void memoryOnBothSidesOfTheHoleComesBack_data();
    void memoryOnBothSidesOfTheHoleComesBack();
    void aForkHasIt();
};

namespace {

constexpr std::uint32_t memoryMiB = 5120;
constexpr char const* program = "guests/processor.elf";
constexpr char const* options = "memory=5120 stride=64 pause=1";
/// All that the guest tries, memory above 4 GiB too.
constexpr char const* allIsRight = "DONE 8 0 0";

QString said(GuestMachine& guest)
{
    return guest.reason() + guest.lines().join('\n');
}

bool goesOnRight(GuestMachine& guest)
{
    guest.clearLines();
    guest.type("serial0", "x");
    return guest.waitForWholeLine(allIsRight, 60s);
}

}

void LargeMachineTest::initTestCase()
{
    GuestMachine guest(program);
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void LargeMachineTest::memoryOnBothSidesOfTheHoleComesBack_data()
{
    QTest::addColumn<MemoryWay>("way");
    QTest::newRow("faults") << MemoryWay::Faults;
    QTest::newRow("file") << MemoryWay::File;
    QTest::newRow("at once") << MemoryWay::AtOnce;
}

void LargeMachineTest::memoryOnBothSidesOfTheHoleComesBack()
{
    QFETCH(MemoryWay, way);
    GuestMachine guest(program, options);
    guest.config.memoryMiB = memoryMiB;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForWholeLine("NOTE suspend me", 60s), qPrintable(said(guest)));
    auto const written = tests::must(guest.keepMoment("written"));
    QVERIFY(tests::must(guest.timeline()->moment(written)).changedPages < 4096); // of 1 310 720
    QVERIFY2(goesOnRight(guest), qPrintable(said(guest)));                       // and writes over some of it

    REQUIRE_OK(guest.goTo(written, way));
    auto const early = tests::must(guest.keepMoment("before all of it has come"));
    QVERIFY2(goesOnRight(guest), qPrintable(said(guest)));
    REQUIRE_OK(guest.goTo(early, way));
    QVERIFY2(goesOnRight(guest), qPrintable(said(guest)));
    QVERIFY(tests::must(guest.timeline()->verify()).empty());
}

void LargeMachineTest::aForkHasIt()
{
    QTemporaryDir const directory;
    app::MachineStore store(directory.path().toStdString());
    auto request = tests::demoMachine("large");
    request.config.memoryMiB = memoryMiB;
    request.config.kernel = KernelConfig { std::string(CHRONOVISOR_BINARY "/") + program, {}, options };
    auto const first = tests::must(store.create(std::move(request)));
    tests::LibraryGuest original(store, first);
    REQUIRE_OK(original.start());
    QVERIFY2(original.wait("NOTE suspend me").hasMatch(), qPrintable(original.said()));
    auto const second = tests::must(store.fork(first.id, tests::must(original.keep()), "its fork"));
    QVERIFY2(original.ask("x", allIsRight).hasMatch(), qPrintable(original.said()));

    tests::LibraryGuest fork(store, second);
    REQUIRE_OK(fork.start());
    QVERIFY2(fork.ask("x", allIsRight).hasMatch(), qPrintable(fork.said()));
}

REGISTER_SUITE(LargeMachineTest);
#include "large_machine_test.moc"
