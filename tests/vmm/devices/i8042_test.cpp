#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/i8042.h"

using namespace vmm;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t keyA = 30, keyLeftShift = 42, keySysRq = 99, keyRightAlt = 100, keyPause = 119, keyF7 = 65;

struct Board {
    tests::FakeIrq keyboardIrq, mouseIrq;
    tests::FakeTime time;
    int resets = 0;
    I8042 chip { keyboardIrq, mouseIrq, time, [this] { ++resets; } };

    std::uint8_t status()
    {
        std::uint8_t value = 0;
        chip.commandWindow().read(0, { &value, 1 });
        return value;
    }
    std::uint8_t in()
    {
        std::uint8_t value = 0;
        chip.dataWindow().read(0, { &value, 1 });
        return value;
    }
    /// All that waits, in hexadecimal.
    QByteArray drain()
    {
        QByteArray bytes;
        while (status() & 1)
            bytes += static_cast<char>(in());
        return bytes.toHex();
    }
    void data(std::uint8_t value) { chip.dataWindow().write(0, { &value, 1 }); }
    void command(std::uint8_t value) { chip.commandWindow().write(0, { &value, 1 }); }
    void mode(std::uint8_t value)
    {
        command(0x60);
        data(value);
    }
    QByteArray keyboard(std::initializer_list<std::uint8_t> bytes)
    {
        for (auto const byte : bytes)
            data(byte);
        return drain();
    }
    QByteArray mouse(std::initializer_list<std::uint8_t> bytes)
    {
        for (auto const byte : bytes) {
            command(0xd4);
            data(byte);
        }
        return drain();
    }
    QByteArray press(std::uint16_t code)
    {
        chip.keyboard().key({ code, true });
        return drain();
    }
    QByteArray release(std::uint16_t code)
    {
        chip.keyboard().key({ code, false });
        return drain();
    }
};

}

class I8042Test : public QObject {
    Q_OBJECT
private slots:
    void batteryHolds()
    {
        tests::FakeIrq irq;
        tests::FakeTime time;
        tests::battery<I8042>([&] { return std::make_unique<I8042>(irq, irq, time, [] {}); },
            [](I8042& chip) {
                chip.keyboard().key({ keyPause, true });
                chip.commandWindow().write(0, bytesOf(std::uint8_t(0x60)));
                chip.dataWindow().write(0, bytesOf(std::uint8_t(0x40)));
                chip.commandWindow().write(0, bytesOf(std::uint8_t(0xd4)));
                chip.dataWindow().write(0, bytesOf(std::uint8_t(0xf4)));
                chip.mouse().move(RelativeMove { 300, -5 });
                chip.mouse().wheel({ 1, 0 });
            });
    }

    void anyAccessIsSafe()
    {
        Board board;
        for (unsigned seed = 0; seed < 400; ++seed) {
            tests::accessAtRandom(board.chip.dataWindow(), 1, seed, 20);
            tests::accessAtRandom(board.chip.commandWindow(), 1, seed, 20);
            board.chip.keyboard().key({ static_cast<std::uint16_t>(seed), true });
            board.chip.mouse().move(RelativeMove { INT32_MIN, INT32_MAX });
            board.chip.mouse().wheel({ INT32_MIN, 0 });
            board.chip.mouse().button({ PointerButton::Forward, seed % 2 == 0 });
            board.time.advance(50ms);
        }
    }

    void controllerPassesItsTests()
    {
        Board board;
        QCOMPARE(board.status(), 0x18);
        board.command(0xaa);
        QCOMPARE(board.drain(), QByteArray("55"));
        QCOMPARE(board.status() & 0x04, 0x04);
        board.command(0xab);
        QCOMPARE(board.drain(), QByteArray("00"));
        board.command(0xa9);
        QCOMPARE(board.drain(), QByteArray("00"));
    }

