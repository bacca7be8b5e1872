#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/uart_16550.h"

using namespace vmm;
using namespace std::chrono_literals;

namespace {

struct Port {
    tests::FakeIrq irq;
    tests::FakeTime time;
    Console console;
    Uart16550 uart { irq, time, console };

    std::uint8_t in(unsigned offset)
    {
        std::uint8_t value = 0;
        std::lock_guard const lock(uart.busMutex());
        uart.read(offset, { &value, 1 });
        return value;
    }
    void out(unsigned offset, std::uint8_t value)
    {
        std::lock_guard const lock(uart.busMutex());
        uart.write(offset, { &value, 1 });
    }
    std::string printed() const
    {
        Bytes bytes;
        console.readFrom(0, bytes);
        return { bytes.begin(), bytes.end() };
    }
};

}

class Uart16550Test : public QObject {
    Q_OBJECT
private slots:
    void batteryHolds()
    {
        tests::FakeIrq irq;
        tests::FakeTime time;
        Console console;
        tests::battery<Uart16550>([&] { return std::make_unique<Uart16550>(irq, time, console); },
            [&](Uart16550& uart) {
                tests::accessAtRandom(uart, Uart16550::size, 1, 500);
                std::uint8_t const registers[] { 0, 0x05, 0x41, 0x03, 0x1b };
                for (unsigned i = 0; i < 5; ++i)
                    uart.write(i, { &registers[i], 1 });
                uart.write(0, bytesOf("abc"));
            });
    }

    void anyAccessIsSafe()
    {
        Port port;
        for (unsigned seed = 0; seed < 5; ++seed)
            tests::accessAtRandom(port.uart, Uart16550::size, seed);
    }

    void whatIsWrittenIsPrinted()
    {
        Port port;
        for (char const c : std::string("hello"))
            port.out(0, static_cast<std::uint8_t>(c));
        QCOMPARE(port.printed(), std::string("hello"));
        QCOMPARE(port.in(5), 0x60);
    }

    void divisorLatchHidesDataAndInterruptEnable()
    {
        Port port;
        port.out(1, 0x05);
        port.out(3, 0x83);
        port.out(0, 0x01);
        port.out(1, 0x02);
        QCOMPARE(port.in(0), 0x01);
        QCOMPARE(port.in(1), 0x02);
        port.out(3, 0x03);
        QCOMPARE(port.in(1), 0x05);
        QCOMPARE(port.printed(), std::string());
    }

    void scratchKeepsItsByte()
    {
        Port port;
        port.out(7, 0xa5);
        QCOMPARE(port.in(7), 0xa5);
    }

    void fifoBitsShowInIir()
    {
        Port port;
        QCOMPARE(port.in(2), 0x01);
        port.out(2, 0xc7);
        QCOMPARE(port.in(2), 0xc1);
        port.out(2, 0x80); // the trigger level alone is not taken
        QCOMPARE(port.in(2), 0x01);
    }

    void enablingTheTransmitterInterruptRaisesIt()
    {
        Port port;
        port.out(4, 0x08);
        port.out(1, 0x02);
        QVERIFY(port.irq.level);
        QCOMPARE(port.in(2), 0x02);
        QVERIFY(!port.irq.level);
        QCOMPARE(port.in(2), 0x01);
        port.out(1, 0x00);
        port.out(1, 0x02);
        QCOMPARE(port.in(2), 0x02);
    }

    void eachByteSentMakesAnEdge()
    {
        Port port;
        port.out(4, 0x08);
        port.out(1, 0x02);
        auto const before = port.irq.rises;
        port.out(0, 'x');
        QCOMPARE(port.irq.rises, before + 1);
        port.in(2);
        port.out(0, 'y');
        QCOMPARE(port.irq.rises, before + 2);
    }

    void burstIntoTheFifoMakesOneEdge()
    {
        Port port;
        port.out(4, 0x08);
        port.out(2, 0x01);
        port.out(1, 0x02);
        port.in(2);
        auto const before = port.irq.rises;
        for (int i = 0; i < 16; ++i)
            port.out(0, 'x');
        QCOMPARE(port.irq.rises, before + 1);
        QCOMPARE(port.in(2), 0xc2);
    }

