#include "tests/battery/battery.h"
#include "tests/vmm/virtio/driver.h"
#include "vmm/virtio/random_generator.h"

#include <nlohmann/json.hpp>
#include <random>
#include <semaphore>
#include <thread>

using namespace vmm;
using namespace vmm::virtio;
using tests::VirtioDriver;

namespace {

/// A device of which nobody has thought whether it can be saved.
struct Thoughtless final : VirtioDevice {
    Thoughtless(PciServices const& services, EventLoop& loop)
        : VirtioDevice(services, loop, { 4, 0xff0000, 0, { 16 }, 0 })
    {
    }
    ~Thoughtless() override { detach(); }
    void reset() override { resetTransport(); }
    Section save() const override { return {}; }
    Result<> load(Section const&) override { return {}; }
    void serve(unsigned) override { }
    void readDeviceConfig(std::uint64_t, ByteSpan) override { }
};

/// A line that rises when it is let.
struct HeldIrq final : IrqLine {
    void set(bool active) override
    {
        if (active) {
            rising.release();
            mayRise.acquire();
        }
        level = active;
    }
    std::binary_semaphore rising { 0 }, mayRise { 0 };
    std::atomic<bool> level = false;
};

struct Setup {
    tests::FakeBoard board;
    tests::FakeIrq irq;
    std::unique_ptr<LoopThread> thread = tests::startLoop();
    RandomGenerator device { board.pci, thread->loop() };
    VirtioDriver driver { board, device };
    Setup() { device.connectInterrupt(irq); }
};

}

