#include "tests/battery/battery.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/usb/usb_gamepad.h"

using namespace vmm;
using tests::UsbGuest;

namespace {

GamepadState pressed(std::initializer_list<GamepadButton> buttons)
{
    GamepadState state;
    for (auto const button : buttons)
        state.press(button);
    return state;
}

/// A report with nothing pressed but what is given.
Bytes report(std::uint8_t hat, std::uint8_t first, std::uint8_t second)
{
    return { 3, hat, first, second, 128, 128, 128, 128, 0, 0, 0 };
}

struct Pad {
    Pad() { guest.configure(); }
    Bytes next() { return guest.read(0x81, 16).data; }
    bool hasNext() { return guest.read(0x81, 16).done; }

    std::vector<std::pair<int, int>> rumbles;
    UsbGamepad pad { "pad0", [this](std::uint16_t strong, std::uint16_t weak) { rumbles.emplace_back(strong, weak); } };
    UsbGuest guest { pad };
};

using Rumbles = std::vector<std::pair<int, int>>;

}

class UsbGamepadTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        tests::battery<UsbGamepad>([] { return std::make_unique<UsbGamepad>("p"); },
            [](UsbGamepad& pad) {
                UsbGuest guest(pad);
                guest.configure();
                pad.set(pressed({ GamepadButton::South }));
                guest.read(0x81, 16);
                pad.set(pressed({ GamepadButton::East, GamepadButton::Up }));
                guest.put({ 0x21, 9, 5, 2, 0, 0, 5, 0 }, { 5, 1, 2, 3, 4 });
            });
    }

    void reportsFitTheirDescription()
    {
        Pad pad;
        auto const all = pad.guest.get({ 0x80, 6, 0, 2, 0, 0, 255, 0 });
        auto const length = all[9 + 9 + 7] | all[9 + 9 + 8] << 8;
        auto const reports = pad.guest.get({ 0x81, 6, 0, 0x22, 0, 0, 255, 0 });
        QCOMPARE(reports.size(), std::size_t(length));
        // Bits of each report by the description: sizes times counts of its inputs and outputs.
        unsigned size = 0, count = 0, id = 0, depth = 0;
        std::map<unsigned, unsigned> inputs, outputs;
        for (std::size_t at = 0; at < reports.size();) {
            auto const item = reports[at] & 0xfc;
            auto const bytes = (reports[at] & 3) == 3 ? 4u : reports[at] & 3u;
            unsigned value = 0;
            for (unsigned i = 0; i < bytes; ++i)
                value |= unsigned(reports[at + 1 + i]) << 8 * i;
            switch (item) {
            case 0x74: size = value; break;
            case 0x94: count = value; break;
            case 0x84: id = value; break;
            case 0x80: inputs[id] += size * count; break;
            case 0x90: outputs[id] += size * count; break;
            case 0xa0: ++depth; break;
            case 0xc0: --depth; break;
            default: break;
            }
            at += 1 + bytes;
        }
        QCOMPARE(depth, 0u);
        QCOMPARE(inputs, (std::map<unsigned, unsigned> { { 3, 80 } }));
        QCOMPARE(outputs, (std::map<unsigned, unsigned> { { 5, 32 } }));
        pad.pad.set(pressed({ GamepadButton::South }));
        QCOMPARE(pad.next().size(), std::size_t(1 + 80 / 8));
    }

    void buttonsAreWhereTheyBelong_data()
    {
        QTest::addColumn<int>("button");
        QTest::addColumn<int>("first");
        QTest::addColumn<int>("second");
        QTest::newRow("south") << int(GamepadButton::South) << 0 << 0x40;
        QTest::newRow("east") << int(GamepadButton::East) << 0 << 0x20;
        QTest::newRow("west") << int(GamepadButton::West) << 0 << 0x10;
        QTest::newRow("north") << int(GamepadButton::North) << 0 << 0x08;
        QTest::newRow("left shoulder") << int(GamepadButton::LeftShoulder) << 0 << 0x04;
        QTest::newRow("right shoulder") << int(GamepadButton::RightShoulder) << 0 << 0x02;
        QTest::newRow("left stick") << int(GamepadButton::LeftStick) << 0 << 0x01;
        QTest::newRow("right stick") << int(GamepadButton::RightStick) << 0x80 << 0;
        QTest::newRow("select") << int(GamepadButton::Select) << 0x40 << 0;
        QTest::newRow("start") << int(GamepadButton::Start) << 0x20 << 0;
        QTest::newRow("home") << int(GamepadButton::Home) << 0x10 << 0;
        QTest::newRow("assistant") << int(GamepadButton::Assistant) << 0x02 << 0;
        QTest::newRow("capture") << int(GamepadButton::Capture) << 0x01 << 0;
    }
    void buttonsAreWhereTheyBelong()
    {
        QFETCH(int, button);
        QFETCH(int, first);
        QFETCH(int, second);
        Pad pad;
        pad.pad.set(pressed({ static_cast<GamepadButton>(button) }));
        QCOMPARE(pad.next(), report(8, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(second)));
        pad.pad.set({});
        QCOMPARE(pad.next(), report(8, 0, 0));
    }

    void directionsAreAHat()
    {
        Pad pad;
        using B = GamepadButton;
        std::vector<std::vector<B>> const around { { B::Up }, { B::Up, B::Right }, { B::Right }, { B::Right, B::Down },
            { B::Down }, { B::Down, B::Left }, { B::Left }, { B::Left, B::Up } };
        for (std::uint8_t i = 0; i < around.size(); ++i) {
            GamepadState state;
            for (auto const button : around[i])
                state.press(button);
            pad.pad.set(state);
            QCOMPARE(pad.next(), report(i, 0, 0));
        }
        pad.pad.set(pressed({ B::Left, B::Right }));
        QCOMPARE(pad.next(), report(8, 0, 0));
    }

    void sticksAndTriggersReachTheirEnds()
    {
        Pad pad;
        pad.pad.set({ 0, -32768, 32767, 16384, -16384, 31, 255 });
        // The right trigger is far enough to be a button too.
        QCOMPARE(pad.next(), (Bytes { 3, 8, 0x08, 0, 1, 255, 192, 64, 31, 255, 0 }));
        QCOMPARE(pad.guest.get({ 0xa1, 1, 3, 1, 0, 0, 16, 0 }), (Bytes { 3, 8, 0x08, 0, 1, 255, 192, 64, 31, 255, 0 }));
    }

    void shortPressIsNotLostAndSticksDoNotPileUp()
    {
        Pad pad;
        pad.pad.set(pressed({ GamepadButton::South }));
        pad.pad.set({});
        for (std::int16_t i = 0; i < 1000; ++i)
            pad.pad.set({ .leftX = static_cast<std::int16_t>(i * 32) });
        QCOMPARE(pad.next(), report(8, 0, 0x40));
        QCOMPARE(int(pad.next()[4]), 128 + 124);
        QVERIFY(!pad.hasNext());
    }

    void guestThatDoesNotListenMissesThePast()
    {
        UsbGamepad pad("p");
        UsbGuest guest(pad);
        pad.set(pressed({ GamepadButton::South }));
        guest.configure();
        QVERIFY(!guest.read(0x81, 16).done);
        // A guest that never asks does not make it grow.
        for (int i = 0; i < 1000; ++i)
            pad.set(pressed(i % 2 == 0 ? std::initializer_list<GamepadButton> { GamepadButton::East }
                                       : std::initializer_list<GamepadButton> {}));
        guest.cancel();
        REQUIRE_OK(pad.load(pad.save()));
    }

    void whatIsTheSameIsNoNews()
    {
        Pad pad;
        pad.pad.set({ .leftX = 3 }); // too little to be seen
        QVERIFY(!pad.hasNext());
        pad.pad.set({});
        QVERIFY(!pad.guest.result().done);
    }

    void buttonWakesASleepingGuestAndAStickDoesNot()
    {
        Pad pad;
        pad.guest.put({ 0, 3, 1, 0, 0, 0, 0, 0 });
        pad.pad.setSuspended(true);
        pad.pad.set({ .leftX = 500 });
        QCOMPARE(pad.guest.host.wakes, 0);
        pad.pad.set(pressed({ GamepadButton::Home }));
        QCOMPARE(pad.guest.host.wakes, 1);
    }

    void motorsFollowTheGuest()
    {
        Pad pad;
        pad.guest.put({ 0x21, 9, 5, 2, 0, 0, 5, 0 }, { 5, 0x34, 0x12, 0xff, 0xff });
        QCOMPARE(pad.rumbles, (Rumbles { { 0x1234, 0xffff } }));
        pad.guest.put({ 0x21, 9, 5, 2, 0, 0, 5, 0 }, { 5, 0x34, 0x12, 0xff, 0xff }); // the same
        pad.guest.put({ 0x21, 9, 4, 2, 0, 0, 5, 0 }, { 4, 0, 0, 0, 0 });             // of no meaning
        pad.guest.put({ 0x21, 9, 5, 2, 0, 0, 3, 0 }, { 5, 0, 0 });                   // cut off
        QCOMPARE(pad.rumbles.size(), std::size_t(1));
        // Still while the machine is, and on when it goes on, here or from a saved state.
        pad.pad.pause();
        QCOMPARE(pad.rumbles.back(), std::pair(0, 0));
        auto const saved = pad.pad.save();
        pad.pad.reset();
        REQUIRE_OK(pad.pad.load(saved));
        pad.pad.resume();
        QCOMPARE(pad.rumbles, (Rumbles { { 0x1234, 0xffff }, { 0, 0 }, { 0x1234, 0xffff } }));
        pad.pad.busReset();
        QCOMPARE(pad.rumbles.back(), std::pair(0, 0));
    }

    void queueGoesOnInAnother()
    {
        Pad before, after;
        before.pad.set(pressed({ GamepadButton::South }));
        before.pad.set({});
        REQUIRE_OK(after.pad.load(before.pad.save()));
        QCOMPARE(after.next(), report(8, 0, 0x40));
        QCOMPARE(after.next(), report(8, 0, 0));
    }
};

REGISTER_SUITE(UsbGamepadTest);
#include "usb_gamepad_test.moc"
