#include "tests/support/suite.h"
#include "tests/vmm/usb/xhci_driver.h"

#include <map>

using namespace vmm;
using namespace tests::usb;
using tests::FakeUsbDevice;
using tests::XhciDriver;
using D = XhciDriver;

namespace {

/// Of bulk endpoints, `wanted` their ids with how many streams each has, as a power of two less one; 0: none.
unsigned configure(XhciDriver& d, unsigned slot, std::uint32_t drop, std::map<unsigned, unsigned> const& wanted)
{
    std::fill_n(d.ram(D::inputContext), 0x420, 0);
    d.store<std::uint32_t>(D::inputContext, drop);
    std::uint32_t add = 1;
    for (auto const& [id, streams] : wanted) {
        auto const context = D::inputContext + 0x20 * (id + 1);
        d.store<std::uint32_t>(context, streams << 10 | (streams != 0 ? 1u << 15 : 0));
        d.store<std::uint32_t>(context + 4, 512u << 16 | (id % 2 != 0 ? BulkIn : BulkOut) << 3);
        d.store<std::uint64_t>(context + 8, d.allocate(0x40) | (streams != 0 ? 0 : 1));
        add |= 1u << id;
    }
    d.store<std::uint32_t>(D::inputContext + 4, add);
    return d.command(D::ConfigureEndpoint, D::inputContext, D::slotBits(slot)).code();
}

}

