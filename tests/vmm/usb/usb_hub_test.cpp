#include "tests/battery/battery.h"
#include "tests/vmm/usb/usb_guest.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/usb/usb_hub.h"
#include "vmm/usb/visiting_usb_device.h"

#include <nlohmann/json.hpp>

using namespace vmm;
using namespace std::chrono_literals;
using tests::FakeUsbDevice;
using tests::UsbGuest;
using tests::XhciDriver;

namespace {

/// A device of which nobody has thought whether it can be saved.
struct Thoughtless final : EmulatedUsbDevice {
    Thoughtless() : EmulatedUsbDevice(UsbSpeed::High, "thoughtless", {}) { }
    void cancel(UsbTransfer&) override { }
    void reset() override { }
    Section save() const override { return {}; }
    Result<> load(Section const&) override { return {}; }
    void unconfigured() override { }
    void data(UsbTransfer&) override { }
};

/// One that is no part of the machine.
struct ThoughtlessVisitor final : VisitingUsbDevice {
    std::string newIdentity() const override { return "visitor"; }
    UsbSpeed speed() const override { return UsbSpeed::High; }
    void busReset() override { }
    void submit(UsbTransfer&) override { }
    void cancel(UsbTransfer&) override { }
    Section save() const override { return {}; }
    Result<> load(Section const&) override { return {}; }
};

Bytes portStatus(UsbGuest& guest, std::uint8_t port)
{
    return guest.get({ 0xa3, 0, 0, 0, port, 0, 4, 0 });
}

void setPortFeature(UsbGuest& guest, std::uint8_t port, std::uint8_t feature)
{
    guest.put({ 0x23, 3, feature, 0, port, 0, 0, 0 });
}

void clearPortFeature(UsbGuest& guest, std::uint8_t port, std::uint8_t feature)
{
    guest.put({ 0x23, 1, feature, 0, port, 0, 0, 0 });
}

enum Feature : std::uint8_t { Enable = 1, Suspend = 2, Reset = 4, Power = 8, ChangeConnection = 16, ChangeReset = 20 };

}

class UsbHubTest : public QObject {
    Q_OBJECT
private slots:
    void whoHasNotThoughtAboutItCannotBeSaved()
    {
        auto const can = Thoughtless().canSave();
        QVERIFY(!can);
        QCOMPARE(can.error().code, ErrorCode::Unsupported);
        QVERIFY(!FakeUsbDevice().canSave());
        QVERIFY(!ThoughtlessVisitor().canSave());
    }

    void battery()
    {
        FakeUsbDevice device;
        tests::battery<UsbHub>([] { return std::make_unique<UsbHub>("h"); },
            [&](UsbHub& hub) {
                UsbGuest guest(hub);
                guest.configure();
                REQUIRE_OK(hub.plug(2, device));
                setPortFeature(guest, 2, Power);
                hub.unplug(2);
            });
    }

    void hubDescribesItself()
    {
        UsbHub hub("h");
        UsbGuest guest(hub);
        guest.configure();
        auto const descriptor = guest.get({ 0xa0, 6, 0, 0x29, 0, 0, 71, 0 });
        QCOMPARE(descriptor.size(), std::size_t(descriptor[0]));
        QCOMPARE(descriptor[2], 8);
        QCOMPARE(guest.get({ 0xa0, 0, 0, 0, 0, 0, 4, 0 }), Bytes(4));
        portStatus(guest, 9);
        QVERIFY(guest.status == UsbStatus::Stall);
    }

