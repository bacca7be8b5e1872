#include "tests/battery/battery.h"
#include "tests/fakes/manual_loop.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/usb/usb_serial.h"

using namespace vmm;
using tests::ManualLoop;
using tests::UsbGuest;

namespace {

struct Port {
    Port() { guest.configure(); }
    void type(std::string_view text)
    {
        console.type({ reinterpret_cast<std::uint8_t const*>(text.data()), text.size() });
        loop.turn();
    }
    std::string said() const
    {
        Bytes bytes;
        console.readFrom(0, bytes);
        return { bytes.begin(), bytes.end() };
    }

    ManualLoop loop;
    Console console;
    UsbSerial serial { "serial0", loop, console };
    UsbGuest guest { serial };
};

Bytes bytesOfText(std::string_view text)
{
    return { text.begin(), text.end() };
}

}

class UsbSerialTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        static ManualLoop loop;
        static Console console;
        tests::battery<UsbSerial>([] { return std::make_unique<UsbSerial>("s", loop, console); },
            [](UsbSerial& serial) {
                UsbGuest guest(serial);
                guest.configure();
                guest.put({ 0x21, 0x22, 3, 0, 0, 0, 0, 0 });
            });
    }

    void bytesGoBothWays()
    {
        Port port;
        QCOMPARE(port.guest.write(0x02, bytesOfText("hello")).status, UsbStatus::Success);
        QCOMPARE(port.said(), "hello");
        // What was typed before anybody asked, and what comes while somebody does.
        port.type("before");
        QCOMPARE(port.guest.read(0x81, 4).data, bytesOfText("befo"));
        QCOMPARE(port.guest.read(0x81, 512).data, bytesOfText("re"));
        QVERIFY(!port.guest.read(0x81, 512).done);
        port.type("after");
        QCOMPARE(port.guest.result().data, bytesOfText("after"));
    }

    void aTurnPrintsWhatTheConsoleKeeps()
    {
        Port port;
        QVERIFY(port.guest.write(0x02, Bytes(Console::scrollback, 'a')).done);
        QVERIFY(!port.guest.write(0x02, bytesOfText("waits")).done);
        QVERIFY(port.said().ends_with('a'));
        port.loop.turn();
        QCOMPARE(port.guest.result().status, UsbStatus::Success);
        QVERIFY(port.guest.result().done);
        QVERIFY(port.said().ends_with("aawaits"));
        QVERIFY(port.guest.write(0x02, bytesOfText("!")).done);
    }

    void whatWaitsToBePrintedCanBeCancelled()
    {
        Port port;
        port.guest.write(0x02, Bytes(Console::scrollback, 'a'));
        port.guest.write(0x02, bytesOfText("waits"));
        port.guest.cancel();
        QVERIFY(port.guest.result().done);
        QCOMPARE(port.guest.result().status, UsbStatus::Cancelled);
        port.loop.turn();
        QVERIFY(port.said().ends_with('a'));
    }

    void ofALongTransferTheEndIsPrinted()
    {
        Port port;
        auto const all = tests::counting(3 * Console::scrollback + 1);
        QVERIFY(port.guest.write(0x02, all).done);
        Bytes printed;
        QCOMPARE(port.console.readFrom(0, printed), std::uint64_t(Console::scrollback));
        QVERIFY(std::ranges::equal(printed, std::span(all).last(Console::scrollback)));
    }

    void lineCodingIsKept()
    {
        Port port;
        QCOMPARE(port.guest.get({ 0xa1, 0x21, 0, 0, 0, 0, 7, 0 }), (Bytes { 0x80, 0x25, 0, 0, 0, 0, 8 }));
        Bytes const coding { 0x00, 0xc2, 0x01, 0, 2, 1, 7 };
        port.guest.put({ 0x21, 0x20, 0, 0, 0, 0, 7, 0 }, coding);
        QCOMPARE(port.guest.status, UsbStatus::Success);
        QCOMPARE(port.guest.get({ 0xa1, 0x21, 0, 0, 0, 0, 7, 0 }), coding);
        port.guest.put({ 0x21, 0x20, 0, 0, 0, 0, 3, 0 }, { 1, 2, 3 });
        QCOMPARE(port.guest.status, UsbStatus::Stall);
    }

    void carrierIsToldOnce()
    {
        Port port;
        QCOMPARE(port.guest.read(0x83, 16).data, (Bytes { 0xa1, 0x20, 0, 0, 0, 0, 2, 0, 3, 0 }));
        QVERIFY(!port.guest.read(0x83, 16).done);
        port.guest.configure();
        QVERIFY(port.guest.read(0x83, 16).done);
    }

    void nothingIsLostWhileItIsUnplugged()
    {
        Port port;
        port.serial.setHost(nullptr);
        port.type("kept");
        port.serial.setHost(&port.guest.host);
        QCOMPARE(port.guest.read(0x81, 512).data, bytesOfText("kept"));
    }

    void typingWakesASleepingGuest()
    {
        Port port;
        port.guest.put({ 0, 3, 1, 0, 0, 0, 0, 0 }); // SET_FEATURE(DEVICE_REMOTE_WAKEUP)
        port.serial.setSuspended(true);
        port.type("x");
        QCOMPARE(port.guest.host.wakes, 1);
    }
};

REGISTER_SUITE(UsbSerialTest);
#include "usb_serial_test.moc"
