#include "app/runner/own_usb_devices.h"
#include "tests/fakes/fake_folder.h"
#include "tests/fakes/fake_memory.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"

using app::OwnUsbDevices;

namespace {

/// A machine that is off, with two sticks and a moment that has something of the first.
struct Bench {
    Bench()
    {
        vmm::timeline::NewMoment what;
        what.id = vmm::makeUuid();
        what.time = 1;
        what.disks = { { "disk0", "/images/stick.img",
            { vmm::CheckpointWay::Internal, what.id, "", vmm::ImageFormat::Qcow2 } } };
        tests::must(past->setLoose({ what.id, what.disks }));
        tests::must(past->take(what, memory, {}));
    }
    static vmm::VmConfig config()
    {
        vmm::VmConfig config;
        config.uuid = vmm::makeUuid();
        config.usbControllers = { { "usb0" } };
        for (auto const* path : { "/images/stick.img", "/images/other.img" }) {
            auto const id = "disk" + std::to_string(config.disks.size());
            config.disks.push_back({ .id = id, .path = path, .bus = vmm::DiskBus::Usb });
        }
        return config;
    }
    OwnUsbDevices::Calls calls()
    {
        OwnUsbDevices::Calls calls;
        calls.machine = [] { return nullptr; };
        calls.number = [this] { return number; };
        calls.mayChange = [](std::string_view) { return vmm::Result<>(); };
        calls.disksMayGo = [] { return vmm::Result<>(); };
        calls.timeline = [this] { return timeline; };
        calls.keepMoment = [this](OwnUsbDevices::Completion const& done) { kept = done; };
        calls.tell = [this](app::Notice const& notice) {
            if (auto const* removed = std::get_if<app::notice::UsbRemoved>(&notice))
                gone.push_back(removed->device);
        };
        return calls;
    }
    void remove(std::string const& device)
    {
        devices.remove(device, [this](vmm::Result<> const& itsOutcome) { outcome = itsOutcome; });
    }

    tests::FakeFolderDisk disk;
    tests::FakeMemory memory { { 64 << 10 } };
    std::shared_ptr<vmm::timeline::Timeline> past = tests::must(vmm::timeline::Timeline::open(
        std::make_unique<tests::FakeFolder>(disk), vmm::timeline::Timeline::Access::ReadWrite));
    vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>> timeline = past;
    std::uint64_t number = 1;
    OwnUsbDevices::Completion kept;
    std::vector<std::string> gone;
    std::optional<vmm::Result<>> outcome;
    app::MachineFactory const factory {};
    app::MachinePlay play { factory, [](vmm::GamepadInput const&) {} };
    app::MachineConfigs configs { config() };
    OwnUsbDevices devices { calls(), configs, play };
};

}

class OwnUsbDevicesTest final : public QObject {
    Q_OBJECT
private slots:
    void aStickThatMomentsKnowGoesWhenItIsKeptOnceMore()
    {
        Bench bench;
        bench.remove("disk0");
        QVERIFY(!bench.outcome);
        QCOMPARE(bench.configs.now().disks.size(), std::size_t(2));
        bench.kept({});
        QVERIFY(bench.outcome && *bench.outcome);
        QCOMPARE(bench.gone, std::vector<std::string> { "disk0" });
        QCOMPARE(bench.configs.now().disks.size(), std::size_t(1));
    }

    void anotherGoesAtOnce()
    {
        Bench bench;
        bench.remove("disk1");
        QVERIFY(bench.outcome && *bench.outcome);
        QVERIFY(!bench.kept);
        QCOMPARE(bench.gone, std::vector<std::string> { "disk1" });
    }

    void whatIsKeptOfOneMachineTakesNothingFromTheNext()
    {
        Bench bench;
        bench.remove("disk0");
        ++bench.number;
        bench.kept({});
        QVERIFY(bench.outcome && !*bench.outcome);
        QCOMPARE(bench.outcome->error().code, vmm::ErrorCode::NotNow);
        QVERIFY(bench.gone.empty());
        QCOMPARE(bench.configs.now().disks.size(), std::size_t(2));
    }

    void aStickStaysWhereNobodyKnowsWhatMomentsHaveOfIt()
    {
        Bench bench;
        bench.timeline = vmm::fail(vmm::ErrorCode::Corrupt, "a damaged record");
        bench.remove("disk1");
        QVERIFY(bench.outcome && !*bench.outcome);
        QCOMPARE(bench.outcome->error().code, vmm::ErrorCode::Corrupt);
        QCOMPARE(bench.configs.now().disks.size(), std::size_t(2));
    }
};

REGISTER_SUITE(OwnUsbDevicesTest);
#include "own_usb_devices_test.moc"
