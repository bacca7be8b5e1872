#include "tests/support/suite.h"
#include "ui/theme/icons.h"
#include "ui/usb/usb_words.h"

#include <QFile>
#include <QIcon>
#include <QSet>
#include <QSysInfo>

using app::HostUse;
using Kind = app::HostUse::Kind;

namespace {

vmm::HostUsbInfo device(std::vector<std::uint8_t> classes, std::vector<std::string> nodes = {})
{
    vmm::HostUsbInfo info;
    info.port = "1-2.3";
    info.vendor = 0x0951;
    info.product = 0x1666;
    info.interfaceClasses = std::move(classes);
    info.nodes = std::move(nodes);
    return info;
}

}

/// What USB devices are called, and shown as.
class UsbWordsTest final : public QObject {
    Q_OBJECT
private slots:
    void aDeviceHasTheIconOfWhatItIs()
    {
        struct Case {
            vmm::HostUsbInfo device;
            char const* icon;
        };
        std::vector<Case> const cases {
            { device({ 0x08 }, { "/dev/sda", "/dev/sda1" }), "stick" },
            { device({ 0x03 }, { "/dev/hidraw0", "/dev/input/event3" }), "keyboard" },
            { device({ 0x03 }, { "/dev/input/event3", "/dev/input/mouse0" }), "mouse" },
            { device({ 0x03 }, { "/dev/input/event9", "/dev/input/js0" }), "gamepad" },
            { device({ 0x03 }, { "/dev/hidraw1" }), "key" },
            { device({ 0x0b }), "key" },
            { device({ 0x01, 0x0e }), "webcam" },
            { device({ 0x01, 0x03 }), "headset" },
            { device({ 0x07, 0xff }), "printer" },
            { device({ 0x06 }), "phone" },
            { device({ 0xe0 }), "wireless" },
            { device({ 0x02, 0x0a }), "serial" },
            { device({ 0xff }, { "/dev/ttyUSB0" }), "serial" },
            { device({ 0xff }), "usb" },
            { device({}), "usb" },
        };
        QVERIFY(!ui::icon("usb").isNull()); // the resources are there from here on
        for (auto const& [info, icon] : cases) {
            QCOMPARE(ui::usbIconName(info), icon);
            QVERIFY2(QFile::exists(QStringLiteral(":/icons/%1.svg").arg(icon)), icon);
        }
    }

