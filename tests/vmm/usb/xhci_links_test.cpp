#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"

using namespace std::chrono_literals;
using namespace vmm;
using namespace tests::usb;
using tests::XhciDriver;
using D = XhciDriver;

/// Link TRBs with an event of their own: xHCI 1.2, 6.4.4.1 "Link TRB".
class XhciLinksTest : public QObject {
    Q_OBJECT
private slots:
    void aLinkTellsThatItWasPassed()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto other = d.makeRing(1, 3);
        auto const first = d.put(in, D::Normal, 0xf000, 8, D::Ioc), link = in.base + D::trbSize;
        d.putTrb(link, { other.base, 0, D::Link << 10 | D::Ioc | 1 });
        d.kick(in);
        QVERIFY(!d.hasEvent());
        d.device.send(Bytes(8));
        QCOMPARE(d.event().parameter, first);
        auto const event = d.event(); // though nothing follows
        QCOMPARE(event.type(), unsigned(D::TransferEvent));
        QCOMPARE(event.parameter, link);
        QCOMPARE(event.code(), unsigned(Success));
        QCOMPARE(event.length(), 0u);
        QCOMPARE(event.endpoint(), 3u);
        QCOMPARE(event.slot(), 1u);
        QVERIFY(!d.hasEvent());
        auto const second = d.put(other, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(other);
        d.device.send(Bytes(8));
        QCOMPARE(d.event().parameter, second);
        QVERIFY(!d.hasEvent());
    }

