#include "tests/support/suite.h"
#include "vmm/config/usb_config.h"
#include "vmm/state/section.h"

#include <nlohmann/json.hpp>

using namespace vmm;

namespace {

VmConfig withUsb()
{
    VmConfig config;
    config.uuid = "12345678-1234-1234-1234-123456789abc";
    config.name = "web";
    config.usbControllers = { { "usb0" }, { "usb1" } };
    config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "hub0", UsbKind::Hub },
        { "tablet0", UsbKind::Tablet, "hub0" }, { "mouse0", UsbKind::Mouse, "usb1" } };
    config.disks
        = { { "disk0", "/root.img", DiskFormat::Raw }, { "disk1", "/stick.img", DiskFormat::Raw, DiskBus::Usb } };
    return config;
}

DiskConfig stick(std::string id)
{
    return { std::move(id), "/another.img", DiskFormat::Raw, DiskBus::Usb };
}

bool everywhere(UsbConnector const&)
{
    return true;
}

}

class UsbConfigTest : public QObject {
    Q_OBJECT
private slots:
    void devicesComeInTheirOrderAndSticksAfterThem()
    {
        auto const placed = tests::must(usbConnectorsOf(withUsb()));
        QCOMPARE(placed.size(), std::size_t(5)); // a disk that is no stick has no connector
        QVERIFY((placed.at("keyboard0") == UsbConnector { "usb0", 1 }));
        QVERIFY((placed.at("hub0") == UsbConnector { "usb0", 2 }));
        QVERIFY((placed.at("tablet0") == UsbConnector { "hub0", 1 }));
        QVERIFY((placed.at("mouse0") == UsbConnector { "usb1", 1 }));
        QVERIFY((placed.at("disk1") == UsbConnector { "usb0", 3 }));
    }

    void whoNamesAConnectorHasIt()
    {
        auto config = withUsb();
        config.disks[1].parent = "usb1";
        config.disks[1].connector = 1;
        config.usbDevices[1].connector = 1;
        auto const placed = tests::must(usbConnectorsOf(config));
        QVERIFY((placed.at("disk1") == UsbConnector { "usb1", 1 }));
        QVERIFY((placed.at("mouse0") == UsbConnector { "usb1", 2 }));
        QVERIFY((placed.at("hub0") == UsbConnector { "usb0", 1 }));
        QVERIFY((placed.at("keyboard0") == UsbConnector { "usb0", 2 }));
    }

    void whatHasNoPlaceIsRefused_data()
    {
        QTest::addColumn<std::string>("parent");
        QTest::addColumn<int>("connector");
        QTest::newRow("taken") << std::string("usb0") << 1;
        QTest::newRow("no such connector") << std::string("usb0") << 9;
        QTest::newRow("no such controller") << std::string("usb7") << 0;
        QTest::newRow("a hub") << std::string("hub0") << 0;
        QTest::newRow("a device") << std::string("keyboard0") << 0;
    }
    void whatHasNoPlaceIsRefused()
    {
        QFETCH(std::string, parent);
        QFETCH(int, connector);
        auto config = withUsb();
        config.usbDevices[0].connector = 1;
        config.disks[1].parent = parent;
        config.disks[1].connector = static_cast<std::uint8_t>(connector);
        QCOMPARE(usbConnectorsOf(config).error().code, ErrorCode::InvalidArgument);
        config.usbControllers.clear();
        config.usbDevices.clear();
        QVERIFY(!usbConnectorsOf(config));
    }

    void whatComesAndGoesMovesNothingElse()
    {
        auto config = withUsb();
        auto const before = tests::must(usbConnectorsOf(config));
        REQUIRE_OK(removeUsb(config, "keyboard0"));
        REQUIRE_OK(checkConfig(config));
        auto after = tests::must(usbConnectorsOf(config));
        QCOMPARE(after.size(), before.size() - 1);
        for (auto const& [id, connector] : after)
            QVERIFY(connector == before.at(id));
        // The next one goes where that was.
        UsbAddition added = stick("disk2");
        REQUIRE_OK(chooseUsbConnector(config, added, everywhere));
        REQUIRE_OK(addUsb(config, added));
        after = tests::must(usbConnectorsOf(config));
        QVERIFY((after.at("disk2") == UsbConnector { "usb0", 1 }));
        QVERIFY(after.at("disk1") == before.at("disk1"));
        auto const again = tests::must(configFromText(configToText(config)));
        QVERIFY(again == config);
    }

