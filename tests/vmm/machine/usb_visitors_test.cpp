#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/machine/usb_visitors.h"
#include "vmm/state/reader.h"

#include <set>

using namespace vmm;
using namespace std::chrono_literals;
using namespace tests::usb;
using tests::FakeUsbDevice;
using tests::XhciDriver;
using D = XhciDriver;

namespace {

/// Visitors of a controller whose first connectors are the machine's own.
struct Bench {
    explicit Bench(unsigned connectors = 15, unsigned own = 0)
        : d(connectors), visitors([&controller = d.controller, own](XhciController const& asked, unsigned connector) {
              return &asked == &controller && connector < own;
          })
    {
        visitors.add(d.controller);
    }
    std::shared_ptr<FakeUsbDevice> plug(std::string const& id, UsbSpeed speed = UsbSpeed::High)
    {
        auto const device = std::make_shared<FakeUsbDevice>(speed, id);
        auto const plugged = visitors.plug(id, device);
        lastError = plugged ? Error {} : plugged.error();
        return plugged ? device : nullptr;
    }
    bool isDirect(FakeUsbDevice const& device) const { return &device.host() == &d.controller; }
    std::size_t hubs() const
    {
        return static_cast<std::size_t>(std::ranges::count_if(
            visitors.all(), [](Board::Part const& part) { return dynamic_cast<UsbHub*>(part.device) != nullptr; }));
    }
    /// What the guest's driver does with a hub that it finds: the control ring of the device on its first port.
    D::TransferRing reachBehindHub(unsigned port)
    {
        constexpr std::uint8_t power = 8, reset = 4;
        auto control = d.address(port);
        d.request(control, { 0, 9, 1, 0, 0, 0, 0, 0 }, 0, 0);
        for (auto const feature : { power, reset })
            d.request(control, { 0x23, 3, feature, 0, 1, 0, 0, 0 }, 0, 0);
        return d.address(port, 3, 1);
    }

    XhciDriver d;
    UsbVisitors visitors;
    Error lastError;
};

}

class UsbVisitorsTest final : public QObject {
    Q_OBJECT
private slots:
    void theLastPortTakesAHub()
    {
        Bench b(8, 2);
        for (unsigned i = 0; i < 5; ++i)
            QVERIFY(b.isDirect(*b.plug("visitor" + std::to_string(i))));
        QCOMPARE(b.hubs(), std::size_t(0));
        auto const sixth = b.plug("sixth"), seventh = b.plug("seventh");
        QVERIFY(sixth && seventh);
        QVERIFY(!b.isDirect(*sixth) && &sixth->host() == &seventh->host());
        QCOMPARE(b.hubs(), std::size_t(1));
        for (unsigned connector = 2; connector < 8; ++connector)
            QVERIFY(b.visitors.isIn(b.d.controller, connector));
        QVERIFY(!b.visitors.isIn(b.d.controller, 1));
    }

    void theGuestReachesWhatIsBehindIt()
    {
        Bench b(1);
        b.d.start();
        auto const visitor = b.plug("visitor");
        QVERIFY(!b.isDirect(*visitor));
        auto control = b.reachBehindHub(1);
        QCOMPARE(b.d.lastCode, unsigned(Success));
        b.d.dropEvents();
        b.d.request(control, getDescriptor, 0xf000, 8);
        QCOMPARE(b.d.event(D::TransferEvent).code(), unsigned(Success));
        QCOMPARE(b.d.bytes(0xf000, 8), Bytes(8, 0x5a));
        // It goes with its last visitor, and all that the guest sees is an empty port.
        auto in = b.d.addEndpoint(control.slot, 3, BulkIn);
        b.d.put(in, D::Normal, 0xf100, 8, D::Ioc);
        b.d.kick(in);
        QCOMPARE(visitor->waiting.size(), std::size_t(1));
        REQUIRE_OK(b.visitors.unplug("visitor"));
        QVERIFY(!visitor->isPlugged() && visitor->waiting.empty());
        QCOMPARE(b.d.portStatus(1) & 3, 0u);
        QVERIFY(b.visitors.all().empty());
        QVERIFY(!b.visitors.isIn(b.d.controller, 0));
    }