    void commandByteIsKept()
    {
        Board board;
        board.mode(0x65);
        board.command(0x20);
        QCOMPARE(board.drain(), QByteArray("65"));
        board.command(0xad);
        board.command(0xa8);
        board.command(0x20);
        QCOMPARE(board.drain(), QByteArray("55"));
    }

    void answerWaitsForTheBufferToBeFree()
    {
        Board board;
        board.chip.keyboard().key({ keyA, true });
        board.command(0xaa);
        QCOMPARE(board.drain(), QByteArray("1c55"));
    }

    void resetLineResetsTheMachine()
    {
        Board board;
        board.command(0xff);
        QCOMPARE(board.resets, 0);
        board.command(0xfe);
        QCOMPARE(board.resets, 1);
        board.command(0xd1);
        board.data(0x02);
        QCOMPARE(board.resets, 2);
    }

    void outputPortKeepsTheA20Bit()
    {
        Board board;
        board.command(0xd1);
        board.data(0x01);
        board.command(0xd0);
        QCOMPARE(board.drain(), QByteArray("01"));
        board.command(0xdf);
        board.command(0xd0);
        QCOMPARE(board.drain(), QByteArray("03"));
    }

    void loopbackComesBackAsSent()
    {
        Board board;
        board.command(0xd3);
        board.data(0x5a);
        QCOMPARE(board.status() & 0x21, 0x21);
        QVERIFY(board.mouseIrq.level);
        QCOMPARE(board.in(), 0x5a);
        QVERIFY(!board.mouseIrq.level);
        board.command(0xd2);
        board.data(0xa5);
        QCOMPARE(board.status() & 0x21, 0x01);
        QVERIFY(board.keyboardIrq.level);
        QCOMPARE(board.in(), 0xa5);
    }

    void keyboardAnswersCommands()
    {
        Board board;
        QCOMPARE(board.keyboard({ 0xff }), QByteArray("faaa"));
        QCOMPARE(board.keyboard({ 0xee }), QByteArray("ee"));
        QCOMPARE(board.keyboard({ 0xed, 0x02 }), QByteArray("fafa"));
        QCOMPARE(board.keyboard({ 0xf2 }), QByteArray("faab83"));
        QCOMPARE(board.keyboard({ 0xf0, 0x00 }), QByteArray("fafa02"));
        QCOMPARE(board.keyboard({ 0xf3, 0x20 }), QByteArray("fafa"));
        QCOMPARE(board.keyboard({ 0xfe }), QByteArray("fa"));
        QCOMPARE(board.keyboard({ 0x01 }), QByteArray("fe"));
        board.mode(0x41);
        QCOMPARE(board.keyboard({ 0xf2 }), QByteArray("faab41"));
    }

