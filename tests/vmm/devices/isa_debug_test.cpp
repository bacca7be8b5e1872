#include "tests/battery/battery.h"
#include "vmm/devices/isa_debug.h"
#include "vmm/devices/pvpanic.h"

using namespace vmm;

class IsaDebugTest : public QObject {
    Q_OBJECT
private slots:
    void batteriesHold()
    {
        Console console;
        tests::statelessBattery<IsaDebugConsole>([&] { return std::make_unique<IsaDebugConsole>(console); });
        tests::statelessBattery<IsaDebugExit>([] { return std::make_unique<IsaDebugExit>(nullptr); });
        tests::statelessBattery<PvPanic>([] { return std::make_unique<PvPanic>(nullptr); });
    }

    void anyAccessIsSafe()
    {
        Console console;
        IsaDebugConsole debug(console);
        IsaDebugExit exit(nullptr);
        PvPanic panic(nullptr);
        tests::accessAtRandom(debug, IsaDebugConsole::size, 1);
        tests::accessAtRandom(exit, IsaDebugExit::size, 2);
        tests::accessAtRandom(panic, PvPanic::size, 3);
    }

    void firmwareFindsTheDebugConsoleAndLogs()
    {
        Console console;
        IsaDebugConsole debug(console);
        std::uint8_t value = 0;
        debug.read(0, { &value, 1 });
        QCOMPARE(value, 0xe9);
        debug.write(0, bytesOf("log"));
        Bytes printed;
        console.readFrom(0, printed);
        QCOMPARE(printed, Bytes({ 'l', 'o', 'g' }));
    }

    void exitPassesTheValueOn()
    {
        std::vector<std::uint32_t> values;
        IsaDebugExit exit([&](std::uint32_t value) { values.push_back(value); });
        exit.write(0, bytesOf(std::uint16_t(0x1234)));
        exit.write(0, bytesOf(std::uint8_t(7)));
        QCOMPARE(values, std::vector<std::uint32_t>({ 0x1234, 7 }));
        std::uint8_t value = 0xff;
        exit.read(0, { &value, 1 });
        QCOMPARE(value, 0);
    }

    void panicReportsOnlyKnownEvents()
    {
        std::vector<std::uint8_t> events;
        PvPanic panic([&](std::uint8_t event) { events.push_back(event); });
        std::uint8_t known = 0;
        panic.read(0, { &known, 1 });
        QCOMPARE(known, 0x03);
        panic.write(0, bytesOf(std::uint8_t(0xf1)));
        panic.write(0, bytesOf(std::uint8_t(0xf0)));
        QCOMPARE(events, std::vector<std::uint8_t>({ PvPanic::panicked }));
    }
};

REGISTER_SUITE(IsaDebugTest);
#include "isa_debug_test.moc"
