#include "app/runner/host_usb_devices.h"
#include "app/runner/host_usb_passthrough.h"
#include "tests/fakes/fake_usb_ports.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "tests/vmm/usb/usb_guest.h"

#include <QTemporaryDir>
#include <QTest>
#include <future>

using namespace app;
using namespace std::chrono_literals;
using tests::SimulatedUsbDevice;

namespace {

/// Of a machine that is in no library: no rule holds.
struct Bench {
    ~Bench()
    {
        ports.on([&] {
            passthrough.machineEnded();
            passthrough.close();
        });
        ports.thread->end();
    }
    static HostUsbPassthrough::Events events(std::string& failures)
    {
        HostUsbPassthrough::Events made;
        made.devicesChanged = [](auto const&) {};
        made.questionsChanged = [](auto const&) {};
        made.failed = [&failures](auto const& device, auto const& why) { failures += device.port + ": " + why.detail; };
        return made;
    }
    static vmm::VmConfig config()
    {
        vmm::VmConfig made;
        made.uuid = "7f1f1f0e-6a3c-4d0f-9f55-0c0000000001";
        return made;
    }
    auto attach(std::string const& which)
    {
        return tests::laterAnswerOf([&](auto done) { ports.on([&] { passthrough.attach(which, Really::No, done); }); });
    }
    vmm::Result<> attachNow(std::string const& which)
    {
        auto attached = attach(which);
        return tests::answered(attached);
    }
    void exchangeMachine()
    {
        ports.machine = 2;
        passthrough.machineCameUp([] { return std::vector<vmm::HostUsbTrace>(); });
    }
    std::string list() const
    {
        std::string all;
        for (auto const& device : passthrough.devices())
            all += device.port + " ";
        return all;
    }
    std::string failuresSoFar()
    {
        std::string all;
        ports.on([&] { all = failures; });
        return all;
    }

    std::string failures; // the loop's
    tests::FakeUsbPorts ports;
    HostUsbPassthrough passthrough { ports.ports(), {}, &Bench::config, events(failures) };
};

/// The devices alone, on a loop.
struct Runner {
    using Opened = std::shared_ptr<vmm::HostUsbDevice>;
    static vmm::Result<> allowed(HostUsbEntry const& /*entry*/) { return {}; }

    explicit Runner(std::chrono::milliseconds patience)
    {
        loop->loop().call([&] {
            devices.emplace(
                loop->loop(), "", [this](auto const&) { ++lost; }, patience);
        });
    }
    ~Runner() { end(); }
    auto open(HostUsbDevices::Allows const& allows = &allowed)
    {
        return tests::laterAnswerOf<Opened>(
            [&](auto done) { loop->loop().call([&] { devices->open("1-1", allows, {}, done); }); });
    }
    vmm::Result<Opened> openNow()
    {
        auto opened = open();
        return tests::answered(opened);
    }
    void letGoOf(Opened device)
    {
        loop->loop().call([&] {
            devices->keep(std::move(device));
            devices->giveBackAll();
        });
    }
    void end()
    {
        if (loop)
            loop->loop().call([this] { devices.reset(); });
    }

    std::unique_ptr<vmm::LoopThread> loop = tests::must(vmm::LoopThread::start("runner"));
    int lost = 0;
    std::optional<HostUsbDevices> devices;
};

}

