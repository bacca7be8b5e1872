#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"

#include <nlohmann/json.hpp>

using namespace vmm;
using namespace tests::usb;
using tests::FakeUsbDevice;
using tests::XhciDriver;
using D = XhciDriver;

/// How many ports a controller has, and what is on the two of a connector.
class XhciPortsTest final : public QObject {
    Q_OBJECT
private slots:
    void theLastOfAllPortsIsAPort()
    {
        constexpr unsigned last = 30;
        XhciDriver d(15);
        d.start();
        for (unsigned port = 1; port <= last; ++port)
            QCOMPARE(d.portStatus(port), 5u << 5 | 1u << 9); // empty, with power
        QCOMPARE(d.portStatus(last + 1), 0u);
        FakeUsbDevice fast(UsbSpeed::Super);
        REQUIRE_OK(d.controller.plug(14, fast));
        auto const event = d.event();
        QCOMPARE(event.type(), unsigned(D::PortEvent));
        QCOMPARE(event.parameter, std::uint64_t(last) << 24);
        QCOMPARE(d.portStatus(last) & 0x1ff, 3u);
        QCOMPARE(d.portStatus(last) >> 10 & 0xf, 4u);
        auto control = d.address(last, 4);
        QCOMPARE(d.lastCode, unsigned(Success));
        d.request(control, getDescriptor, 0xf000, 8);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Success));
        QCOMPARE(d.bytes(0xf000, 8), Bytes(8, 0x5a));
        QCOMPARE(d.command(D::GetBandwidth, 0xf100).code(), unsigned(Success));
        Bytes shares(33, 80); // a byte for each, behind one for none
        shares[0] = shares[31] = shares[32] = 0;
        QCOMPARE(d.bytes(0xf100, 33), shares);
        QVERIFY(!d.controller.plug(15, d.device));
        d.setPort(last, 1 << 17);
        d.controller.unplug(14);
        QCOMPARE(d.portStatus(last) & 3, 0u);
        QCOMPARE(d.event(D::PortEvent).parameter, std::uint64_t(last) << 24);
    }

    void aStateOfAnotherSizeIsRefused()
    {
        XhciDriver few(8), many(15);
        auto const refused = few.controller.load(many.controller.save());
        QCOMPARE(refused.error().code, ErrorCode::Corrupt);
        QVERIFY(!many.controller.load(few.controller.save()));
    }

    /// Of a machine from before there could be more.
    void aStateOfVersion2IsOneOfEightConnectors()
    {
        XhciDriver before(8);
        REQUIRE_OK(before.controller.plug(3, before.device));
        before.start();
        before.address(4);
        before.controller.pause();
        auto const now = before.controller.save();
        auto old = now.toJson();
        old["version"] = 2u;
        for (auto& port : old["state"]["ports"])
            port.erase("behind");
        XhciDriver after(8);
        REQUIRE_OK(after.controller.load(tests::must(Section::fromJson(old))));
        QVERIFY(after.controller.save() == now);
    }

    /// As where a USB 3 hub is plugged in, which is two devices.
    void aConnectorsPortsHaveADeviceEach()
    {
        XhciDriver d(15);
        d.start();
        FakeUsbDevice fast(UsbSpeed::Super), other(UsbSpeed::Super);
        REQUIRE_OK(d.controller.plug(2, d.device));
        REQUIRE_OK(d.controller.plug(2, fast));
        QVERIFY(!d.controller.plug(2, other));
        QCOMPARE(d.portStatus(3) & 1, 1u);
        QCOMPARE(d.portStatus(18) & 1, 1u);
        d.controller.unplug(d.device);
        QVERIFY(!d.device.isPlugged() && fast.isPlugged());
        QCOMPARE(d.portStatus(3) & 1, 0u);
        QCOMPARE(d.portStatus(18) & 1, 1u);
        d.controller.unplug(other); // which was never there
        REQUIRE_OK(d.controller.plug(2, d.device));
        d.controller.unplug(2);
        QVERIFY(!d.device.isPlugged() && !fast.isPlugged());
    }
};

REGISTER_SUITE(XhciPortsTest);
#include "xhci_ports_test.moc"