    void devicesAppearWhenThePortHasPower()
    {
        UsbHub hub("h");
        FakeUsbDevice device;
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(3, device));
        QCOMPARE(portStatus(guest, 3), Bytes(4));
        setPortFeature(guest, 3, Power);
        QCOMPARE(portStatus(guest, 3), (Bytes { 0x01, 0x05, 0x01, 0 })); // connected, power, high speed; changed
        QCOMPARE(guest.read(0x81, 2).data, (Bytes { 0x08, 0 }));
        QVERIFY(!guest.read(0x81, 2).done); // not at once again
        guest.host.clock.advance(32ms);
        QCOMPARE(guest.result().data, (Bytes { 0x08, 0 }));
        clearPortFeature(guest, 3, ChangeConnection);
        guest.read(0x81, 2);
        guest.host.clock.advance(100ms);
        QVERIFY(!guest.result().done);
        QVERIFY(hub.child(3) == nullptr);
        setPortFeature(guest, 3, Reset);
        QVERIFY(hub.child(3) == &device);
        QCOMPARE(device.resets, 1);
        QCOMPARE(portStatus(guest, 3), (Bytes { 0x03, 0x05, 0x10, 0 }));
        hub.unplug(3);
        QCOMPARE(portStatus(guest, 3), (Bytes { 0x00, 0x01, 0x11, 0 }));
        QCOMPARE(guest.host.drains, 1);
    }

    void sleepingPortIsWoken()
    {
        UsbHub hub("h");
        FakeUsbDevice device;
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(1, device));
        setPortFeature(guest, 1, Power);
        setPortFeature(guest, 1, Reset);
        setPortFeature(guest, 1, Suspend);
        QVERIFY(device.suspended);
        device.host().wake(device);
        QVERIFY(!device.suspended);
        QCOMPARE(portStatus(guest, 1)[2] & 4, 4);
        // The whole hub sleeps: it asks on, where it may.
        guest.put({ 0, 3, 1, 0, 0, 0, 0, 0 });
        hub.setSuspended(true);
        QVERIFY(device.suspended);
        device.host().wake(device);
        QCOMPARE(guest.host.wakes, 1);
    }

    void deviceBehindItIsReachedByItsRoute()
    {
        UsbHub hub("h");
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, hub));
        REQUIRE_OK(hub.plug(2, d.device));
        d.start();
        auto ring = d.address(1);
        d.request(ring, { 0, 9, 1, 0, 0, 0, 0, 0 }, 0, 0);
        d.request(ring, { 0x23, 3, Power, 0, 2, 0, 0, 0 }, 0, 0);
        d.address(1, 3, 2);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Transaction)); // its port was not reset
        d.request(ring, { 0x23, 3, Reset, 0, 2, 0, 0, 0 }, 0, 0);
        auto const behind = d.address(1, 3, 2);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
        auto in = d.addEndpoint(behind.slot, 3, tests::usb::BulkIn);
        d.put(in, XhciDriver::Normal, 0xf000, 8, XhciDriver::Ioc);
        d.kick(in);
        d.device.send(Bytes(8, 5));
        QCOMPARE(d.bytes(0xf000, 8), Bytes(8, 5));
        // A reset of its port takes its address.
        d.request(ring, { 0x23, 3, Reset, 0, 2, 0, 0, 0 }, 0, 0);
        d.put(in, XhciDriver::Normal, 0xf000, 8, XhciDriver::Ioc);
        d.kick(in);
        QVERIFY(d.device.waiting.empty());
        d.command(XhciDriver::DisableSlot, 0, XhciDriver::slotBits(behind.slot));
        in = d.addEndpoint(d.address(1, 3, 2).slot, 3, tests::usb::BulkIn);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
        // Pulled out in the middle of a transfer.
        d.put(in, XhciDriver::Normal, 0xf000, 8, XhciDriver::Ioc);
        d.kick(in);
        d.dropEvents();
        hub.unplug(2);
        QVERIFY(d.device.waiting.empty());
        QCOMPARE(d.event().code(), unsigned(tests::usb::Transaction));
        d.controller.unplug(0);
    }

    void restoreWithoutTheDeviceUnplugsIt()
    {
        UsbHub hub("h");
        FakeUsbDevice device;
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(1, device));
        setPortFeature(guest, 1, Power);
        setPortFeature(guest, 1, Reset);
        hub.pause();
        auto const saved = hub.save();
        hub.unplug(1);
        QVERIFY(hub.save() == saved);
        REQUIRE_OK(hub.load(saved));
        hub.resume();
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x00, 0x01, 0x11, 0 }));
    }

    void aDeviceThatWasOutWhileTheMachineStoodStillIsNew()
    {
        UsbHub hub("h");
        FakeUsbDevice device;
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(1, device));
        setPortFeature(guest, 1, Power);
        setPortFeature(guest, 1, Reset);
        hub.pause();
        hub.unplug(1);
        REQUIRE_OK(hub.plug(1, device));
        hub.resume();
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x00, 0x01, 0x11, 0 })); // it is seen to be out
        clearPortFeature(guest, 1, ChangeConnection);
        guest.host.clock.advance(300ms);
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x01, 0x05, 0x11, 0 })); // connected, and not enabled
    }

    void aDeviceThatIsBackAtOnceIsSeenToBeOut()
    {
        UsbHub hub("h");
        FakeUsbDevice device, other(UsbSpeed::High, "other");
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(1, device));
        setPortFeature(guest, 1, Power);
        clearPortFeature(guest, 1, ChangeConnection);
        hub.unplug(1);
        REQUIRE_OK(hub.plug(1, other));
        guest.host.clock.advance(5s); // the driver is late
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x00, 0x01, 0x01, 0 }));
        clearPortFeature(guest, 1, ChangeConnection);
        guest.host.clock.advance(299ms);
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x00, 0x01, 0x00, 0 }));
        hub.unplug(1); // which the driver has seen nothing of
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x00, 0x01, 0x00, 0 }));
        REQUIRE_OK(hub.plug(1, other));
        guest.host.clock.advance(1ms);
        QCOMPARE(portStatus(guest, 1), (Bytes { 0x01, 0x05, 0x01, 0 }));
    }

    void aDriverThatNeverLooksKeepsNoDeviceOut()
    {
        UsbHub hub("h");
        FakeUsbDevice device;
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(1, device));
        setPortFeature(guest, 1, Power);
        hub.unplug(1);
        REQUIRE_OK(hub.plug(1, device));
        guest.host.clock.advance(9999ms);
        QCOMPARE(portStatus(guest, 1)[0] & 1, 0);
        guest.host.clock.advance(1ms);
        QCOMPARE(portStatus(guest, 1)[0] & 1, 1);
    }

    void aPortThatIsToStayEmptyDoesSoAfterARestore()
    {
        UsbHub hub("h");
        FakeUsbDevice device, other(UsbSpeed::High, "other");
        UsbGuest guest(hub);
        guest.configure();
        REQUIRE_OK(hub.plug(1, device));
        setPortFeature(guest, 1, Power);
        hub.unplug(1);
        clearPortFeature(guest, 1, ChangeConnection);
        guest.host.clock.advance(200ms);
        hub.pause();
        auto const saved = hub.save();
        REQUIRE_OK(hub.plug(1, other));
        REQUIRE_OK(hub.load(saved));
        hub.resume();
        guest.host.clock.advance(99ms);
        QCOMPARE(portStatus(guest, 1)[0] & 1, 0);
        guest.host.clock.advance(1ms);
        QCOMPARE(portStatus(guest, 1)[0] & 1, 1);
    }

    void aStateOfAnOlderVersionHasPortsThatWaitForNothing()
    {
        UsbHub hub("h");
        auto json = hub.save().toJson();
        QVERIFY(json["version"] == 2);
        json["version"] = 1u;
        for (auto& port : json["state"]["ports"])
            port.erase("emptyUntil");
        REQUIRE_OK(hub.load(tests::must(Section::fromJson(json))));
        QVERIFY(hub.save() == UsbHub("h").save());
    }
};

REGISTER_SUITE(UsbHubTest);
#include "usb_hub_test.moc"
