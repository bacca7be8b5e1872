#include "app/runner/machine_configs.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/call_faults.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"

#include <QTemporaryDir>
#include <unistd.h>

using app::MachineConfigs;

namespace {

vmm::VmConfig configWithUsb()
{
    auto config = tests::exampleConfig("web");
    config.usbControllers = { { "usb0" } };
    return config;
}

/// A machine that is in memory.
struct Bench {
    vmm::VmConfig const config;
    std::shared_ptr<tests::FakeMachine::Script> script = std::make_shared<tests::FakeMachine::Script>();
    std::unique_ptr<vmm::Machine> machine = tests::must(tests::FakeMachine::factory(script).create(
        config, [](vmm::Event const&) {}, nullptr));
    MachineConfigs configs { config };

    explicit Bench(vmm::VmConfig its = configWithUsb()) : config(std::move(its)) { configs.machineCameUp(*machine); }
    ~Bench() { configs.detach(); }
};

}

class MachineConfigsTest final : public QObject {
    Q_OBJECT
private slots:
    void nameAndNotesAreAnotherAtOnceAndTheRestAtTheNextStart()
    {
        Bench bench;
        auto wanted = bench.config;
        wanted.name = "db";
        wanted.notes = "for the shop";
        wanted.memoryMiB *= 2;
        bench.configs.setNext(wanted);
        QCOMPARE(bench.configs.now().name, wanted.name);
        QCOMPARE(bench.configs.now().notes, wanted.notes);
        QCOMPARE(bench.configs.now().memoryMiB, bench.config.memoryMiB);
        bench.configs.machineEnded();
        QVERIFY(bench.configs.now() == wanted);
    }

    void aMediumThatTheMachineHasTakenIsTheNextStartsToo()
    {
        Bench bench;
        bench.configs.setMedium("cd0", "/images/rescue.iso");
        QCOMPARE(bench.configs.mediumPath("cd0"), std::string("/images/rescue.iso"));
        for (auto const& config : { bench.configs.both().now, bench.configs.both().next })
            QCOMPARE(config.cds[0].path, std::string("/images/rescue.iso"));
        bench.configs.machineEnded();
        QCOMPARE(bench.configs.mediumPath("cd0"), std::string("/images/rescue.iso"));
        QCOMPARE(bench.configs.mediumPath("cd7"), std::string());
    }

    /// A moment may have made it qcow2, and it may be raw again: the next start finds out.
    void aRawDiskThatCannotBeReadWhenItsMachineEndsIsNotTakenForAnother()
    {
        QTemporaryDir const directory;
        auto const image = directory.filePath("disk.img").toStdString();
        for (auto const& path : { image, image + "." + vmm::makeUuid() })
            tests::must(vmm::createImage(path, { .format = vmm::ImageFormat::Raw, .size = 1 << 20 }));
        auto config = configWithUsb();
        config.disks = { { .id = "disk0", .path = image, .format = vmm::DiskFormat::Raw } };
        auto const told = tests::tellWithFaults([&]() -> QString {
            Bench bench { config };
            auto meanwhile = config;
            meanwhile.disks[0].format = vmm::DiskFormat::Qcow2;
            bench.configs.setNext(meanwhile);
            if (!tests::CallFaults::begin())
                ::_exit(3);
            tests::CallFaults::plan({ .at = 0, .calls = tests::CallFault::Calls::Reading });
            bench.configs.machineEnded();
            return bench.configs.both().next == config ? "" : "it is another one";
        });
        QVERIFY(told.hasStruck);
        QCOMPARE(told.wrong, QString());
    }

    void aDeviceThatComesAgainHasItsLinkStill()
    {
        Bench bench;
        vmm::UsbDeviceConfig const terminal { "usb-serial-0", vmm::UsbKind::Serial };
        REQUIRE_OK(bench.configs.addUsb(terminal));
        auto const link = bench.configs.consoles().at(terminal.id);
        QCOMPARE(bench.configs.both().next.usbDevices.size(), std::size_t(1));
        bench.configs.removeUsb(terminal.id);
        QVERIFY(!bench.configs.consoles().contains(terminal.id));
        QVERIFY(bench.configs.both().next.usbDevices.empty());
        REQUIRE_OK(bench.configs.addUsb(terminal));
        QVERIFY(bench.configs.consoles().at(terminal.id) == link);
    }

    void whatIsInNeitherCannotBeChanged()
    {
        Bench bench;
        QCOMPARE(bench.configs.setPlugged("usb-tablet-0", false).error().code, vmm::ErrorCode::NotFound);
        QCOMPARE(
            bench.configs.changeNetwork("net0", [](vmm::NetworkConfig&) {}).error().code, vmm::ErrorCode::NotFound);
        QVERIFY(!bench.configs.screen("display7"));
        QVERIFY(bench.configs.screen(bench.config.displays[0].id));
        QVERIFY(bench.configs.screen(bench.config.displays[0].id) == bench.configs.firstScreen());
    }
};

REGISTER_SUITE(MachineConfigsTest);
#include "machine_configs_test.moc"
