#include "tests/support/suite.h"
#include "vmm/config/vm_config.h"

using namespace vmm;

class VmConfigTest : public QObject {
    Q_OBJECT

private slots:
    void textComesBack()
    {
        auto config = smallest();
        config.name = "Größe \x01 \"quoted\"";
        config.disks = { { "disk0", "/images/\xe2\x82\xac.img" } };
        REQUIRE_OK(checkConfig(config));
        auto const again = configFromText(configToText(config));
        REQUIRE_OK(again);
        QVERIFY(*again == config);
    }

    void whatJsonCannotHoldIsRefused()
    {
        auto config = smallest();
        config.name = std::string(100, '\xff'); // would be 300 bytes in the file, where 256 are possible
        QCOMPARE(checkConfig(config).error().code, ErrorCode::InvalidArgument);
        config.name = "web";
        config.disks = { { "disk0", "/images/\xe4.img" } }; // would be another file's path
        QCOMPARE(checkConfig(config).error().code, ErrorCode::InvalidArgument);
    }

    void aForwardHasAnAddressOfTheHost_data()
    {
        QTest::addColumn<QByteArray>("address");
        QTest::addColumn<QByteArray>("refusal");
        QTest::newRow("this computer") << QByteArray("127.0.0.1") << QByteArray();
        QTest::newRow("the whole network") << QByteArray() << QByteArray();
        QTest::newRow("a name") << QByteArray(
            "localhost") << QByteArray("host port 2222 is forwarded from \"localhost\", which is no IPv4 address");
        QTest::newRow("IPv6") << QByteArray("::1") << QByteArray("no IPv4 address");
    }
    /// A machine that was made with another one can be read all the same: checkConfig() does not look at it.
    void aForwardHasAnAddressOfTheHost()
    {
        QFETCH(QByteArray, address);
        QFETCH(QByteArray, refusal);
        auto config = smallest();
        NetworkConfig network { "net0", "52:54:00:12:34:56" };
        network.forwards = { { Protocol::Tcp, address.toStdString(), 2222, 22 } };
        config.networks = { network };
        auto const checked = checkHostAddress(network.forwards.front());
        QCOMPARE(checked.has_value(), refusal.isEmpty());
        QVERIFY(checked || QByteArray::fromStdString(checked.error().message()).contains(refusal));
        REQUIRE_OK(checkConfig(config));
        config.networks[0].forwards[0].hostPort = 0;
        QCOMPARE(checkConfig(config).error().message(), "net0 forwards port 0");
    }

    void usbDevicesNeedAConnector()
    {
        auto config = smallest();
        auto const refused = [&] { return !checkConfig(config); };
        config.usbDevices = { { "keyboard0", UsbKind::Keyboard, "" } };
        QVERIFY(refused());
        config.usbControllers = { { "usb0" } };
        REQUIRE_OK(checkConfig(config));
        config.usbDevices.push_back({ "tablet0", UsbKind::Tablet, "hub0" });
        QVERIFY(refused());
        config.usbDevices.push_back({ "hub0", UsbKind::Hub, "usb0" }); // too late in the list
        QVERIFY(refused());
        std::swap(config.usbDevices[1], config.usbDevices[2]);
        REQUIRE_OK(checkConfig(config));
        for (int i = 0; i < 6; ++i)
            config.disks.push_back({ "stick" + std::to_string(i), "/stick.img", DiskFormat::Raw, DiskBus::Usb });
        REQUIRE_OK(checkConfig(config));
        config.disks.push_back({ "stick6", "/stick.img", DiskFormat::Raw, DiskBus::Usb });
        QVERIFY(refused());
        config.disks.clear();
        for (int i = 1; i < 6; ++i)
            config.usbDevices.push_back({ "hub" + std::to_string(i), UsbKind::Hub, "hub" + std::to_string(i - 1) });
        QVERIFY(refused()); // the sixth in a row
    }

    void usbDevicesHaveConsolesAndAreMarked()
    {
        VmConfig config;
        config.serials = { { "serial0" } };
        config.usbDevices = { { "port0", UsbKind::Serial }, { "hub0", UsbKind::Hub } };
        config.disks.resize(2);
        config.disks[0].id = "disk0";
        config.disks[1].id = "disk1";
        config.disks[1].bus = DiskBus::Uas;
        QCOMPARE(consoleIds(config), (std::vector<std::string> { "serial0", "port0" }));
        QCOMPARE(pluggedMark(config, "hub0"), &config.usbDevices[1].plugged);
        QCOMPARE(pluggedMark(config, "disk1"), &config.disks[1].plugged);
        QVERIFY(!pluggedMark(config, "disk0")); // no stick
        QVERIFY(!pluggedMark(config, "serial0"));
    }

private:
    static VmConfig smallest()
    {
        VmConfig config;
        config.uuid = "01234567-89ab-4cde-8f01-23456789abcd";
        config.name = "web";
        return config;
    }
};

REGISTER_SUITE(VmConfigTest);
#include "vm_config_test.moc"