    void keysInEachSet_data()
    {
        QTest::addColumn<int>("key");
        QTest::addColumn<QByteArray>("set1");
        QTest::addColumn<QByteArray>("set2");
        QTest::addColumn<QByteArray>("set3");
        QTest::newRow("A") << 30 << QByteArray("1e9e") << QByteArray("1cf01c") << QByteArray("1cf01c");
        QTest::newRow("escape") << 1 << QByteArray("0181") << QByteArray("76f076") << QByteArray("08f008");
        QTest::newRow("F7") << int(keyF7) << QByteArray("41c1") << QByteArray("83f083") << QByteArray("37f037");
        QTest::newRow("F12") << 88 << QByteArray("58d8") << QByteArray("07f007") << QByteArray("5ef05e");
        QTest::newRow("102nd") << 86 << QByteArray("56d6") << QByteArray("61f061") << QByteArray("13f013");
        QTest::newRow("right alt") << 100 << QByteArray("e038e0b8") << QByteArray("e011e0f011") << QByteArray("39f039");
        QTest::newRow("up") << 103 << QByteArray("e048e0c8") << QByteArray("e075e0f075") << QByteArray("63f063");
        QTest::newRow("delete") << 111 << QByteArray("e053e0d3") << QByteArray("e071e0f071") << QByteArray("64f064");
        QTest::newRow("keypad enter") << 96 << QByteArray("e01ce09c") << QByteArray("e05ae0f05a")
                                      << QByteArray("79f079");
        QTest::newRow("left logo") << 125 << QByteArray("e05be0db") << QByteArray("e01fe0f01f") << QByteArray("8bf08b");
        QTest::newRow("print screen") << int(keySysRq) << QByteArray("e02ae037e0b7e0aa")
                                      << QByteArray("e012e07ce0f07ce0f012") << QByteArray("57f057");
        QTest::newRow("pause") << int(keyPause) << QByteArray("e11d45e19dc5") << QByteArray("e11477e1f014f077")
                               << QByteArray("62f062");
        QTest::newRow("unknown") << 255 << QByteArray() << QByteArray() << QByteArray();
        QTest::newRow("far beyond") << 700 << QByteArray() << QByteArray() << QByteArray();
    }
    void keysInEachSet()
    {
        QFETCH(int, key);
        QFETCH(QByteArray, set1);
        QFETCH(QByteArray, set2);
        QFETCH(QByteArray, set3);
        auto const code = static_cast<std::uint16_t>(key);
        Board board;
        QCOMPARE(board.press(code) + board.release(code), set2);
        board.mode(0x41); // the controller translates
        QCOMPARE(board.press(code) + board.release(code), set1);
        board.mode(0x01);
        board.keyboard({ 0xf0, 0x01 });
        QCOMPARE(board.press(code) + board.release(code), set1);
        board.keyboard({ 0xf0, 0x03 });
        QCOMPARE(board.press(code) + board.release(code), set3);
    }

    void everyOrdinaryKeyIsLinuxsOwnNumberInSet1()
    {
        Board board;
        board.mode(0x41);
        for (std::uint16_t code = 1; code <= 83; ++code) {
            auto const expected = QByteArray(1, static_cast<char>(code)) + static_cast<char>(code | 0x80);
            QCOMPARE(board.press(code) + board.release(code), expected.toHex());
        }
    }

    void eachByteIsAnInterrupt()
    {
        Board board;
        board.chip.keyboard().key({ keyRightAlt, true });
        QVERIFY(board.keyboardIrq.level);
        QCOMPARE(board.in(), 0xe0);
        QCOMPARE(board.keyboardIrq.rises, 2);
        QCOMPARE(board.in(), 0x11);
        QVERIFY(!board.keyboardIrq.level);
        QCOMPARE(board.in(), 0x11); // an empty buffer shows its last byte
    }

    void disabledPortHoldsItsBytes()
    {
        Board board;
        board.command(0xad);
        QCOMPARE(board.press(keyA), QByteArray());
        board.command(0xae);
        QCOMPARE(board.drain(), QByteArray("1c"));
        board.keyboard({ 0xf5 });
        QCOMPARE(board.press(keyA), QByteArray());
    }

    void heldKeyRepeats()
    {
        Board board;
        QCOMPARE(board.press(keyLeftShift), QByteArray("12"));
        QCOMPARE(board.press(keyA), QByteArray("1c"));
        board.time.advance(499ms);
        QCOMPARE(board.drain(), QByteArray());
        board.time.advance(1ms);
        QCOMPARE(board.drain(), QByteArray("1c"));
        board.time.advance(92ms); // 10.9 a second
        QCOMPARE(board.drain(), QByteArray("1c"));
        QCOMPARE(board.release(keyLeftShift), QByteArray("f012"));
        board.time.advance(92ms);
        QCOMPARE(board.drain(), QByteArray("1c"));
        QCOMPARE(board.release(keyA), QByteArray("f01c"));
        board.time.advance(2s);
        QCOMPARE(board.drain(), QByteArray());
    }