    /// A hub is for slower devices, and leaves the connector's other port.
    void aUsb3DeviceHasAPortBesideAHub()
    {
        Bench b(2);
        b.d.start();
        QVERIFY(b.isDirect(*b.plug("slow")));
        QVERIFY(!b.isDirect(*b.plug("behind", UsbSpeed::Low)));
        auto const fast = b.plug("fast", UsbSpeed::Super), other = b.plug("other", UsbSpeed::Super);
        QVERIFY(b.isDirect(*fast) && b.isDirect(*other));
        for (unsigned port = 1; port <= 4; ++port)
            QCOMPARE(b.d.portStatus(port) & 1, 1u);
        QVERIFY(!b.plug("third", UsbSpeed::Super));
        QCOMPARE(b.lastError.code, ErrorCode::NotNow);
        QCOMPARE(b.lastError.message(),
            std::string("every USB 3 port of the machine's USB controllers is taken; detach a device, or give the "
                        "machine another USB controller while it is off"));
        // Each goes by itself.
        REQUIRE_OK(b.visitors.unplug("fast"));
        QVERIFY(!fast->isPlugged() && other->isPlugged());
        QCOMPARE(b.d.portStatus(1) & 1, 1u);
        REQUIRE_OK(b.visitors.unplug("slow"));
        QVERIFY(b.plug("third", UsbSpeed::Super));
    }

    void wholeConnectorsComeFirst()
    {
        Bench b(3);
        REQUIRE_OK(b.visitors.plug("fast", std::make_shared<FakeUsbDevice>(UsbSpeed::Super)));
        b.d.start();
        QVERIFY(b.isDirect(*b.plug("first")));
        QCOMPARE(b.d.portStatus(1) & 1, 0u); // beside the fast one
        QCOMPARE(b.d.portStatus(2) & 1, 1u);
    }

    void thereIsAnEndToIt()
    {
        Bench b;
        unsigned slow = 0, fast = 0;
        while (b.plug("slow" + std::to_string(slow)))
            ++slow;
        QCOMPARE(b.lastError.message(),
            std::string("every connector of the machine's USB controllers is taken; detach a device, or give the "
                        "machine another USB controller while it is off"));
        while (b.plug("fast" + std::to_string(fast), UsbSpeed::Super))
            ++fast;
        QCOMPARE(slow, 36u);
        QCOMPARE(fast, 15u);
        QVERIFY(slow + fast + b.hubs() <= XhciController::slotCount);
        // Each place can be had again, and hubs go where nothing is on them.
        for (auto const* id : { "slow0", "slow20", "slow35", "fast7" }) {
            REQUIRE_OK(b.visitors.unplug(id));
            QVERIFY2(b.plug(id, id[0] == 'f' ? UsbSpeed::Super : UsbSpeed::High), id);
        }
        while (slow-- != 0)
            REQUIRE_OK(b.visitors.unplug("slow" + std::to_string(slow)));
        QCOMPARE(b.hubs(), std::size_t(0));
        b.visitors.clear();
        QVERIFY(b.visitors.all().empty());
    }

    /// The first hub has one behind it for as long as something is on that.
    void aHubStaysWhileAnotherOneHangsOnIt()
    {
        Bench b(1);
        for (unsigned i = 0; i < 8; ++i)
            QVERIFY(b.plug("visitor" + std::to_string(i)));
        QCOMPARE(b.hubs(), std::size_t(2));
        for (unsigned i = 0; i < 7; ++i)
            REQUIRE_OK(b.visitors.unplug("visitor" + std::to_string(i)));
        QCOMPARE(b.hubs(), std::size_t(2));
        REQUIRE_OK(b.visitors.unplug("visitor7"));
        QCOMPARE(b.hubs(), std::size_t(0));
    }