    void emulatedOnesToo()
    {
        auto const kinds = stateNames(vmm::UsbKind {});
        QSet<QString> names;
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            auto const kind = static_cast<vmm::UsbKind>(i);
            names += ui::usbName(kind);
            QVERIFY(QFile::exists(QStringLiteral(":/icons/%1.svg").arg(ui::usbIconName(kind))));
        }
        QCOMPARE(names.size(), qsizetype(kinds.size()));
        QVERIFY(!names.contains(QString()));
    }

    void speedsAndIdentity()
    {
        auto info = device({});
        info.speed = vmm::UsbSpeed::Low;
        QCOMPARE(ui::speedText(info), "1.5 Mbit/s");
        info.speed = vmm::UsbSpeed::Super;
        QCOMPARE(ui::speedText(info), "5 Gbit/s");
        QCOMPARE(ui::usbIdentityText(info), "Port 1-2.3 · 0951:1666");
        info.serial = "AB12";
        QCOMPARE(ui::usbIdentityText(info), "Port 1-2.3 · 0951:1666 · serial number AB12");
    }

    void whatTakingADeviceWouldEnd()
    {
        QCOMPARE(ui::takingText({ { Kind::Keyboard, "Cherry", true } }),
            "It is the only keyboard of this computer: it would type in the machine alone.");
        QCOMPARE(ui::takingText({ { Kind::Keyboard, "Cherry", false }, { Kind::Keyboard, "Cherry System", false } }),
            "It is a keyboard of this computer, and would type in the machine alone.");
        QCOMPARE(ui::takingText({ { Kind::MountedDisk, "/media/anna/STICK", false } }),
            "It is mounted at /media/anna/STICK: what is not written yet would be lost. Eject it first.");
        QVERIFY(ui::takingText({ { Kind::NetworkUp, "eth1", true } }).contains("only network connection"));
        QVERIFY(ui::takingText({ { Kind::PortInUse, "ttyUSB0: minicom (77)", false } }).contains("minicom (77)"));
        QCOMPARE(ui::takingText({}), "A rule says that it stays on this computer.");
    }

    void whatGoingBackDoes()
    {
        using Outcome = app::UsbFate::Outcome;
        app::UsbFate stick {
            .vendor = 0x0951, .product = 0x1666, .name = "DataTraveler", .outcome = Outcome::Unplugged
        };
        app::UsbFate gone { .vendor = 0x1209, .product = 1, .outcome = Outcome::NotHere };
        QCOMPARE(ui::fatesText({}), "");
        QCOMPARE(ui::fatesText({ stick, gone }),
            "Unplugged: “DataTraveler”. Unplugged, and not here after that: “1209:0001”.");
        QCOMPARE(ui::stayingText({ stick, gone }), "USB devices do not travel with it: “DataTraveler”, “1209:0001”.");
        app::UsbFate const remote {
            .vendor = 0x0951, .product = 0x1666, .from = "10.0.0.7:4000", .outcome = Outcome::PluggedAnew
        };
        QCOMPARE(ui::fatesText({ remote }), "Unplugged and plugged in anew: “0951:1666” from 10.0.0.7:4000.");
        auto other = stick;
        other.name = "Token";
        QCOMPARE(ui::fatesText({ stick, other }), "Unplugged: “DataTraveler”, “Token”.");
        stick.outcome = Outcome::PluggedAnew;
        other.outcome = Outcome::Asked;
        QCOMPARE(ui::fatesText({ stick, other }),
            "Unplugged and plugged in anew: “DataTraveler”. Unplugged, and you are asked about it then: “Token”.");
    }

    void whatIsStartedOnTheOtherComputer()
    {
        using app::UsbMeeting;
        QString const start = "sudo usbredirect --device VENDOR:PRODUCT ", own = QSysInfo::machineHostName();
        struct Case {
            UsbMeeting how;
            char const* address;
            QString end;
        };
        std::vector<Case> const cases {
            { UsbMeeting::Call, "", "--as 0.0.0.0:PORT" },
            { UsbMeeting::Call, "desk", "--as 0.0.0.0:PORT" },
            { UsbMeeting::Call, "desk:4000", "--as 0.0.0.0:4000" },
            { UsbMeeting::Call, "4000", "--as 127.0.0.1:4000" },
            { UsbMeeting::Call, "localhost:4000", "--as 127.0.0.1:4000" },
            { UsbMeeting::Call, "/run/usb.sock", "--as 127.0.0.1:PORT" },
            { UsbMeeting::Wait, "0.0.0.0:4000", "--to " + own + ":4000" },
            { UsbMeeting::Wait, "[::]:4000", "--to " + own + ":4000" },
            { UsbMeeting::Wait, "192.0.2.7:4000", "--to 192.0.2.7:4000" },
            { UsbMeeting::Wait, "[::1]:4000", "--to 127.0.0.1:4000" },
            { UsbMeeting::Wait, "4000", "--to 127.0.0.1:4000" },
            { UsbMeeting::Wait, "", "--to " + own + ":PORT" },
        };
        for (auto const& [how, address, end] : cases)
            QCOMPARE(ui::usbredirectLine(how, address), start + end);
    }

    void whomARuleMeans()
    {
        app::UsbMatch match;
        QCOMPARE(ui::usbMatchWords(match), "every device");
        match.deviceClass = 0x08;
        QCOMPARE(ui::usbMatchWords(match), "disks and memory sticks");
        match.deviceClass = 0x42;
        QCOMPARE(ui::usbMatchWords(match), "class 42");
        match = {};
        match.vendor = 0x0951;
        QCOMPARE(ui::usbMatchWords(match), "everything of maker 0951");
        match.product = 0x1666;
        QCOMPARE(ui::usbMatchWords(match), "0951:1666, every one of this model");
        match.serial = "AB12";
        QCOMPARE(ui::usbMatchWords(match), "0951:1666, serial number AB12");
        match = {};
        match.port = "1-2";
        QCOMPARE(ui::usbMatchWords(match), "plugged in at 1-2");
    }
};

REGISTER_SUITE(UsbWordsTest);
#include "usb_words_test.moc"
