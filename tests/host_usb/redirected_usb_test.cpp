#include "app/runner/machine_runner.h"
#include "tests/fakes/fake_machine.h"
#include "tests/host_usb/plugged_in.h"
#include "tests/host_usb/redir_host.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "vmm/usb/usb_redir_device.h"

#include <QTemporaryDir>
#include <QTest>
#include <fmt/format.h>
#include <list>
#include <sys/socket.h>

using namespace app;
using namespace vmm;
using tests::Asked;
using tests::counting;
using tests::FakeMachine;
using tests::RedirHost;
using tests::SimulatedUsbDevice;
using tests::waitLimit;
using Kind = UsbTransfer::Kind;

namespace {

/// The simulated device, passed on by libusbredirhost and plugged into a controller of nothing.
struct Redirected : tests::PluggedIn<UsbRedirDevice> {
    Redirected()
    {
        std::array<int, 2> ends {};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
            qFatal("no socket");
        other = std::make_unique<RedirHost>(UniqueFd(ends[0]));
        device = std::make_unique<UsbRedirDevice>(thread->loop(), UniqueFd(ends[1]), "other",
            UsbRedirDevice::Events { [this] { offered = true; },
                [this](Error const& why) {
                    std::lock_guard const lock(mutex);
                    gone = why.detail;
                } });
        if (!tests::becomes([this] { return offered.load(); }))
            qFatal("it is not offered");
        device->setHost(&host);
    }
    ~Redirected() { end(); }

    std::string why()
    {
        std::lock_guard const lock(mutex);
        return gone;
    }

    std::unique_ptr<LoopThread> thread = tests::must(LoopThread::start("redirection"));
    std::atomic<bool> offered = false;
    std::mutex mutex;
    std::string gone;
    std::unique_ptr<RedirHost> other;
};

std::unique_ptr<RedirHost> bring(std::string const& to)
{
    auto const cancel = tests::must(makeEventFd());
    return std::make_unique<RedirHost>(
        tests::must(connectToUsbPeer(tests::must(parseUsbPeerAddress(to)), waitLimit, cancel.get())));
}

/// A runner whose machine is on.
struct Bench {
    Bench()
    {
        runner->addObserver([this](Notice const& notice) {
            auto const* const changed = std::get_if<notice::RedirectedUsbChanged>(&notice);
            std::lock_guard const lock(mutex);
            if (changed && changed->reason)
                lost.push_back(changed->lost + ": " + changed->reason->detail);
        });
        tests::must(tests::answerOf([&](auto done) { runner->start(done); }));
    }
    Result<RedirectedUsb> listen(std::string const& at)
    {
        return tests::answerOf<RedirectedUsb>(
            [&](auto done) { runner->listenForUsb(tests::must(parseUsbPeerAddress(at)), done); });
    }
    /// One that comes where the machine waits.
    std::unique_ptr<RedirHost> bringOne() { return bring(tests::must(listen("127.0.0.1:0")).address); }
    Result<RedirectedUsb> connect(std::string const& from)
    {
        return tests::answerOf<RedirectedUsb>(
            [&](auto done) { runner->redirectUsb(tests::must(parseUsbPeerAddress(from)), done); });
    }
    Result<> end(std::string const& id)
    {
        return tests::answerOf([&](auto done) { runner->endUsbRedirection(id, done); });
    }
    std::string list() const
    {
        std::string all;
        for (auto const& one : runner->redirectedUsb())
            all += one.id + (one.isListening ? " listens " : one.listener.empty() ? " " : " by " + one.listener + " ");
        return all;
    }
    std::string keep()
    {
        return tests::must(tests::answerOf<timeline::Moment>([&](auto done) {
            runner->keepMoment({ .name = "one" }, done);
        })).id;
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    std::vector<std::string> lostSoFar()
    {
        std::lock_guard const lock(mutex);
        return lost;
    }

    QTemporaryDir directory;
    std::mutex mutex;
    std::vector<std::string> lost;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::unique_ptr<MachineRunner> runner = std::make_unique<MachineRunner>(tests::exampleConfig(),
        MachinePlaces { path("state"), path("machine.lock"), path("timeline") }, FakeMachine::factory(script));
};

/// What "usbredirect --as" is.
struct Server {
    UsbPeerListener listener = tests::must(listenForUsbPeers({ "127.0.0.1", 0, {} }));
    std::unique_ptr<RedirHost> host;
    std::thread accepting { [this] {
        UniqueFd one;
        for (; !one; std::this_thread::sleep_for(std::chrono::milliseconds(1)))
            one.reset(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        host = std::make_unique<RedirHost>(std::move(one));
    } };
    ~Server() { accepting.join(); }
};

}

/// Devices of another computer: our half of the protocol against that of libusbredirhost, which has the real libusb
/// with a device that umockdev simulates.
class RedirectedUsbTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
    }