    void whatIsRefusedChangesNothing()
    {
        Bench b(1);
        QVERIFY(b.plug("visitor"));
        QVERIFY(!b.plug("visitor"));
        QCOMPARE(b.lastError.code, ErrorCode::AlreadyExists);
        QCOMPARE(b.visitors.unplug("nobody").error().code, ErrorCode::NotFound);
        QCOMPARE(b.visitors.all().size(), std::size_t(2));
        UsbVisitors none([](auto const&, unsigned) { return false; });
        QCOMPARE(none.plug("visitor", std::make_shared<FakeUsbDevice>()).error().code, ErrorCode::Unsupported);
    }

    /// One that has a connector's port of its own speed, or else all that are behind the hubs in those.
    void whoIsInTheWayOfTheMachinesOwn()
    {
        using Ids = std::vector<std::string>;
        Bench b(2);
        QVERIFY(b.plug("fast", UsbSpeed::Super) && b.plug("first"));
        QVERIFY(b.visitors.isIn(b.d.controller, 0, true) && !b.visitors.isIn(b.d.controller, 0, false));
        QVERIFY(b.visitors.isIn(b.d.controller, 1, false) && !b.visitors.isIn(b.d.controller, 1, true));
        QVERIFY(b.plug("second") && b.plug("third"));
        QCOMPARE(b.hubs(), std::size_t(1));
        QCOMPARE(b.visitors.inTheWay(false), Ids { "first" });
        QCOMPARE(b.visitors.inTheWay(true), Ids { "fast" });
        REQUIRE_OK(b.visitors.unplug("first"));
        QCOMPARE(b.visitors.inTheWay(false), (Ids { "second", "third" }));
        REQUIRE_OK(b.visitors.unplug("fast"));
        QVERIFY(b.visitors.inTheWay(true).empty());
    }

    /// By which they are plugged in again, and named before.
    void aSavedStateKnowsWhatIsBehindAHub()
    {
        auto const behind = [](Bench const& b) {
            auto const state = tests::must(state::load<XhciController::State>(b.d.controller.save()));
            std::vector<std::string> all;
            for (auto const& port : state.ports)
                all.insert(all.end(), port.behind.begin(), port.behind.end());
            return all;
        };
        Bench b(1);
        b.d.start();
        for (unsigned i = 0; i < 8; ++i) {
            auto const device = b.plug("visitor" + std::to_string(i));
            QVERIFY(device);
            device->visits = i != 3;
        }
        QCOMPARE(b.hubs(), std::size_t(2));
        QCOMPARE(behind(b).size(), std::size_t(7)); // not that which is part of the machine, nor the second hub
        for (unsigned i = 0; i < 8; ++i)
            REQUIRE_OK(b.visitors.unplug("visitor" + std::to_string(i)));
        QVERIFY(behind(b).empty());
    }

    /// A saved state that knows a hub finds none, or another one: the guest sees it gone, and then what is there now.
    void aRestoredGuestSeesAnotherHub()
    {
        Bench before(1);
        before.d.start();
        auto const first = before.plug("visitor");
        before.reachBehindHub(1);
        before.d.controller.pause();
        auto const saved = before.d.controller.save();

        Bench after(1);
        after.d.start();
        after.d.controller.pause();
        REQUIRE_OK(after.d.controller.load(saved));
        auto const second = after.plug("visitor");
        after.visitors.all().back().device->resume();
        after.d.controller.resume();
        QCOMPARE(after.d.portStatus(1) & 3, 0u);
        after.d.setPort(1, 1 << 17); // seen
        after.d.board.time.advance(400ms);
        QCOMPARE(after.d.portStatus(1) & 3, 1u);
        QCOMPARE(second->resets, 0); // nothing behind it has power
    }
};

REGISTER_SUITE(UsbVisitorsTest);
#include "usb_visitors_test.moc"
