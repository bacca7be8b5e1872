#include "tests/support/suite.h"
#include "tests/vmm/usb/redir_bench.h"
#include "tests/vmm/usb/xhci_driver.h"

#include <QTest>
#include <thread>

using namespace vmm;
using namespace std::chrono_literals;
using namespace tests::usb;
using tests::RedirPeer;
using tests::XhciDriver;
using D = XhciDriver;

namespace {

using Packet = std::vector<std::uint8_t>;

Packet packet(std::uint32_t type, std::uint64_t id, Packet const& content)
{
    Packet bytes(16);
    storeLittle<std::uint32_t>(ByteSpan(bytes).first(4), type);
    storeLittle<std::uint32_t>(ByteSpan(bytes).subspan(4, 4), static_cast<std::uint32_t>(content.size()));
    storeLittle<std::uint64_t>(ByteSpan(bytes).subspan(8, 8), id);
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
}

Packet bulkFrom(std::uint64_t id, std::uint8_t size)
{
    Packet content { 0x81, 0, size, 0, 0, 0, 0, 0, 0, 0 };
    content.resize(content.size() + size);
    return packet(usb_redir_bulk_packet, id, content);
}

/// A controller with another computer's device in its first connector, and one in the second that does nobody harm. As
/// the application does, the first is unplugged when it is gone.
struct Bench {
    static constexpr std::uint64_t memory = 0xf000;

    Bench()
        : redirected(std::make_unique<UsbRedirDevice>(loop, std::move(peer.theirs), "desk:4000",
            UsbRedirDevice::Events { [this] { ++offers; }, [this](Error const& why) { gone.push_back(why); } }))
    {
        peer.addEndpoint(0x81, usb_redir_type_bulk, 512);
        peer.addEndpoint(0x83, usb_redir_type_interrupt, 8);
        settle();
        peer.offer();
        settle();
        tests::must(d.controller.plug(0, *redirected));
        tests::must(d.controller.plug(1, d.device));
        d.start();
        control = d.address(1);
        bulkIn = d.addEndpoint(control.slot, 3, BulkIn);
        interruptIn = d.addEndpoint(control.slot, 7, InterruptIn);
        neighbour = d.address(2);
        settle();
        peer.heard();
        d.dropEvents();
    }
    ~Bench()
    {
        peer.close(); // whatever is in flight ends
        settle();
        unplugWhatIsGone();
    }

    /// Until nothing moves any more.
    void settle()
    {
        for (int round = 0; round < 10; ++round) {
            loop.turn();
            peer.pump();
        }
    }
    void unplugWhatIsGone()
    {
        if (redirected->isPlugged() && !gone.empty())
            d.controller.unplug(*redirected);
    }
    /// Asks the other computer for five bytes.
    void read()
    {
        d.put(bulkIn, D::Normal, memory, 5, D::Ioc);
        d.kick(bulkIn);
        settle();
    }
    bool neighbourAnswers()
    {
        d.dropEvents();
        d.request(neighbour, getDescriptor, memory + 0x100, 8);
        return d.event(D::TransferEvent).code() == Success;
    }
    /// The port is empty, and takes another device.
    bool takesAnother()
    {
        bool const wasEmpty = (d.portStatus(1) & 3) == 0;
        d.setPort(1, 1 << 17); // seen
        d.board.time.advance(400ms);
        if (!d.controller.plug(0, another))
            return false;
        auto ring = d.address(1);
        d.dropEvents();
        d.request(ring, getDescriptor, memory + 0x200, 8);
        bool const answers = d.event(D::TransferEvent).code() == Success;
        d.controller.unplug(another);
        return wasEmpty && answers;
    }
    std::string why() const { return gone.empty() ? "" : gone.back().detail; }

    tests::ManualLoop loop;
    RedirPeer peer;
    int offers = 0;
    std::vector<Error> gone;
    tests::FakeUsbDevice another;
    XhciDriver d { 2 };
    std::unique_ptr<UsbRedirDevice> redirected;
    D::TransferRing control, bulkIn, interruptIn, neighbour;
};

}

/// Another computer that means harm, and the machine that has its device: what the guest sees of it are errors and an
/// empty port, and everything else of the machine goes on.
class HostileUsbPeerTest final : public QObject {
    Q_OBJECT
private slots:
    void whoLiesIsPulledOut_data()
    {
        QTest::addColumn<Packet>("sent");
        QTest::addColumn<QString>("said");
        QTest::newRow("more than asked for") << bulkFrom(1, 6) << "6 bytes where 5 were asked for";
        QTest::newRow("an id that nobody has") << bulkFrom(99, 5) << "answers what nobody has asked (id 99)";
        QTest::newRow("the same twice") << [] {
            auto all = bulkFrom(1, 5), again = bulkFrom(1, 5);
            all.insert(all.end(), again.begin(), again.end());
            return all;
        }() << "answers what nobody has asked (id 1)";
        QTest::newRow("another length than it says")
            << packet(usb_redir_bulk_packet, 1, { 0x81, 0, 5, 0, 0, 0, 0, 0, 0, 0 }) << "data len 0 != header len 5";
        QTest::newRow("noise") << Packet(64, 0xa5) << "usb-redir packet";
        QTest::newRow("a second device") << packet(usb_redir_device_connect, 0, Packet(10)) << "a second device";
    }
    void whoLiesIsPulledOut()
    {
        QFETCH(Packet, sent);
        QFETCH(QString, said);
        Bench b;
        b.read();
        QCOMPARE(b.peer.lastId, 1u);
        b.peer.sendRaw(sent);
        b.settle();
        QVERIFY2(QString::fromStdString(b.why()).contains(said), b.why().c_str());
        QCOMPARE(b.gone.size(), std::size_t(1));
        bool const isAnswered = QTest::currentDataTag() == QByteArray("the same twice"); // before it lies
        QCOMPARE(b.d.event(D::TransferEvent).code(), unsigned(isAnswered ? Success : Transaction));
        b.unplugWhatIsGone();
        QVERIFY(b.neighbourAnswers());
        QVERIFY(b.takesAnother());
    }