class XhciCommandsTest : public QObject {
    Q_OBJECT
private slots:
    void commandsNeedTheirObjects()
    {
        XhciDriver d;
        d.start();
        QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(5)).code(), unsigned(SlotNotEnabled));
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(200)).code(), unsigned(SlotNotEnabled));
        QCOMPARE(d.command(63).code(), unsigned(TrbError));
        auto const slot = d.command(D::EnableSlot).slot();
        QCOMPARE(slot, 1u);
        QCOMPARE(d.command(D::StopEndpoint, 0, D::slotBits(slot, 1)).code(), unsigned(EndpointNotEnabled));
        QCOMPARE(d.command(D::ConfigureEndpoint, D::inputContext, D::slotBits(slot)).code(), unsigned(ContextState));
        QCOMPARE(d.command(D::ResetDevice, 0, D::slotBits(slot)).code(), unsigned(ContextState));
        QCOMPARE(d.command(D::AddressDevice, D::inputContext, D::slotBits(slot)).code(), unsigned(Parameter));
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(slot)).code(), unsigned(Success));
    }

    void slotsRunOut()
    {
        XhciDriver d;
        d.start();
        d.write(D::Config, 2);
        QCOMPARE(d.command(D::EnableSlot).slot(), 1u);
        QCOMPARE(d.command(D::EnableSlot).slot(), 2u);
        QCOMPARE(d.command(D::EnableSlot).code(), unsigned(NoSlots));
        d.command(D::DisableSlot, 0, D::slotBits(1));
        QCOMPARE(d.command(D::EnableSlot).slot(), 1u);
    }

    void streamsRunOut()
    {
        XhciDriver d;
        REQUIRE_OK(d.controller.plug(0, d.device));
        d.start();
        unsigned slot = 0, endpoints = 0;
        do {
            slot = d.address(1).slot;
            d.setPort(1, 0x10); // the slot has no device any more that could say how many it has
            for (unsigned id = 2; id < 32 && d.lastCode == Success; ++id) {
                d.addEndpoint(slot, id, id % 2 != 0 ? BulkIn : BulkOut, 0, 7);
                endpoints += d.lastCode == Success;
            }
        } while (d.lastCode == Success);
        QCOMPARE(d.lastCode, unsigned(Resource));
        QCOMPARE(endpoints, 64u); // of 256 streams
        // Of several that are too many none is there, and none is gone. What is dropped makes room.
        auto const state = [&](unsigned id) { return d.endpointState({ .slot = slot, .endpoint = id }); };
        QCOMPARE(state(2), unsigned(Running));
        QCOMPARE(configure(d, slot, 1 << 2 | 1 << 3, { { 2, 7 }, { 6, 7 }, { 7, 7 } }), unsigned(Resource));
        for (unsigned const id : { 2u, 3u })
            QCOMPARE(state(id), unsigned(Running));
        for (unsigned const id : { 6u, 7u })
            QCOMPARE(state(id), unsigned(Disabled));
        QCOMPARE(configure(d, slot, 1 << 3, { { 6, 7 } }), unsigned(Success));
        QCOMPARE(state(3), unsigned(Disabled));
        QCOMPARE(state(6), unsigned(Running));
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(1)).code(), unsigned(Success));
        d.addEndpoint(slot, 31, BulkIn, 0, 7);
        QCOMPARE(d.lastCode, unsigned(Success));
    }

    void commandsOnManyRingsAreNotAllDoneAtOnce()
    {
        XhciDriver d;
        auto const slot = d.startWithDevice().slot;
        std::fill_n(d.ram(D::inputContext), 0x420, 0);
        d.store<std::uint32_t>(D::inputContext + 4, ~2u);
        for (unsigned id = 2; id < 32; ++id) {
            auto const context = D::inputContext + 0x20 * (id + 1);
            d.store<std::uint32_t>(context, 7 << 10 | 1 << 15);
            d.store<std::uint32_t>(context + 4, 512u << 16 | (id % 2 != 0 ? BulkIn : BulkOut) << 3);
        }
        d.dropEvents();
        d.tellsDequeue = false; // each such write would have it go on
        d.config(0x04, 2);      // the commands wait until the controller may read them
        for (unsigned i = 0; i < 4; ++i)
            d.postCommand(D::ConfigureEndpoint, D::inputContext, D::slotBits(slot));
        d.config(0x04, 6);
        auto const done = [&] {
            unsigned count = 0;
            while (d.event(D::CommandEvent).code() == Success)
                ++count;
            return count;
        };
        QCOMPARE(done(), 2u);
        d.board.time.advance(std::chrono::milliseconds(1));
        QCOMPARE(done(), 2u);
    }

    void commandRingWrapsAndStops()
    {
        XhciDriver d;
        d.start();
        for (int i = 0; i < 40; ++i)
            QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
        QCOMPARE(d.read(D::Crcr), 8u);
        d.write(D::Crcr, 2);
        QCOMPARE(d.event().code(), unsigned(CommandStopped));
        QCOMPARE(d.read(D::Crcr), 0u);
        QCOMPARE(d.command(D::NoOpCommand).code(), unsigned(Success));
    }

    void aCommandThatWaitsIsAborted()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        auto const at = d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        d.dropEvents();
        d.device.cancelsLater = true;
        auto const stop = d.nextCommand();
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        auto const next = d.nextCommand();
        d.postCommand(D::NoOpCommand);
        QVERIFY(!d.hasEvent());
        d.write64(D::Crcr, 0x7'0000'0004); // the pointer is not taken while the ring runs
        auto const aborted = d.event(), stopped = d.event();
        QCOMPARE(aborted.code(), unsigned(CommandAborted));
        QCOMPARE(aborted.parameter, stop);
        QCOMPARE(stopped.code(), unsigned(CommandStopped));
        QCOMPARE(stopped.parameter, next);
        QCOMPARE(d.read(D::Crcr), 0u);
        // What it waited for goes on, and ends no command. What comes behind it waits for its turn.
        auto const behind = d.put(in, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        d.device.end(UsbStatus::Cancelled);
        QVERIFY(!d.hasEvent());
        QCOMPARE(d.endpointState(in), unsigned(Running));
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
        d.device.cancelsLater = false;
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
        d.controller.resume();
        QVERIFY(!d.hasEvent());
        for (auto const its : { at, behind }) {
            d.device.send(Bytes(8));
            QCOMPARE(d.event().parameter, its);
        }
        d.write(0x2000, 0);
        auto const done = d.event();
        QCOMPARE(done.code(), unsigned(Success));
        QCOMPARE(done.parameter, next);
        QVERIFY(!d.hasEvent());
    }

    void aRingThatIsToStopLetsTheCommandEnd()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        d.postCommand(D::StopEndpoint, 0, D::slotBits(1, 3));
        d.postCommand(D::NoOpCommand);
        d.write(D::Crcr, 2);
        QCOMPARE(d.read(D::Crcr), 8u);
        d.device.end(UsbStatus::Cancelled);
        QCOMPARE(d.event(D::CommandEvent).code(), unsigned(Success));
        QCOMPARE(d.event().code(), unsigned(CommandStopped));
        QCOMPARE(d.read(D::Crcr), 0u);
        QVERIFY(!d.hasEvent());
        d.device.cancelsLater = false;
    }

    void aFullEventRingDoesNotHoldAnAbort()
    {
        XhciDriver d;
        d.start();
        d.tellsDequeue = false;
        for (unsigned i = 0; i < D::ringTrbs; ++i)
            d.postCommand(D::NoOpCommand);
        QCOMPARE(d.read(D::Crcr), 8u);
        d.write(D::Crcr, 4);
        QCOMPARE(d.read(D::Crcr), 0u);
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
        d.controller.resume();
        d.tellsDequeue = true;
        unsigned last = 0;
        while (d.hasEvent())
            last = d.event().code();
        QCOMPARE(last, unsigned(CommandStopped));
    }

    void resetDeviceDropsEndpoints()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.command(D::ResetDevice, 0, D::slotBits(1)).code(), unsigned(Success));
        QVERIFY(d.device.waiting.empty());
        QCOMPARE(d.endpointState(in), unsigned(Disabled)); // Linux looks, and would drop it again
        QCOMPARE(d.command(D::StopEndpoint, 0, D::slotBits(1, 3)).code(), unsigned(EndpointNotEnabled));
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(1)).code(), unsigned(Success));
        QCOMPARE(d.command(D::ResetDevice, 0, D::slotBits(1)).code(), unsigned(SlotNotEnabled));
    }

    void droppedEndpointsAreDisabled()
    {
        constexpr std::uint32_t deconfigure = 1 << 9;
        XhciDriver d;
        d.startWithDevice();
        auto const in = d.addEndpoint(1, 3, BulkIn), out = d.addEndpoint(1, 4, BulkOut);
        QCOMPARE(d.endpointState(in), unsigned(Running));
        std::fill_n(d.ram(D::inputContext), 0x420, 0);
        d.store<std::uint32_t>(D::inputContext, 1 << 3);
        d.store<std::uint32_t>(D::inputContext + 4, 1);
        QCOMPARE(d.command(D::ConfigureEndpoint, D::inputContext, D::slotBits(1)).code(), unsigned(Success));
        QCOMPARE(d.endpointState(in), unsigned(Disabled));
        QCOMPARE(d.endpointState(out), unsigned(Running));
        QCOMPARE(d.command(D::ConfigureEndpoint, 0, D::slotBits(1) | deconfigure).code(), unsigned(Success));
        QCOMPARE(d.endpointState(out), unsigned(Disabled));
    }

    void configuringLeavesOtherEndpointsAlone()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        d.device.cancelsLater = true;
        auto out = d.addEndpoint(1, 4, BulkOut);
        QCOMPARE(d.lastCode, unsigned(Success));
        QCOMPARE(d.device.cancels, 0);
        // One that is added anew has to stand, and the other is served meanwhile.
        d.put(out, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(out);
        d.addEndpoint(1, 4, BulkOut);
        QCOMPARE(d.lastCode, 0u);
        QCOMPARE(d.device.cancels, 1);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.device.waiting.size(), std::size_t(3));
        d.device.send(Bytes(8));
        QCOMPARE(d.event().code(), unsigned(Success));
        d.device.end(UsbStatus::Cancelled);
        QCOMPARE(d.event(D::CommandEvent).code(), unsigned(Success));
        d.device.cancelsLater = false;
    }

    /// The last endpoint's streams are more than the device has; what comes before it stays as it was, too.
    void aConfigurationThatTheDeviceRefusesChangesNothing()
    {
        XhciDriver d;
        d.startWithDevice();
        auto const in = d.addEndpoint(1, 3, BulkIn, 0, 2);
        auto const array = d.streamArray;
        auto out = d.addEndpoint(1, 4, BulkOut);
        d.put(out, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(out);
        auto const context = d.load<std::uint64_t>(D::contexts + 8);
        auto const before = d.bytes(context, 0x400);
        auto const streams = [&of = d.device.streamsOf] { return std::vector { of[0x01], of[0x81], of[0x82] }; };
        d.device.mostStreams = 15;
        d.device.endpointResets.clear();
        QCOMPARE(configure(d, 1, 1 << 3 | 1 << 4, { { 2, 3 }, { 3, 3 }, { 5, 4 } }), unsigned(Resource));
        QCOMPARE(d.bytes(context, 0x400), before);
        QVERIFY(d.device.endpointResets.empty());
        QCOMPARE(streams(), (std::vector { 0u, 7u, 0u }));
        for (unsigned const id : { 2u, 5u })
            QCOMPARE(d.command(D::StopEndpoint, 0, D::slotBits(1, id)).code(), unsigned(EndpointNotEnabled));
        // What was under way goes on, and so do the streams.
        d.device.send(Bytes(8));
        QCOMPARE(d.event().code(), unsigned(Success));
        auto stream = d.makeRing(1, 3, 7);
        d.store<std::uint64_t>(array + 16 * 7, stream.base | 1 << 1 | 1);
        d.put(stream, D::Normal, 0xf100, 8, D::Ioc);
        d.kick(stream);
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
        QCOMPARE(d.device.waiting[0]->stream, 7u);
        d.device.send(Bytes(8));
        QCOMPARE(d.event().code(), unsigned(Success));
        // What fits is taken, and the endpoints begin anew.
        QCOMPARE(configure(d, 1, 1 << 3 | 1 << 4, { { 2, 3 }, { 3, 3 }, { 5, 3 } }), unsigned(Success));
        QCOMPARE(streams(), (std::vector { 15u, 15u, 15u }));
        QCOMPARE(d.device.endpointResets, (std::vector<std::uint8_t> { 0x01, 0x81, 0x82 }));
        QCOMPARE(d.endpointState(in), unsigned(Running));
        QCOMPARE(d.endpointState(out), unsigned(Disabled));
    }

    void anInputContextThatChangesWhileEndpointsStopIsRefused()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn), out = d.addEndpoint(1, 4, BulkOut);
        for (auto* ring : { &in, &out }) {
            d.put(*ring, D::Normal, 0xf000, 8, D::Ioc);
            d.kick(*ring);
        }
        d.device.cancelsLater = true;
        d.store<std::uint32_t>(D::inputContext, 1 << 3);
        d.store<std::uint32_t>(D::inputContext + 4, 1);
        d.postCommand(D::ConfigureEndpoint, D::inputContext, D::slotBits(1));
        d.store<std::uint32_t>(D::inputContext, 1 << 3 | 1 << 4);
        d.device.end(UsbStatus::Cancelled);
        QCOMPARE(d.event(D::CommandEvent).code(), unsigned(Parameter));
        QCOMPARE(d.device.waiting.size(), std::size_t(2));
        d.device.cancelsLater = false;
    }

    void commandsForAnEndpointThatStandsDoNotWaitForOneThatRuns()
    {
        XhciDriver d;
        d.startWithDevice();
        auto in = d.addEndpoint(1, 3, BulkIn);
        d.put(in, D::Normal, 0xf000, 8, D::Ioc);
        d.kick(in);
        QCOMPARE(d.command(D::ResetEndpoint, 0, D::slotBits(1, 3)).code(), unsigned(ContextState));
        QCOMPARE(d.command(D::SetDequeue, in.base | 1, D::slotBits(1, 3)).code(), unsigned(ContextState));
        QCOMPARE(d.device.waiting.size(), std::size_t(1));
    }

    void evaluateContextTakesWhatCanBe()
    {
        XhciDriver d;
        d.startWithDevice();
        auto const context = d.load<std::uint64_t>(D::contexts + 8);
        d.store<std::uint32_t>(D::inputContext + 0x44, 8u << 16);
        QCOMPARE(d.command(D::EvaluateContext, D::inputContext, D::slotBits(1)).code(), unsigned(Success));
        QCOMPARE(d.load<std::uint32_t>(context + 0x24) >> 16, 8u);
        d.store<std::uint32_t>(D::inputContext + 0x28, 3u << 22); // of the slot another interrupter
        d.store<std::uint32_t>(D::inputContext + 0x44, 0);
        QCOMPARE(d.command(D::EvaluateContext, D::inputContext, D::slotBits(1)).code(), unsigned(Parameter));
        QCOMPARE(d.load<std::uint32_t>(context + 0x08) >> 22, 0u);
        QCOMPARE(d.load<std::uint32_t>(context + 0x24) >> 16, 8u);
        d.controller.pause();
        REQUIRE_OK(d.controller.load(d.controller.save()));
        d.controller.resume();
    }

    void aDisabledSlotsContextSaysSo()
    {
        XhciDriver d;
        d.startWithDevice();
        auto const state = d.load<std::uint64_t>(D::contexts + 8) + 0xc;
        QCOMPARE(d.load<std::uint32_t>(state) >> 27, 2u);
        QCOMPARE(d.command(D::DisableSlot, 0, D::slotBits(1)).code(), unsigned(Success));
        QCOMPARE(d.load<std::uint32_t>(state) >> 27, 0u);
    }

    void bandwidthIsToldForAllPorts()
    {
        XhciDriver d;
        d.start();
        QCOMPARE(d.command(D::GetBandwidth, 0xf000).code(), unsigned(Success));
        QCOMPARE(*d.ram(0xf001), 80);
        QCOMPARE(*d.ram(0xf010), 80);
        QCOMPARE(d.command(D::GetBandwidth, 0xffff'0000).code(), unsigned(Parameter));
    }
};

REGISTER_SUITE(XhciCommandsTest);

#include "xhci_commands_test.moc"