    void aLinkWithinATdTellsInItsTurn()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto other = d.makeRing(1, 3);
        d.put(in, D::Normal, 0xf000, 8, D::Chain);
        auto const link = in.base + D::trbSize;
        d.putTrb(link, { other.base, 0, D::Link << 10 | D::Chain | D::Ioc | 1 });
        auto const last = d.put(other, D::Normal, 0xf008, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.device.waiting.front()->length, 16u);
        d.device.send(Bytes(16, 7));
        QCOMPARE(d.event().parameter, link);
        QCOMPARE(d.event().parameter, last);
        QVERIFY(!d.hasEvent());
        QCOMPARE(d.bytes(0xf000, 16), Bytes(16, 7));
    }

    void aLinkBehindAShortPacketIsOnlyPassed()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto other = d.makeRing(1, 3);
        auto const first = d.put(in, D::Normal, 0xf000, 8, D::Chain | D::Ioc);
        d.putTrb(in.base + D::trbSize, { other.base, 0, D::Link << 10 | D::Chain | D::Ioc | 1 });
        d.put(other, D::Normal, 0xf008, 8);
        auto const next = d.put(other, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(in);
        d.device.send(Bytes(3));
        auto const event = d.event();
        QCOMPARE(event.parameter, first);
        QCOMPARE(event.code(), unsigned(ShortPacket));
        QCOMPARE(event.length(), 5u);
        d.device.send(Bytes(8));
        QCOMPARE(d.event().parameter, next);
    }

    void aLinkWithinARequestTells()
    {
        XhciDriver d;
        auto control = d.startWithDevice();
        d.dropEvents();
        auto other = d.makeRing(1, 1);
        d.put(control, D::Setup, loadLittle<std::uint64_t>(getDescriptor), 8, D::Idt | 3u << 16);
        auto const link = control.base + D::trbSize * control.index;
        d.putTrb(link, { other.base, 0, D::Link << 10 | D::Ioc | 1 });
        d.put(other, D::Data, 0xf000, 8, 1u << 16);
        auto const status = d.put(other, D::Status, 0, 0, D::Ioc);
        d.kick(control);
        QCOMPARE(d.device.setups.size(), std::size_t(1));
        QCOMPARE(d.event().parameter, link);
        QCOMPARE(d.event().parameter, status);
        QCOMPARE(d.bytes(0xf000, 8), Bytes(8, 0x5a));
    }

    void linksThatTellToggleTheCycle()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.linkFlags = D::Ioc;
        unsigned links = 0;
        constexpr unsigned tds = 50; // of two TRBs each, and a ring has 15
        for (unsigned i = 0; i < tds; ++i) {
            d.put(in, D::Normal, 0xf000, 4, D::Chain);
            auto const last = d.put(in, D::Normal, 0xf004, 4, D::Ioc);
            d.kick(in);
            d.device.send(Bytes(8, static_cast<std::uint8_t>(i)));
            auto event = d.event();
            if (d.trbAt(event.parameter).type() == D::Link) {
                ++links;
                event = d.event();
            }
            QCOMPARE(event.code(), unsigned(Success));
            QCOMPARE(event.parameter, last);
            QVERIFY(!d.hasEvent());
            QCOMPARE(d.bytes(0xf000, 8), Bytes(8, static_cast<std::uint8_t>(i)));
        }
        QCOMPARE(links, (2 * tds - 1) / 15);
    }

    void aLinkBehindAStoppedTransferTellsOnce()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto other = d.makeRing(1, 3);
        auto const first = d.put(in, D::Normal, 0xf000, 8, D::Ioc), link = in.base + D::trbSize;
        d.putTrb(link, { other.base, 0, D::Link << 10 | D::Ioc | 1 });
        auto const second = d.put(other, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        auto const stopped = d.event();
        QCOMPARE(stopped.code(), unsigned(Stopped));
        QCOMPARE(stopped.parameter, first);
        QCOMPARE(d.event().type(), unsigned(D::CommandEvent));
        QVERIFY(!d.hasEvent());
        d.kick(in);
        d.device.send(Bytes(8));
        d.device.send(Bytes(8));
        QCOMPARE(d.event().parameter, first);
        QCOMPARE(d.event().parameter, link);
        QCOMPARE(d.event().parameter, second);
        QVERIFY(!d.hasEvent());
    }

    /// It asks for nothing, and has landed before the transfer that is slow to be cancelled.
    void whatIsBehindALinkWaitsForACancelledTransfer()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto other = d.makeRing(1, 3);
        auto const first = d.put(in, D::Normal, 0xf000, 8, D::Ioc), link = in.base + D::trbSize;
        d.putTrb(link, { other.base, 0, D::Link << 10 | D::Ioc | 1 });
        d.kick(in);
        d.dropEvents();
        d.device.cancelsLater = true;
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        d.write64(D::Crcr, 4); // is aborted: the endpoint runs on
        QCOMPARE(d.event().code(), unsigned(CommandAborted));
        QCOMPARE(d.event().code(), unsigned(CommandStopped));
        auto const behind = d.put(other, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        d.device.end(UsbStatus::Cancelled);
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
        QVERIFY(!d.hasEvent());
        d.device.send(Bytes(8, 1));
        d.device.send(Bytes(8, 2));
        for (auto const its : { first, link, behind })
            QCOMPARE(d.event().parameter, its);
        QCOMPARE(d.bytes(0xf000, 8), Bytes(8, 1));
        QCOMPARE(d.bytes(0xf100, 8), Bytes(8, 2));
    }

    void linksThatTellForEverHoldNobody()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.putTrb(in.base, { in.base, 0, D::Link << 10 | D::Ioc | 1 });
        d.kick(in);
        d.board.time.advance(1ms);
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        d.board.time.advance(1ms);
        QCOMPARE(d.event(D::CommandEvent).code(), unsigned(Success));
        QCOMPARE(d.endpointState(in), unsigned(StoppedState));
    }

    void aLinkOfTheCommandRingTells()
    {
        XhciDriver d;
        d.start();
        d.linkFlags = D::Ioc;
        for (unsigned i = 0; i < D::ringTrbs - 1; ++i)
            QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
        auto const link = d.event();
        QCOMPARE(link.type(), unsigned(D::CommandEvent));
        QCOMPARE(link.parameter, D::commands + D::trbSize * (D::ringTrbs - 1));
        QCOMPARE(link.code(), unsigned(Success));
        QCOMPARE(link.slot(), 0u);
        QCOMPARE(d.command(D::EnableSlot).slot(), 1u);
        QVERIFY(!d.hasEvent());
    }
};

REGISTER_SUITE(XhciLinksTest);

#include "xhci_links_test.moc"
