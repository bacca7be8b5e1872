#include "tests/fakes/fake_usb_device.h"
#include "tests/support/answer.h"
#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QFile>
#include <future>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

namespace {

constexpr auto demo = "share/chronovisor/demo.elf";

/// A qcow2 image of 1 MiB, which nobody has.
DiskConfig stick(GuestMachine const& guest, std::string id)
{
    auto const path = (guest.folder() + "/stick.qcow2").toStdString();
    if (!QFile::exists(QString::fromStdString(path)))
        tests::must(createImage(path, { .size = 1 << 20 }));
    return { std::move(id), path, DiskFormat::Qcow2, DiskBus::Usb };
}

/// What a guest would have written, and reads.
void write(DiskConfig const& disk, std::uint8_t value)
{
    InlineEngine engine;
    tests::must(tests::must(BlockImage::open(engine, disk.path, {}))->writeSync(4096, Bytes(512, value)));
}

int read(DiskConfig const& disk)
{
    InlineEngine engine;
    Bytes data(512);
    tests::must(tests::must(BlockImage::open(engine, disk.path, {}))->readSync(4096, data));
    return data[0];
}

bool hasStick(GuestMachine& guest)
{
    return !guest.machine().config().disks.empty();
}

}

/// USB devices that come to a machine that runs, and go: its own, and visitors.
class OwnUsbTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        GuestMachine guest(demo);
        if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
            QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    }

    /// The guest reads from it all the while that it is taken away, and finds what it wrote when it comes anew. In
    /// between the machine goes away and comes back.
    void aStickIsTakenAwayFromAGuestThatUsesIt()
    {
        GuestMachine guest("guests/usb.elf", "pull=1");
        guest.config.usbControllers = { { "usb0" } };
        guest.config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "hub0", UsbKind::Hub },
            { "keyboard1", UsbKind::Keyboard, "hub0" }, { "tablet0", UsbKind::Tablet } };
        guest.addDisk(DiskBus::Usb);
        auto const its = guest.config.disks[0];
        std::atomic<bool> removed = false;
        guest.onNote["pull the stick out"] = [&](GuestMachine& g) {
            g.machine().post(command::RemoveUsb { its.id }, [&](Result<> const& outcome) { removed = bool(outcome); });
        };
        REQUIRE_OK(guest.start());
        QVERIFY2(guest.waitForWholeLine("NOTE plug the stick in", 60s), qPrintable(guest.lines().join('\n')));
        REQUIRE_OK(guest.suspendAndRestore());
        QVERIFY(removed && !hasStick(guest));
        REQUIRE_OK(guest.machine().call(command::AddUsb { its }));
        QVERIFY2(guest.waitForWholeLine("DONE ", 60s), qPrintable(guest.reason() + guest.lines().join('\n')));
        QVERIFY2(guest.lines().filter("FAIL ").isEmpty(), qPrintable(guest.lines().join('\n')));
        QVERIFY2(guest.lines().contains("PASS usb.stickIsPulledOutAndPluggedIn"), qPrintable(guest.lines().join('\n')));
        QVERIFY(hasStick(guest));
    }

    void momentsHaveTheSticksOfTheirTime()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        auto const disk = stick(guest, "disk0");
        write(disk, 1);
        REQUIRE_OK(guest.start());
        auto const without = tests::must(guest.keepMoment("without"));
        REQUIRE_OK(guest.machine().call(command::AddUsb { disk }));
        auto const one = tests::must(guest.keepMoment("one"));
        REQUIRE_OK(guest.machine().call(command::RemoveUsb { "disk0" }));
        write(disk, 2); // which needs the image to be closed
        REQUIRE_OK(guest.machine().call(command::AddUsb { disk }));
        auto const two = tests::must(guest.keepMoment("two"));

        REQUIRE_OK(guest.goTo(without));
        QVERIFY(!hasStick(guest));
        QCOMPARE(read(disk), 2); // what is not the machine's is left as it is
        for (auto const& [moment, value] : { std::pair(one, 1), { two, 2 }, { one, 1 } }) {
            REQUIRE_OK(guest.goTo(moment));
            QVERIFY(hasStick(guest));
            REQUIRE_OK(guest.machine().call(command::RemoveUsb { "disk0" }));
            QCOMPARE(read(disk), value);
        }
        REQUIRE_OK(guest.suspendAndRestore());
        QVERIFY(!hasStick(guest));
    }

    /// A moment that is being written does not wait for it, nor has anything of it.
    void aStickComesWhileAMomentIsKept()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        guest.addQcow2Disk(DiskBus::Virtio);
        auto disk = stick(guest, "disk7");
        REQUIRE_OK(guest.start());
        std::atomic<bool> added = false;
        guest.atFirstProgress = [&] {
            guest.machine().post(command::AddUsb { disk }, [&](Result<> const& outcome) { added = bool(outcome); });
        };
        auto const moment = tests::must(guest.keepMoment("before"));
        QTRY_VERIFY(added);
        QCOMPARE(guest.machine().config().disks.size(), std::size_t(2));
        auto const both = tests::must(guest.keepMoment("both"));
        QCOMPARE(tests::must(guest.timeline()->moment(both)).disks.size(), std::size_t(2));
        REQUIRE_OK(guest.goTo(moment));
        QCOMPARE(guest.machine().config().disks.size(), std::size_t(1));
        REQUIRE_OK(guest.goTo(both));
        QCOMPARE(guest.machine().config().disks.size(), std::size_t(2));
    }

    /// Between the instant and what the disks keep of it, which disks there are is as it was.
    void whileAMomentTakesDisksTheyStay()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        guest.addQcow2Disk(DiskBus::Virtio);
        auto const disk = stick(guest, "disk7");
        REQUIRE_OK(guest.start());
        std::promise<Result<>> answered;
        auto added = answered.get_future();
        std::optional<Result<>> streamed;
        bool waited = false;
        command::KeepMoment keep { guest.timeline(), { .name = "before" }, {} };
        keep.picture = [&] {
            guest.machine().post(command::AddUsb { disk }, [&](Result<> one) { answered.set_value(std::move(one)); });
            streamed = guest.machine().call(command::StreamDisk { "disk0", {}, {} }); // after it
            waited = added.wait_for(0s) == std::future_status::timeout;
            return Bytes();
        };
        REQUIRE_OK(guest.machine().call(keep));
        QVERIFY(waited);
        QCOMPARE(streamed->error().code, ErrorCode::Busy);
        REQUIRE_OK(tests::answered(added));
        QCOMPARE(guest.machine().config().disks.size(), std::size_t(2));
        QCOMPARE(guest.timeline()->moments().back().disks.size(), std::size_t(1));
    }

    void whatWaitsForAMomentIsAnsweredWhenTheMachineIsGone()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        REQUIRE_OK(guest.start());
        std::promise<void> asked;
        std::promise<Result<>> answered;
        auto answer = answered.get_future();
        std::atomic<bool> wasAnswered = false;
        command::KeepMoment keep { guest.timeline(), { .name = "before" }, {} };
        keep.picture = [&] {
            guest.machine().post(command::AddUsb { UsbDeviceConfig { "tablet0", UsbKind::Tablet } },
                [&](Result<> one) { answered.set_value(std::move(one)); });
            asked.set_value();
            wasAnswered = tests::comes(answer);
            return Bytes();
        };
        guest.machine().post(keep, {});
        bool const wasAsked = tests::comes(asked.get_future());
        guest.end();
        QVERIFY(wasAsked && wasAnswered);
        QCOMPARE(answer.get().error().code, ErrorCode::Cancelled);
    }

    /// But for what has nothing to do with disks.
    void whileADiskIsStreamedNoStickComesOrGoes()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        guest.config.usbDevices = { { "tablet0", UsbKind::Tablet } };
        auto const base = guest.makeFile("base", 1 << 20);
        auto const top = guest.folder() + "/top";
        tests::must(createImage(
            top.toStdString(), { .size = 1 << 20, .backingFile = "base", .backingFormat = ImageFormat::Raw }));
        guest.addDiskAt(top, DiskBus::Virtio);
        guest.config.disks.back().format = DiskFormat::Qcow2;
        auto const disk = stick(guest, "disk7");
        REQUIRE_OK(guest.start());
        REQUIRE_OK(guest.machine().call(command::AddUsb { disk }));
        UsbDeviceConfig const keyboard { "keyboard7", UsbKind::Keyboard };
        std::vector<Result<>> refused, done;
        auto const progress = [&](double) {
            if (refused.empty()) {
                refused.push_back(guest.machine().call(command::AddUsb { stick(guest, "disk8") }));
                refused.push_back(guest.machine().call(command::RemoveUsb { disk.id }));
                done.push_back(guest.machine().call(command::RemoveUsb { "tablet0" }));
                done.push_back(guest.machine().call(command::AddUsb { keyboard }));
            }
            return true;
        };
        REQUIRE_OK(guest.machine().call(command::StreamDisk { "disk0", {}, progress }));
        QCOMPARE(refused.size(), std::size_t(2));
        for (auto const& one : refused)
            QCOMPARE(one.error().code, ErrorCode::Busy);
        for (auto const& one : done)
            REQUIRE_OK(one);
        QCOMPARE(guest.machine().config().usbDevices.size(), std::size_t(1));
        QCOMPARE(guest.machine().config().usbDevices[0].id, keyboard.id);
        REQUIRE_OK(guest.machine().call(command::RemoveUsb { disk.id }));
    }

    void anImageThatIsInUseIsRefused()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        REQUIRE_OK(guest.start());
        auto const disk = stick(guest, "disk0");
        REQUIRE_OK(guest.machine().call(command::AddUsb { disk }));
        auto const again = stick(guest, "disk1");
        auto const refused = guest.machine().call(command::AddUsb { again });
        QVERIFY(!refused);
        QVERIFY2(refused.error().message().find("stick.qcow2") != std::string::npos, refused.error().message().c_str());
        QCOMPARE(guest.machine().config().disks.size(), std::size_t(1));
        REQUIRE_OK(guest.machine().call(command::RemoveUsb { "disk0" }));
        REQUIRE_OK(guest.machine().call(command::AddUsb { again }));
    }

    void eightConnectorsAreEightDevices()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        REQUIRE_OK(guest.start());
        for (unsigned i = 0; i < 8; ++i) {
            REQUIRE_OK(guest.machine().call(
                command::AddUsb { UsbDeviceConfig { "tablet" + std::to_string(i), UsbKind::Tablet } }));
        }
        UsbDeviceConfig const more { "more", UsbKind::Tablet };
        auto const full = guest.machine().call(command::AddUsb { more });
        QCOMPARE(full.error().code, ErrorCode::NotNow);
        QVERIFY2(
            full.error().message().find("remove something first") != std::string::npos, full.error().message().c_str());
        REQUIRE_OK(guest.machine().call(command::RemoveUsb { "tablet3" }));
        REQUIRE_OK(guest.machine().call(command::AddUsb { more }));
        QCOMPARE(guest.machine().config().usbDevices.back().connector, 4);
    }

    void visitorsFillOneControllerAfterTheOther()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" }, { "usb1" } };
        REQUIRE_OK(guest.start());
        auto& machine = guest.machine();
        auto const plug = [&](std::string id, std::shared_ptr<UsbDevice> device) {
            return machine.call(command::PlugUsb { std::move(id), std::move(device) });
        };
        std::vector<UsbHost*> hosts;
        constexpr unsigned most = 8 + 7 + 22; // those behind hubs in the last connector
        for (unsigned i = 0; i < most; ++i) {
            auto const visitor = std::make_shared<tests::FakeUsbDevice>();
            REQUIRE_OK(plug("visitor" + std::to_string(i), visitor));
            hosts.push_back(&visitor->host());
        }
        auto const isOn = [&](UsbHost* host) { return std::ranges::count(hosts, host); };
        QCOMPARE(isOn(hosts.front()), 8);
        QVERIFY(hosts[0] == hosts[7]);
        QCOMPARE(isOn(hosts[8]), 7);
        QCOMPARE(isOn(hosts[15]), 7); // of a hub's ports; the eighth has another hub
        QCOMPARE(isOn(hosts.back()), 8);
        auto const more = std::make_shared<tests::FakeUsbDevice>();
        auto const full = plug("more", more);
        QCOMPARE(full.error().code, ErrorCode::NotNow);
        QCOMPARE(full.error().message(),
            std::string("every connector of the machine's USB controllers is taken; detach a device, or give the "
                        "machine another USB controller while it is off"));
        REQUIRE_OK(machine.call(command::UnplugUsb { "visitor3" }));
        REQUIRE_OK(plug("more", more));
        QVERIFY(&more->host() == hosts.front());
    }

    /// A visitor's hub stands still with the machine, and is reset with it, as the machine's own.
    void aHubOfVisitorsLivesAsTheMachineDoes()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0", 1 } };
        REQUIRE_OK(guest.start());
        auto& machine = guest.machine();
        REQUIRE_OK(machine.call(command::PlugUsb { "visitor", std::make_shared<tests::FakeUsbDevice>() }));
        REQUIRE_OK(machine.call(command::Pause {}));
        REQUIRE_OK(machine.call(command::PlugUsb { "other", std::make_shared<tests::FakeUsbDevice>() }));
        REQUIRE_OK(machine.call(command::Resume {}));
        REQUIRE_OK(machine.call(command::Reset {}));
        auto const own = machine.call(command::AddUsb { UsbDeviceConfig { "tablet0", UsbKind::Tablet } });
        QCOMPARE(own.error().code, ErrorCode::NotNow);
        QCOMPARE(own.error().message(),
            std::string("USB devices that visit the machine have the connectors that it needs; detach other and "
                        "visitor first"));
        REQUIRE_OK(machine.call(command::UnplugUsb { "visitor" }));
        REQUIRE_OK(machine.call(command::UnplugUsb { "other" }));
        REQUIRE_OK(machine.call(command::AddUsb { UsbDeviceConfig { "tablet0", UsbKind::Tablet } }));
        QCOMPARE(machine.call(command::PlugUsb { "late", std::make_shared<tests::FakeUsbDevice>() }).error().code,
            ErrorCode::NotNow);
    }

    /// A stick has the port that a slower visitor leaves, a tablet that of a fast one, or one of the machine's own hub.
    void whereVisitorsHaveEveryConnectorTheMachinesOwnFindsAPlace()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0", 4 } };
        guest.config.usbDevices = { { "hub0", UsbKind::Hub } };
        REQUIRE_OK(guest.start());
        auto& machine = guest.machine();
        std::vector<std::shared_ptr<tests::FakeUsbDevice>> visitors;
        for (auto const speed : { UsbSpeed::Super, UsbSpeed::High, UsbSpeed::High }) {
            auto const id = "visitor" + std::to_string(visitors.size());
            visitors.push_back(std::make_shared<tests::FakeUsbDevice>(speed, id));
            REQUIRE_OK(machine.call(command::PlugUsb { id, visitors.back() }));
        }
        auto const add = [&](UsbAddition device) { return machine.call(command::AddUsb { std::move(device) }); };
        using Place = std::pair<std::string, unsigned>;
        auto const placeOf = [](auto const& device) { return Place { device.parent, device.connector }; };
        auto const disk = stick(guest, "disk0");
        write(disk, 1);
        REQUIRE_OK(add(disk));
        QCOMPARE(placeOf(machine.config().disks.back()), Place("usb0", 3));
        for (auto const& [id, place] : { std::pair("tablet0", Place("usb0", 2)), { "tablet1", Place("hub0", 1) } }) {
            REQUIRE_OK(add(UsbDeviceConfig { id, UsbKind::Tablet }));
            QCOMPARE(placeOf(machine.config().usbDevices.back()), place);
        }
        auto const another = add(UsbDeviceConfig { "hub1", UsbKind::Hub });
        QCOMPARE(another.error().code, ErrorCode::NotNow);
        // Beside the first is the tablet, beside the next the stick: their leaving makes no room.
        QVERIFY2(another.error().message().find("detach visitor2 first") != std::string::npos,
            another.error().message().c_str());

        // Nobody else notices that it comes and goes.
        auto const isHere = [](auto const& visitor) { return visitor->isPlugged(); };
        REQUIRE_OK(machine.call(command::SetPlugged { disk.id, false }));
        REQUIRE_OK(machine.call(command::SetPlugged { disk.id, true }));
        QVERIFY(std::ranges::all_of(visitors, isHere));
        REQUIRE_OK(machine.call(command::RemoveUsb { disk.id }));
        QVERIFY(std::ranges::all_of(visitors, isHere));
        REQUIRE_OK(machine.call(command::UnplugUsb { "visitor2" }));
        REQUIRE_OK(add(UsbDeviceConfig { "hub1", UsbKind::Hub }));
        for (auto const* id : { "visitor0", "visitor1" }) // which cannot be saved
            REQUIRE_OK(machine.call(command::UnplugUsb { id }));
        REQUIRE_OK(guest.suspendAndRestore());
        QCOMPARE(placeOf(guest.machine().config().usbDevices[1]), Place("usb0", 2));
    }

    /// What a guest sees of a controller stays what it was, in a saved state too.
    void aControllerKeepsItsSize()
    {
        for (auto const connectors : { std::uint8_t(8), std::uint8_t(15) }) {
            GuestMachine guest(demo);
            guest.config.usbControllers = { { "usb0", connectors } };
            REQUIRE_OK(guest.start());
            for (unsigned i = 0; i < connectors; ++i) {
                REQUIRE_OK(guest.machine().call(
                    command::AddUsb { UsbDeviceConfig { "tablet" + std::to_string(i), UsbKind::Tablet } }));
            }
            REQUIRE_OK(guest.suspendAndRestore());
            QCOMPARE(guest.machine().config().usbControllers[0].connectors, connectors);
            QCOMPARE(guest.machine().config().usbDevices.back().connector, connectors);
            QCOMPARE(guest.machine().call(command::AddUsb { UsbDeviceConfig { "more", UsbKind::Tablet } }).error().code,
                ErrorCode::NotNow);
        }
    }

    void whatIsRefusedChangesNothing()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        guest.config.usbDevices = { { "hub0", UsbKind::Hub }, { "line0", UsbKind::Serial, "hub0" } };
        REQUIRE_OK(guest.start());
        auto& machine = guest.machine();
        auto const before = machine.config();
        auto absent = stick(guest, "disk0");
        absent.path = (guest.folder() + "/none.img").toStdString();
        QCOMPARE(machine.call(command::AddUsb { absent }).error().code, ErrorCode::NotFound);
        auto hostile = absent;
        hostile.path = guest.makeFile("hostile.img", 4096).toStdString();
        hostile.format = DiskFormat::Qcow2;
        QCOMPARE(machine.call(command::AddUsb { hostile }).error().code, ErrorCode::Corrupt);
        auto folder = absent;
        folder.path = guest.folder().toStdString();
        QVERIFY(!machine.call(command::AddUsb { folder }));
        for (auto const* taken : { "line0", "usb0", "tablet", "pit" }) {
            QCOMPARE(machine.call(command::AddUsb { UsbDeviceConfig { taken, UsbKind::Tablet } }).error().code,
                ErrorCode::AlreadyExists);
        }
        QCOMPARE(machine.call(command::RemoveUsb { "hub0" }).error().code, ErrorCode::Busy);
        QCOMPARE(machine.call(command::RemoveUsb { "disk0" }).error().code, ErrorCode::NotFound);
        QVERIFY(machine.config() == before);
        REQUIRE_OK(guest.suspendAndRestore());
        QVERIFY(guest.machine().config() == before);
    }

    void everyKindComesAndGoes()
    {
        GuestMachine guest(demo);
        guest.config.usbControllers = { { "usb0" } };
        REQUIRE_OK(guest.start());
        for (auto const how : { RunState::Running, RunState::Paused }) {
            if (how == RunState::Paused)
                REQUIRE_OK(guest.machine().call(command::Pause {}));
            auto const names = stateNames(UsbKind {});
            for (std::size_t i = 0; i < names.size(); ++i) {
                UsbDeviceConfig const device { "usb-" + std::string(names[i]), static_cast<UsbKind>(i) };
                REQUIRE_OK(guest.machine().call(command::AddUsb { device }));
            }
            QVERIFY(guest.machine().console("usb-serial"));
            QVERIFY(guest.machine().audio("usb-audio"));
            UsbDeviceConfig const behind { "behind", UsbKind::Tablet, "usb-hub" };
            REQUIRE_OK(guest.machine().call(command::AddUsb { behind }));
            QCOMPARE(guest.machine().config().usbDevices.size(), names.size() + 1);
            REQUIRE_OK(guest.suspendAndRestore());
            QCOMPARE(guest.machine().config().usbDevices.size(), names.size() + 1);
            REQUIRE_OK(guest.machine().call(command::Reset {}));
            REQUIRE_OK(guest.machine().call(command::RemoveUsb { "behind" }));
            for (auto const& name : names)
                REQUIRE_OK(guest.machine().call(command::RemoveUsb { "usb-" + std::string(name) }));
            QVERIFY(guest.machine().config().usbDevices.empty());
            QVERIFY(!guest.machine().console("usb-serial"));
            REQUIRE_OK(guest.suspendAndRestore());
        }
    }
};

REGISTER_SUITE(OwnUsbTest);
#include "own_usb_test.moc"
