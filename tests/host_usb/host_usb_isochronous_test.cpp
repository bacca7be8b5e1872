#include "tests/host_usb/plugged_host_usb.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/vmm/usb/xhci_driver.h"

#include <QDeadlineTimer>
#include <cerrno>
#include <list>
#include <thread>

using namespace vmm;
using tests::Asked;
using tests::counting;
using tests::waitLimit;
using Plugged = tests::PluggedHostUsb;
using tests::SimulatedUsbDevice;
using tests::XhciDriver;
using namespace std::chrono_literals;
using Kind = UsbTransfer::Kind;

/// Streams of a host's device, with the real libusb and devices that umockdev simulates.
class HostUsbIsochronousTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-wrapper is not around this program");
    }

    void isochronousPacketsGoTogetherInTheirOrder()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        std::list<Asked> packets;
        device.holdIsochronous(0);
        {
            std::lock_guard const lock(plugged.host.usbMutex()); // as the controller gives them
            for (int i = 0; i < 30; ++i)
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(192)).transfer);
        }
        QTRY_COMPARE(device.waiting(), 3u); // enough: the rest follows what lands
        device.letIsochronousGo();
        QVERIFY(plugged.ends(packets.back()));
        std::uint8_t number = 0;
        for (auto const& packet : packets) {
            QCOMPARE(packet.transfer.status, UsbStatus::Success);
            QCOMPARE(packet.got(), Bytes(176, ++number));
        }
        QCOMPARE(device.isochronousUrbs(), (std::vector { 8, 8, 8, 6 }));
    }

    void aSingleIsochronousPacketDoesNotWaitForOthers()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        Asked one(Kind::Isochronous, 0x84, Bytes(192));
        QVERIFY(plugged.run(one));
        QCOMPARE(device.isochronousUrbs(), (std::vector { 1 }));
    }

    void eachIsochronousPacketHasItsOwnOutcome()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        device.scriptIsochronous({ { 10 }, { 0 }, { 0, -EXDEV }, { 0, -EOVERFLOW }, { 0, -EPROTO }, { 192 } });
        std::list<Asked> packets;
        {
            std::lock_guard const lock(plugged.host.usbMutex());
            for (std::size_t const size : { 192, 192, 192, 192, 192, 192, 176, 176 })
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(size)).transfer);
        }
        QVERIFY(plugged.ends(packets.back()));
        QCOMPARE(device.isochronousUrbs(), (std::vector { 8 }));
        std::vector<UsbStatus> statuses;
        std::vector<std::uint64_t> lengths;
        for (auto const& packet : packets) {
            statuses.push_back(packet.transfer.status);
            lengths.push_back(packet.transfer.transferred);
        }
        using enum UsbStatus;
        QCOMPARE(statuses,
            (std::vector { Success, Success, TransactionError, Babble, TransactionError, Success, Success, Success }));
        QCOMPARE(lengths, (std::vector<std::uint64_t> { 10, 0, 0, 0, 0, 192, 176, 176 }));
        QCOMPARE(packets.front().got(), Bytes(10, 1));
        QCOMPARE(packets.back().got(), Bytes(176, 8)); // which is not where the first packets would have it
    }

    void isochronousDataGoOutAsLongAsTheyAre()
    {
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        std::list<Asked> packets;
        {
            std::lock_guard const lock(plugged.host.usbMutex());
            for (std::size_t const size : { 176, 180, 0, 176 })
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x05, counting(size)).transfer);
        }
        QVERIFY(plugged.ends(packets.back()));
        QCOMPARE(device.isochronousOut(), (std::vector { counting(176), counting(180), Bytes(), counting(176) }));
        QCOMPARE(packets.front().transfer.transferred, 176u);
    }

    void cancelledIsochronousPacketsEndAsFarAsTheyCame()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        device.holdIsochronous(3);
        std::list<Asked> packets;
        {
            std::lock_guard const lock(plugged.host.usbMutex());
            for (int i = 0; i < 28; ++i)
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(192)).transfer);
        }
        QTRY_COMPARE(device.waiting(), 3u);
        {
            std::lock_guard const lock(plugged.host.usbMutex());
            for (auto packet = packets.rbegin(); packet != packets.rend(); ++packet)
                plugged.device->cancel(packet->transfer);
        }
        for (auto const& packet : packets)
            QVERIFY(plugged.ends(packet));
        QCOMPARE(device.waiting(), 0u);
        int number = 0;
        for (auto const& packet : packets) {
            bool const wasThere = ++number <= 3;
            QCOMPARE(packet.transfer.status, wasThere ? UsbStatus::Success : UsbStatus::Cancelled);
            QCOMPARE(packet.transfer.transferred, wasThere ? 176u : 0u);
        }
    }

    void whatGoesWithACancelledPacketGoesAgain()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        device.holdIsochronous(1);
        std::list<Asked> packets;
        {
            std::lock_guard const lock(plugged.host.usbMutex());
            for (int i = 0; i < 8; ++i)
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(192)).transfer);
        }
        QTRY_COMPARE(device.waiting(), 1u);
        plugged.cancel(packets.back());
        QVERIFY(plugged.ends(packets.back()));
        QCOMPARE(packets.back().transfer.status, UsbStatus::Cancelled);
        device.letIsochronousGo();
        packets.pop_back();
        std::uint8_t number = 0;
        for (auto const& packet : packets) {
            QVERIFY(plugged.ends(packet));
            QCOMPARE(packet.got(), Bytes(176, ++number));
        }
        QCOMPARE(device.isochronousUrbs(), (std::vector { 8, 6 }));
    }

    void pulledOutInMidStream()
    {
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        device.holdIsochronous(0);
        std::list<Asked> packets;
        for (int i = 0; i < 20; ++i)
            plugged.submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(192)));
        QTRY_VERIFY(device.waiting() >= 2);
        device.unplug();
        for (auto const& packet : packets) {
            QVERIFY(plugged.ends(packet));
            QCOMPARE(packet.transfer.status, UsbStatus::TransactionError);
        }
        QTRY_COMPARE(plugged.gone.load(), 1);
    }

    /// A guest that asks for as many packets as have come, 8000 of them, of which the device has each once.
    void aStreamLosesNothing()
    {
        constexpr unsigned total = 8000, inFlight = 64;
        struct Listening final : tests::FakeUsbHost {
            void completed(UsbTransfer& transfer) override
            {
                seen.push_back(transfer.transferred == 176 ? *static_cast<std::uint8_t*>(transfer.buffers[0].iov_base)
                                                           : std::uint8_t(0));
                if (asked++ < total)
                    device->submit(transfer);
            }
            HostUsbDevice* device = nullptr;
            unsigned asked = inFlight;
            std::vector<std::uint8_t> seen;
        } host;
        SimulatedUsbDevice const device("1-1", 2);
        Plugged plugged;
        plugged.device->setHost(nullptr);
        plugged.device->setHost(&host);
        host.device = plugged.device.get();
        std::list<Asked> packets;
        {
            std::lock_guard const lock(host.usbMutex());
            for (unsigned i = 0; i < inFlight; ++i)
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(192)).transfer);
        }
        auto const hasCome = [&] {
            std::lock_guard const lock(host.usbMutex());
            return host.seen.size() == total;
        };
        QTRY_VERIFY_WITH_TIMEOUT(hasCome(), 30'000 * tests::patience());
        for (std::size_t i = 0; i < total; ++i)
            QCOMPARE(host.seen[i], static_cast<std::uint8_t>(i + 1));
        auto const urbs = device.isochronousUrbs();
        QVERIFY2(urbs.size() <= total / 7, "they do not go together");
        plugged.device->setHost(nullptr);
    }

    /// The same for a guest's driver, by way of a controller, at the pace of two clocks: the guest's, and the device's,
    /// which is faster by 125 ppm. It queues as drivers of webcams do, 160 packets of a microframe each, and lets
    /// every eighth tell. Seconds of the guest's: CHRONOVISOR_STREAM_SECONDS.
    void eachPacketOfAStreamIsThereAndHeard()
    {
        constexpr unsigned queued = 160, together = 8, size = 192, sent = 176;
        constexpr std::uint64_t buffers = 0x40000;
        auto const seconds = qEnvironmentVariable("CHRONOVISOR_STREAM_SECONDS", "2").toUInt();
        SimulatedUsbDevice device("1-1", 2);
        auto const usb = tests::must(HostUsb::open());
        auto taken = tests::must(HostUsbDevice::open(usb, usb->devices().front(), [] {}));
        XhciDriver d;
        d.start();
        QVERIFY(d.controller.plug(0, *taken).has_value());
        d.address(1);
        auto in = d.addEndpoint(1, 9, tests::usb::IsochIn, 0, 0, 2 * queued);
        QCOMPARE(d.lastCode, unsigned(tests::usb::Success));
        d.dropEvents();
        device.holdIsochronous(0);
        auto queue = [&, next = 0u]() mutable {
            auto const at = buffers + size * (next++ % queued);
            *d.ram(at) = 0;
            d.put(
                in, XhciDriver::Isoch, at, size, XhciDriver::Sia | (next % together == 0 ? 1u : 0u) * XhciDriver::Ioc);
        };
        for (unsigned i = 0; i < queued; ++i)
            queue();
        d.kick(in);
        d.board.time.advance(10ms); // the stream begins
        QTRY_COMPARE(device.waiting(), std::size_t(queued / together));
        unsigned passed = 0, heard = 0;
        for (unsigned millisecond = 1; millisecond <= 1000 * seconds; ++millisecond) {
            auto const microframes = together + (millisecond % 1000 == 0 ? 1 : 0);
            d.board.time.advance(1ms);
            QCOMPARE(device.passMicroframes(microframes), 0u);
            passed += microframes;
            while (heard + together <= passed) {
                QDeadlineTimer const deadline(waitLimit);
                while (!d.hasEvent() && !deadline.hasExpired())
                    std::this_thread::yield();
                auto const event = d.event();
                QCOMPARE(event.type(), unsigned(XhciDriver::TransferEvent));
                QCOMPARE(event.code(), unsigned(tests::usb::ShortPacket));
                QCOMPARE(event.length(), size - sent);
                for (unsigned i = 0; i < together; ++i, ++heard) {
                    QCOMPARE(*d.ram(buffers + size * (heard % queued)), static_cast<std::uint8_t>(heard + 1));
                    queue();
                }
                d.kick(in);
            }
        }
        QCOMPARE(heard / together, 8001 * seconds / together);
        d.controller.unplug(0);
    }

    /// 60 ms, in which neither the guest nor we come to do anything: all that the device sends was asked for before.
    void aHostThatIsLateMissesNothingOfAStream()
    {
        constexpr unsigned queued = 512, late = 480, size = 192;
        constexpr std::uint64_t buffers = 0x40000;
        SimulatedUsbDevice device("1-1", 2);
        auto const usb = tests::must(HostUsb::open());
        auto taken = tests::must(HostUsbDevice::open(usb, usb->devices().front(), [] {}));
        XhciDriver d;
        d.start();
        QVERIFY(d.controller.plug(0, *taken).has_value());
        d.address(1);
        auto in = d.addEndpoint(1, 9, tests::usb::IsochIn, 0, 0, 2 * queued);
        d.dropEvents();
        device.holdIsochronous(0);
        for (unsigned i = 0; i < queued; ++i)
            d.put(in, XhciDriver::Isoch, buffers + size * i, size, XhciDriver::Sia);
        d.kick(in);
        d.board.time.advance(10ms);
        QTRY_COMPARE(device.waiting(), std::size_t(64));
        {
            std::lock_guard const lock(d.controller.usbMutex());
            QCOMPARE(device.passMicroframes(late), 0u);
        }
        QTRY_COMPARE(*d.ram(buffers + size * (late - 1)), static_cast<std::uint8_t>(late));
        for (unsigned i = 0; i < late; ++i)
            QCOMPARE(*d.ram(buffers + size * i), static_cast<std::uint8_t>(i + 1));
        d.controller.unplug(0);
    }

    void aStreamLeavesSomeOfTheKernelsMemoryToOthers()
    {
        constexpr std::size_t most = std::size_t(48) << 10; // of a SuperSpeed endpoint in a microframe
        SimulatedUsbDevice device("1-1", 2);
        Plugged plugged;
        std::list<Asked> packets;
        device.holdIsochronous(0);
        {
            std::lock_guard const lock(plugged.host.usbMutex());
            for (int i = 0; i < 128; ++i)
                plugged.device->submit(packets.emplace_back(Kind::Isochronous, 0x84, Bytes(most)).transfer);
        }
        QTRY_COMPARE(device.waiting(), 11u); // 88 packets, 4 MiB
        device.letIsochronousGo();
        QVERIFY(plugged.ends(packets.back()));
        QCOMPARE(packets.back().got(), Bytes(176, 128));
    }
};

REGISTER_SUITE(HostUsbIsochronousTest);
#include "host_usb_isochronous_test.moc"