/// Devices of the host's, and a machine that comes and goes while they are plugged in and out.
class HostUsbPassthroughTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
        qputenv("XDG_RUNTIME_DIR", m_runtime.path().toUtf8());
    }
    void cleanupTestCase() { qunsetenv("XDG_RUNTIME_DIR"); }

    void withoutAMachineNothingIsTaken()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.ports.on([&] { bench.ports.machine.reset(); });
        QCOMPARE(bench.attachNow("1-1").error().detail, "there is no machine");
        QCOMPARE(simulated.calls(), std::vector<std::string>());
    }

    void aMachineThatEndsMeanwhileLeavesItToTheHost()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.ports.on([&] { bench.ports.answersLater = true; });
        auto attached = bench.attach("1-1");
        QTRY_COMPARE(bench.ports.askedSoFar(), "1+1-1 ");
        QVERIFY(!simulated.hasDriver());
        bench.ports.on([&] {
            bench.ports.machine.reset();
            bench.passthrough.machineEnded();
            bench.ports.answer();
        });
        QCOMPARE(tests::answered(attached).error().detail, "there is no machine");
        QCOMPARE(bench.list(), "");
        QTRY_VERIFY(simulated.hasDriver());
    }

    void whatIsDetachedMeanwhileIsTakenOutOfTheNextMachineToo()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        REQUIRE_OK(bench.attachNow("1-1"));
        QCOMPARE(bench.list(), "1-1 ");
        auto detached = tests::laterAnswerOf([&](auto done) {
            bench.ports.on([&] {
                bench.ports.answersLater = true;
                bench.passthrough.detach("1-1", done);
                bench.exchangeMachine();
                bench.ports.answer();
                bench.ports.answer();
            });
        });
        REQUIRE_OK(tests::answered(detached));
        QVERIFY(simulated.hasDriver());
        QCOMPARE(bench.ports.askedSoFar(), "1+1-1 1-1-1 2+1-1 2-1-1 ");
        QCOMPARE(bench.list(), "");
    }

    void whatTheNextMachineHasNoRoomForGoesBackToTheHost()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        REQUIRE_OK(bench.attachNow("1-1"));
        bench.ports.on([&] {
            bench.ports.failPlug = vmm::Error { vmm::ErrorCode::NotNow, "every connector is taken", 0 };
            bench.exchangeMachine();
        });
        QTRY_COMPARE(bench.list(), "");
        QCOMPARE(bench.failuresSoFar(), "1-1: every connector is taken");
        QTRY_VERIFY(simulated.hasDriver());
    }

    /// One that the kernel waits for is on its way for as long as that takes; others come and go meanwhile.
    void whatIsSilentAsItGoesBackHoldsUpNoOther()
    {
        SimulatedUsbDevice silent("1-1", 2);
        SimulatedUsbDevice const other("1-2", 3);
        tests::FakeUsbHost host;
        Bench bench;
        bench.ports.plugging = [&host](vmm::UsbDevice& device) {
            device.setHost(&host);
            device.setHost(nullptr);
        };
        REQUIRE_OK(bench.attachNow("1-1"));
        silent.hang();
        auto detached
            = tests::laterAnswerOf([&](auto done) { bench.ports.on([&] { bench.passthrough.detach("1-1", done); }); });
        QTRY_COMPARE(silent.calls().back(), "reset");
        auto attached = bench.attach("1-2");
        bool const comes = tests::comes(attached);
        QVERIFY(!silent.hasDriver());
        silent.answerAgain();
        REQUIRE_OK(tests::answered(attached));
        QVERIFY(comes);
        REQUIRE_OK(tests::answered(detached));
        QVERIFY(silent.hasDriver());
        QCOMPARE(bench.list(), "1-2 ");
    }

    /// Two machines, and the thread of the host's USB events that they share: what the kernel waits for is the other's.
    void whatIsSilentInAMachineHoldsUpNoOtherMachine()
    {
        SimulatedUsbDevice silent("1-1", 2);
        auto other = std::make_unique<SimulatedUsbDevice>("1-2", 3);
        tests::FakeUsbHost firstHost, secondHost;
        vmm::UsbDevice *first = nullptr, *second = nullptr;
        Bench one, two;
        one.ports.plugging = [&](vmm::UsbDevice& device) { (first = &device)->setHost(&firstHost); };
        two.ports.plugging = [&](vmm::UsbDevice& device) { (second = &device)->setHost(&secondHost); };
        REQUIRE_OK(one.attachNow("1-1"));
        tests::Asked in(vmm::UsbTransfer::Kind::Bulk, 0x81, vmm::Bytes(100));
        auto const submit = [](tests::FakeUsbHost& host, vmm::UsbDevice& device, tests::Asked& asked) {
            std::lock_guard const lock(host.usbMutex());
            device.submit(asked.transfer);
        };
        auto const ended = [](tests::FakeUsbHost& host) {
            std::lock_guard const lock(host.usbMutex());
            return host.ended.size();
        };
        silent.hang();
        {
            std::lock_guard const lock(firstHost.usbMutex());
            first->busReset();
        }
        QTRY_COMPARE(silent.calls().back(), "reset");
        submit(firstHost, *first, in);

        auto attached = two.attach("1-2");
        bool const comes = tests::comes(attached);
        tests::Asked out(vmm::UsbTransfer::Kind::Bulk, 0x02, tests::counting(1000));
        tests::Asked back(vmm::UsbTransfer::Kind::Bulk, 0x81, vmm::Bytes(1000));
        if (comes) {
            submit(secondHost, *second, out);
            submit(secondHost, *second, back);
        }
        bool const works = comes && tests::becomes([&] { return ended(secondHost) == 2; });
        if (comes)
            second->setHost(nullptr);
        other.reset(); // pulled out, which is heard by way of the same thread
        bool const goes = tests::becomes([&] { return two.list().empty(); });
        silent.answerAgain();
        REQUIRE_OK(tests::answered(attached));
        QVERIFY(works && goes);
        QCOMPARE(back.got(), out.data);
        QCOMPARE(one.list(), "1-1 ");
        QTRY_COMPARE(silent.waiting(), std::size_t(1)); // what waited for the reset
        {
            std::lock_guard const lock(firstHost.usbMutex());
            first->cancel(in.transfer);
        }
        QTRY_COMPARE(ended(firstHost), std::size_t(1));
        first->setHost(nullptr);
    }

    /// Nor does it hold up the end. It comes back without us.
    void whatIsSilentAsItGoesBackHoldsUpNoEnd()
    {
        SimulatedUsbDevice silent("1-1", 2);
        tests::FakeUsbHost host;
        Runner runner(0ms);
        auto device = tests::must(runner.openNow());
        device->setHost(&host);
        device->setHost(nullptr);
        silent.hang();
        runner.letGoOf(std::move(device));
        QTRY_COMPARE(silent.calls().back(), "reset");
        auto const ended = std::async(std::launch::async, [&] { runner.end(); });
        bool const ends = tests::comes(ended);
        silent.answerAgain();
        ended.wait();
        QVERIFY(ends);
        QTRY_VERIFY(UsbClaim::take("1-1", {}).has_value()); // at the end of its thread
        QVERIFY(silent.hasDriver());
    }

    /// The loop where it would be told is no more: for the address sanitizer.
    void whatDiesOnItsWayAfterTheEndIsToldNobody()
    {
        SimulatedUsbDevice dying("1-1", 2);
        tests::FakeUsbHost host;
        Runner runner(0ms);
        auto device = tests::must(runner.openNow());
        device->setHost(&host);
        dying.hang();
        dying.changeAtReset();
        {
            std::lock_guard const lock(host.usbMutex());
            device->busReset();
        }
        QTRY_COMPARE(dying.calls().back(), "reset");
        device->setHost(nullptr);
        runner.letGoOf(std::move(device));
        runner.end();
        runner.loop.reset();
        dying.answerAgain();
        QTRY_VERIFY(UsbClaim::take("1-1", {}).has_value());
        QCOMPARE(runner.lost, 0);
    }

    /// While it is on its way a driver may have it already; afterwards, too.
    void whatTheHostUsesOfOneThatComesBackIsKnown()
    {
        SimulatedUsbDevice coming("1-1", 2);
        tests::FakeUsbHost host;
        Runner runner(10s);
        auto device = tests::must(runner.openNow());
        device->setHost(&host);
        device->setHost(nullptr);
        coming.hang();
        runner.letGoOf(std::move(device));
        QTRY_COMPARE(coming.calls().back(), "reset");
        coming.typeOnTheHost();
        auto const looked = tests::must(tests::answerOf<HostUsbDevices::Look>(
            [&](auto done) { runner.loop->loop().call([&] { runner.devices->look({}, done); }); }));
        std::vector<HostUse> uses;
        auto opened = runner.open([&uses](HostUsbEntry const& entry) {
            uses = entry.uses;
            return vmm::Result<>();
        });
        coming.answerAgain();
        REQUIRE_OK(tests::answered(opened));
        QCOMPARE(looked.entries.size(), 1u);
        QVERIFY(!looked.entries[0].holder);
        QCOMPARE(looked.entries[0].uses.size(), 1u);
        QVERIFY(uses == looked.entries[0].uses);
    }

    void whoWaitsForOneThatIsSilentDoesNotAfterTheEnd()
    {
        SimulatedUsbDevice silent("1-1", 2);
        tests::FakeUsbHost host;
        Runner runner(1h);
        auto device = tests::must(runner.openNow());
        device->setHost(&host);
        device->setHost(nullptr);
        silent.hang();
        runner.letGoOf(std::move(device));
        QTRY_COMPARE(silent.calls().back(), "reset");
        auto waiting = runner.open();
        // Not on the loop, which hears the answer meanwhile.
        auto const ended = std::async(std::launch::async, [&] { runner.devices.reset(); });
        bool const isAnswered = tests::comes(waiting);
        silent.answerAgain();
        ended.wait();
        QVERIFY(isAnswered);
        QCOMPARE(waiting.get().error().code, vmm::ErrorCode::Busy);
        QVERIFY(silent.hasDriver());
    }

private:
    QTemporaryDir m_runtime;
};

REGISTER_SUITE(HostUsbPassthroughTest);
#include "host_usb_passthrough_test.moc"
