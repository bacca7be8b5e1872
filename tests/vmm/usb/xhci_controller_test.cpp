#include "tests/battery/battery.h"
#include "tests/vmm/usb/xhci_driver.h"

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

using namespace vmm;
using namespace std::chrono_literals;
using namespace tests::usb;
using tests::FakeUsbDevice;
using tests::XhciDriver;
using D = XhciDriver;

class XhciControllerTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        for (auto const connectors : { 8u, 15u }) {
            tests::FakeBoard board;
            tests::battery<XhciController>(
                [&] { return std::make_unique<XhciController>(board.pci, board.time, connectors); },
                [](XhciController& controller) {
                    std::uint32_t const bar = 0xe0000000, command = 6;
                    std::lock_guard const lock(controller.mutex());
                    controller.writeConfig(0x10, bytesOf(bar));
                    controller.writeConfig(4, bytesOf(command));
                });
        }
    }

    void capabilitiesSayWhatThereIs_data()
    {
        QTest::addColumn<unsigned>("connectors");
        QTest::addColumn<unsigned>("usb2Ports"); // how many, and which is the first
        QTest::addColumn<unsigned>("usb3Ports");
        QTest::addColumn<unsigned>("capabilities");
        QTest::newRow("8 connectors") << 8u << 0x0801u << 0x0809u << 0x600u;
        QTest::newRow("13 connectors") << 13u << 0x0d01u << 0x0d0eu << 0x600u;
        QTest::newRow("15 connectors") << 15u << 0x0f01u << 0x0f10u << 0x800u;
    }

    void capabilitiesSayWhatThereIs()
    {
        QFETCH(unsigned, connectors);
        XhciDriver d(connectors);
        d.start();
        QCOMPARE(d.read(0x00), 0x01100040u);
        QCOMPARE(d.read(0x04), 64u | 8u << 8 | 2 * connectors << 24);
        QCOMPARE(d.read(0x10) & 1, 1u); // AC64
        QCOMPARE(d.read(0x14), 0x2000u);
        QCOMPARE(d.read(0x18), 0x1000u);
        auto const first = (d.read(0x10) >> 16) * 4;
        QTEST(first, "capabilities");
        QCOMPARE(d.read(first), 0x02000402u);
        QCOMPARE(d.read(first + 4), 0x20425355u);
        QTEST(d.read(first + 8), "usb2Ports");
        QCOMPARE(d.read(first + 16), 0x03000002u);
        QTEST(d.read(first + 24), "usb3Ports");
        QCOMPARE(d.read(first + 32), 0u);
        std::uint8_t byte = 0;
        d.board.memory.read(D::bar + 3, { &byte, 1 });
        QCOMPARE(byte, 1);
    }

    void anyAccessIsSafe()
    {
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, d.device));
        std::mt19937 random(1);
        d.start();
        d.address(1);
        for (int i = 0; i < 40000; ++i) {
            auto const size = std::size_t(1) << random() % 4;
            auto const offset = random() % 0x2200 / size * size;
            std::uint64_t value = random() % 4 == 0 ? random() : random() % 0x20000;
            auto const data = writableBytesOf(value).first(size);
            if (random() % 2 == 0)
                d.board.memory.read(D::bar + offset, data);
            else
                d.board.memory.write(D::bar + offset, data);
            if (i % 1000 == 0)
                d.board.time.advance(1ms);
        }
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
    }

    void plugIsToldByAnEvent()
    {
        XhciDriver d;
        d.start();
        REQUIRE_OK(d.controller.plug(2, d.device));
        auto const event = d.event();
        QCOMPARE(event.type(), unsigned(D::PortEvent));
        QCOMPARE(event.parameter, std::uint64_t(3) << 24);
        QCOMPARE(d.portStatus(3) & 0x3, 1u);       // connected, not enabled
        QCOMPARE(d.portStatus(3) >> 10 & 0xf, 3u); // high speed
        QVERIFY((d.portStatus(3) & 1 << 17) != 0);
        d.setPort(3, 0x10 | 1 << 17);
        QCOMPARE(d.portStatus(3) & (1 << 17 | 1 << 21 | 3), std::uint32_t(1 << 21 | 3));
        QCOMPARE(d.event().parameter, std::uint64_t(3) << 24);
        QVERIFY(!d.controller.plug(2, d.device));
        QCOMPARE(*d.controller.freeConnector(), 0u);
    }

    void usb3PortTrainsByItself()
    {
        XhciDriver d;
        d.start();
        FakeUsbDevice fast(UsbSpeed::Super);
        REQUIRE_OK(d.controller.plug(0, fast));
        QCOMPARE(d.portStatus(9) & 0x1ff, 3u); // connected, enabled, U0
        QCOMPARE(d.portStatus(9) >> 10 & 0xf, 4u);
        d.setPort(9, 1u << 31); // warm reset
        QCOMPARE(d.portStatus(9) & (1 << 19 | 1 << 21), std::uint32_t(1 << 19 | 1 << 21));
        d.setPort(9, 2); // disable
        QCOMPARE(d.portStatus(9) & 0x1ff, 4u << 5 | 1);
        d.setPort(9, 1 << 16 | 5 << 5); // RxDetect: it trains again
        QCOMPARE(d.portStatus(9) & 0x1ff, 3u);
        d.controller.unplug(0);
    }

    void unplugIsToldByAnEvent()
    {
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, d.device));
        d.start();
        d.dropEvents();
        d.setPort(1, 1 << 17);
        d.controller.unplug(0);
        QCOMPARE(d.event().type(), unsigned(D::PortEvent));
        QCOMPARE(d.portStatus(1) & 3, 0u);
        QVERIFY(!d.device.isPlugged());
    }

    void suspendedPortWakesUp()
    {
        XhciDriver d;
        d.startWithDevice();
        d.setPort(1, 0xfe0000); // all changes seen
        d.dropEvents();
        d.setPort(1, 1 << 16 | 3 << 5);
        QVERIFY(d.device.suspended);
        {
            std::lock_guard const lock(d.controller.mutex());
            d.controller.wake(d.device);
        }
        QCOMPARE(d.portStatus(1) >> 5 & 0xf, 15u);
        QCOMPARE(d.event().type(), unsigned(D::PortEvent));
        d.setPort(1, 1 << 16);
        QCOMPARE(d.portStatus(1) >> 5 & 0xf, 0u);
        QVERIFY(!d.device.suspended);
    }

    void eventRingOfSeveralSegmentsWraps()
    {
        XhciDriver d;
        d.start(3);
        for (unsigned i = 0; i < 200; ++i)
            QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
    }

    void fullEventRingLosesNothing()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.dropEvents();
        d.tellsDequeue = false;
        for (unsigned i = 0; i < 7; ++i) {
            d.put(in, D::Normal, 0xf000, 4, D::Ioc | D::Chain);
            d.put(in, D::Normal, 0xf000, 4, D::Ioc);
        }
        d.kick(in);
        while (!d.device.waiting.empty())
            d.device.send(Bytes(8));
        for (unsigned i = 0; i < 6; ++i)
            d.postCommand(D::NoOpCommand);
        // The driver looks at last.
        d.tellsDequeue = true;
        std::vector<unsigned> told;
        int full = 0;
        while (d.hasEvent()) {
            auto const event = d.event();
            if (event.code() == RingFull)
                ++full;
            else
                told.push_back(event.type());
        }
        QVERIFY(full >= 1);
        std::vector<unsigned> expected(14, D::TransferEvent);
        expected.insert(expected.end(), 6, D::CommandEvent);
        QCOMPARE(told, expected);
    }

    void interruptsAreModerated()
    {
        XhciDriver d;
        d.start();
        d.board.time.advance(10ms);
        d.write(0x1024, 4000); // 1 ms
        auto const before = d.board.msi.sent.size();
        d.command(D::NoOpCommand);
        d.board.time.advance(10ms);
        auto const after = d.board.msi.sent.size();
        QCOMPARE(after, before + 1);
        d.command(D::NoOpCommand);
        d.command(D::NoOpCommand);
        d.command(D::NoOpCommand);
        QCOMPARE(d.board.msi.sent.size(), after + 1);
        d.board.time.advance(900us);
        QCOMPARE(d.board.msi.sent.size(), after + 1);
        d.board.time.advance(200us);
        QCOMPARE(d.board.msi.sent.size(), after + 1); // all events were fetched before
        d.postCommand(D::NoOpCommand);
        QCOMPARE(d.board.msi.sent.size(), after + 2);
    }

    void interruptsWaitForTheHandler()
    {
        XhciDriver d;
        d.start();
        d.tellsDequeue = false;
        auto const before = d.board.msi.sent.size();
        d.postCommand(D::NoOpCommand);
        QCOMPARE(d.board.msi.sent.size(), before + 1);
        QVERIFY((d.read(0x1038) & 8) != 0);
        QVERIFY((d.read(D::UsbSts) & 8) != 0);
        d.postCommand(D::NoOpCommand);
        QCOMPARE(d.board.msi.sent.size(), before + 1);
        d.event();
        d.write64(0x1038, (D::events + D::trbSize) | 8); // one was seen, the other not
        QCOMPARE(d.board.msi.sent.size(), before + 2);
    }

    void lineInterruptFollowsTheFlags()
    {
        XhciDriver d;
        d.start();
        d.config(0x40, 0x11); // no MSI-X
        d.postCommand(D::NoOpCommand);
        QVERIFY(d.irq.level);
        d.write(0x1020, 3); // pending is cleared
        QVERIFY(!d.irq.level);
        d.write(D::UsbSts, 8);
        QCOMPARE(d.read(D::UsbSts) & 8, 0u);
    }

    void unplugInFlightEndsTransfers()
    {
        XhciDriver d;
        auto control = d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.setPort(1, 0xfe0000);
        d.dropEvents();
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.controller.unplug(0);
        QVERIFY(d.device.waiting.empty());
        bool port = false, transfer = false;
        while (d.hasEvent()) {
            auto const event = d.event();
            port |= event.type() == D::PortEvent;
            transfer |= event.type() == D::TransferEvent && event.code() == Transaction;
        }
        QVERIFY(port && transfer);
        d.request(control, getDescriptor, 0xf000, 8);
        d.board.time.advance(10ms);
        QCOMPARE(d.event().code(), unsigned(Transaction));
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(1)).code(), unsigned(Success));
    }

    void whatNobodyAnswersFailsAfterAWhile()
    {
        XhciDriver d;
        FakeUsbDevice fast(UsbSpeed::Super);
        REQUIRE_OK(d.controller.plug(0, fast));
        d.start();
        auto const slot = d.address(9, 4).slot;
        auto in = d.addEndpoint(slot, 3, BulkIn);
        d.controller.unplug(0);
        d.setPort(9, 0xfe0000);
        d.dropEvents();
        for (int again = 0; again < 2; ++again) {
            d.put(in, D::Normal, 0xf000, 16, D::Ioc);
            d.kick(in);
            d.board.time.advance(9ms);
            d.kick(in); // it takes no longer
            QVERIFY(!d.hasEvent());
            d.board.time.advance(1ms);
            QCOMPARE(d.event().code(), unsigned(Transaction));
            QCOMPARE(d.endpointState(in), unsigned(Halted));
            d.board.time.advance(1s);
            QVERIFY(!d.hasEvent());
            QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(slot, 3)).code(), unsigned(Success));
            auto const next = in.base + D::trbSize * in.index;
            QCOMPARE(d.command(D::SetDequeue, next | in.cycle, D::slotBits(slot, 3)).code(), unsigned(Success));
        }
        // It is forgotten with the endpoint, and stopped with it.
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        QCOMPARE(d.command(D::StopEndpoint, 0, D::slotBits(slot, 3)).code(), unsigned(Success));
        d.dropEvents();
        d.board.time.advance(1s);
        QVERIFY(!d.hasEvent());
        d.kick(in);
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(slot)).code(), unsigned(Success));
        d.board.time.advance(1s);
        QVERIFY(!d.hasEvent());
    }

    void haltedControllerHoldsEverything()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        d.write(D::UsbCmd, 4);
        QCOMPARE(d.read(D::UsbSts) & 1, 0u); // not halted yet
        d.device.end(UsbStatus::Cancelled);
        QCOMPARE(d.read(D::UsbSts) & 1, 1u);
        d.kick(in);
        QVERIFY(d.device.waiting.empty());
        d.write(D::UsbCmd, 5);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        d.device.cancelsLater = false;
    }

    void resetWaitsForWhatIsInFlight()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        d.write(D::UsbCmd, 2);
        QCOMPARE(d.read(D::UsbCmd) & 2, 2u);
        QVERIFY((d.read(D::UsbSts) & 1 << 11) != 0);
        d.write(D::Config, 7); // lost
        d.device.end(UsbStatus::Cancelled);
        QCOMPARE(d.read(D::UsbCmd), 0u);
        QCOMPARE(d.read(D::UsbSts) & (1 | 1 << 11), 1u);
        QCOMPARE(d.read(D::Config), 0u);
        QCOMPARE(d.portStatus(1) & (1 << 17 | 3), std::uint32_t(1 << 17 | 1));
        d.setUp();
        d.device.cancelsLater = false;
        d.address(1);
        QCOMPARE(d.lastCode, unsigned(Success));
    }

    /// As a machine has it that is reset, with a device that ends what it has when it gets round to it.
    void afterAResetOfTheMachineTheDeviceIsFoundAgain()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        std::thread machine([&] {
            d.controller.pause();
            d.controller.reset();
            d.controller.resume();
        });
        auto const isCancelled = [&] {
            std::lock_guard const lock(d.controller.mutex());
            return d.device.cancels > 0;
        };
        bool const wasCancelled = tests::becomes(isCancelled);
        d.device.cancelsLater = false;
        d.device.end(UsbStatus::Cancelled);
        machine.join();
        QVERIFY(wasCancelled);
        QVERIFY(d.device.isPlugged());
        d.start();
        QCOMPARE(d.portStatus(1) & (1 << 17 | 3), std::uint32_t(1 << 17 | 1));
        d.address(1);
        QCOMPARE(d.lastCode, unsigned(Success));
        auto again = d.addEndpoint(1, 3, BulkIn);
        d.put(again, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(again);
        d.dropEvents();
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        d.device.send(Bytes(16, 7));
        QCOMPARE(d.event().code(), unsigned(Success));
        QCOMPARE(d.bytes(0xf000, 16), Bytes(16, 7));
    }

    void nothingThatForgetsSlotsWritesToMemory()
    {
        XhciDriver d;
        d.startWithDevice();
        d.write(D::UsbCmd, 4);
        auto const memory = d.bytes(0, 1 << 20);
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
        d.controller.resume();
        QVERIFY(d.bytes(0, 1 << 20) == memory);
        d.write(D::UsbCmd, 2);
        QCOMPARE(d.read(D::UsbCmd), 0u);
        QVERIFY(d.bytes(0, 1 << 20) == memory);
        d.setUp();
        d.address(1);
        auto const again = d.bytes(0, 1 << 20);
        d.controller.pause();
        d.controller.reset();
        QVERIFY(d.bytes(0, 1 << 20) == again);
        d.controller.resume();
    }

    void whatAResetInterruptsIsNotTold()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        d.write(D::Crcr, 2); // and then to stop
        auto const memory = d.bytes(0, 1 << 20);
        d.write(D::UsbCmd, 2);
        d.device.end(UsbStatus::Stall);
        QCOMPARE(d.read(D::UsbCmd), 0u);
        QVERIFY(d.bytes(0, 1 << 20) == memory);
        d.device.cancelsLater = false;
    }

    void pausedControllerBeginsAnew()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.put(in, D::Normal, 0xf100, 16, D::Ioc);
        d.kick(in);
        d.controller.pause();
        QVERIFY(d.device.waiting.empty());
        QVERIFY(!d.hasEvent());
        d.kick(in); // a doorbell that comes late
        QVERIFY(d.device.waiting.empty());
        d.controller.resume();
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
        d.device.send(Bytes(16));
        d.device.send(Bytes(16));
        QCOMPARE(d.event().code(), unsigned(Success));
        QCOMPARE(d.event().code(), unsigned(Success));
    }

    void restoredControllerGoesOn()
    {
        XhciDriver d;
        auto control = d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 1));
        d.dropEvents();
        d.controller.pause();
        auto const saved = d.controller.save();
        d.controller.unplug(0);
        d.controller.reset();
        REQUIRE_OK(d.controller.plug(0, d.device));
        REQUIRE_OK(d.controller.load(saved));
        QVERIFY(d.controller.save() == saved);
        d.controller.resume();
        QVERIFY(!d.hasEvent());
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        d.device.send(Bytes(16, 7));
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Success));
        QCOMPARE(event.parameter, in.base);
        QCOMPARE(d.bytes(0xf000, 16), Bytes(16, 7));
        d.request(control, getDescriptor, 0xf100, 8);
        QCOMPARE(d.event().code(), unsigned(Success));
        QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
    }

    void restoreWithoutTheDeviceUnplugsIt()
    {
        XhciDriver d;
        d.startWithDevice();
        d.setPort(1, 0xfe0000);
        d.dropEvents();
        d.controller.pause();
        auto const saved = d.controller.save();
        d.controller.unplug(0);
        REQUIRE_OK(d.controller.load(saved));
        QCOMPARE(d.portStatus(1) & 1, 1u);
        d.controller.resume();
        QCOMPARE(d.portStatus(1) & (1 << 17 | 3), std::uint32_t(1 << 17));
        QCOMPARE(d.event().type(), unsigned(D::PortEvent));
    }

    void aDeviceThatWasOutWhileTheMachineStoodStillIsNew()
    {
        XhciDriver d;
        d.startWithDevice();
        d.setPort(1, 0xfe0000);
        d.dropEvents();
        d.controller.pause();
        d.controller.unplug(0);
        REQUIRE_OK(d.controller.plug(0, d.device));
        d.controller.resume();
        QCOMPARE(d.portStatus(1) & (1 << 17 | 3), std::uint32_t(1 << 17)); // it is seen to be out
        QCOMPARE(d.event().type(), unsigned(D::PortEvent));
        d.setPort(1, 0xfe0000);
        d.board.time.advance(300ms);
        QCOMPARE(d.portStatus(1) & (1 << 17 | 3), std::uint32_t(1 << 17 | 1)); // connected, and not enabled
    }

    void aDriverThatIsLateSeesThatADeviceWasOut()
    {
        XhciDriver d;
        FakeUsbDevice fast(UsbSpeed::Super), other(UsbSpeed::Super, "other");
        REQUIRE_OK(d.controller.plug(0, fast));
        d.start();
        d.setPort(9, 0xfe0000);
        d.controller.unplug(0);
        REQUIRE_OK(d.controller.plug(0, other));
        d.board.time.advance(5s);
        QCOMPARE(d.portStatus(9) & (1 << 17 | 3), std::uint32_t(1 << 17));
        d.setPort(9, 0xfe0000);
        d.board.time.advance(299ms);
        QCOMPARE(d.portStatus(9) & (1 << 17 | 3), 0u);
        d.board.time.advance(1ms);
        QCOMPARE(d.portStatus(9) & (1 << 17 | 3), std::uint32_t(1 << 17 | 3));
        // One that never looks does not keep a device out for ever.
        d.controller.unplug(0);
        REQUIRE_OK(d.controller.plug(0, other));
        d.board.time.advance(9999ms);
        QCOMPARE(d.portStatus(9) & 3, 0u);
        d.board.time.advance(1ms);
        QCOMPARE(d.portStatus(9) & 3, 3u);
        d.controller.unplug(0);
    }

    void aDeviceThatIsBackAtOnceIsSeenToBeOut()
    {
        XhciDriver d;
        FakeUsbDevice fast(UsbSpeed::Super), other(UsbSpeed::Super, "other");
        REQUIRE_OK(d.controller.plug(0, fast));
        d.start();
        d.setPort(9, 0xfe0000);
        d.dropEvents();
        d.controller.unplug(0);
        REQUIRE_OK(d.controller.plug(0, other));
        QCOMPARE(d.portStatus(9) & (1 << 17 | 0x1ff), std::uint32_t(1 << 17 | 5 << 5)); // empty, and it has changed
        QCOMPARE(d.event().parameter, std::uint64_t(9) << 24);
        d.setPort(9, 0xfe0000);
        d.controller.unplug(0); // nobody has seen it
        REQUIRE_OK(d.controller.plug(0, other));
        d.board.time.advance(299ms);
        QCOMPARE(d.portStatus(9) & (1 << 17 | 3), 0u);
        QVERIFY(!d.hasEvent());
        d.board.time.advance(1ms);
        QCOMPARE(d.portStatus(9) & (1 << 17 | 3), std::uint32_t(1 << 17 | 3));
        QCOMPARE(d.event().parameter, std::uint64_t(9) << 24);
        QCOMPARE(other.resets, 1);
        d.controller.unplug(0);
        d.setPort(9, 0xfe0000);
        d.board.time.advance(300ms);
        REQUIRE_OK(d.controller.plug(0, other)); // it was out for long enough
        QCOMPARE(d.portStatus(9) & 3, 3u);
        d.controller.unplug(0);
    }

    void aSavedMachineGoesOnWaitingForThePort()
    {
        XhciDriver d;
        FakeUsbDevice fast(UsbSpeed::Super);
        REQUIRE_OK(d.controller.plug(0, fast));
        d.start();
        d.controller.unplug(0);
        d.setPort(9, 0xfe0000);
        d.board.time.advance(200ms);
        d.controller.pause();
        auto const saved = d.controller.save();
        d.controller.reset();
        REQUIRE_OK(d.controller.load(saved));
        REQUIRE_OK(d.controller.plug(0, fast));
        QCOMPARE(d.portStatus(9) & 3, 0u); // the machine stands still
        d.controller.resume();
        d.board.time.advance(99ms);
        QCOMPARE(d.portStatus(9) & 3, 0u);
        d.board.time.advance(1ms);
        QCOMPARE(d.portStatus(9) & 3, 3u);
        d.controller.unplug(0);
    }

    void aSlotDoesNotReachTheNextDevice()
    {
        XhciDriver d;
        FakeUsbDevice fast(UsbSpeed::Super), other(UsbSpeed::Super, "other");
        REQUIRE_OK(d.controller.plug(0, fast));
        d.start();
        auto control = d.address(9, 4);
        auto in = d.addEndpoint(control.slot, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.dropEvents();
        // A restored machine has another device there, and what was being read is read on.
        d.controller.pause();
        d.controller.unplug(0);
        REQUIRE_OK(d.controller.plug(0, other));
        d.controller.resume();
        d.board.time.advance(10ms);
        d.board.time.advance(10ms);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Transaction));
        QCOMPARE(d.endpointState(in), unsigned(Halted));
        d.setPort(9, 0xfe0000);
        d.board.time.advance(300ms);
        QCOMPARE(d.portStatus(9) & 3, 3u);
        d.request(control, getDescriptor, 0xf000, 8);
        d.board.time.advance(10ms);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Transaction));
        QVERIFY(other.setups.empty() && other.waiting.empty());
        // The driver may have a slot for the new one before it has given up the old one.
        auto const next = d.address(9, 4);
        QCOMPARE(d.lastCode, unsigned(Success));
        QVERIFY(next.slot != control.slot);
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(control.slot, 1)).code(), unsigned(Success));
        d.kick(control);
        d.board.time.advance(10ms);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Transaction));
        auto ring = next;
        d.request(ring, getDescriptor, 0xf000, 8);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Success));
        QCOMPARE(other.setups.size(), std::size_t(1));
        d.controller.unplug(0);
    }

    void aResetTakesTheAddress()
    {
        XhciDriver d;
        auto control = d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.setPort(1, 0x10);
        d.put(in, D::Normal, 0xf000, 16, D::Ioc);
        d.kick(in);
        d.board.time.advance(10ms);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Transaction));
        QVERIFY(d.device.waiting.empty());
        // As drivers do it: the slot goes back to the default address, where the device is, and gets a new one.
        QCOMPARE(d.command(D::ResetDevice, 0, D::slotBits(1)).code(), unsigned(Success));
        d.request(control, getDescriptor, 0xf000, 8);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Success));
        d.setPort(1, 0x10); // it has no address to lose
        d.request(control, getDescriptor, 0xf000, 8);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(Success));
        auto const output = d.load<std::uint64_t>(D::contexts + 8);
        d.store<std::uint32_t>(D::inputContext + 4, 3);
        d.store<std::uint32_t>(D::inputContext + 0x24, 1 << 16);
        d.store<std::uint32_t>(D::inputContext + 0x44, 64u << 16 | 4u << 3 | 3u << 1);
        d.store<std::uint64_t>(D::inputContext + 0x48, control.base | 1);
        QCOMPARE(d.command(D::AddressDevice, D::inputContext, D::slotBits(1)).code(), unsigned(Success));
        QCOMPARE(d.load<std::uint32_t>(output + 0xc) >> 27, 2u); // addressed
    }

    void statesBeforeThePortsStayedEmptyAreRead()
    {
        XhciDriver d;
        d.startWithDevice();
        d.controller.pause();
        auto const saved = d.controller.save();
        auto old = saved.toJson();
        old["version"] = 1u;
        for (auto& slot : old["state"]["slots"])
            slot.erase("lost");
        for (auto& port : old["state"]["ports"]) {
            port.erase("emptyUntil");
            port.erase("behind");
        }
        REQUIRE_OK(d.controller.load(tests::must(Section::fromJson(old))));
        QVERIFY(d.controller.save() == saved);
    }

    void timesThatNoControllerHasSetAreNotWaitedFor()
    {
        XhciDriver d;
        d.start();
        d.controller.pause();
        auto state = d.controller.save().toJson();
        auto const never = Json { { "u64", "18446744073709551615" } };
        for (auto& port : state["state"]["ports"])
            port["emptyUntil"] = never;
        for (auto& interrupter : state["state"]["interrupters"])
            interrupter["quietUntil"] = never;
        REQUIRE_OK(d.controller.load(tests::must(Section::fromJson(state))));
        d.controller.resume();
        auto const told = d.board.msi.sent.size();
        REQUIRE_OK(d.controller.plug(0, d.device));
        d.board.time.advance(1ms);
        QCOMPARE(d.board.msi.sent.size(), told + 1);
        QCOMPARE(d.event().type(), unsigned(D::PortEvent));
    }

    void partOfATransferIsNotDoneTwice()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        d.device.waiting.front()->copyIn(Bytes { 1, 2, 3 });
        d.device.cancelledAfter = 3;
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
        d.controller.resume();
        QCOMPARE(d.device.waiting.front()->length, 5u);
        d.device.send({ 4, 5, 6 });
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(ShortPacket));
        QCOMPARE(event.length(), 2u);
        QCOMPARE(d.bytes(0xf000, 8), (Bytes { 1, 2, 3, 4, 5, 6, 0, 0 }));
    }

    void statesThatContradictThemselvesAreRefused()
    {
        XhciDriver d;
        d.startWithDevice();
        d.controller.pause();
        auto const good = d.controller.save();
        auto const refused = [&](auto change) {
            auto json = good.toJson();
            change(json["state"]);
            return !d.controller.load(*Section::fromJson(json)) && d.controller.save() == good;
        };
        QVERIFY(refused([](Json& state) { state["slots"].erase(0); }));
        QVERIFY(refused([](Json& state) { state["ports"].erase(0); }));
        QVERIFY(refused([](Json& state) { state["slots"][0]["endpoints"][0]["rings"].clear(); }));
        QVERIFY(refused([](Json& state) { state["slots"][0]["endpoints"][0]["id"] = 2; }));
        QVERIFY(refused([](Json& state) { state["slots"][0]["enabled"] = false; }));
        QVERIFY(refused([](Json& state) { state["interrupters"][0]["place"] = 16; }));
        QVERIFY(refused([](Json& state) { state["interrupters"][0]["segment"] = 1; }));
        auto const never = Json { { "u64", "4611686018427387904" } };
        QVERIFY(refused([&](Json& state) { state["nextWrap"] = never; }));
        QVERIFY(refused([&](Json& state) { state["frame"] = never; }));
        QVERIFY(refused([&](Json& state) { state["frameBase"] = never; }));
        QVERIFY(refused([&](Json& state) { state["slots"][0]["endpoints"][0]["nextFrame"] = never; }));
    }

    void soAreMoreStreamsThanTheGuestMayHave()
    {
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, d.device));
        d.start();
        d.address(1);
        d.controller.pause();
        auto json = d.controller.save().toJson();
        auto& all = json["state"]["slots"];
        auto& endpoints = all[0]["endpoints"];
        for (unsigned id = 2; id < 32; ++id) { // 30 x 256 rings
            auto endpoint = endpoints[0];
            endpoint["id"] = id;
            endpoint["context"]["words"][0] = 7u << 10;
            endpoint["context"]["words"][1] = 512u << 16 | (id % 2 == 0 ? BulkOut : BulkIn) << 3;
            endpoint["rings"] = Json::array_t(256, endpoints[0]["rings"][0]);
            endpoints.push_back(endpoint);
        }
        all[1] = all[0];
        REQUIRE_OK(d.controller.load(*Section::fromJson(json)));
        all[2] = all[0];
        QVERIFY(!d.controller.load(*Section::fromJson(json)));
    }

    void savedContextsComeBack()
    {
        XhciDriver d;
        FakeUsbDevice fast(UsbSpeed::Super); // its port needs no reset, which would take its address
        REQUIRE_OK(d.controller.plug(0, fast));
        d.start();
        d.address(9, 4);
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.addEndpoint(1, 5, BulkIn, 0, 2);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        fast.send(Bytes(8));
        for (auto const endpoint : { 5u, 3u, 1u })
            d.command(D::StopEndpoint, 0, D::slotBits(1, endpoint));
        d.write(D::UsbCmd, 4);
        d.write(D::UsbCmd, 1 << 8); // save
        QCOMPARE(d.read(D::UsbSts) & (1 << 8 | 1 << 10), 0u);
        auto const memory = d.bytes(0, 1 << 20);
        d.write(D::UsbCmd, 2); // the power goes
        QCOMPARE(fast.streams, 0u);
        std::copy(memory.begin(), memory.end(), d.ram(0));
        d.write(D::Config, 64);
        d.write64(D::Dcbaap, D::contexts);
        d.write(D::UsbCmd, 1 << 9); // restore
        QCOMPARE(d.read(D::UsbSts) & (1 << 10), 0u);
        QCOMPARE(fast.streams, 7u);
        d.write(0x1028, 1);
        d.write64(0x1038, D::events);
        std::fill_n(d.ram(D::events), 0x400, 0);
        d.write64(0x1030, D::table);
        d.write(0x2000, 0);
        d.write(D::UsbCmd, 5);
        d.put(in, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(fast.waiting.size(), std::size_t(1));
        fast.send(Bytes(8, 9));
        QCOMPARE(d.bytes(0xf100, 8), Bytes(8, 9));
        d.controller.unplug(0);
    }

    void structuresOutsideOfMemoryEndInErrors()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xffff'0000, 16, D::Ioc);
        d.kick(in);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(TrbError));
        QVERIFY(d.device.waiting.empty());
        d.command(D::SetDequeue, 0xffff'0000 | 1, D::slotBits(1, 3));
        d.kick(in);
        QCOMPARE(d.event(D::TransferEvent).code(), unsigned(TrbError));
        QCOMPARE(d.command(D::ConfigureEndpoint, 0xffff'0000, D::slotBits(1)).code(), unsigned(Parameter));
        d.write64(D::Dcbaap, 0xffff'0000);
        auto const slot = d.command(D::EnableSlot).slot();
        QCOMPARE(d.command(D::AddressDevice, D::inputContext, D::slotBits(slot)).code(), unsigned(Parameter));
        // The command ring itself: the controller halts.
        d.write(D::Crcr, 2);
        d.write64(D::Crcr, 0xffff'0000 | 1);
        d.write(0x2000, 0);
        QCOMPARE(d.read(D::UsbSts) & 5, 5u);
    }

    void ringAndBufferAboveFourGibibytes()
    {
        constexpr std::uint64_t high = 5ull << 32, ring = high + 0x100, buffer = high + 0x200;
        auto const block = tests::must(MemoryBlock::create("high", 0x1000));
        XhciDriver d;
        d.board.ram.add({ high, block->size(), block.get(), 0 });
        d.startWithDevice();
        auto const in = d.addEndpoint(1, 3, BulkIn);
        d.command(D::StopEndpoint, 0, D::slotBits(1, 3));
        QCOMPARE(d.command(D::SetDequeue, ring | 1, D::slotBits(1, 3)).code(), unsigned(Success));
        d.dropEvents();
        QVERIFY(d.board.ram.store(ring, buffer) && d.board.ram.store(ring + 8, 16u)
            && d.board.ram.store<std::uint32_t>(ring + 12, D::Normal << 10 | D::Ioc | 1));
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        d.device.send(Bytes(16, 7));
        auto const event = d.event();
        QCOMPARE(event.code(), unsigned(Success));
        QCOMPARE(event.parameter, ring);
        auto const got = block->bytes().subspan(0x200, 16);
        QCOMPARE(Bytes(got.begin(), got.end()), Bytes(16, 7));
    }

    void mfindexFollowsTheGuestsClock()
    {
        XhciDriver d;
        d.start();
        d.write(D::UsbCmd, 5 | 1 << 10);
        d.board.time.advance(1ms);
        QCOMPARE(d.read(0x1000), 8u);
        d.board.time.advance(2s);
        d.dropEvents();
        d.board.time.advance(48ms);
        QCOMPARE(d.event().type(), 39u);
        QCOMPARE(d.read(0x1000), 8u);
    }
};

REGISTER_SUITE(XhciControllerTest);

#include "xhci_controller_test.moc"