    void aConnectorThatSomebodyElseHasIsLeftAlone()
    {
        auto const config = withUsb();
        UsbAddition added = stick("disk2");
        REQUIRE_OK(chooseUsbConnector(config, added, [](UsbConnector const& one) { return one.number > 6; }));
        QCOMPARE(unsigned(std::get<DiskConfig>(added).connector), 7u);
        UsbAddition onHub = UsbDeviceConfig { "tablet1", UsbKind::Tablet, "hub0" };
        REQUIRE_OK(chooseUsbConnector(config, onHub, everywhere));
        QCOMPARE(unsigned(std::get<UsbDeviceConfig>(onHub).connector), 2u);
        added = stick("disk2");
        auto const full = chooseUsbConnector(config, added, [](UsbConnector const&) { return false; });
        QCOMPARE(full.error().code, ErrorCode::NotNow);
        QCOMPARE(full.error().message(),
            std::string("every connector of the machine's USB controllers is taken; unplug or remove something first"));
        QVERIFY(!chooseUsbConnector(VmConfig {}, added, everywhere));
    }

    void whatAFullControllerHasNoRoomForGoesToTheNext()
    {
        auto config = withUsb();
        for (unsigned number = 4; number <= 8; ++number) // the others are keyboard0's, hub0's and disk1's
            REQUIRE_OK(addUsb(config, stick("more" + std::to_string(number))));
        UsbAddition added = stick("disk2");
        REQUIRE_OK(chooseUsbConnector(config, added, everywhere));
        REQUIRE_OK(addUsb(config, added));
        auto const placed = tests::must(usbConnectorsOf(config));
        QVERIFY((placed.at("more8") == UsbConnector { "usb0", 8 }));
        QVERIFY((placed.at("disk2") == UsbConnector { "usb1", 2 })); // beside mouse0
    }

    void aControllerHasAsManyConnectorsAsItSays()
    {
        auto config = withUsb();
        config.usbControllers[0].connectors = 15;
        for (unsigned number = 4; number <= 15; ++number)
            REQUIRE_OK(addUsb(config, stick("more" + std::to_string(number))));
        QVERIFY((tests::must(usbConnectorsOf(config)).at("more15") == UsbConnector { "usb0", 15 }));
        QVERIFY(tests::must(configFromText(configToText(config))) == config);
        UsbAddition added = stick("disk2");
        REQUIRE_OK(chooseUsbConnector(config, added, everywhere));
        QCOMPARE(std::get<DiskConfig>(added).parent, std::string("usb1"));
        UsbDeviceConfig onHub { "tablet1", UsbKind::Tablet, "hub0" };
        onHub.connector = 9; // a hub has eight
        QVERIFY(!addUsb(config, onHub));
        config.usbControllers[0].connectors = 16;
        QVERIFY(!checkConfig(config));
        config.usbControllers[0].connectors = 0;
        QVERIFY(!checkConfig(config));
    }

    /// As all were before there could be more.
    void aControllerThatDoesNotSayHasEight()
    {
        auto json = Json::parse(configToText(withUsb()));
        for (auto& controller : json["state"]["usbControllers"])
            QCOMPARE(controller.erase("connectors"), std::size_t(1));
        auto const read = tests::must(configFromText(json.dump()));
        QCOMPARE(unsigned(read.usbControllers[0].connectors), 8u);
        QVERIFY(read == withUsb());
    }

    void thereAreSixteenControllersAtMost()
    {
        auto config = withUsb();
        while (config.usbControllers.size() < 16)
            config.usbControllers.push_back({ "usb" + std::to_string(config.usbControllers.size()) });
        REQUIRE_OK(checkConfig(config));
        config.usbControllers.push_back({ "usb16" });
        QCOMPARE(checkConfig(config).error().code, ErrorCode::InvalidArgument);
    }

    void whatIsRefusedChangesNothing()
    {
        auto config = withUsb();
        config.bootOrder = { "disk1", "disk0" };
        auto const before = config;
        QCOMPARE(removeUsb(config, "hub0").error().code, ErrorCode::Busy);
        QCOMPARE(removeUsb(config, "disk0").error().code, ErrorCode::NotFound); // no stick
        QVERIFY(!addUsb(config, stick("disk1")));                               // that id is taken
        QVERIFY(!addUsb(config, DiskConfig { "disk2", "/another.img", DiskFormat::Raw, DiskBus::Virtio }));
        QVERIFY(config == before);
        REQUIRE_OK(removeUsb(config, "disk1"));
        QCOMPARE(config.bootOrder, std::vector<std::string> { "disk0" });
        REQUIRE_OK(checkConfig(config));
    }
};

REGISTER_SUITE(UsbConfigTest);
#include "usb_config_test.moc"
