#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/machine/expected_parts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

using namespace vmm;

namespace {

/// Two and more of what there can be more of, and all that there can be one of.
VmConfig everything()
{
    VmConfig config;
    config.uuid = makeUuid();
    config.name = "all";
    config.cpus = 2;
    config.firmware = Firmware::Ovmf;
    config.debugConsole = true;
    config.serials = { { "serial0", false }, { "console0", true } };
    config.displays = { { "display0" }, { "display1" } };
    config.networks = { { "net0", makeMac(), NetworkMode::User, {} }, { "net1", makeMac(), NetworkMode::None, {} } };
    config.disks = { { "disk0", "/a", {}, DiskBus::Virtio }, { "disk1", "/b", {}, DiskBus::Ahci },
        { "disk2", "/c", {}, DiskBus::Usb }, { "disk3", "/d", {}, DiskBus::Uas } };
    for (int i = 0; i < 6; ++i) // with disk1 one more than a controller has ports
        config.cds.push_back({ "cd" + std::to_string(i), "" });
    config.usbControllers = { { "usb0" } };
    config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "mouse0", UsbKind::Mouse }, { "pen0", UsbKind::Tablet },
        { "hub0", UsbKind::Hub }, { "line0", UsbKind::Serial }, { "audio0", UsbKind::Audio },
        { "pad0", UsbKind::Gamepad, "hub0" } };
    config.randomGenerators = 2;
    return config;
}

SavedMachine savedMachine()
{
    SavedMachine saved;
    saved.config = everything();
    for (auto const& [id, kind] : expectedParts(saved.config))
        saved.parts.push_back({ id, Section(std::string(kind), 1, Json::object()) });
    saved.header.cpu.entries = { { .function = 0 }, { .function = 1 } };
    return saved;
}

}

/// A saved state has the parts of its own configuration, which is found out without a KVM.
class ExpectedPartsTest final : public QObject {
    Q_OBJECT
private slots:
    void ofAMachineWithEverything()
    {
        REQUIRE_OK(checkConfig(everything()));
        QStringList found;
        for (auto const& [id, kind] : expectedParts(everything()))
            found << QString::fromStdString(id + " " + std::string(kind));
        QCOMPARE(found.join(", "),
            QString("audio0 usb-audio, console0 virtio-console, debug-console isa-debug-console, debug-exit "
                    "isa-debug-exit, disk0 "
                    "virtio-blk, disk2 usb-storage, disk3 usb-uas, display0 vga, display1 vga, firmware-flash "
                    "pflash-cfi, fw-cfg fw-cfg, generation-id vm-generation-id, host-bridge q35-host, hub0 usb-hub, "
                    "i8042 i8042, interrupt-chips kvm-interrupt-chips, keyboard0 usb-keyboard, kvm-clock kvm-clock, "
                    "line0 usb-serial, lpc ich9-lpc, mouse0 usb-pointer, net0 virtio-net, net0-user user-network, net1 "
                    "virtio-net, pad0 usb-gamepad, pci pci-bus, pen0 usb-pointer, pit kvm-pit, pvpanic pvpanic, rng0 "
                    "virtio-rng, rng1 "
                    "virtio-rng, rtc rtc-mc146818, sata0 ahci, sata1 ahci, serial0 uart-16550, tablet virtio-tablet, "
                    "usb0 xhci, vcpu0 vcpu, vcpu1 vcpu"));
    }

    void theirOrderDoesNotMatter()
    {
        auto saved = savedMachine();
        REQUIRE_OK(checkParts(saved));
        std::reverse(saved.parts.begin(), saved.parts.end());
        REQUIRE_OK(checkParts(saved));
    }

    void eachIsNeeded()
    {
        auto const whole = savedMachine();
        for (std::size_t i = 0; i < whole.parts.size(); ++i) {
            auto saved = whole;
            saved.parts.erase(saved.parts.begin() + std::ptrdiff_t(i));
            auto const checked = checkParts(saved);
            QVERIFY(!checked);
            QCOMPARE(checked.error().message(), "the state lacks " + whole.parts[i].id);
        }
    }

    /// Without one it would run with a processor that can do nothing, or be told that its memory has no addresses.
    void soIsAProcessor()
    {
        auto saved = savedMachine();
        saved.header.cpu = {};
        auto const checked = checkParts(saved);
        QVERIFY(!checked);
        QCOMPARE(checked.error().code, ErrorCode::Corrupt);
        QCOMPARE(checked.error().message(), std::string("the state does not say which processor its guest was given"));
        saved.parts.clear(); // of a machine that was off
        QVERIFY(!checkParts(saved));
    }

    void oneMoreIsRefused()
    {
        auto saved = savedMachine();
        saved.parts.push_back(saved.parts.front());
        QVERIFY(!checkParts(saved));
        saved.parts.back().id = "serial7";
        auto const checked = checkParts(saved);
        QVERIFY(!checked);
        QCOMPARE(checked.error().message(), std::string("the state has a part \"serial7\" that we do not know"));
    }

    void kindsThatAreSwappedAreRefused()
    {
        auto saved = savedMachine();
        auto const find = [&](std::string_view id) -> Section& {
            return std::find_if(saved.parts.begin(), saved.parts.end(), [&](auto const& part) {
                return part.id == id;
            })->section;
        };
        std::swap(find("disk2"), find("disk3"));
        auto const checked = checkParts(saved);
        QVERIFY(!checked);
        QCOMPARE(
            checked.error().message(), std::string("the state of disk2 is that of a usb-uas, not of a usb-storage"));
    }
};

REGISTER_SUITE(ExpectedPartsTest);
#include "expected_parts_test.moc"
