#include "tests/support/suite.h"
#include "tests/vmm/usb/redir_bench.h"

#include <QTest>
#include <list>

using namespace vmm;
using tests::Asked;
using tests::counting;
using tests::RedirPeer;
using Bench = tests::RedirBench;
using Kind = UsbTransfer::Kind;

namespace {

using Packet = std::vector<std::uint8_t>;

/// With ids of 32 bits, as they are before hellos were exchanged.
Packet packet32(std::uint32_t type, Packet const& content)
{
    Packet bytes(12);
    storeLittle<std::uint32_t>(ByteSpan(bytes).first(4), type);
    storeLittle<std::uint32_t>(ByteSpan(bytes).subspan(4, 4), static_cast<std::uint32_t>(content.size()));
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
}

Packet packet(std::uint32_t type, std::uint64_t id, Packet const& content, std::uint32_t length = 0)
{
    Packet bytes(16);
    storeLittle<std::uint32_t>(ByteSpan(bytes).first(4), type);
    storeLittle<std::uint32_t>(
        ByteSpan(bytes).subspan(4, 4), length != 0 ? length : static_cast<std::uint32_t>(content.size()));
    storeLittle<std::uint64_t>(ByteSpan(bytes).subspan(8, 8), id);
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
}

}

class UsbRedirDeviceTest : public QObject {
    Q_OBJECT
private slots:
    void offeredOnceItIsKnown()
    {
        Bench bench;
        bench.settle();
        QCOMPARE(bench.peer.heard(), "hello Chronovisor");
        QCOMPARE(bench.offers, 0);
        bench.peer.offer(usb_redir_speed_super);
        bench.settle();
        QCOMPARE(bench.offers, 1);
        auto const& info = bench.device->info();
        QCOMPARE(info.vendor, 0x1209);
        QCOMPARE(info.product, 0x0001);
        QCOMPARE(info.program, "a test");
        QCOMPARE(bench.device->speed(), UsbSpeed::Super);
    }

