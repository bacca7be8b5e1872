#include "app/runner/host_usb_devices.h"
#include "app/runner/machine_runner.h"
#include "tests/fakes/fake_machine.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/suite.h"

#include <QTemporaryDir>
#include <QTest>
#include <fmt/format.h>
#include <future>

using namespace app;
using tests::FakeMachine;
using tests::SimulatedUsbDevice;

namespace {

struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::unique_ptr<MachineRunner> runner
        = std::make_unique<MachineRunner>(tests::exampleConfig(), places(), FakeMachine::factory(script));

    MachinePlaces places() const { return { path("state"), path("machine.lock"), path("timeline") }; }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    template<typename Ask>
    vmm::Result<> wait(Ask ask)
    {
        std::promise<vmm::Result<>> answered;
        ask([&](vmm::Result<> outcome) { answered.set_value(std::move(outcome)); });
        return answered.get_future().get();
    }
    void start()
    {
        tests::must(wait([&](auto done) { runner->start(done); }));
    }
    vmm::Result<> attach(std::string const& which)
    {
        return wait([&](auto done) { runner->attachHostUsb(which, done); });
    }
    vmm::Result<> detach(std::string const& which)
    {
        return wait([&](auto done) { runner->detachHostUsb(which, done); });
    }
    std::string attached() const
    {
        std::string ports;
        for (auto const& device : runner->attachedHostUsb())
            ports += device.port + " ";
        return ports;
    }
    long times(std::string const& entry) const
    {
        std::lock_guard const lock(script->mutex);
        return std::count(script->log.begin(), script->log.end(), entry);
    }
};

vmm::HostUsbInfo device(std::string port, std::string serial)
{
    vmm::HostUsbInfo info;
    info.port = std::move(port);
    info.vendor = 0x0951;
    info.product = 0x1666;
    info.serial = std::move(serial);
    return info;
}

}

/// A machine's runner with USB devices of the host's, which umockdev simulates.
class AttachedUsbTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
    }

    void aDeviceIsMeantByPortNumbersOrSerial()
    {
        std::vector const devices { device("1-1", "A"), device("1-2.4", "B") };
        QCOMPARE(findHostUsb(devices, "1-1")->serial, "A");
        QCOMPARE(findHostUsb(devices, "B")->port, "1-2.4");
        QCOMPARE(findHostUsb(devices, "0951:1666").error().code, vmm::ErrorCode::InvalidArgument);
        QCOMPARE(findHostUsb(devices, "").error().code, vmm::ErrorCode::NotFound);
        QCOMPARE(findHostUsb({ devices[1] }, "0951:1666")->port, "1-2.4");
    }

    void attachedAndDetached()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::NotNow); // it is off
        bench.start();
        QCOMPARE(bench.attach("1-9").error().code, vmm::ErrorCode::NotFound);
        REQUIRE_OK(bench.attach("1209:0001"));
        QCOMPARE(bench.attached(), "1-1 ");
        QVERIFY(!simulated.hasDriver());
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::AlreadyExists);
        QCOMPARE(bench.attached(), "1-1 ");
        QCOMPARE(bench.detach("1-2").error().code, vmm::ErrorCode::NotFound);
        REQUIRE_OK(bench.detach("1-1"));
        QCOMPARE(bench.attached(), "");
        QCOMPARE(bench.times("usb 1-1 out"), 1);
        QTRY_VERIFY(simulated.hasDriver());
    }

    void givenBackWhereTheMachineDoesNotTakeIt()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        bench.script->failPlug = vmm::Error { vmm::ErrorCode::NotNow, "every connector is taken", 0 };
        QCOMPARE(bench.attach("1-1").error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(bench.attached(), "");
        QTRY_VERIFY(simulated.hasDriver());
    }

    void pluggedOutOfTheHost()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        simulated.unplug();
        QTRY_COMPARE(bench.attached(), "");
        QCOMPARE(bench.times("usb 1-1 out"), 1);
    }

    void givenBackWhenTheMachineEnds()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        REQUIRE_OK(bench.wait([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_COMPARE(bench.attached(), "");
        QTRY_VERIFY(simulated.hasDriver());
        bench.start();
        REQUIRE_OK(bench.attach("1-1"));
        bench.runner.reset();
        QVERIFY(simulated.hasDriver());
    }

    void pluggedInAnewWhenAMomentTakesTheMachinesPlace()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.start();
        std::promise<vmm::Result<vmm::timeline::Moment>> kept;
        bench.runner->keepMoment({ .name = "one" }, [&](auto outcome) { kept.set_value(std::move(outcome)); });
        auto const moment = tests::must(kept.get_future().get());
        REQUIRE_OK(bench.attach("1-1"));
        QCOMPARE(bench.times("usb 1-1 in"), 1);
        REQUIRE_OK(bench.wait([&](auto done) { bench.runner->goTo(moment.id, MachineRunner::Present::Lose, done); }));
        QTRY_COMPARE(bench.times("usb 1-1 in"), 2);
        QCOMPARE(bench.attached(), "1-1 ");
        QVERIFY(!simulated.hasDriver());
    }
};

REGISTER_SUITE(AttachedUsbTest);
#include "attached_usb_test.moc"
