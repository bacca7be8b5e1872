#include "tests/battery/battery.h"
#include "tests/vmm/usb/usb_guest.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/usb/hid_device.h"

#include <linux/input-event-codes.h>

using namespace vmm;
using namespace std::chrono_literals;
using tests::UsbGuest;
using tests::XhciDriver;

class HidDeviceTest : public QObject {
    Q_OBJECT
private slots:
    void keyboardBattery()
    {
        tests::battery<UsbKeyboard>([] { return std::make_unique<UsbKeyboard>("k"); },
            [](UsbKeyboard& keyboard) {
                UsbGuest guest(keyboard);
                guest.configure();
                keyboard.key({ KEY_A, true });
            });
    }

    void pointerBattery()
    {
        tests::battery<UsbPointer>([] { return std::make_unique<UsbPointer>("t", UsbPointer::Kind::Tablet); },
            [](UsbPointer& tablet) {
                UsbGuest guest(tablet);
                guest.configure();
                tablet.move(AbsoluteMove { 5, 6 });
            });
    }

    void descriptorsAreWhole()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        auto const device = guest.get({ 0x80, 6, 0, 1, 0, 0, 64, 0 });
        QCOMPARE(device.size(), std::size_t(18));
        QCOMPARE(device[0], 18);
        auto const configuration = guest.get({ 0x80, 6, 0, 2, 0, 0, 255, 0 });
        QCOMPARE(std::size_t(configuration[2] | configuration[3] << 8), configuration.size());
        std::size_t at = 0;
        while (at < configuration.size() && configuration[at] != 0)
            at += configuration[at];
        QCOMPARE(at, configuration.size());
        auto const report = guest.get({ 0x81, 6, 0, 0x22, 0, 0, 255, 0 });
        QCOMPARE(report.size(), std::size_t(configuration[9 + 9 + 7]));
        QCOMPARE(report.back(), 0xc0);
        auto const text = guest.get({ 0x80, 6, 2, 3, 9, 4, 255, 0 });
        QCOMPARE(text.size(), std::size_t(2 + 2 * 12));
        QCOMPARE(guest.get({ 0x80, 6, 0, 1, 0, 0, 8, 0 }).size(), std::size_t(8));
        guest.get({ 0x80, 6, 0, 6, 0, 0, 10, 0 }); // a qualifier
        QVERIFY(guest.status == UsbStatus::Stall);
        guest.get({ 0x80, 6, 9, 3, 9, 4, 255, 0 });
        QVERIFY(guest.status == UsbStatus::Stall);
    }

    void standardRequestsAreAnswered()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        QCOMPARE(guest.get({ 0x80, 8, 0, 0, 0, 0, 1, 0 }), Bytes { 0 });
        guest.put({ 0, 9, 2, 0, 0, 0, 0, 0 });
        QVERIFY(guest.status == UsbStatus::Stall);
        guest.configure();
        QCOMPARE(guest.get({ 0x80, 8, 0, 0, 0, 0, 1, 0 }), Bytes { 1 });
        guest.put({ 0, 3, 1, 0, 0, 0, 0, 0 });
        QCOMPARE(guest.get({ 0x80, 0, 0, 0, 0, 0, 2, 0 }), (Bytes { 2, 0 }));
        guest.put({ 2, 3, 0, 0, 0x81, 0, 0, 0 });
        QCOMPARE(guest.get({ 0x82, 0, 0, 0, 0x81, 0, 2, 0 }), (Bytes { 1, 0 }));
        QVERIFY(guest.read(0x81, 8).status == UsbStatus::Stall);
        guest.put({ 2, 1, 0, 0, 0x81, 0, 0, 0 });
        keyboard.key({ KEY_A, true });
        QVERIFY(guest.read(0x81, 8).status == UsbStatus::Success);
        QCOMPARE(guest.get({ 0x81, 10, 0, 0, 0, 0, 1, 0 }), Bytes { 0 });
        guest.put({ 1, 11, 1, 0, 0, 0, 0, 0 });
        QVERIFY(guest.status == UsbStatus::Stall);
    }

    void keysComeOneByOne()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        guest.configure();
        keyboard.key({ KEY_LEFTSHIFT, true });
        keyboard.key({ KEY_A, true });
        keyboard.key({ KEY_A, false });
        keyboard.key({ KEY_F12, true });
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 2, 0, 0, 0, 0, 0, 0, 0 }));
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 2, 0, 4, 0, 0, 0, 0, 0 }));
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 2, 0, 0, 0, 0, 0, 0, 0 }));
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 2, 0, 0x45, 0, 0, 0, 0, 0 }));
        auto const later = guest.read(0x81, 8);
        QVERIFY(!later.done);
        keyboard.key({ KEY_F12, false });
        QCOMPARE(guest.result().data, (Bytes { 2, 0, 0, 0, 0, 0, 0, 0 }));
    }

    void sevenKeysRollOver()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        guest.configure();
        Bytes last;
        for (std::uint16_t key : { KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7 }) {
            keyboard.key({ key, true });
            last = guest.read(0x81, 8).data;
        }
        QCOMPARE(last, (Bytes { 0, 0, 1, 1, 1, 1, 1, 1 }));
        keyboard.key({ KEY_2, false });
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 0, 0, 0x1e, 0x20, 0x21, 0x22, 0x23, 0x24 }));
    }

    void lightsAreSet()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        guest.configure();
        guest.put({ 0x21, 9, 0, 2, 0, 0, 1, 0 }, { 3 });
        QVERIFY(guest.status == UsbStatus::Success);
        QCOMPARE(keyboard.leds(), 3);
    }

    void heldKeyIsReportedAgainWhenIdle()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        guest.configure();
        guest.put({ 0x21, 10, 0, 5, 0, 0, 0, 0 }); // every 20 ms
        keyboard.key({ KEY_A, true });
        guest.read(0x81, 8);
        QVERIFY(!guest.read(0x81, 8).done);
        guest.host.clock.advance(19ms);
        QVERIFY(!guest.result().done);
        guest.host.clock.advance(1ms);
        QCOMPARE(guest.result().data, (Bytes { 0, 0, 4, 0, 0, 0, 0, 0 }));
    }

    void tabletTellsWhereItIs()
    {
        int changes = 0;
        UsbPointer tablet("t", UsbPointer::Kind::Tablet, [&] { ++changes; });
        UsbGuest guest(tablet);
        QVERIFY(!tablet.wantsAbsolute());
        tablet.move(AbsoluteMove { 1, 1 }); // nobody listens
        guest.configure();
        QVERIFY(tablet.wantsAbsolute());
        QCOMPARE(changes, 1);
        tablet.move(AbsoluteMove { 0x1234, 0x10 });
        tablet.move(AbsoluteMove { 0x4321, 0x7fff });
        tablet.button({ PointerButton::Right, true });
        tablet.wheel({ -1, 0 });
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 0, 0x21, 0x43, 0xff, 0x7f, 0, 0 }));
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 2, 0x21, 0x43, 0xff, 0x7f, 0xff, 0 }));
        QVERIFY(!guest.read(0x81, 8).done);
    }

    void ofMoreClicksThanFitNoButtonStaysDown()
    {
        UsbPointer tablet("t", UsbPointer::Kind::Tablet);
        UsbGuest guest(tablet);
        guest.configure();
        tablet.button({ PointerButton::Right, true });
        for (int i = 0; i < 1000; ++i)
            tablet.button({ PointerButton::Left, i % 2 == 0 });
        tablet.button({ PointerButton::Right, false });
        Bytes last;
        for (auto next = guest.read(0x81, 8); next.done; next = guest.read(0x81, 8))
            last = next.data;
        QCOMPARE(last.at(0), 0);
    }

    void mouseMovesInPieces()
    {
        UsbPointer mouse("m", UsbPointer::Kind::Mouse);
        UsbGuest guest(mouse);
        guest.configure();
        mouse.move(RelativeMove { 100, -3 });
        mouse.move(RelativeMove { 100, -3 });
        mouse.button({ PointerButton::Left, true });
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 0, 127, 0xfa, 0, 0 }));
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 0, 73, 0, 0, 0 }));
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 1, 0, 0, 0, 0 }));
        guest.put({ 0x21, 11, 0, 0, 0, 0, 0, 0 }); // the boot protocol
        mouse.move(RelativeMove { 1, 1 });
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 1, 1, 1 }));
    }

    /// As a driver has it: found by its descriptors, and asked by interrupt transfers.
    void mouseAtAController()
    {
        UsbPointer mouse("m", UsbPointer::Kind::Mouse);
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, mouse));
        d.start();
        constexpr unsigned fullSpeed = 1;
        auto control = d.address(1, fullSpeed);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
        d.request(control, { 0x80, 6, 0, 2, 0, 0, 34, 0 }, 0xf000, 34);
        QCOMPARE(d.bytes(0xf000 + 9, 9), (Bytes { 9, 4, 0, 0, 1, 3, 1, 2, 0 })); // HID, boot, mouse
        QCOMPARE(*d.ram(0xf000 + 29), 0x81);
        mouse.move(RelativeMove { 9, 9 });
        QVERIFY(!mouse.isListenedTo());
        d.request(control, { 0, 9, 1, 0, 0, 0, 0, 0 }, 0, 0);
        QVERIFY(mouse.isListenedTo());
        auto in = d.addEndpoint(control.slot, 3, tests::usb::InterruptIn, 6);
        d.dropEvents();
        d.put(in, XhciDriver::Normal, 0xf000, 8, XhciDriver::Ioc);
        d.put(in, XhciDriver::Normal, 0xf008, 8, XhciDriver::Ioc);
        d.kick(in);
        QVERIFY(!d.hasEvent()); // it does not move
        mouse.move(RelativeMove { 5, -3 });
        QCOMPARE(d.event().length(), 3u); // of 8 that are missing
        QCOMPARE(d.bytes(0xf000, 5), (Bytes { 0, 5, 0xfd, 0, 0 }));
        QVERIFY(!d.hasEvent());
        mouse.button({ PointerButton::Left, true });
        QCOMPARE(d.event().code(), unsigned(tests::usb::ShortPacket));
        QCOMPARE(d.bytes(0xf008, 5), (Bytes { 1, 0, 0, 0, 0 }));
    }

    void sleepingHostIsWoken()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        guest.configure();
        keyboard.setSuspended(true);
        keyboard.key({ KEY_A, true });
        QCOMPARE(guest.host.wakes, 0);
        guest.put({ 0, 3, 1, 0, 0, 0, 0, 0 });
        keyboard.key({ KEY_A, false });
        QCOMPARE(guest.host.wakes, 1);
    }

    void cancelledTransferIsGone()
    {
        UsbKeyboard keyboard("k");
        UsbGuest guest(keyboard);
        guest.configure();
        guest.read(0x81, 8);
        guest.cancel();
        QVERIFY(guest.result().status == UsbStatus::Cancelled);
        keyboard.key({ KEY_A, true });
        QCOMPARE(guest.read(0x81, 8).data, (Bytes { 0, 0, 4, 0, 0, 0, 0, 0 }));
    }
};

REGISTER_SUITE(HidDeviceTest);
#include "hid_device_test.moc"