    void controlTransfersGoThereAndBack()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Control, 0x80, Bytes(18), { 0x80, 6, 0, 1, 0, 0, 18, 0 });
        QCOMPARE(bench.ask(in), "control 80 06 18");
        QVERIFY(!bench.ended(in));
        bench.peer.control({ 18, 1, 2 });
        bench.settle();
        QVERIFY(bench.ended(in));
        QCOMPARE(in.transfer.status, UsbStatus::Success);
        QCOMPARE(in.got(), (Bytes { 18, 1, 2 }));
        // The device would wake the guest up, and nobody could tell.
        Asked configuration(Kind::Control, 0x80, Bytes(9), { 0x80, 6, 0, 2, 0, 0, 9, 0 });
        bench.ask(configuration);
        bench.peer.control({ 9, 2, 9, 0, 0, 1, 0, 0xe0, 50 });
        bench.settle();
        QCOMPARE(configuration.got(), (Bytes { 9, 2, 9, 0, 0, 1, 0, 0xc0, 50 }));
        Asked out(Kind::Control, 0, { 4, 5, 6 }, { 0x40, 2, 7, 0, 8, 0, 3, 0 });
        QCOMPARE(bench.ask(out), "control 40 02 3");
        QCOMPARE(bench.peer.lastData, (Bytes { 4, 5, 6 }));
        QCOMPARE(int(bench.peer.lastControl.value), 7);
        QCOMPARE(int(bench.peer.lastControl.index), 8);
        bench.peer.controlTaken(3);
        bench.settle();
        QCOMPARE(out.transfer.transferred, 3u);
        Asked refused(Kind::Control, 0, {}, { 0x40, 3, 0, 0, 0, 0, 0, 0 });
        bench.ask(refused);
        bench.peer.controlTaken(0, usb_redir_stall);
        bench.settle();
        QCOMPARE(refused.transfer.status, UsbStatus::Stall);
        Asked unknown(Kind::Control, 0, {}, { 0x40, 3, 0, 0, 0, 0, 0, 0 });
        bench.ask(unknown);
        bench.peer.controlTaken(0, usb_redir_inval);
        bench.settle();
        QCOMPARE(unknown.transfer.status, UsbStatus::Stall);
    }

    void whatContradictsItselfStaysHere()
    {
        Bench bench;
        bench.plug();
        Asked address(Kind::Control, 0, {}, { 0, 5, 9, 0, 0, 0, 0, 0 });
        Asked longer(Kind::Control, 0, Bytes(2), { 0x40, 2, 0, 0, 0, 0, 3, 0 });
        Asked noSuchEndpoint(Kind::Bulk, 0x05, Bytes(2)), otherKind(Kind::Interrupt, 0x81, Bytes(2));
        for (auto* const one : { &address, &longer, &noSuchEndpoint, &otherKind })
            QCOMPARE(bench.ask(*one), "");
        QCOMPARE(address.transfer.status, UsbStatus::Success);
        for (auto const* const one : { &longer, &noSuchEndpoint, &otherKind })
            QCOMPARE(one->transfer.status, UsbStatus::TransactionError);
    }

    void theOtherSideKnowsConfigurationAndSettings()
    {
        Bench bench;
        bench.plug();
        Asked set(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 });
        QCOMPARE(bench.ask(set), "set-configuration 1");
        bench.peer.configured(1);
        bench.settle();
        QCOMPARE(set.transfer.status, UsbStatus::Success);
        Asked get(Kind::Control, 0x80, Bytes(1), { 0x80, 8, 0, 0, 0, 0, 1, 0 });
        QCOMPARE(bench.ask(get), "get-configuration");
        bench.peer.configured(1);
        bench.settle();
        QCOMPARE(get.got(), (Bytes { 1 }));
        Asked setting(Kind::Control, 0, {}, { 1, 11, 2, 0, 3, 0, 0, 0 });
        QCOMPARE(bench.ask(setting), "set-setting 3 2");
        bench.peer.setting(3, 2);
        bench.settle();
        QCOMPARE(setting.transfer.status, UsbStatus::Success);
        Asked present(Kind::Control, 0x80, Bytes(1), { 0x81, 10, 0, 0, 3, 0, 1, 0 });
        QCOMPARE(bench.ask(present), "get-setting 3");
        bench.peer.setting(3, 2);
        bench.settle();
        QCOMPARE(present.got(), (Bytes { 2 }));
        Asked none(Kind::Control, 0, {}, { 1, 11, 9, 0, 3, 0, 0, 0 });
        bench.ask(none);
        bench.peer.setting(3, 2, usb_redir_stall);
        bench.settle();
        QCOMPARE(none.transfer.status, UsbStatus::Stall);
    }

    void aConfigurationBeginsWithFirstSettings()
    {
        Bench bench;
        bench.plug().chooseSetting();
        Asked set(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 });
        QCOMPARE(bench.ask(set), "set-setting 3 0, set-configuration 1");
        --bench.peer.lastId;
        bench.peer.setting(3, 0);
        ++bench.peer.lastId;
        bench.peer.configured(1);
        bench.settle();
        QCOMPARE(set.transfer.status, UsbStatus::Success);
        Asked again(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 });
        QCOMPARE(bench.ask(again), "set-configuration 1");
        bench.peer.configured(1);
    }

    void whoDoesNotAnswerASettingIsGone()
    {
        Bench bench;
        bench.plug().chooseSetting();
        Asked set(Kind::Control, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 });
        QCOMPARE(bench.ask(set), "set-setting 3 0, set-configuration 1");
        bench.loop.runTimers();
        QCOMPARE(bench.why(), "desk:4000 does not answer");
    }

    void longTransfersGoInParts()
    {
        constexpr std::size_t size = (300u << 10) + 1;
        Bench bench;
        bench.plug();
        Asked out(Kind::Bulk, 0x02, counting(size));
        QCOMPARE(bench.ask(out), "bulk 02 262144");
        auto sent = bench.peer.lastData;
        bench.peer.bulkTaken(bench.peer.lastId, 0x02, 262144);
        bench.settle();
        QCOMPARE(bench.peer.heard(), "bulk 02 45057");
        sent.insert(sent.end(), bench.peer.lastData.begin(), bench.peer.lastData.end());
        QCOMPARE(sent, counting(size));
        QVERIFY(!bench.ended(out));
        bench.peer.bulkTaken(bench.peer.lastId, 0x02, 45057);
        bench.settle();
        QCOMPARE(out.transfer.transferred, size);
        Asked in(Kind::Bulk, 0x81, Bytes(size));
        QCOMPARE(bench.ask(in), "bulk 81 262144");
        auto const content = counting(size);
        bench.peer.bulk(bench.peer.lastId, 0x81, { content.begin(), content.begin() + 262144 });
        bench.settle();
        QCOMPARE(bench.peer.heard(), "bulk 81 45057");
        bench.peer.bulk(bench.peer.lastId, 0x81, { content.begin() + 262144, content.end() });
        bench.settle();
        QCOMPARE(in.got(), content);
    }

    void shortOnesEndATransfer()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(300u << 10)), next(Kind::Bulk, 0x81, Bytes(10));
        bench.submit(in);
        QCOMPARE(bench.ask(next), "bulk 81 262144"); // the next one must not come in between
        bench.peer.bulk(bench.peer.lastId, 0x81, counting(1000));
        bench.settle();
        QCOMPARE(in.got(), counting(1000));
        QCOMPARE(bench.peer.heard(), "bulk 81 10");
        bench.peer.bulk(bench.peer.lastId, 0x81, {}, usb_redir_babble);
        bench.settle();
        QCOMPARE(next.transfer.status, UsbStatus::Babble);
    }

    void sixteenBitsOfLengthWhereTheOtherSideHasNoMore()
    {
        Bench bench(1u << usb_redir_cap_ep_info_max_packet_size); // 32-bit ids too
        bench.plug();
        Asked out(Kind::Bulk, 0x02, counting(100'000));
        QCOMPARE(bench.ask(out), "bulk 02 61440");
        bench.peer.bulkTaken(bench.peer.lastId, 0x02, 61440);
        bench.settle();
        QCOMPARE(bench.peer.heard(), "bulk 02 38560");
        bench.peer.bulkTaken(bench.peer.lastId, 0x02, 38560);
        bench.settle();
        QCOMPARE(out.transfer.transferred, 100'000u);
    }

    void severalAtOnceKeepTheirOrder()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Bulk, 0x81, Bytes(5)), second(Kind::Bulk, 0x81, Bytes(6)), none(Kind::Bulk, 0x02, {});
        bench.submit(first);
        bench.submit(second);
        QCOMPARE(bench.ask(none), "bulk 81 5, bulk 81 6, bulk 02 0");
        bench.peer.bulkTaken(bench.peer.ids[2], 0x02, 0);
        bench.peer.bulk(bench.peer.ids[0], 0x81, { 1 });
        bench.peer.bulk(bench.peer.ids[1], 0x81, { 2 });
        bench.settle();
        QCOMPARE(bench.host.ended, (std::vector { &none.transfer, &first.transfer, &second.transfer }));
    }

    void cancelledOnesEndAsTheOtherSideSays()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Bulk, 0x81, Bytes(5)), second(Kind::Bulk, 0x81, Bytes(5));
        bench.submit(first);
        bench.ask(second);
        bench.cancel(second);
        bench.cancel(first);
        bench.settle();
        QCOMPARE(bench.peer.heard(), fmt::format("cancel {}, cancel {}", bench.peer.ids[1], bench.peer.ids[0]));
        QVERIFY(bench.host.ended.empty());
        bench.peer.bulk(bench.peer.ids[0], 0x81, { 1, 2, 3 }); // it was on its way
        bench.peer.bulk(bench.peer.ids[1], 0x81, {}, usb_redir_cancelled);
        bench.settle();
        QCOMPARE(first.transfer.status, UsbStatus::Success);
        QCOMPARE(first.got(), (Bytes { 1, 2, 3 }));
        QCOMPARE(second.transfer.status, UsbStatus::Cancelled);
        bench.loop.runTimers();
        QVERIFY(bench.gone.empty());
    }

    void cancelledBetweenTwoParts()
    {
        Bench bench;
        bench.plug();
        Asked out(Kind::Bulk, 0x02, counting(300u << 10));
        bench.ask(out);
        bench.cancel(out);
        bench.peer.bulkTaken(bench.peer.lastId, 0x02, 256u << 10);
        bench.settle();
        QCOMPARE(out.transfer.status, UsbStatus::Cancelled);
        QCOMPARE(out.transfer.transferred, 256u << 10);
    }

    void whoDoesNotAnswerACancellationIsGone()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(5)), later(Kind::Bulk, 0x81, Bytes(5));
        bench.ask(in);
        bench.cancel(in);
        bench.settle();
        bench.peer.heard();
        bench.loop.runTimers();
        QCOMPARE(bench.why(), "desk:4000 does not answer");
        QCOMPARE(in.transfer.status, UsbStatus::TransactionError);
        QCOMPARE(bench.ask(later), "");
        QCOMPARE(later.transfer.status, UsbStatus::TransactionError);
        QCOMPARE(bench.gone.size(), 1u);
    }

    void whatItCancelsByItselfIsAnError()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(5));
        bench.ask(in);
        bench.peer.bulk(bench.peer.lastId, 0x81, {}, usb_redir_cancelled);
        bench.settle();
        QCOMPARE(in.transfer.status, UsbStatus::TransactionError);
    }

    void interruptsComeByThemselves()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Interrupt, 0x83, Bytes(8)), second(Kind::Interrupt, 0x83, Bytes(8)),
            third(Kind::Interrupt, 0x83, Bytes(8));
        QCOMPARE(bench.ask(first), "start-interrupt 83");
        bench.peer.streamStatus(0x83, usb_redir_type_interrupt, usb_redir_success);
        bench.peer.interrupt(0x83, { 1 });
        bench.peer.interrupt(0x83, { 2, 2 });
        bench.settle();
        QCOMPARE(first.got(), (Bytes { 1 }));
        QCOMPARE(bench.ask(second), "");
        QCOMPARE(second.got(), (Bytes { 2, 2 }));
        bench.ask(third);
        bench.cancel(third);
        QVERIFY(bench.ended(third)); // nobody is asked
        QCOMPARE(third.transfer.status, UsbStatus::Cancelled);
    }

    void interruptsGoThere()
    {
        Bench bench;
        bench.plug();
        Asked out(Kind::Interrupt, 0x03, { 7, 8 });
        QCOMPARE(bench.ask(out), "interrupt 03 2");
        QCOMPARE(bench.peer.lastData, (Bytes { 7, 8 }));
        usb_redir_interrupt_packet_header header { 0x03, usb_redir_success, 2 };
        usbredirparser_send_interrupt_packet(bench.peer.parser, bench.peer.lastId, &header, nullptr, 0);
        bench.settle();
        QCOMPARE(out.transfer.transferred, 2u);
    }

    void fullPacketsOfAnInterruptAreFollowedByMore()
    {
        Bench bench;
        bench.plug();
        Asked wide(Kind::Interrupt, 0x83, Bytes(20)), narrow(Kind::Interrupt, 0x83, Bytes(2));
        bench.ask(wide);
        bench.peer.interrupt(0x83, counting(8));
        bench.settle();
        QVERIFY(!bench.ended(wide));
        bench.peer.interrupt(0x83, { 9 });
        bench.settle();
        QCOMPARE(wide.transfer.transferred, 9u);
        bench.ask(narrow);
        bench.peer.interrupt(0x83, { 1, 2, 3 });
        bench.settle();
        QCOMPARE(narrow.transfer.status, UsbStatus::Babble);
        QCOMPARE(narrow.got(), (Bytes { 1, 2 }));
    }

    void interruptsThatNobodyWantsWaitInTheDevice()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Interrupt, 0x83, Bytes(8));
        bench.ask(first);
        for (std::uint8_t i = 0; i < 40; ++i)
            bench.peer.interrupt(0x83, { i });
        bench.settle();
        QCOMPARE(bench.peer.heard(), "stop-interrupt 83");
        for (std::uint8_t i = 1; i < 40; ++i) { // none is lost
            Asked one(Kind::Interrupt, 0x83, Bytes(8));
            QCOMPARE(bench.ask(one), "");
            QCOMPARE(one.got(), (Bytes { i }));
        }
        Asked next(Kind::Interrupt, 0x83, Bytes(8));
        QCOMPARE(bench.ask(next), "start-interrupt 83");
        bench.cancel(next);
    }

    void interruptsThatComeInSpiteOfThatAreBounded()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Interrupt, 0x83, Bytes(8));
        bench.ask(first);
        for (int i = 0; i < 5000; ++i) {
            bench.peer.interrupt(0x83, { static_cast<std::uint8_t>(i) });
            if (i % 100 == 0)
                bench.settle();
        }
        bench.settle();
        std::list<Asked> all;
        do
            bench.submit(all.emplace_back(Kind::Interrupt, 0x83, Bytes(8)));
        while (bench.ended(all.back()));
        bench.cancel(all.back());
        QCOMPARE(all.size() - 1, 1024u);
    }

    void anInterruptsStallIsTold()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Interrupt, 0x83, Bytes(8)), second(Kind::Interrupt, 0x83, Bytes(8));
        bench.ask(first);
        bench.peer.streamStatus(0x83, usb_redir_type_interrupt, usb_redir_stall);
        bench.settle();
        QCOMPARE(first.transfer.status, UsbStatus::Stall);
        QCOMPARE(bench.ask(second), "start-interrupt 83");
        bench.cancel(second);
    }

    void isochronousPacketsFillOneTransferEach()
    {
        Bench bench;
        bench.plug();
        std::list<Asked> all;
        for (int i = 0; i < 4; ++i)
            bench.submit(all.emplace_back(Kind::Isochronous, 0x84, Bytes(192)));
        bench.settle();
        QCOMPARE(bench.peer.heard(), "start-iso 84 15x32"); // 480 packets, 60 ms
        bench.peer.isochronous(0x84, Bytes(176, 1));
        bench.peer.isochronous(0x84, {});
        bench.peer.isochronous(0x84, {}, usb_redir_ioerror);
        bench.peer.isochronous(0x84, Bytes(193, 4));
        bench.settle();
        auto at = all.begin();
        QCOMPARE(at->got(), Bytes(176, 1));
        QCOMPARE((++at)->transfer.status, UsbStatus::Success);
        QCOMPARE(at->transfer.transferred, 0u);
        QCOMPARE((++at)->transfer.status, UsbStatus::TransactionError);
        QCOMPARE((++at)->transfer.status, UsbStatus::Babble);
        QCOMPARE(at->got(), Bytes(192, 4));
    }

    void isochronousTransfersDoNotWaitForEver()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Isochronous, 0x84, Bytes(192)), second(Kind::Isochronous, 0x84, Bytes(192));
        bench.submit(first);
        bench.ask(second);
        bench.loop.runTimers();
        QCOMPARE(first.transfer.status, UsbStatus::TransactionError);
        QCOMPARE(second.transfer.status, UsbStatus::TransactionError);
        QVERIFY(bench.gone.empty());
        Asked third(Kind::Isochronous, 0x84, Bytes(192));
        bench.ask(third);
        bench.peer.isochronous(0x84, Bytes(10, 3));
        bench.settle();
        QCOMPARE(third.got(), Bytes(10, 3));
    }

    void anIsochronousStreamThatNobodyHearsEnds()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Isochronous, 0x84, Bytes(192));
        bench.ask(first);
        for (int i = 0; i < 3000; ++i) {
            bench.peer.isochronous(0x84, Bytes(100));
            if (i % 100 == 0)
                bench.settle();
        }
        bench.settle();
        QCOMPARE(bench.peer.heard(), "stop-iso 84");
        Asked next(Kind::Isochronous, 0x84, Bytes(192));
        QCOMPARE(bench.ask(next), "start-iso 84 15x32");
        bench.cancel(next);
    }

    void aFasterClockThanTheGuestsIsFollowed()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Isochronous, 0x84, Bytes(192));
        bench.ask(first);
        constexpr auto usual = UsbRedirDevice::usualLead;
        QCOMPARE(bench.device->isochronousLead(), usual);
        for (int i = 0; i < 201; ++i)
            bench.peer.isochronous(0x84, Bytes(100));
        bench.settle();
        QCOMPARE(bench.device->isochronousLead(), usual + 40); // of 200 in hand 160 are fine
        std::lock_guard const lock(bench.host.usbMutex());
        bench.device->busReset();
        QCOMPARE(bench.device->isochronousLead(), usual);
    }

    void isochronousDataGoThere()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Isochronous, 0x04, counting(100)), empty(Kind::Isochronous, 0x04, {});
        QCOMPARE(bench.ask(first), "start-iso 04 12x10, iso 04 100"); // each 8 microframes: 60 packets, twice
        QCOMPARE(bench.peer.lastData, counting(100));
        QCOMPARE(first.transfer.transferred, 100u); // the other side says nothing of single ones
        QCOMPARE(bench.ask(empty), "iso 04 0");
        bench.peer.streamStatus(0x04, usb_redir_type_iso, usb_redir_stall);
        bench.settle();
        Asked late(Kind::Isochronous, 0x04, counting(100)), again(Kind::Isochronous, 0x04, counting(100));
        QCOMPARE(bench.ask(late), "");
        QCOMPARE(late.transfer.status, UsbStatus::TransactionError);
        QCOMPARE(bench.ask(again), "start-iso 04 12x10, iso 04 100");
    }

    void streamsWhereTheDeviceHasThem()
    {
        Bench bench;
        bench.plug();
        auto& device = *bench.device;
        {
            std::lock_guard const lock(bench.host.usbMutex());
            QVERIFY(device.setStreams(0x81, 16));
            QVERIFY(!device.setStreams(0x81, 17));
            QVERIFY(!device.setStreams(0x83, 1));
        }
        Asked in(Kind::Bulk, 0x81, Bytes(5));
        in.transfer.stream = 7;
        QCOMPARE(bench.ask(in), "streams 20000 16, bulk 81 5 stream 7");
        bench.peer.bulk(bench.peer.lastId, 0x81, { 1 }, usb_redir_success, 7);
        bench.settle();
        QCOMPARE(in.got(), (Bytes { 1 }));
        {
            std::lock_guard const lock(bench.host.usbMutex());
            QVERIFY(device.setStreams(0x81, 0));
        }
        bench.settle();
        QCOMPARE(bench.peer.heard(), "no-streams 20000");
        usb_redir_bulk_streams_status_header status { 0x20000, 16, usb_redir_ioerror };
        usbredirparser_send_bulk_streams_status(bench.peer.parser, 0, &status);
        bench.settle();
        QCOMPARE(bench.why(), "desk:4000 has no 16 streams for the device");
    }

    void noStreamsWhereTheOtherSideHasNone()
    {
        Bench bench(RedirPeer::allCapabilities & ~(1u << usb_redir_cap_bulk_streams));
        bench.plug();
        std::lock_guard const lock(bench.host.usbMutex());
        QVERIFY(!bench.device->setStreams(0x81, 1));
        QVERIFY(bench.device->setStreams(0x81, 0));
    }

    void aResetStopsWhatComesByItself()
    {
        Bench bench;
        bench.plug();
        Asked first(Kind::Interrupt, 0x83, Bytes(8)), second(Kind::Interrupt, 0x83, Bytes(8));
        bench.ask(first);
        bench.peer.interrupt(0x83, { 1 });
        bench.peer.interrupt(0x83, { 2 }); // for nobody
        bench.settle();
        {
            std::lock_guard const lock(bench.host.usbMutex());
            bench.device->busReset();
        }
        bench.settle();
        QCOMPARE(bench.peer.heard(), "stop-interrupt 83, reset");
        QCOMPARE(bench.ask(second), "start-interrupt 83");
        QVERIFY(!bench.ended(second));
        bench.cancel(second);
    }

    void unpluggedThere()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(5)), waiting(Kind::Interrupt, 0x83, Bytes(8));
        bench.submit(in);
        bench.ask(waiting);
        usbredirparser_send_device_disconnect(bench.peer.parser);
        bench.settle();
        QCOMPARE(bench.peer.heard(), "disconnect-ack");
        QCOMPARE(bench.why(), "the device was unplugged at desk:4000");
        QCOMPARE(bench.gone.back().code, ErrorCode::Disconnected);
        QCOMPARE(in.transfer.status, UsbStatus::TransactionError);
        QCOMPARE(waiting.transfer.status, UsbStatus::TransactionError);
        QVERIFY(bench.device->isGone());
    }

    void theConnectionEnds()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(5));
        bench.ask(in);
        bench.peer.close();
        bench.loop.turn();
        QCOMPARE(bench.why(), "desk:4000 has ended the connection");
        QCOMPARE(in.transfer.status, UsbStatus::TransactionError);
    }

    void nothingIsOffered()
    {
        Bench bench;
        bench.settle();
        bench.loop.runTimers();
        QCOMPARE(bench.why(), "desk:4000 offers no USB device");
        QCOMPARE(bench.offers, 0);
    }

    void halfAPacketAndThenSilence()
    {
        Bench bench;
        bench.plug();
        bench.peer.sendRaw({ 101, 0, 0, 0, 30 });
        bench.loop.turn();
        bench.loop.runTimers();
        QCOMPARE(bench.why(), "desk:4000 has fallen silent in the middle of a packet");
    }

    void anIdleDeviceMayBeSilent()
    {
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(5));
        bench.ask(in);
        bench.loop.runTimers();
        bench.loop.runTimers();
        QVERIFY(bench.gone.empty());
        bench.peer.bulk(bench.peer.lastId, 0x81, { 1 });
        bench.settle();
        QCOMPARE(in.got(), (Bytes { 1 }));
    }

    void aHubIsNotTaken()
    {
        Bench bench;
        bench.settle();
        bench.peer.heard();
        bench.peer.offer(usb_redir_speed_high, 9);
        bench.settle();
        QCOMPARE(bench.offers, 0);
        QCOMPARE(bench.peer.heard(), "reject");
        QCOMPARE(bench.gone.back().code, ErrorCode::Unsupported);
    }

    void whatIsNotWantedIsRefused()
    {
        Bench bench;
        bench.settle();
        bench.peer.offer();
        bench.settle();
        bench.peer.heard();
        bench.device->refuse();
        bench.peer.pump();
        QCOMPARE(bench.peer.heard(), "reject");
        QVERIFY(bench.gone.empty());
        QVERIFY(bench.device->isGone());
    }

    /// Each is what follows a good beginning, and what is said of it.
    void lies_data()
    {
        QTest::addColumn<Packet>("sent");
        QTest::addColumn<QString>("said");
        auto const bulk = [](std::uint8_t endpoint, std::uint16_t length, std::uint16_t high, std::size_t data) {
            Packet content { endpoint, 0, static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8), 0,
                0, 0, 0, static_cast<std::uint8_t>(high), static_cast<std::uint8_t>(high >> 8) };
            content.resize(content.size() + data);
            return content;
        };
        QTest::newRow("unknown type") << packet(77, 0, {}) << "invalid usb-redir packet type: 77";
        QTest::newRow("packet for the other side") << packet(usb_redir_reset, 0, {}) << "invalid usb-redir packet type";
        QTest::newRow("too short") << packet(usb_redir_device_connect, 0, { 1 }) << "invalid packet type 1 length: 1";
        QTest::newRow("too long") << packet(usb_redir_device_disconnect, 0, { 1 }) << "invalid packet type 2 length: 1";
        QTest::newRow("length and data differ")
            << packet(usb_redir_bulk_packet, 2, bulk(0x81, 5, 0, 4)) << "data len 4 != header len 5";
        QTest::newRow("a huge length") << packet(usb_redir_bulk_packet, 2, bulk(0x81, 0, 0x7ff, 0), 0x7ff000a)
                                       << "more than anybody has asked for";
        QTest::newRow("an impossible length")
            << packet(usb_redir_bulk_packet, 2, {}, 0xffffffff) << "larger than permitted";
        QTest::newRow("an id that nobody has")
            << packet(usb_redir_bulk_packet, 99, bulk(0x81, 0, 0, 0)) << "answers what nobody has asked (id 99)";
        QTest::newRow("another endpoint")
            << packet(usb_redir_bulk_packet, 1, bulk(0x82, 0, 0, 0)) << "answers something else than was asked";
        QTest::newRow("another kind") << packet(usb_redir_control_packet, 1, { 0x80, 6, 0x80, 0, 0, 0, 0, 0, 0, 0 })
                                      << "answers something else";
        QTest::newRow("more than asked for")
            << packet(usb_redir_bulk_packet, 1, bulk(0x81, 6, 0, 6)) << "answers with 6 bytes where 5 were asked for";
        QTest::newRow("data of another endpoint") << packet(usb_redir_interrupt_packet, 0, { 0x81, 0, 1, 0, 9 })
                                                  << "the endpoint 81, which is of another kind";
        QTest::newRow("buffered bulk data")
            << packet(usb_redir_buffered_bulk_packet, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0 }) << "bulk_receiving";
        QTest::newRow("a second device") << packet(usb_redir_device_connect, 0, Packet(10)) << "offers a second device";
        QTest::newRow("a second hello") << packet(usb_redir_hello, 0, Packet(68)) << "second hello";
        QTest::newRow("an endpoint of no kind") << packet(usb_redir_ep_info, 0, Packet(288, 9)) << "of the type 9";
        QTest::newRow("an endpoint without interval") << packet(usb_redir_ep_info, 0, [] {
            Packet info(288);
            info[5] = usb_redir_type_iso;
            return info;
        }()) << "endpoint 05 without an interval";
        QTest::newRow("33 interfaces") << packet(usb_redir_interface_info, 0, [] {
            Packet info(132);
            info[0] = 33;
            return info;
        }()) << "interface_count > 32";
        QTest::newRow("a filter that is none")
            << packet(usb_redir_filter_filter, 0, { 'x', 0 }) << "error parsing filter";
        QTest::newRow("a setting of nothing")
            << packet(usb_redir_alt_setting_status, 5, { 0, 0, 0 }) << "answers what nobody has asked (id 5)";
        QTest::newRow("a configuration instead of data")
            << packet(usb_redir_configuration_status, 1, { 0, 1 }) << "answers something else";
        QTest::newRow("refusing itself") << packet(usb_redir_filter_reject, 0, {}) << "invalid usb-redir packet type";
    }
    void lies()
    {
        QFETCH(Packet, sent);
        QFETCH(QString, said);
        Bench bench;
        bench.plug();
        Asked in(Kind::Bulk, 0x81, Bytes(5));
        QCOMPARE(bench.ask(in), "bulk 81 5");
        QCOMPARE(bench.peer.lastId, 1u);
        bench.peer.sendRaw(sent);
        bench.settle();
        QVERIFY2(QString::fromStdString(bench.why()).contains(said), bench.why().c_str());
        QVERIFY(bench.why().starts_with("desk:4000 breaks the usbredir protocol: it "));
        QCOMPARE(bench.gone.back().code, ErrorCode::Corrupt);
        QCOMPARE(in.transfer.status, UsbStatus::TransactionError);
    }

    void aBeginningThatIsNone_data()
    {
        QTest::addColumn<Packet>("sent");
        QTest::addColumn<QString>("said");
        QTest::newRow("no hello") << packet32(usb_redir_device_disconnect, {}) << "does not begin with a hello";
        QTest::newRow("another protocol") << Packet { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '/', '1', '.',
            '1' } << "invalid usb-redir packet type";
        QTest::newRow("a speed that is none") << [] {
            auto all = packet32(usb_redir_hello, Packet(68));
            auto const device = packet32(usb_redir_device_connect, { 9, 0, 0, 0, 1, 2, 3, 4 });
            all.insert(all.end(), device.begin(), device.end());
            return all;
        }() << "a device of the speed 9";
    }
    void aBeginningThatIsNone()
    {
        QFETCH(Packet, sent);
        QFETCH(QString, said);
        Bench bench;
        bench.loop.turn();
        bench.peer.sendRaw(sent);
        bench.loop.turn();
        QVERIFY2(QString::fromStdString(bench.why()).contains(said), bench.why().c_str());
        QCOMPARE(bench.offers, 0);
    }

    void pluggedInAgainItIsAnother()
    {
        Bench bench;
        bench.plug();
        std::string const before(bench.device->identity());
        bench.device->setHost(nullptr);
        bench.device->setHost(&bench.host);
        QVERIFY(before.starts_with("redirected 1209:0001 "));
        QVERIFY(bench.device->identity() != before);
        Asked in(Kind::Bulk, 0x81, Bytes(5));
        bench.ask(in);
        bench.peer.bulk(bench.peer.lastId, 0x81, { 1 });
        bench.settle();
        QCOMPARE(in.got(), (Bytes { 1 }));
    }

    void whatIsSavedOfItNamesIt()
    {
        Bench bench;
        bench.plug();
        auto const saved = bench.device->save();
        QCOMPARE(saved.kind(), "usb-redirected-device");
        REQUIRE_OK(bench.device->load(saved));
        QVERIFY(bench.device->canSave().has_value());
    }
};

REGISTER_SUITE(UsbRedirDeviceTest);
#include "usb_redir_device_test.moc"