    void interruptPassesOnlyThroughOut2()
    {
        Port port;
        port.out(1, 0x02);
        QVERIFY(!port.irq.level);
        port.out(4, 0x08);
        QVERIFY(port.irq.level);
        port.out(4, 0x00);
        QVERIFY(!port.irq.level);
    }

    void typedByteArrivesAndInterrupts()
    {
        Port port;
        port.out(4, 0x08);
        port.out(1, 0x01);
        QVERIFY(port.console.type(bytesOf("ab")));
        QVERIFY(port.irq.level);
        QCOMPARE(port.in(2), 0x04);
        QCOMPARE(port.in(0), 'a');
        QCOMPARE(port.in(5), 0x61);
        QCOMPARE(port.in(0), 'b');
        QVERIFY(!port.irq.level);
        QCOMPARE(port.in(0), 0);
        QCOMPARE(port.in(5), 0x60);
    }

    void fifoInterruptsAtItsTriggerLevel()
    {
        Port port;
        port.out(4, 0x08);
        port.out(2, 0x81); // 8 bytes
        port.out(1, 0x01);
        QVERIFY(port.console.type(bytesOf("1234567")));
        QVERIFY(!port.irq.level);
        QVERIFY(port.console.type(bytesOf("8")));
        QVERIFY(port.irq.level);
        QCOMPARE(port.in(2), 0xc4);
        port.in(0);
        QVERIFY(!port.irq.level);
    }

    void bytesBelowTheTriggerLevelTimeOut()
    {
        Port port;
        port.out(4, 0x08);
        port.out(3, 0x83);
        port.out(0, 1); // 115200 baud: a character takes 87 us
        port.out(3, 0x03);
        port.out(2, 0xc1);
        port.out(1, 0x01);
        QVERIFY(port.console.type(bytesOf("x")));
        port.time.advance(300us);
        QVERIFY(!port.irq.level);
        port.time.advance(100us);
        QVERIFY(port.irq.level);
        QCOMPARE(port.in(2), 0xcc);
        QCOMPARE(port.in(0), 'x');
        QCOMPARE(port.in(2), 0xc1);
        QVERIFY(!port.irq.level);
        QCOMPARE(port.time.armedTimers(), 0u);
    }

    void receiverRefillsFromWhatWasTyped()
    {
        Port port;
        port.out(2, 0x01);
        QVERIFY(port.console.type(bytesOf("0123456789abcdefghij")));
        QVERIFY(port.console.hasInput());
        std::string received;
        while (port.in(5) & 1)
            received += static_cast<char>(port.in(0));
        QCOMPARE(received, std::string("0123456789abcdefghij"));
    }

    void loopbackReturnsDataAndModemLines()
    {
        Port port;
        QCOMPARE(port.in(6), 0xb0);
        port.out(4, 0x1a); // as Linux probes: loop, OUT2 and RTS
        QCOMPARE(port.in(6) & 0xf0, 0x90);
        port.out(0, 'z');
        QCOMPARE(port.in(0), 'z');
        QVERIFY(port.printed().empty());
        port.out(0, '1');
        port.out(0, '2');
        QCOMPARE(port.in(5), 0x63);
        QCOMPARE(port.in(5), 0x61);
        QCOMPARE(port.in(0), '1');
    }

    void modemChangeInterruptsUntilRead()
    {
        Port port;
        port.out(4, 0x1b);
        port.in(6);
        port.out(1, 0x08);
        port.out(4, 0x1a); // DTR falls, and with it DSR
        QVERIFY(port.irq.level);
        QCOMPARE(port.in(2), 0x00);
        QCOMPARE(port.in(6), 0x92);
        QVERIFY(!port.irq.level);
    }

    void inputWaitsWhilePaused()
    {
        Port port;
        port.uart.pause();
        QVERIFY(port.console.type(bytesOf("q")));
        QCOMPARE(port.in(5), 0x60);
        port.uart.resume();
        QCOMPARE(port.in(0), 'q');
    }

    void loadDrivesTheLine()
    {
        Port port, restored;
        port.out(4, 0x08);
        port.out(1, 0x02);
        REQUIRE_OK(restored.uart.load(port.uart.save()));
        QVERIFY(restored.irq.level);
    }
};

REGISTER_SUITE(Uart16550Test);
#include "uart_16550_test.moc"