    void unreadKeysAreBoundedAndWhole()
    {
        Board board;
        for (int i = 0; i < 2000; ++i)
            board.chip.keyboard().key({ keyPause, true });
        auto const bytes = board.drain();
        QVERIFY(bytes.size() <= 2 * int(Ps2Keyboard::queueLimit + 16));
        QVERIFY(bytes.endsWith("e11477e1f014f077"));
        QCOMPARE(bytes.size() % 16, 0);
    }

    void mouseAnswersCommands()
    {
        Board board;
        QCOMPARE(board.mouse({ 0xff }), QByteArray("faaa00"));
        QCOMPARE(board.mouse({ 0xf2 }), QByteArray("fa00"));
        QCOMPARE(board.mouse({ 0xe8, 0x03, 0xf3, 0x50, 0xe7, 0xf4 }), QByteArray("fafafafafafa"));
        QCOMPARE(board.mouse({ 0xe9 }), QByteArray("fa300350"));
        QCOMPARE(board.mouse({ 0xf6, 0xe9 }), QByteArray("fafa000264"));
        QCOMPARE(board.mouse({ 0xee, 0x12, 0xf2, 0xec }), QByteArray("fa12f2fa"));
        QCOMPARE(board.mouse({ 0x00 }), QByteArray("fe"));
    }

    void movementIsReported()
    {
        Board board;
        board.chip.mouse().move(RelativeMove { 1, 1 });
        QCOMPARE(board.drain(), QByteArray()); // not yet asked for
        board.mouse({ 0xf4 });
        board.chip.mouse().move(RelativeMove { 5, 3 });
        QVERIFY(board.mouseIrq.level);
        QCOMPARE(board.status() & 0x20, 0x20);
        QCOMPARE(board.drain(), QByteArray("2805fd"));
        board.chip.mouse().move(RelativeMove { -300, 0 });
        QCOMPARE(board.drain(), QByteArray("18010018d300"));
    }

    void clicksAreNotLost()
    {
        Board board;
        board.mouse({ 0xf4 });
        board.chip.mouse().button({ PointerButton::Left, true });
        board.chip.mouse().button({ PointerButton::Left, false });
        board.chip.mouse().button({ PointerButton::Right, true });
        board.chip.mouse().button({ PointerButton::Right, true });
        QCOMPARE(board.drain(), QByteArray("0900000800000a0000"));
    }

    void knockingOpensTheWheel()
    {
        Board board;
        board.mouse({ 0xf3, 200, 0xf3, 100, 0xf3, 80 });
        QCOMPARE(board.mouse({ 0xf2 }), QByteArray("fa03"));
        board.mouse({ 0xf4 });
        board.chip.mouse().wheel({ 2, 0 });
        QCOMPARE(board.drain(), QByteArray("080000fe"));
    }

    void knockingAgainOpensFiveButtons()
    {
        Board board;
        board.mouse({ 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf3, 200, 0xf3, 200, 0xf3, 80 });
        QCOMPARE(board.mouse({ 0xf2 }), QByteArray("fa04"));
        board.mouse({ 0xf4 });
        board.chip.mouse().wheel({ -1, 0 });
        QCOMPARE(board.drain(), QByteArray("08000001"));
        board.chip.mouse().button({ PointerButton::Back, true });
        QCOMPARE(board.drain(), QByteArray("08000010"));
        board.chip.mouse().button({ PointerButton::Forward, true });
        QCOMPARE(board.drain(), QByteArray("08000030"));
    }

    void remoteModeReportsWhenAsked()
    {
        Board board;
        board.mouse({ 0xf4, 0xf0 });
        board.chip.mouse().move(RelativeMove { 7, 0 });
        QCOMPARE(board.drain(), QByteArray());
        QCOMPARE(board.mouse({ 0xeb }), QByteArray("fa080700"));
    }
};

REGISTER_SUITE(I8042Test);
#include "i8042_test.moc"
