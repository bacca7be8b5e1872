#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"

using namespace vmm;
using namespace std::chrono_literals;
using namespace tests::usb;
using tests::FakeUsbDevice;
using tests::XhciDriver;
using D = XhciDriver;

namespace {

/// A SuperSpeed device that has streams at an endpoint.
struct Streams {
    XhciDriver d;
    FakeUsbDevice fast { UsbSpeed::Super };

    Streams()
    {
        tests::must(d.controller.plug(0, fast));
        d.start();
        d.address(9, 4);
        d.addEndpoint(1, 3, BulkIn, 0, 2);
    }
    ~Streams() { d.controller.unplug(0); }
    D::TransferRing ringOf(unsigned stream)
    {
        auto const ring = d.makeRing(1, 3, stream);
        d.store<std::uint64_t>(d.streamArray + 16 * stream, ring.base | 2 | 1);
        return ring;
    }
};

}

class XhciTransfersTest : public QObject {
    Q_OBJECT
private slots:
    void addressedDeviceAnswers()
    {
        XhciDriver d;
        auto ring = d.startWithDevice();
        QCOMPARE(d.lastCode, unsigned(Success));
        auto const context = d.load<std::uint64_t>(D::contexts + 8);
        QCOMPARE(d.load<std::uint32_t>(context + 12), 2u << 27 | 1u); // addressed
        d.dropEvents();
        d.request(ring, getDescriptor, 0xf000, 8);
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Success));
        QCOMPARE(event.type(), unsigned(D::TransferEvent));
        QCOMPARE(event.parameter, ring.base + 2 * D::trbSize);
        QCOMPARE(event.endpoint(), 1u);
        QCOMPARE(event.slot(), 1u);
        QCOMPARE(d.bytes(0xf000, 8), d.device.controlData);
        QVERIFY(d.device.setups.back() == getDescriptor);
        QVERIFY(!d.hasEvent());
        QVERIFY(!d.board.msi.sent.empty());
    }

    void shortControlDataAreTold()
    {
        XhciDriver d;
        auto ring = d.startWithDevice();
        d.dropEvents();
        d.request(ring, getDescriptor, 0xf000, 64);
        auto const data = d.event(), status = d.event();
        QCOMPARE(data.code(), unsigned(ShortPacket));
        QCOMPARE(data.length(), 56u);
        QCOMPARE(data.parameter, ring.base + D::trbSize);
        QCOMPARE(status.code(), unsigned(Success));
        QCOMPARE(status.parameter, ring.base + 2 * D::trbSize);
    }

    void stalledRequestHaltsUntilReset()
    {
        XhciDriver d;
        auto ring = d.startWithDevice();
        d.dropEvents();
        d.device.controlStatus = UsbStatus::Stall;
        d.request(ring, getDescriptor, 0xf000, 64);
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Stall));
        QCOMPARE(event.length(), 64u);
        QCOMPARE(d.endpointState(ring), unsigned(Halted));
        d.device.controlStatus = UsbStatus::Success;
        auto const next = ring.base + D::trbSize * ring.index;
        QCOMPARE(d.command(D::SetDequeue, next | 1, D::slotBits(1, 1)).code(), unsigned(ContextState));
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(1, 1)).code(), unsigned(Success));
        QCOMPARE(d.command(D::SetDequeue, next | 1, D::slotBits(1, 1)).code(), unsigned(Success));
        d.request(ring, getDescriptor, 0xf000, 8);
        QCOMPARE(d.event().code(), unsigned(Success));
        QCOMPARE(d.endpointState(ring), unsigned(Running));
    }

    void setAddressIsRefused()
    {
        XhciDriver d;
        auto ring = d.startWithDevice();
        d.dropEvents();
        d.request(ring, { 0, 5, 7, 0, 0, 0, 0, 0 }, 0, 0);
        QCOMPARE(d.event().code(), unsigned(TrbError));
        QVERIFY(d.device.setups.empty());
    }

    void bulkDataTravelChained()
    {
        XhciDriver d;
        d.startWithDevice();
        auto out = d.addEndpoint(1, 4, BulkOut), in = d.addEndpoint(1, 5, BulkIn);
        QCOMPARE(d.lastCode, unsigned(Success));
        for (unsigned i = 0; i < 16; ++i)
            *d.ram(0xf000 + i) = static_cast<std::uint8_t>(i);
        d.put(out, D::Normal, 0xf000, 5, D::Chain);
        d.put(out, D::Normal, 0xf008, 8, D::Ioc);
        d.kick(out);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        auto const& sent = *d.device.waiting.front();
        QCOMPARE(sent.endpoint, 0x02);
        QCOMPARE(sent.length, 13u);
        Bytes data(13);
        sent.copyOut(data);
        QCOMPARE(data, (Bytes { 0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15 }));
        d.device.end(UsbStatus::Success, 13);
        QCOMPARE(d.event().code(), unsigned(Success));

        d.put(in, D::Normal, 0xf100, 4, D::Chain);
        d.put(in, D::Normal, 0xf200, 4, D::Ioc);
        d.kick(in);
        d.device.send({ 1, 2, 3, 4, 5, 6, 7, 8 });
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Success));
        QCOMPARE(event.endpoint(), 5u);
        QCOMPARE(d.bytes(0xf100, 4), (Bytes { 1, 2, 3, 4 }));
        QCOMPARE(d.bytes(0xf200, 4), (Bytes { 5, 6, 7, 8 }));
    }

    void shortPacketIsToldOnceMoreAtTheEnd()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto const first = d.put(in, D::Normal, 0xf000, 16, D::Chain | D::Isp);
        auto const last = d.put(in, D::Normal, 0xf100, 16, D::Ioc);
        d.kick(in);
        d.device.send(Bytes(6));
        auto const event = d.event(), again = d.event();
        QCOMPARE(event.code(), unsigned(ShortPacket));
        QCOMPARE(event.parameter, first);
        QCOMPARE(event.length(), 10u);
        QCOMPARE(again.code(), unsigned(ShortPacket));
        QCOMPARE(again.parameter, last);
        QCOMPARE(again.length(), 10u);
        QVERIFY(!d.hasEvent());
    }

    void eventDataTellsWhatWasTransferred()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Chain);
        d.put(in, D::Normal, 0xf100, 16, D::Chain);
        d.put(in, D::EventData, 0x1234567890, 0, D::Ioc);
        d.kick(in);
        d.device.send(Bytes(20));
        auto const event = d.event();
        QCOMPARE(event.parameter, std::uint64_t(0x1234567890));
        QCOMPARE(event.code(), unsigned(ShortPacket));
        QCOMPARE(event.length(), 20u);
        QVERIFY((event.control & 4) != 0);
    }

    void immediateDataAreSent()
    {
        XhciDriver d;
        d.startWithDevice();
        auto out = d.addEndpoint(1, 4, BulkOut);
        d.put(out, D::Normal, 0x0605040302010000, 7, D::Ioc | D::Idt);
        d.kick(out);
        Bytes data(7);
        d.device.waiting.front()->copyOut(data);
        QCOMPARE(data, (Bytes { 0, 0, 1, 2, 3, 4, 5 }));
        d.device.end(UsbStatus::Success, 7);
        QCOMPARE(d.event().code(), unsigned(Success));
        d.put(out, D::Normal, 0, 9, D::Ioc | D::Idt);
        d.kick(out);
        QCOMPARE(d.event().code(), unsigned(TrbError));
        QCOMPARE(d.endpointState(out), unsigned(ErrorState));
    }

    void laterTransfersWaitForAHaltedEndpoint()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        for (int i = 0; i < 3; ++i)
            d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(3));
        d.device.end(UsbStatus::Stall);
        QCOMPARE(d.event().code(), unsigned(Stall));
        QVERIFY(!d.hasEvent());
        QCOMPARE(d.device.waiting.size(), std::size_t(0));
        QCOMPARE(d.device.cancels, 2);
        QCOMPARE(d.endpointState(in), unsigned(Halted));
        d.kick(in);
        QVERIFY(d.device.waiting.empty());
        d.command(D::ResetEndpoint, 0, D::slotBits(1, 3));
        QCOMPARE(d.device.endpointResets.back(), 0x81);
        d.command(D::SetDequeue, (in.base + D::trbSize) | 1, D::slotBits(1, 3));
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
    }

    void babbleAndTransactionErrorsHalt()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn), other = d.addEndpoint(1, 5, InterruptIn, 3);
        d.put(in, D::Normal, 0xf000, 16, 0);
        d.kick(in);
        d.device.end(UsbStatus::Babble, 16);
        QCOMPARE(d.event().code(), unsigned(Babble)); // errors are told without being asked for
        d.put(other, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(other);
        d.device.end(UsbStatus::TransactionError);
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Transaction));
        QCOMPARE(event.length(), 8u);
    }

    void softRetryGoesOnWhereItFailed()
    {
        constexpr std::uint32_t preserve = 1 << 9;
        XhciDriver d;
        d.startWithDevice();
        auto out = d.addEndpoint(1, 4, BulkOut);
        for (unsigned i = 0; i < 8; ++i)
            *d.ram(0xf000 + i) = static_cast<std::uint8_t>(i);
        d.put(out, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(out);
        d.device.end(UsbStatus::TransactionError, 3);
        auto const failed = d.event();
        QCOMPARE(failed.code(), unsigned(Transaction));
        QCOMPARE(failed.length(), 5u);
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
        d.controller.resume();
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(1, 4) | preserve).code(), unsigned(Success));
        QCOMPARE(d.device.endpointResets.size(), std::size_t(1)); // as it was configured
        d.kick(out);
        Bytes rest(5);
        QCOMPARE(d.device.waiting.front()->length, 5u);
        d.device.waiting.front()->copyOut(rest);
        QCOMPARE(rest, (Bytes { 3, 4, 5, 6, 7 }));
        d.device.end(UsbStatus::TransactionError, 2);
        QCOMPARE(d.event().length(), 3u);
        // Without the flag the TD begins anew.
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(1, 4)).code(), unsigned(Success));
        d.kick(out);
        QCOMPARE(d.device.waiting.front()->length, 8u);
        d.device.end(UsbStatus::Stall, 3);
        d.dropEvents();
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(1, 4) | preserve).code(), unsigned(Success));
        d.kick(out);
        QCOMPARE(d.device.waiting.front()->length, 8u);
    }

    void stopTellsWhatWasBeingDone()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto const at = d.put(in, D::Normal, 0xf000, 512, D::Ioc);
        d.put(in, D::Normal, 0xf200, 512, D::Ioc);
        d.kick(in);
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        auto const event = d.event(), done = d.event();
        QCOMPARE(event.code(), unsigned(Stopped));
        QCOMPARE(event.parameter, at);
        QCOMPARE(event.length(), 512u);
        QCOMPARE(done.type(), unsigned(D::CommandEvent));
        QCOMPARE(done.code(), unsigned(Success));
        QCOMPARE(d.endpointState(in), unsigned(StoppedState));
        auto const context = d.load<std::uint64_t>(D::contexts + 8) + 0x20 * 3;
        QCOMPARE(d.load<std::uint64_t>(context + 8), in.base | 1);
        QVERIFY(d.device.waiting.empty());
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
    }

    void stopOfAnIdleEndpointIsTold()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(StoppedInvalid));
        QCOMPARE(event.parameter, in.base);
        QCOMPARE(d.event().code(), unsigned(Success));
        QCOMPARE(d.command(D::StopEndpoint, 0, D::slotBits(1, 3)).code(), unsigned(ContextState));
    }

    void stopWaitsForASlowDevice()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto const at = d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        d.postCommand(D::NoOpCommand);
        QVERIFY(!d.hasEvent());
        // The device had it done already.
        d.device.end(UsbStatus::Success, 8);
        auto const transfer = d.event();
        QCOMPARE(transfer.code(), unsigned(Success));
        QCOMPARE(transfer.parameter, at);
        QCOMPARE(d.event().code(), unsigned(StoppedInvalid));
        QCOMPARE(d.event().code(), unsigned(Success));
        QCOMPARE(d.event().code(), unsigned(Success));
    }

    void stoppedTransferGoesOnWhereItWas()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Chain);
        auto const second = d.put(in, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(in);
        d.device.waiting.front()->copyIn(Bytes { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 });
        d.device.cancelledAfter = 10;
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Stopped));
        QCOMPARE(event.parameter, second);
        QCOMPARE(event.length(), 6u);
        d.dropEvents();
        d.kick(in);
        QCOMPARE(d.device.waiting.front()->length, 6u);
        d.device.send({ 11, 12, 13, 14, 15, 16 });
        auto const done = d.event();
        QCOMPARE(done.code(), unsigned(Success));
        QCOMPARE(done.length(), 0u);
        QCOMPARE(d.bytes(0xf100, 8), (Bytes { 9, 10, 11, 12, 13, 14, 15, 16 }));
    }

    void newDequeuePointerIsTaken()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.put(in, D::Normal, 0xf100, 16, D::Ioc);
        d.kick(in);
        d.command(D::StopEndpoint, 0, D::slotBits(1, 3));
        QCOMPARE(d.command(D::SetDequeue, (in.base + D::trbSize) | 1, D::slotBits(1, 3)).code(), unsigned(Success));
        QCOMPARE(d.command(D::SetDequeue, in.base | 1, D::slotBits(1, 3), 7u << 16).code(), unsigned(TrbError));
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        QCOMPARE(d.device.waiting.front()->length, 16u);
    }

    void ringsWrap()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        for (unsigned i = 0; i < 100; ++i) {
            d.put(in, D::Normal, 0xf000, 4, D::Chain);
            auto const last = d.put(in, D::Normal, 0xf004, 4, D::Ioc);
            d.kick(in);
            d.device.send(Bytes(8, static_cast<std::uint8_t>(i)));
            auto const event = d.event();
            QCOMPARE(event.code(), unsigned(Success));
            QCOMPARE(event.parameter, last);
            QCOMPARE(d.bytes(0xf000, 8), Bytes(8, static_cast<std::uint8_t>(i)));
        }
    }

    void streamsHaveTheirOwnRings()
    {
        Streams streams;
        auto& [d, fast] = streams;
        QCOMPARE(d.lastCode, unsigned(Success));
        QCOMPARE(fast.streams, 7u);
        auto first = streams.ringOf(1), third = streams.ringOf(3);
        auto const one = d.put(first, D::Normal, 0xf000, 8, D::Ioc), two = d.put(third, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(first);
        d.kick(third);
        QCOMPARE(fast.waiting.size(), std::size_t(2));
        QCOMPARE(fast.waiting[1]->stream, 3);
        std::swap(fast.waiting[0], fast.waiting[1]); // the device answers out of order
        fast.send(Bytes(8));
        fast.send(Bytes(8));
        QCOMPARE(d.event().parameter, two);
        QCOMPARE(d.event().parameter, one);
        auto second = d.makeRing(1, 3, 2); // its context has another type
        d.put(second, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(second);
        QVERIFY(fast.waiting.empty());
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        QCOMPARE(d.event(D::CommandEvent).code(), unsigned(Success));
        QCOMPARE(d.load<std::uint64_t>(d.streamArray + 16), (first.base + D::trbSize) | 2 | 1);
        QCOMPARE(d.command(D::SetDequeue, second.base | 2 | 1, D::slotBits(1, 3), 2u << 16).code(), unsigned(Success));
        d.kick(second);
        QCOMPARE(fast.waiting.size(), std::size_t(1));
    }

    void aStreamThatFailsHaltsTheOthers()
    {
        Streams streams;
        auto& [d, fast] = streams;
        auto first = streams.ringOf(1), second = streams.ringOf(2);
        d.put(first, D::Normal, 0xf000, 8, D::Ioc);
        auto const waits = d.put(second, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(first);
        d.kick(second);
        d.dropEvents();
        fast.waiting.back()->copyIn(Bytes { 1, 2, 3 });
        fast.cancelledAfter = 3;
        fast.end(UsbStatus::Stall);
        QCOMPARE(d.event().code(), unsigned(Stall));
        QVERIFY(fast.waiting.empty());
        QVERIFY(!d.hasEvent());
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(1, 3)).code(), unsigned(Success));
        auto const next = first.base + D::trbSize;
        QCOMPARE(d.command(D::SetDequeue, next | 2 | 1, D::slotBits(1, 3), 1u << 16).code(), unsigned(Success));
        d.put(first, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(first);
        QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
        QCOMPARE(fast.waiting.size(), std::size_t(1));
        QCOMPARE(fast.waiting.front()->stream, 1);
        d.kick(second);
        QCOMPARE(fast.waiting.size(), std::size_t(2));
        fast.end(UsbStatus::Success, 8);
        d.dropEvents();
        fast.send({ 4, 5, 6, 7, 8 });
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Success));
        QCOMPARE(event.parameter, waits);
        QCOMPARE(d.bytes(0xf100, 8), (Bytes { 1, 2, 3, 4, 5, 6, 7, 8 }));
    }

    void aStreamWithABrokenRingHaltsTheOthers()
    {
        Streams streams;
        auto& [d, fast] = streams;
        auto first = streams.ringOf(1), second = streams.ringOf(2);
        d.put(first, D::Normal, 0xf000, 8, D::Ioc);
        d.putTrb(second.base, { second.base, 0, D::Link << 10 | 1 });
        d.kick(first);
        d.kick(second);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(TrbError));
        QVERIFY(fast.waiting.empty());
        QCOMPARE(d.command(D::SetDequeue, second.base | 2 | 1, D::slotBits(1, 3), 2u << 16).code(), unsigned(Success));
        d.kick(first);
        QCOMPARE(fast.waiting.size(), std::size_t(1));
    }

    void isochronousKeepsTheClock()
    {
        XhciDriver d;
        d.startWithDevice();
        auto out = d.addEndpoint(1, 4, IsochOut, 3); // 1 ms
        d.dropEvents();
        for (int i = 0; i < 4; ++i)
            d.put(out, D::Isoch, 0xf000, 100, D::Ioc | D::Sia);
        d.kick(out);
        QVERIFY(d.device.waiting.empty());
        for (unsigned i = 1; i <= 4; ++i) {
            d.board.time.advance(1ms);
            QCOMPARE(d.device.waiting.size(), std::size_t(1));
            QCOMPARE(d.device.waiting.front()->frame, std::uint64_t(8) * i);
            d.device.end(UsbStatus::Success, 100);
            QCOMPARE(d.event().code(), unsigned(Success));
        }
        // A device with a way to go gets them before their time.
        d.device.lead = 24;
        for (int i = 0; i < 8; ++i)
            d.put(out, D::Isoch, 0xf000, 100, D::Ioc | D::Sia);
        d.kick(out);
        QCOMPARE(d.device.waiting.size(), std::size_t(3));
    }

    void aDeviceWithALongWayHasMoreOfTheFastestStream()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 5, IsochIn, 0, 0, 1024); // 8000 a second
        d.dropEvents();
        d.device.lead = 768;
        for (int i = 0; i < 600; ++i)
            d.put(in, D::Isoch, 0xf000, 16, D::Sia);
        d.kick(in);
        d.board.time.advance(125us);
        QCOMPARE(d.device.waiting.size(), std::size_t(512));
        // What lands is followed by as much, though its time is not near.
        for (int i = 0; i < 8; ++i)
            d.device.send(Bytes(16));
        QCOMPARE(d.device.waiting.size(), std::size_t(512));
        QCOMPARE(d.device.waiting.back()->frame - d.device.waiting.front()->frame, std::uint64_t(511));
        // It gives them all back when the machine pauses, and has them again, for the same time, when that goes on.
        auto const first = d.device.waiting.front()->frame;
        d.controller.pause();
        QVERIFY(d.device.waiting.empty());
        d.controller.resume();
        QCOMPARE(d.device.waiting.size(), std::size_t(512));
        QCOMPARE(d.device.waiting.front()->frame, first);
        QVERIFY(!d.hasEvent());
    }

    void aStreamBeginsAtItsTimeAndNotBefore()
    {
        XhciDriver d;
        d.startWithDevice();
        auto out = d.addEndpoint(1, 4, IsochOut, 3);
        d.dropEvents();
        d.device.lead = 768;
        for (unsigned i = 0; i < 4; ++i)
            d.put(out, D::Isoch, 0xf000, 100, (20 + i) << 20);
        d.kick(out);
        d.board.time.advance(19900us);
        QVERIFY(d.device.waiting.empty());
        d.board.time.advance(100us);
        QCOMPARE(d.device.waiting.size(), std::size_t(4)); // of those that follow the device has the pace
        // Nor does the part that begins behind a gap.
        d.put(out, D::Isoch, 0xf000, 100, 30u << 20);
        d.kick(out);
        d.board.time.advance(9900us);
        QCOMPARE(d.device.waiting.size(), std::size_t(4));
        d.board.time.advance(100us);
        QCOMPARE(d.device.waiting.size(), std::size_t(5));
    }

    void isochronousFramesAreMet()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 5, IsochIn, 2); // two in each frame
        d.dropEvents();
        d.board.time.advance(5ms);
        auto const now = d.read(0x1000) / 8;
        for (unsigned i = 0; i < 4; ++i)
            d.put(in, D::Isoch, 0xf000 + 16 * i, 16, D::Ioc | (now + 3 + i / 2) << 20);
        d.kick(in);
        d.board.time.advance(2900us);
        QVERIFY(d.device.waiting.empty());
        for (unsigned i = 0; i < 4; ++i) {
            d.board.time.advance(500us);
            QCOMPARE(d.device.waiting.size(), std::size_t(1));
            QCOMPARE(d.device.waiting.front()->frame, std::uint64_t(now + 3) * 8 + 4 * i);
            d.device.send(Bytes(16));
            QCOMPARE(d.event().code(), unsigned(Success));
        }
    }

    void lateFrameIsMissed()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 5, IsochIn, 3);
        d.dropEvents();
        d.board.time.advance(20ms);
        d.put(in, D::Isoch, 0xf000, 16, D::Ioc | 10u << 20);
        d.put(in, D::Isoch, 0xf000, 16, D::Ioc | 22u << 20);
        d.kick(in);
        QCOMPARE(d.event().code(), unsigned(Missed));
        QVERIFY(d.device.waiting.empty());
        d.board.time.advance(2ms);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        // What fails is told, and the next is done.
        d.put(in, D::Isoch, 0xf000, 16, D::Ioc | 23u << 20);
        d.kick(in);
        d.device.end(UsbStatus::TransactionError);
        QCOMPARE(d.event().code(), unsigned(Transaction));
        QCOMPARE(d.endpointState(in), unsigned(Running));
        d.board.time.advance(1ms);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
    }

    void emptyIsochronousRingIsTold()
    {
        XhciDriver d;
        d.startWithDevice();
        auto out = d.addEndpoint(1, 4, IsochOut, 3), in = d.addEndpoint(1, 5, IsochIn, 3);
        d.dropEvents();
        d.put(out, D::Isoch, 0xf000, 100, D::Sia);
        d.kick(out);
        d.board.time.advance(1ms);
        d.device.end(UsbStatus::Success, 100);
        QVERIFY(!d.hasEvent());
        d.board.time.advance(1ms);
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Underrun));
        QCOMPARE(event.parameter, out.base + D::trbSize * out.index); // where the next TD would be
        QCOMPARE(event.endpoint(), 4u);
        d.put(in, D::Isoch, 0xf000, 100, D::Sia);
        d.kick(in);
        d.board.time.advance(1ms);
        d.device.send(Bytes(100));
        d.board.time.advance(1ms);
        QCOMPARE(d.event().code(), unsigned(Overrun));
        d.board.time.advance(10ms);
        QVERIFY(!d.hasEvent());
    }

    /// Of a device that has its packets early, and a clock of its own.
    void emptyIsochronousRingIsToldWhenTheDeviceHasEndedAll()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 5, IsochIn, 3);
        d.dropEvents();
        d.device.lead = 768;
        auto const put = [&](int count) {
            for (int i = 0; i < count; ++i)
                d.put(in, D::Isoch, 0xf000, 100, D::Sia);
            d.kick(in);
        };
        put(4);
        d.board.time.advance(20ms); // its clock is slower
        QCOMPARE(d.device.waiting.size(), std::size_t(4));
        for (int i = 0; i < 4; ++i) {
            QVERIFY(!d.hasEvent());
            d.device.send(Bytes(100));
        }
        QCOMPARE(d.event().code(), unsigned(Overrun));
        put(4);
        d.board.time.advance(1ms);
        for (int i = 0; i < 4; ++i)
            d.device.send(Bytes(100)); // its clock is faster
        d.board.time.advance(2900us);
        QVERIFY(!d.hasEvent());
        d.board.time.advance(1100us);
        QCOMPARE(d.event().code(), unsigned(Overrun));
        d.board.time.advance(20ms);
        QVERIFY(!d.hasEvent());
    }

    void endpointThatIsStoppedDoesNotRunEmpty_data()
    {
        QTest::addColumn<unsigned>("command");
        QTest::addColumn<bool>("hasEnded"); // and only the guest's clock is behind
        for (bool const hasEnded : { false, true }) {
            char const* const when = hasEnded ? "all has ended" : "in flight";
            QTest::addRow("Stop Endpoint, %s", when) << unsigned(D::StopEndpoint) << hasEnded;
            QTest::addRow("Configure Endpoint, %s", when) << unsigned(D::ConfigureEndpoint) << hasEnded;
            QTest::addRow("Reset Device, %s", when) << unsigned(D::ResetDevice) << hasEnded;
            QTest::addRow("Disable Slot, %s", when) << unsigned(D::DisableSlot) << hasEnded;
        }
    }

    void endpointThatIsStoppedDoesNotRunEmpty()
    {
        QFETCH(unsigned const, command);
        QFETCH(bool const, hasEnded);
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 5, IsochIn, 3);
        d.dropEvents();
        d.device.lead = 768;
        d.device.cancelsLater = true;
        for (int i = 0; i < 4; ++i)
            d.put(in, D::Isoch, 0xf000, 100, D::Sia);
        d.kick(in);
        d.board.time.advance(1ms);
        QCOMPARE(d.device.waiting.size(), std::size_t(4));
        for (int i = 0; i < (hasEnded ? 4 : 2); ++i)
            d.device.send(Bytes(100));
        d.store<std::uint32_t>(D::inputContext, 1u << 5); // dropped
        d.store<std::uint32_t>(D::inputContext + 4, 1);
        d.postCommand(command, D::inputContext, D::slotBits(1, command == D::StopEndpoint ? 5 : 0));
        d.board.time.advance(20ms);
        while (!d.device.waiting.empty())
            d.device.send(Bytes(100)); // they were too far to be taken back
        d.board.time.advance(20ms);
        std::vector<unsigned> codes;
        while (d.hasEvent()) {
            auto const event = d.event();
            codes.push_back(event.code());
            if (event.type() == D::CommandEvent)
                QCOMPARE(event.code(), unsigned(Success));
        }
        QVERIFY(std::ranges::find(codes, unsigned(Overrun)) == codes.end());
        QCOMPARE(codes.back(), unsigned(Success));
    }

    void endpointInErrorBeginsAnew()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 5, IsochIn, 3);
        d.dropEvents();
        d.put(in, D::Isoch, 0xf000, 100, D::Sia);
        d.put(in, D::Setup, 0, 8, D::Idt);
        d.kick(in);
        d.board.time.advance(1ms);
        d.device.send(Bytes(100));
        QCOMPARE(d.event().code(), unsigned(TrbError));
        QCOMPARE(d.command(D::SetDequeue, (in.base + D::trbSize * in.index) | 1, D::slotBits(1, 5)).code(),
            unsigned(Success));
        d.board.time.advance(20ms);
        d.kick(in); // with nothing there
        d.board.time.advance(20ms);
        QVERIFY(!d.hasEvent());
        QCOMPARE(d.endpointState(in), unsigned(Running));
    }

    void ringThatNeverEndsHoldsNobody()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        // A ring without a toggle: its TRBs are there for ever.
        for (unsigned i = 0; i < 15; ++i)
            d.putTrb(in.base + D::trbSize * i, { 0, 0, D::NoOp << 10 | 1 });
        d.putTrb(in.base + D::trbSize * 15, { in.base, 0, D::Link << 10 | 1 });
        d.kick(in);
        d.board.time.advance(1ms);
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        d.board.time.advance(1ms);
        QCOMPARE(d.event(D::CommandEvent).code(), unsigned(Success));
        QCOMPARE(d.endpointState(in), unsigned(StoppedState));
        // And one TD that never ends.
        for (unsigned i = 0; i < 15; ++i)
            d.putTrb(in.base + D::trbSize * i, { 0xf000, 1, D::Normal << 10 | D::Chain | 1 });
        d.kick(in);
        d.board.time.advance(1ms);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(TrbError));
        QCOMPARE(d.endpointState(in), unsigned(ErrorState));
    }

    void linksThatLeadNowhereEndInAnError()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.putTrb(in.base, { in.base, 0, D::Link << 10 | 1 });
        d.kick(in);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(TrbError));
        QCOMPARE(d.endpointState(in), unsigned(ErrorState));
    }

    void whatIsInFlightAtOnceIsBounded()
    {
        XhciDriver d;
        d.startWithDevice();
        d.addEndpoint(1, 3, BulkIn, 0, 2);
        // One TD of 4095 TRBs, over and over, on all streams.
        constexpr unsigned trbs = 4096, streams = 6;
        auto const ring = d.allocate(trbs * D::trbSize);
        for (unsigned i = 0; i < trbs - 1; ++i)
            d.putTrb(ring + D::trbSize * i, { 0xf000, 1, D::Normal << 10 | (i < trbs - 2 ? D::Chain : 0u) | 1 });
        d.putTrb(ring + D::trbSize * (trbs - 1), { ring, 0, D::Link << 10 | 1 });
        for (unsigned stream = 1; stream <= streams; ++stream) {
            d.store<std::uint64_t>(d.streamArray + 16 * stream, ring | 1 << 1 | 1);
            d.write(0x2000 + 4, 3 | stream << 16);
        }
        d.board.time.advance(10ms);
        QCOMPARE(d.device.waiting.size(), std::size_t(65)); // else it were 16 of each stream
        for (int i = 0; i < 32; ++i)
            d.device.end(UsbStatus::Success, trbs - 1);
        QCOMPARE(d.device.waiting.size(), std::size_t(33));
        d.device.end(UsbStatus::Success, trbs - 1);
        d.board.time.advance(10ms);
        QCOMPARE(d.device.waiting.size(), std::size_t(65));
    }
};

REGISTER_SUITE(XhciTransfersTest);

#include "xhci_transfers_test.moc"