    void whoGoesInTheMiddleIsPulledOut()
    {
        Bench b;
        b.read();
        auto half = bulkFrom(1, 5);
        half.resize(half.size() - 3);
        b.peer.sendRaw(half);
        b.peer.close();
        b.settle();
        QCOMPARE(b.why(), std::string("desk:4000 has ended the connection"));
        QCOMPARE(b.d.event(D::TransferEvent).code(), unsigned(Transaction));
        QCOMPARE(b.d.endpointState(b.bulkIn), unsigned(Halted));
        b.unplugWhatIsGone();
        QVERIFY(b.neighbourAnswers());
        QVERIFY(b.takesAnother());
    }

    /// A device may stall for as long as it likes; that is the business of the guest's driver.
    void endlessStallsAreTheGuests()
    {
        Bench b;
        b.read();
        for (int round = 0; round < 100; ++round) {
            b.peer.bulk(b.peer.lastId, 0x81, {}, usb_redir_stall);
            b.settle();
            QCOMPARE(b.d.event(D::TransferEvent).code(), unsigned(Stall));
            QCOMPARE(b.d.command(D::ResetEndpoint, 0, D::slotBits(b.control.slot, 3)).code(), unsigned(Success));
            b.d.kick(b.bulkIn); // the same once more
            b.settle();
        }
        QVERIFY(b.neighbourAnswers());
        b.peer.bulk(b.peer.lastId, 0x81, Packet { 1, 2, 3, 4, 5 });
        b.settle();
        QCOMPARE(b.d.event(D::TransferEvent).code(), unsigned(Success));
        QCOMPARE(b.d.bytes(Bench::memory, 5), (Bytes { 1, 2, 3, 4, 5 }));
        QVERIFY(b.gone.empty());
    }

    /// What nobody asks for is kept up to a bound, in its order, and the machine is held up by none of it.
    void aFloodOfInterruptsIsBounded()
    {
        constexpr int packets = 5000, atOnce = 100;
        Bench b;
        auto const ask = [&] {
            b.d.put(b.interruptIn, D::Normal, Bench::memory, 8, D::Ioc);
            b.d.kick(b.interruptIn);
            b.settle();
        };
        ask();
        for (int i = 0; i < packets; ++i) {
            b.peer.interrupt(0x83, { static_cast<std::uint8_t>(i) });
            if (i % atOnce != atOnce - 1)
                continue;
            b.settle();
            QVERIFY(b.neighbourAnswers());
        }
        b.d.controller.pause();
        (void)b.d.controller.save();
        b.d.controller.resume();
        unsigned got = 0;
        for (b.d.dropEvents();; ++got) {
            ask();
            if (b.d.event(D::TransferEvent).type() == 0)
                break;
            QCOMPARE(*b.d.ram(Bench::memory), static_cast<std::uint8_t>(got + 1)); // the first was asked for
        }
        QVERIFY(got > 0 && got < unsigned(packets) / 2);
        QVERIFY(b.gone.empty());
    }

    /// Neither does a moment wait for it longer than its patience: the device is what the machine loses.
    void silenceEndsAMachinesPause()
    {
        Bench b;
        b.read();
        auto ring = b.d.addEndpoint(b.neighbour.slot, 3, BulkIn);
        b.d.put(ring, D::Normal, Bench::memory + 0x100, 8);
        b.d.kick(ring);
        QCOMPARE(b.d.device.waiting.size(), std::size_t(1));
        std::thread pausing([&] { b.d.controller.pause(); });
        auto const isAsked = [&] {
            std::lock_guard const lock(b.d.controller.mutex());
            return b.d.device.cancels == 1; // with all that is under way
        };
        QTRY_VERIFY(isAsked());
        b.settle();
        auto const heard = b.peer.heard();
        bool const wasGone = !b.gone.empty();
        b.loop.runTimers();
        pausing.join();
        QCOMPARE(heard, std::string("bulk 81 5, cancel 1"));
        QVERIFY(!wasGone);
        QCOMPARE(b.why(), std::string("desk:4000 does not answer"));
        b.unplugWhatIsGone();
        REQUIRE_OK(b.d.controller.load(b.d.controller.save()));
        b.d.controller.resume();
        QVERIFY(b.neighbourAnswers());
        QVERIFY(b.takesAnother());
    }
};

REGISTER_SUITE(HostileUsbPeerTest);
#include "hostile_usb_peer_test.moc"
