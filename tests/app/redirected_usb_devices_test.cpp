#include "app/runner/redirected_usb_devices.h"
#include "tests/fakes/fake_usb_ports.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "tests/vmm/usb/redir_peer.h"

#include <QTemporaryDir>
#include <array>
#include <poll.h>
#include <sys/socket.h>

using namespace app;
using tests::RedirPeer;

namespace {

struct Bench {
    Bench()
    {
        if (!directory.isValid())
            qFatal("no directory");
    }
    ~Bench()
    {
        ports.on([&] {
            devices.machineEnded();
            devices.close();
        });
        ports.thread->end();
    }
    vmm::Result<RedirectedUsb> listen()
    {
        return tests::answerOf<RedirectedUsb>(
            [&](auto done) { ports.on([&] { devices.listen({ .path = path }, done); }); });
    }
    auto connect(UsbPeerAddress const& to)
    {
        return tests::laterAnswerOf<RedirectedUsb>([&](auto done) { ports.on([&] { devices.connect(to, done); }); });
    }
    /// One with a device comes where we listen.
    std::unique_ptr<RedirPeer> bring()
    {
        auto const cancel = tests::must(vmm::makeEventFd());
        auto peer = std::make_unique<RedirPeer>(
            tests::must(connectToUsbPeer({ .path = path }, tests::waitLimit, cancel.get())));
        if (!saysHello(*peer))
            qFatal("nobody says hello");
        peer->offer();
        return peer;
    }
    static bool saysHello(RedirPeer& peer)
    {
        return tests::becomes([&] {
            peer.pump();
            return peer.heard().starts_with("hello ");
        });
    }
    void endMachine()
    {
        ports.on([&] {
            ports.machine.reset();
            devices.machineEnded();
        });
    }
    std::string list() const
    {
        std::string ids;
        for (auto const& one : devices.list())
            ids += one.id + " ";
        return ids;
    }
    std::string lostSoFar()
    {
        std::string all;
        ports.on([&] { all = lost; });
        return all;
    }

    QTemporaryDir directory;
    std::string path = directory.filePath("usb.sock").toStdString();
    std::string lost; // the loop's
    tests::FakeUsbPorts ports;
    RedirectedUsbDevices devices { ports.ports(), [this](auto const&, std::string const& id, auto const& why) {
                                      if (why)
                                          lost += id + ": " + why->detail + "; ";
                                  } };
};

}

/// What other computers pass on, and a machine that comes and goes meanwhile.
class RedirectedUsbDevicesTest final : public QObject {
    Q_OBJECT
private slots:
    void withoutAMachineNobodyIsWaitedFor()
    {
        Bench bench;
        bench.endMachine();
        QCOMPARE(bench.listen().error().detail, "there is no machine");
        auto connected = bench.connect({ .path = bench.path });
        QCOMPARE(tests::answered(connected).error().detail, "there is no machine");
        QCOMPARE(bench.list(), "");
    }