    void controlTransfersAndSettings()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Redirected bench;
        QCOMPARE(bench.device->info().vendor, 0x1209);
        QCOMPARE(bench.device->info().program, "a host");
        QCOMPARE(bench.device->speed(), UsbSpeed::High);
        Asked in(Kind::Control, 0x80, Bytes(300), { 0xc0, 1, 0, 0, 0, 0, 44, 1 });
        QVERIFY(bench.run(in));
        QCOMPARE(in.transfer.transferred, 300u);
        QCOMPARE(in.data[299], 299 & 0xff);
        Asked out(Kind::Control, 0x00, { 4, 5, 6 }, { 0x40, 2, 0, 0, 0, 0, 3, 0 });
        QVERIFY(bench.run(out));
        QCOMPARE(simulated.kept(), (Bytes { 4, 5, 6 }));
        Asked refused(Kind::Control, 0x00, {}, { 0x40, 3, 0, 0, 0, 0, 0, 0 });
        QVERIFY(bench.run(refused, UsbStatus::Stall));
        Asked configuration(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 });
        Asked setting(Kind::Control, 0, {}, { 1, 11, 1, 0, 0, 0, 0, 0 });
        Asked which(Kind::Control, 0x80, Bytes(1), { 0x81, 10, 0, 0, 0, 0, 1, 0 });
        Asked halt(Kind::Control, 0, {}, { 2, 1, 0, 0, 0x81, 0, 0, 0 });
        for (auto* const one : { &configuration, &setting, &which, &halt })
            QVERIFY(bench.run(*one));
        QCOMPARE(which.got(), (Bytes { 1 }));
        auto const calls = simulated.calls();
        QVERIFY(std::find(calls.begin(), calls.end(), "set-interface 0 1") != calls.end());
        QVERIFY(std::find(calls.begin(), calls.end(), "clear-halt 81") != calls.end());
    }

    void bulkOfAnySize()
    {
        constexpr std::size_t size = 600u << 10;
        SimulatedUsbDevice const simulated("1-1", 2);
        Redirected bench;
        Asked out(Kind::Bulk, 0x02, counting(size)), in(Kind::Bulk, 0x81, Bytes(size + 100));
        QVERIFY(bench.run(out));
        QCOMPARE(out.transfer.transferred, size);
        QVERIFY(bench.run(in));
        QCOMPARE(in.got(), counting(size));
    }

    void aHaltIsSeenAndCleared()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Redirected bench;
        Asked out(Kind::Bulk, 0x02, counting(3)), stalled(Kind::Bulk, 0x81, Bytes(3)), in(Kind::Bulk, 0x81, Bytes(3));
        simulated.halt();
        QVERIFY(bench.run(out));
        QVERIFY(bench.run(stalled, UsbStatus::Stall));
        Asked clear(Kind::Control, 0, {}, { 2, 1, 0, 0, 0x81, 0, 0, 0 });
        QVERIFY(bench.run(clear));
        QVERIFY(bench.run(in));
        QCOMPARE(in.got(), counting(3));
    }

    void cancelledInTheOtherComputer()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Redirected bench;
        Asked in(Kind::Bulk, 0x81, Bytes(3)), after(Kind::Bulk, 0x81, Bytes(3)), out(Kind::Bulk, 0x02, counting(3));
        bench.submit(in);
        QTRY_COMPARE(simulated.waiting(), 1u);
        bench.cancel(in);
        QVERIFY(bench.ends(in));
        QCOMPARE(in.transfer.status, UsbStatus::Cancelled);
        QTRY_COMPARE(simulated.waiting(), 0u);
        QVERIFY(bench.run(out));
        QVERIFY(bench.run(after));
        QCOMPARE(after.got(), counting(3));
    }

    void interruptsCome()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Redirected bench;
        Asked first(Kind::Interrupt, 0x83, Bytes(8)), second(Kind::Interrupt, 0x83, Bytes(8));
        bench.submit(first);
        bench.submit(second);
        QTRY_VERIFY(simulated.waiting() > 0);
        simulated.interrupt({ 1, 2, 3 });
        simulated.interrupt({ 4 });
        QVERIFY(bench.ends(first));
        QVERIFY(bench.ends(second));
        QCOMPARE(first.got(), (Bytes { 1, 2, 3 }));
        QCOMPARE(second.got(), (Bytes { 4 }));
    }

    void isochronousPacketsComeInTheirOrder()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Redirected bench;
        std::list<Asked> packets;
        {
            std::lock_guard const lock(bench.host.usbMutex());
            for (int i = 0; i < 64; ++i)
                bench.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(192)).transfer);
        }
        QVERIFY(bench.ends(packets.back()));
        auto number = packets.front().data[0];
        for (auto const& packet : packets) {
            QCOMPARE(packet.transfer.status, UsbStatus::Success);
            QCOMPARE(packet.got(), Bytes(176, number++));
        }
    }

    void isochronousDataGoThere()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Redirected bench;
        std::list<Asked> packets;
        for (unsigned i = 0; i < 2000; ++i) // more than the other side keeps before it begins
            bench.submit(packets.emplace_back(Kind::Isochronous, 0x05, counting(100 + i % 50)));
        QTRY_VERIFY(simulated.isochronousOut().size() >= 200);
        auto const got = simulated.isochronousOut();
        for (unsigned i = 0; i < 200; ++i)
            QCOMPARE(got[i], counting(100 + i % 50));
    }

    void unpluggedThere()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        Redirected bench;
        Asked waiting(Kind::Bulk, 0x81, Bytes(8));
        bench.submit(waiting);
        QTRY_COMPARE(simulated.waiting(), 1u);
        simulated.unplug();
        QVERIFY(bench.ends(waiting));
        QCOMPARE(waiting.transfer.status, UsbStatus::TransactionError);
        QTRY_COMPARE(bench.why(), "the device was unplugged at other");
    }

    void theOtherComputerGoes()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Redirected bench;
        bench.other.reset();
        QTRY_VERIFY(!bench.why().empty());
        Asked late(Kind::Bulk, 0x02, Bytes(8));
        QVERIFY(bench.run(late, UsbStatus::TransactionError));
        QVERIFY(simulated.hasDriver());
    }

    void whatIsNotWantedIsLetGo()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.script->failPlug = Error { ErrorCode::NotNow, "every connector is taken", 0 };
        auto const host = bench.bringOne();
        QTRY_VERIFY(host->hasEnded());
        QVERIFY(host->wasRefused());
        QCOMPARE(bench.list(), "redir1 listens ");
    }

    void thePlaceGoesWhileADeviceIsPluggedIn()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.script->beforePlug = [&] { tests::must(bench.end("redir1")); };
        auto const host = bench.bringOne();
        QTRY_COMPARE(bench.script->times("usb redir2 out"), 1);
        QTRY_VERIFY(host->hasEnded());
        QCOMPARE(bench.list(), "");
        QTRY_VERIFY(simulated.hasDriver());
    }

    void aMachineConnects()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        Server const server;
        auto const redirected = tests::must(bench.connect(server.listener.address.text()));
        QCOMPARE(redirected.id, "redir1");
        QCOMPARE(redirected.address, server.listener.address.text());
        QCOMPARE(redirected.device.product, 1);
        QCOMPARE(bench.script->times("usb redir1 in"), 1);
        QCOMPARE(bench.list(), "redir1 ");
        QVERIFY(!simulated.hasDriver());
        REQUIRE_OK(bench.end("redir1"));
        QCOMPARE(bench.script->times("usb redir1 out"), 1);
        QCOMPARE(bench.list(), "");
        QCOMPARE(bench.end("redir1").error().code, ErrorCode::NotFound);
        QTRY_VERIFY(simulated.hasDriver());
    }

    void nobodyIsThere()
    {
        Bench bench;
        auto const closed = tests::must(listenForUsbPeers({ "127.0.0.1", 0, {} })).address; // and gone again
        auto const refused = bench.connect(closed.text());
        QVERIFY(!refused);
        QVERIFY2(refused.error().message().find("cannot connect to " + closed.text()) == 0,
            refused.error().message().c_str());
        QCOMPARE(bench.list(), "");
    }

    void aMachineWaitsForDevices()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto const place = tests::must(bench.listen("127.0.0.1:0"));
        QVERIFY(place.isListening);
        QVERIFY(!place.address.ends_with(":0"));
        auto const host = bring(place.address);
        QTRY_COMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
        REQUIRE_OK(bench.end("redir1")); // what came there stays
        QCOMPARE(bench.list(), "redir2 by redir1 ");
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_COMPARE(bench.list(), "");
        QTRY_VERIFY(host->hasEnded());
    }

    void atASocketOfThisComputer()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto const path = bench.path("usb.sock");
        tests::must(bench.listen(path));
        auto const host = bring(path);
        QTRY_COMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
        QCOMPARE(bench.listen(path).error().code, ErrorCode::Busy);
        REQUIRE_OK(bench.end("redir1"));
        QVERIFY(!QFile::exists(QString::fromStdString(path)));
    }

    void aLostConnectionIsToldWithItsReason()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto host = bench.bringOne();
        QTRY_COMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
        host.reset();
        QTRY_COMPARE(bench.list(), "redir1 listens ");
        QCOMPARE(bench.script->times("usb redir2 out"), 1);
        QTRY_COMPARE(bench.lostSoFar().size(), 1u);
        auto const lost = bench.lostSoFar().front();
        QVERIFY2(lost.starts_with("redir2: "), lost.c_str());
    }

    void pluggedInAnewWhenAMomentTakesTheMachinesPlace()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto const moment = bench.keep();
        auto const host = bench.bringOne();
        QTRY_COMPARE(bench.script->times("usb redir2 in"), 1);
        QTRY_COMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
        // Which is told before; and after a suspend it has to be passed on anew.
        auto const fates = tests::must(bench.runner->foreseeUsb(moment));
        QCOMPARE(fates.size(), 1u);
        QVERIFY(fates[0].vendor == 0x1209 && fates[0].product == 1 && fates[0].isAttached);
        QVERIFY2(fates[0].from.starts_with("127.0.0.1:"), fates[0].from.c_str());
        QCOMPARE(fates[0].outcome, UsbFate::Outcome::PluggedAnew);
        QCOMPARE(tests::must(bench.runner->foreseeUsb("")).at(0).outcome, UsbFate::Outcome::NotHere);
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->goTo(moment, MachineRunner::Present::Lose, done); }));
        QTRY_COMPARE(bench.script->times("usb redir2 in"), 2);
        QCOMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
    }

    void whatIsNotPassedOnAnyMoreIsMissedAtItsMoment()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto host = bench.bringOne();
        QTRY_COMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
        auto const moment = bench.keep();
        auto const fates = tests::must(bench.runner->foreseeUsb(moment));
        QCOMPARE(fates.size(), 1u); // it is the same one
        QCOMPARE(fates[0].outcome, UsbFate::Outcome::PluggedAnew);
        host.reset();
        QTRY_COMPARE(bench.list(), "redir1 listens ");
        UsbFate const missed { .vendor = 0x1209, .product = 1, .outcome = UsbFate::Outcome::NotHere };
        QCOMPARE(tests::must(bench.runner->foreseeUsb(moment)), std::vector { missed });
    }

    void whatIsEndedAsAMomentTakesTheMachinesPlaceIsInNeither()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto const moment = bench.keep();
        auto const host = bench.bringOne();
        QTRY_COMPARE(bench.list(), "redir1 listens redir2 by redir1 ");
        REQUIRE_OK(tests::answerOf([&](auto done) {
            // On the runner's thread, which gets to them one after the other before the machine answers.
            bench.runner->measure([&, done](MachineStatistics const&) {
                bench.runner->endUsbRedirection("redir2", done);
                bench.runner->goTo(moment, MachineRunner::Present::Lose);
            });
        }));
        QCOMPARE(bench.list(), "redir1 listens ");
        QCOMPARE(bench.script->times("usb redir2 in"), 2);
        QCOMPARE(bench.script->times("usb redir2 out"), 2);
    }

    void notForAMachineThatIsOff()
    {
        Bench bench;
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QCOMPARE(bench.connect("localhost:1").error().code, ErrorCode::NotNow);
        QCOMPARE(bench.listen("127.0.0.1:0").error().code, ErrorCode::NotNow);
    }

    void placesAreWrittenInFourWays()
    {
        QCOMPARE(*parseUsbPeerAddress("desk:4000"), (UsbPeerAddress { "desk", 4000, {} }));
        QCOMPARE(*parseUsbPeerAddress("[::1]:4000"), (UsbPeerAddress { "::1", 4000, {} }));
        QCOMPARE(parseUsbPeerAddress("[::1]:4000")->text(), "[::1]:4000");
        QCOMPARE(*parseUsbPeerAddress("4000"), (UsbPeerAddress { "127.0.0.1", 4000, {} }));
        QCOMPARE(*parseUsbPeerAddress("./usb"), (UsbPeerAddress { {}, 0, "./usb" }));
        for (auto const* const none : { "", "desk", "desk:", ":4000", "desk:x", "desk:70000", "::1:4000" })
            QVERIFY2(!parseUsbPeerAddress(none), none);
    }
};

REGISTER_SUITE(RedirectedUsbTest);
#include "redirected_usb_test.moc"