/// The transport and the rings, with the simplest device behind them.
class VirtioTransportTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        auto const board = std::make_shared<tests::FakeBoard>();
        auto const thread = std::shared_ptr<LoopThread>(tests::startLoop());
        tests::battery<RandomGenerator>([=] { return std::make_unique<RandomGenerator>(board->pci, thread->loop()); },
            [=](RandomGenerator& device) {
                VirtioDriver driver(*board, device);
                driver.enableMsix();
                QVERIFY(driver.start(VirtioDriver::eventIndex, { 16 }));
                device.pause();
            });
    }

    void whoHasNotThoughtAboutItCannotBeSaved()
    {
        tests::FakeBoard board;
        auto const thread = tests::startLoop();
        Thoughtless const device(board.pci, thread->loop());
        auto const can = device.canSave();
        QVERIFY(!can);
        QCOMPARE(can.error().code, ErrorCode::Unsupported);
    }

    void identityIsModern()
    {
        Setup s;
        QCOMPARE(s.driver.configRead<std::uint32_t>(0), 0x10441af4u);
        QCOMPARE(s.driver.configRead<std::uint8_t>(8), 1);
        QCOMPARE(s.driver.common<std::uint16_t>(0x12), 1);
        QCOMPARE(s.driver.deviceFeatures(),
            VirtioDriver::version1 | VirtioDriver::indirect | VirtioDriver::eventIndex | VirtioDriver::ringReset);
    }

    void featuresWithoutVersion1AreRefused()
    {
        Setup s;
        QVERIFY(!s.driver.negotiate(VirtioDriver::indirect));
        QVERIFY(!s.driver.negotiate(VirtioDriver::version1 | 1));
        QVERIFY(s.driver.negotiate(VirtioDriver::version1));
    }

    void featuresAreFixedOnceAccepted()
    {
        Setup s;
        QVERIFY(s.driver.negotiate(VirtioDriver::version1));
        s.driver.setCommon(0x08, std::uint32_t(0));
        s.driver.setCommon(0x0c, std::uint32_t(VirtioDriver::indirect));
        QCOMPARE(s.driver.common<std::uint32_t>(0x0c), 0u);
    }

    void requestIsServedAndInterruptsByMsix()
    {
        Setup s;
        s.driver.enableMsix();
        QVERIFY(s.driver.start(0, { 16 }));
        auto const buffer = s.driver.allocate(64);
        auto const used = s.driver.request(0, { { buffer, 64, true } });
        QVERIFY(used);
        QCOMPARE(used->length, 64u);
        auto const data = s.driver.memory(buffer, 64);
        QVERIFY(std::any_of(data.begin(), data.end(), [](std::uint8_t byte) { return byte != 0; }));
        QCOMPARE(s.board.msi.sent.size(), 1u);
        QCOMPARE(s.board.msi.sent[0].data, 0x41u);
        QVERIFY(!s.irq.level);
    }

    void withoutMsixTheLineRisesUntilIsrIsRead()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        QVERIFY(s.driver.request(0, { { s.driver.allocate(16), 16, true } }));
        QVERIFY(s.irq.level);
        QCOMPARE(s.driver.isr(), 1);
        QVERIFY(!s.irq.level);
        QCOMPARE(s.driver.isr(), 0);
    }

    /// A state that is saved lacks no interrupt that another thread is sending.
    void aPauseWaitsForAnInterruptOnItsWay()
    {
        HeldIrq line;
        Setup s;
        s.device.connectInterrupt(line);
        QVERIFY(s.driver.start(0, { 16 }));
        s.driver.add(0, { { s.driver.allocate(16), 16, true } });
        signalEventFd(s.board.doorbells.doorbells.begin()->second.eventFd);
        line.rising.acquire();
        bool hadRisen = false;
        std::jthread pausing([&] {
            s.device.pause();
            hadRisen = line.level;
        });
        QTest::qWait(50); // for one that does not wait to come to its end
        line.mayRise.release();
        pausing.join();
        QVERIFY(hadRisen);
        s.device.connectInterrupt(s.irq);
    }

    void doorbellIsOfferedWhereTheNotifyRegisterIs()
    {
        Setup s;
        QCOMPARE(s.board.doorbells.doorbells.size(), 1u);
        auto const& [place, doorbell] = *s.board.doorbells.doorbells.begin();
        QCOMPARE(place.second, s.driver.notifyAddress(0));
        QVERIFY(s.driver.start(0, { 16 }));
        s.driver.add(0, { { s.driver.allocate(16), 16, true } });
        signalEventFd(doorbell.eventFd);
        QVERIFY(s.driver.waitUsed(0));
    }

    void driverThatWantsNoInterruptGetsNone()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        QVERIFY(s.board.ram.store(s.driver.ringState(0).driver, std::uint16_t(1)));
        QVERIFY(s.driver.request(0, { { s.driver.allocate(16), 16, true } }));
        QVERIFY(!s.irq.level);
    }

    void eventIndexHoldsInterruptsBackUntilItIsPassed()
    {
        Setup s;
        QVERIFY(s.driver.start(VirtioDriver::eventIndex, { 16 }));
        auto const& ring = s.driver.ringState(0);
        QVERIFY(s.board.ram.store(ring.driver + 4 + 2 * 16, std::uint16_t(1)));
        QVERIFY(s.driver.request(0, { { s.driver.allocate(16), 16, true } }));
        QVERIFY(!s.irq.level);
        QVERIFY(s.driver.request(0, { { s.driver.allocate(16), 16, true } }));
        QVERIFY(s.irq.level);
        // And the device asks to be rung for the next one.
        QCOMPARE(s.board.ram.load<std::uint16_t>(ring.device + 4 + 8 * 16).value(), std::uint16_t(2));
    }

    void indirectTableIsFollowed()
    {
        Setup s;
        QVERIFY(s.driver.start(VirtioDriver::indirect, { 16 }));
        auto const buffer = s.driver.allocate(64);
        auto const table = s.driver.allocate(32);
        s.driver.setDescriptor(table, 0, buffer, 32, 1 | 2, 1);
        s.driver.setDescriptor(table, 1, buffer + 32, 32, 2, 0);
        s.driver.setDescriptor(s.driver.ringState(0).descriptors, 5, table, 32, 4, 0);
        s.driver.makeAvailable(0, 5);
        s.driver.ring(0);
        auto const used = s.driver.waitUsed(0);
        QVERIFY(used);
        QCOMPARE(used->head, 5u);
        QCOMPARE(used->length, 64u);
    }

    void indicesWrapAround()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 4 }));
        auto const buffer = s.driver.allocate(8);
        for (int i = 0; i < 300; ++i)
            QVERIFY(s.driver.request(0, { { buffer, 8, true } }));
        QCOMPARE(s.driver.usedIndex(0), std::uint16_t(300));
    }

    void hostileRingStopsTheDevice_data()
    {
        QTest::addColumn<int>("kind");
        char const* const kinds[] = { "loop", "index beyond the table", "buffer outside memory", "buffer over the end",
            "length that wraps", "readable behind writable", "indirect not negotiated", "driver's index far ahead" };
        for (int i = 0; i < int(std::size(kinds)); ++i)
            QTest::newRow(kinds[i]) << i;
    }
    void hostileRingStopsTheDevice()
    {
        QFETCH(int, kind);
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        auto const& ring = s.driver.ringState(0);
        auto const buffer = s.driver.allocate(64);
        auto const set = [&](unsigned index, std::uint64_t address, std::uint32_t length, std::uint16_t flags,
                             std::uint16_t next) {
            s.driver.setDescriptor(ring.descriptors, index, address, length, flags, next);
        };
        std::uint16_t head = 0;
        switch (kind) {
        case 0:
            set(0, buffer, 8, 3, 1);
            set(1, buffer, 8, 3, 0);
            break;
        case 1: head = 16; break;
        case 2: set(0, 0x80000000, 8, 2, 0); break;
        case 3: set(0, (1 << 20) - 4, 8, 2, 0); break;
        case 4: set(0, 0xfffffffffffffff0, 0xffffffff, 2, 0); break;
        case 5:
            set(0, buffer, 8, 3, 1);
            set(1, buffer, 8, 0, 0);
            break;
        case 6: set(0, buffer, 16, 4, 0); break;
        default: break;
        }
        s.driver.makeAvailable(0, head);
        if (kind == 7)
            QVERIFY(s.board.ram.store(ring.driver + 2, std::uint16_t(1000)));
        s.driver.ring(0);
        s.driver.settle();
        QVERIFY((s.driver.status() & 0x40) != 0);
        QCOMPARE(s.driver.isr(), 2);
        QVERIFY(!s.driver.takeUsed(0));
        // And a reset mends it.
        QVERIFY(s.driver.start(0, { 16 }));
        QVERIFY(s.driver.request(0, { { buffer, 64, true } }));
    }

    void ringsOutsideMemoryStopTheDevice()
    {
        Setup s;
        QVERIFY(s.driver.negotiate(VirtioDriver::version1));
        s.driver.setUpQueue(0, { .size = 16, .descriptors = 0xfffff, .driver = 0x1000, .device = 0x2000 });
        s.driver.start();
        QVERIFY((s.driver.status() & 0x40) != 0);
    }

    void queueResetForgetsTheQueueAlone()
    {
        Setup s;
        QVERIFY(s.driver.start(VirtioDriver::ringReset, { 16 }));
        QVERIFY(s.driver.request(0, { { s.driver.allocate(8), 8, true } }));
        s.driver.setCommon(0x3a, std::uint16_t(1));
        QCOMPARE(s.driver.common<std::uint16_t>(0x3a), 0);
        QCOMPARE(s.driver.common<std::uint16_t>(0x1c), 0);
        QCOMPARE(s.driver.status(), 0xf);
        s.driver.setUpQueue(0, 32);
        QVERIFY(s.driver.request(0, { { s.driver.allocate(8), 8, true } }));
    }

    void nothingIsServedBeforeDriverOk()
    {
        Setup s;
        QVERIFY(s.driver.negotiate(VirtioDriver::version1));
        s.driver.setUpQueue(0, 16);
        s.driver.add(0, { { s.driver.allocate(8), 8, true } });
        s.driver.ring(0);
        s.driver.settle();
        QCOMPARE(s.driver.usedIndex(0), 0);
        s.driver.start();
        QVERIFY(s.driver.waitUsed(0));
    }

    void nothingIsServedWithoutBusMastering()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        s.driver.config(0x04, std::uint16_t(0x2));
        s.driver.add(0, { { s.driver.allocate(8), 8, true } });
        s.driver.ring(0);
        s.driver.settle();
        QCOMPARE(s.driver.usedIndex(0), 0);
        s.driver.config(0x04, std::uint16_t(0x6));
        QVERIFY(s.driver.waitUsed(0));
    }

    void registersAreReachableThroughConfigurationSpace()
    {
        Setup s;
        auto const capability = s.driver.capability(5);
        s.driver.config(capability + 4, std::uint8_t(4));
        s.driver.config(capability + 8, std::uint32_t(0x14));
        s.driver.config(capability + 12, std::uint32_t(1));
        s.driver.config(capability + 16, std::uint8_t(1));
        QCOMPARE(s.driver.status(), 1);
        s.driver.setStatus(3);
        QCOMPARE(s.driver.configRead<std::uint8_t>(capability + 16), 3);
        // Beyond the BAR: nothing happens.
        s.driver.config(capability + 8, std::uint32_t(0xfffffffc));
        s.driver.config(capability + 12, std::uint32_t(4));
        s.driver.config(capability + 16, std::uint32_t(0));
        QCOMPARE(s.driver.status(), 3);
    }

    void pausedDeviceServesWhatCameMeanwhileWhenItResumes()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        s.device.pause();
        s.driver.add(0, { { s.driver.allocate(8), 8, true } });
        s.driver.ring(0);
        s.driver.settle();
        QCOMPARE(s.driver.usedIndex(0), 0);
        s.device.resume();
        QVERIFY(s.driver.waitUsed(0));
    }

    void restoredDeviceGoesOnInTheSameRings()
    {
        Setup s;
        QVERIFY(s.driver.start(VirtioDriver::eventIndex, { 16 }));
        QVERIFY(s.driver.request(0, { { s.driver.allocate(8), 8, true } }));
        s.device.pause();
        s.driver.add(0, { { s.driver.allocate(8), 8, true } });
        auto const saved = s.device.save();

        s.device.reset();
        REQUIRE_OK(s.device.load(saved));
        s.device.resume();
        auto const used = s.driver.waitUsed(0);
        QVERIFY(used);
        QCOMPARE(used->head, 1u);
        QCOMPARE(s.driver.usedIndex(0), 2);
    }

    void stateThatContradictsItselfIsRefused()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        s.device.pause();
        auto const good = s.device.save();
        auto const refused = [&](char const* pointer, Json value) {
            auto json = good.toJson();
            json[Json::json_pointer(pointer)] = std::move(value);
            return !s.device.load(*Section::fromJson(json)) && s.device.save() == good;
        };
        QVERIFY(refused("/state/transport/queues/0/size", 3u));
        QVERIFY(refused("/state/transport/queues/0/size", 1024u));
        QVERIFY(refused("/state/transport/queues/0/vector", 9u));
        QVERIFY(refused("/state/transport/queues/0/held", Json::array({ 16u })));
        QVERIFY(refused("/state/transport/queues", Json::array()));
        QVERIFY(refused("/state/transport/configVector", 7u));
        QVERIFY(refused("/state/transport/driverFeatures", Json { { "u64", "1" } }));
    }

    void randomGeneratorIsBounded()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 16 }));
        auto const buffer = s.driver.allocate(128 << 10);
        auto const used = s.driver.request(0, { { buffer, 128 << 10, true } });
        QVERIFY(used);
        QCOMPARE(used->length, std::uint32_t(RandomGenerator::bytesPerBuffer));
    }

    void anyRegisterAccessIsSafe()
    {
        Setup s;
        std::mt19937 random(1);
        for (int i = 0; i < 20000; ++i) {
            auto const address = VirtioDriver::registerPlace + random() % 0x4000;
            std::uint64_t value = random();
            auto const data = writableBytesOf(value).first(std::size_t(1) << random() % 4);
            if (random() % 2 == 0)
                s.board.memory.read(address, data);
            else
                s.board.memory.write(address, data);
        }
        s.driver.settle();
        QVERIFY(s.driver.start(0, { 16 }));
    }
};

REGISTER_SUITE(VirtioTransportTest);
#include "transport_test.moc"
