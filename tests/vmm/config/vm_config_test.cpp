#include "tests/support/suite.h"
#include "vmm/config/vm_config.h"

#include <functional>

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

    /// A row for each refusal of vm_config.cpp and usb_config.cpp, and for each bound of a field: one that is new needs
    /// a row here.
    void everyRefusalSaysWhy_data()
    {
        QTest::addColumn<Change>("change");
        QTest::addColumn<QByteArray>("reason");
        auto const row = [](char const* name, char const* reason, Change change) {
            QTest::newRow(name) << std::move(change) << QByteArray(reason);
        };
        row("not UTF-8", "a name or a path is not UTF-8", [](auto& c) { c.name = "\xe4"; });
        row("name too long", "name", [](auto& c) { c.name = std::string(257, 'n'); });
        row("notes too long", "notes", [](auto& c) { c.notes = std::string(65537, 'n'); });
        row("path too long", "disks[0].path", [](auto& c) { c.disks[0].path = std::string(4097, 'p'); });
        row("UUID too long", "uuid", [](auto& c) { c.uuid += "0"; });
        row("no UUID", "\"\" is no UUID", [](auto& c) { c.uuid.clear(); });
        row("another text", "\"web\" is no UUID", [](auto& c) { c.uuid = "web"; });
        row("no name", "the machine has no name", [](auto& c) { c.name.clear(); });
        row("no CPU", "cpus", [](auto& c) { c.cpus = 0; });
        row("too many CPUs", "cpus", [](auto& c) { c.cpus = 17; });
        row("no memory", "memoryMiB", [](auto& c) { c.memoryMiB = 0; });
        row("too much memory", "memoryMiB", [](auto& c) { c.memoryMiB = (1u << 20) + 1; });
        row("too many displays", "displays", [](auto& c) { c.displays.resize(5); });
        row("too many queues", "disks[0].queues", [](auto& c) { c.disks[0].queues = 17; });
        row("no video memory", "displays[0].videoMemoryMiB", [](auto& c) { c.displays = { { "display0", 0 } }; });
        row("too many sources of random numbers", "randomGenerators", [](auto& c) { c.randomGenerators = 256; });
        row("direct boot of nothing", "direct boot without a kernel",
            [](auto& c) { c.kernel.emplace(), c.firmware = Firmware::None; });
        row("a kernel and firmware", "a kernel is booted directly or by firmware, not both", [](auto& c) {
            c.kernel = KernelConfig { "/vmlinuz", {}, {} };
        });
        row("nothing to boot", "neither firmware nor a kernel to boot", [](auto& c) { c.firmware = Firmware::None; });
        row("no id", "\"\" is no device id", [](auto& c) { c.disks[0].id.clear(); });
        row("capitals in an id", "\"CD\" is no device id", [](auto& c) { c.cds[0].id = "CD"; });
        row("a path in an id", "\"../net\" is no device id", [](auto& c) { c.networks[0].id = "../net"; });
        row("an id too long", "serials[0].id", [](auto& c) { c.serials[0].id = std::string(33, 'i'); });
        row("two of one id", "two devices are called disk0", [](auto& c) { c.disks[1].id = "disk0"; });
        row("two kinds of one id", "two devices are called net0", [](auto& c) { c.displays = { { "net0" } }; });
        row("one of a stick's id", "two devices are called disk1", [](auto& c) { c.usbDevices[0].id = "disk1"; });
        row("a boot order of nobody", "the boot order names disk9, which is not there", [](auto& c) {
            c.bootOrder = { "disk0", "disk9" };
        });
        row("no image", "disk0 has no image", [](auto& c) { c.disks[0].path.clear(); });
        row("five 16550 ports", "a PC has room for four 16550 ports; more can be virtio consoles", [](auto& c) {
            for (char const* id : { "serial1", "serial2", "serial3", "serial4" })
                c.serials.push_back({ id });
        });
        row("no MAC", "net0: \"\" is no station's MAC address", [](auto& c) { c.networks[0].mac.clear(); });
        row("a MAC cut off", "net0: \"52:54:00:12:34:5\" is no station's MAC address",
            [](auto& c) { c.networks[0].mac.pop_back(); });
        row("a MAC of letters", "net0: \"52:54:00:12:34:5g\" is no station's MAC address",
            [](auto& c) { c.networks[0].mac = "52:54:00:12:34:5g"; });
        row("everybody's MAC", "net0: \"ff:ff:ff:ff:ff:ff\" is no station's MAC address",
            [](auto& c) { c.networks[0].mac = "ff:ff:ff:ff:ff:ff"; });
        row("a forward from port 0", "net0 forwards port 0", [](auto& c) { c.networks[0].forwards[0].hostPort = 0; });
        row("a forward to port 0", "net0 forwards port 0", [](auto& c) { c.networks[0].forwards[0].guestPort = 0; });
        row("a forward twice", "host port 2222 is forwarded twice",
            [](auto& c) { c.networks[0].forwards.push_back(c.networks[0].forwards[0]); });
        row("a forward of two cards", "host port 2222 is forwarded twice", [](auto& c) {
            c.networks.push_back(c.networks[0]);
            c.networks[1].id = "net1";
        });
        row("no controller", "keyboard0 has no USB controller", [](auto& c) { c.usbControllers.clear(); });
        row("a controller without connectors", "usbControllers[0].connectors",
            [](auto& c) { c.usbControllers[0].connectors = 0; });
        row("a connector that no controller has", "usbDevices[0].connector",
            [](auto& c) { c.usbDevices[0].connector = 16; });
        row("behind nobody", "usb9 is no USB controller, nor a hub before keyboard0 in the list",
            [](auto& c) { c.usbDevices[0].parent = "usb9"; });
        row("behind a hub that comes later", "hub0 is no USB controller, nor a hub before keyboard0 in the list",
            [](auto& c) { c.usbDevices[0].parent = "hub0"; });
        row("the sixth hub in a row", "hub5 is behind 5 other hubs", [](auto& c) {
            for (char const* id : { "hub1", "hub2", "hub3", "hub4", "hub5" })
                c.usbDevices.push_back({ id, UsbKind::Hub, c.usbDevices.back().id });
        });
        row("more devices than connectors", "usb0 has 1 connectors, and more devices",
            [](auto& c) { c.usbControllers[0].connectors = 1; });
        row("two in one connector", "two devices are in connector 3 of usb0, one of them hub0",
            [](auto& c) { c.usbDevices[0].connector = c.usbDevices[1].connector = 3; });
        row("a stick without a controller", "disk1 has no USB controller", [](auto& c) {
            c.usbControllers.clear();
            c.usbDevices.clear();
            c.disks[1].connector = 1;
        });
        row("a stick in a hub", "hub0 is no USB controller, and disk1 fits into nothing else",
            [](auto& c) { c.disks[1].parent = "hub0"; });
        row("more sticks than connectors", "1 USB sticks, and connectors for 0",
            [](auto& c) { c.usbControllers[0].connectors = 2; });
    }
    void everyRefusalSaysWhy()
    {
        QFETCH(Change, change);
        QFETCH(QByteArray, reason);
        auto config = whole();
        REQUIRE_OK(checkConfig(config));
        change(config);
        auto const checked = checkConfig(config);
        QVERIFY(!checked);
        QCOMPARE(checked.error().code, ErrorCode::InvalidArgument);
        auto const said = QByteArray::fromStdString(checked.error().message());
        // Of a field that is out of its bounds only the name is ours to promise.
        bool const isSentence = reason.contains(' ');
        QVERIFY2(isSentence ? said == reason : said.contains(reason), said);
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
    using Change = std::function<void(VmConfig&)>;

    /// With something of each kind.
    static VmConfig whole()
    {
        auto config = smallest();
        config.disks = { { "disk0", "/root.img" }, { "disk1", "/stick.img", DiskFormat::Raw, DiskBus::Usb } };
        config.cds = { { "cd0", {} } };
        NetworkConfig network { "net0", "52:54:00:12:34:56" };
        network.forwards = { { Protocol::Tcp, "127.0.0.1", 2222, 22 } };
        config.networks = { network };
        config.serials = { { "serial0" }, { "console0", true } };
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "hub0", UsbKind::Hub } };
        return config;
    }

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