    void connectingIsCalledOffWhereverItIs()
    {
        Bench bench;
        UsbPeerAddress const there { .path = bench.path };
        auto const other = tests::must(listenForUsbPeers(there));
        auto const callOff = [&] {
            return tests::answerOf([&](auto done) { bench.ports.on([&] { bench.devices.callOff(there, done); }); });
        };
        QCOMPARE(callOff().error().code, vmm::ErrorCode::NotFound);
        // Nothing is connected yet.
        std::future<vmm::Result<RedirectedUsb>> first;
        auto const outcome = tests::answerOf([&](auto done) {
            bench.ports.on([&] {
                first = tests::laterAnswerOf<RedirectedUsb>([&](auto told) { bench.devices.connect(there, told); });
                bench.devices.callOff(there, done);
            });
        });
        REQUIRE_OK(outcome);
        QCOMPARE(tests::answered(first).error().code, vmm::ErrorCode::Cancelled);
        // The other side has the connection, and brings nothing. That of before is among those that it gets.
        auto second = bench.connect(there);
        vmm::UniqueFd caller;
        QVERIFY(tests::becomes([&] {
            if (!caller)
                caller.reset(::accept4(other.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            char byte = 0;
            auto const got = caller ? ::recv(caller.get(), &byte, 1, 0) : -1;
            if (got == 0)
                caller.reset();
            return got == 1;
        }));
        REQUIRE_OK(callOff());
        QCOMPARE(tests::answered(second).error().code, vmm::ErrorCode::Cancelled);
        QVERIFY(tests::becomes([&] {
            std::array<char, 256> rest {};
            return ::recv(caller.get(), rest.data(), rest.size(), 0) == 0;
        }));
        QCOMPARE(callOff().error().code, vmm::ErrorCode::NotFound);
        QCOMPARE(bench.list(), "");
    }

    void whatIsEndedMeanwhileIsTakenOutOfTheNextMachineToo()
    {
        Bench bench;
        REQUIRE_OK(bench.listen());
        auto const peer = bench.bring();
        QTRY_COMPARE(bench.list(), "redir1 redir2 ");
        auto ended = tests::laterAnswerOf([&](auto done) {
            bench.ports.on([&] {
                bench.ports.answersLater = true;
                bench.devices.end("redir2", done);
                bench.ports.machine = 2;
                bench.devices.machineCameUp();
                bench.ports.answer();
                bench.ports.answer();
            });
        });
        REQUIRE_OK(tests::answered(ended));
        QCOMPARE(bench.ports.askedSoFar(), "1+redir2 1-redir2 2+redir2 2-redir2 ");
        QCOMPARE(bench.list(), "redir1 ");
    }

    void whatTheNextMachineHasNoRoomForIsLost()
    {
        Bench bench;
        REQUIRE_OK(bench.listen());
        auto const peer = bench.bring();
        QTRY_COMPARE(bench.list(), "redir1 redir2 ");
        bench.ports.on([&] {
            bench.ports.failPlug = vmm::Error { vmm::ErrorCode::NotNow, "every connector is taken", 0 };
            bench.ports.machine = 2;
            bench.devices.machineCameUp();
        });
        QTRY_COMPARE(bench.list(), "redir1 ");
        QCOMPARE(bench.lostSoFar(), "redir2: every connector is taken; ");
    }

    void whoCameForTheMachineBeforeIsRefused()
    {
        Bench bench;
        REQUIRE_OK(bench.listen());
        bench.ports.on([&] { bench.ports.answersLater = true; });
        auto const peer = bench.bring();
        QTRY_COMPARE(bench.ports.askedSoFar(), "1+redir2 ");
        bench.ports.on([&] {
            bench.ports.machine = 2;
            bench.devices.machineCameUp();
            bench.ports.answer();
        });
        QCOMPARE(bench.ports.askedSoFar(), "1+redir2 ");
        QCOMPARE(bench.list(), "redir1 ");
    }

    void whoIsConnectingHearsThatTheMachineHasEnded()
    {
        Bench bench;
        auto const listener = tests::must(listenForUsbPeers({ .path = bench.path }));
        auto connected = bench.connect(listener.address);
        bench.endMachine();
        bench.ports.on([&] { bench.ports.machine = 2; }); // which has not asked for it
        QCOMPARE(tests::answered(connected).error().code, vmm::ErrorCode::Cancelled);
    }

    void whoWaitsForTheDeviceHearsThatTheMachineHasEnded()
    {
        Bench bench;
        auto const listener = tests::must(listenForUsbPeers({ .path = bench.path }));
        auto connected = bench.connect(listener.address);
        pollfd comes { listener.socket.get(), POLLIN, 0 };
        QCOMPARE(::poll(&comes, 1, tests::waitLimit), 1);
        RedirPeer peer(vmm::UniqueFd(::accept4(comes.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
        QVERIFY(Bench::saysHello(peer));
        bench.endMachine();
        QCOMPARE(tests::answered(connected).error().code, vmm::ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(RedirectedUsbDevicesTest);
#include "redirected_usb_devices_test.moc"
