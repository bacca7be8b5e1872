#include "tests/battery/battery.h"
#include "tests/fakes/manual_loop.h"
#include "tests/vmm/virtio/driver.h"
#include "vmm/backends/checksum.h"
#include "vmm/state/reader.h"
#include "vmm/virtio/console_port.h"
#include "vmm/virtio/network_card.h"
#include "vmm/virtio/tablet.h"

#include <nlohmann/json.hpp>

using namespace vmm;
using namespace vmm::virtio;
using tests::VirtioDriver;

namespace {

/// A network that remembers what it got.
class FakeNetwork final : public NetworkBackend {
public:
    explicit FakeNetwork(EventLoop& loop) : m_loop(loop) { }
    EventLoop& loop() override { return m_loop; }
    void setReceiver(FrameReceiver* receiver) override { m_receiver = receiver; }
    void send(ConstByteSpan frame) override { sent.emplace_back(frame.begin(), frame.end()); }
    void receiverReady() override
    {
        while (!waiting.empty() && m_receiver->receive(waiting.front()))
            waiting.pop_front();
    }
    bool linkUp() const override { return true; }
    bool takesLargeSegments() const override { return true; }
    void arrive(Bytes frame)
    {
        m_loop.call([&] {
            if (!m_receiver->receive(frame))
                waiting.push_back(frame);
        });
    }
    std::vector<Bytes> sent;
    std::deque<Bytes> waiting;

private:
    EventLoop& m_loop;
    FrameReceiver* m_receiver = nullptr;
};

constexpr std::array<std::uint8_t, 6> mac { 0x52, 0x54, 0, 1, 2, 3 };
constexpr std::uint64_t csum = 1, guestCsum = 2, mergeBuffers = 1 << 15;

struct NetworkSetup {
    tests::FakeBoard board;
    std::unique_ptr<LoopThread> thread = tests::startLoop();
    FakeNetwork network { thread->loop() };
    NetworkCard device { board.pci, network, mac };
    VirtioDriver driver { board, device };
};

struct ConsoleSetup {
    tests::FakeBoard board;
    std::unique_ptr<LoopThread> thread = tests::startLoop();
    Console console;
    ConsolePort device { board.pci, thread->loop(), console };
    VirtioDriver driver { board, device };
};

struct TabletSetup {
    tests::FakeBoard board;
    std::unique_ptr<LoopThread> thread = tests::startLoop();
    std::atomic<int> changes = 0;
    Tablet device { board.pci, thread->loop(), [this] { ++changes; } };
    VirtioDriver driver { board, device };

    std::vector<TabletEvent> take()
    {
        driver.settle();
        std::vector<TabletEvent> events;
        while (auto const used = driver.takeUsed(0)) {
            auto const at = driver.memory(buffers + 8 * used->head, 8);
            events.push_back({ loadLittle<std::uint16_t>(at.first(2)), loadLittle<std::uint16_t>(at.subspan(2, 2)),
                loadLittle<std::uint32_t>(at.subspan(4)) });
        }
        return events;
    }
    void bringBuffers(unsigned count)
    {
        buffers = driver.allocate(8 * count);
        for (unsigned i = 0; i < count; ++i)
            driver.add(0, { { buffers + 8 * i, 8, true } });
        driver.ring(0);
    }
    std::uint64_t buffers = 0;
};

QString textOf(Console const& console)
{
    Bytes all;
    console.readFrom(0, all);
    return QString::fromUtf8(reinterpret_cast<char const*>(all.data()), qsizetype(all.size()));
}

}

class VirtioNetworkTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        auto const board = std::make_shared<tests::FakeBoard>();
        auto const thread = std::shared_ptr<LoopThread>(tests::startLoop());
        auto const network = std::make_shared<FakeNetwork>(thread->loop());
        tests::battery<NetworkCard>([=] { return std::make_unique<NetworkCard>(board->pci, *network, mac); },
            [=](NetworkCard& device) {
                VirtioDriver driver(*board, device);
                QVERIFY(driver.start(mergeBuffers, { 16, 16 }));
                device.setConnected(false);
                device.pause();
            },
            { "connected" });
    }

    void pulledCableIsSeenByTheDriver()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(mergeBuffers, { 16, 16 }));
        auto const buffer = s.driver.allocate(1526);
        s.driver.add(0, { { buffer, 1526, true } });
        auto const generation = s.driver.common<std::uint8_t>(0x15);
        s.device.setConnected(false);
        QCOMPARE(s.driver.isr(), 2);
        QCOMPARE(s.driver.common<std::uint8_t>(0x15), std::uint8_t(generation + 1));
        QCOMPARE(s.driver.deviceConfig<std::uint16_t>(6), 0);
        s.network.arrive(Bytes(60, 1));
        s.driver.settle();
        QVERIFY(s.network.waiting.empty());
        QVERIFY(!s.driver.takeUsed(0));
        // What is sent is gone, as by a driver that does not look.
        QVERIFY(s.driver.request(1, { { s.driver.put(Bytes(72)), 72, false } }));
        QVERIFY(s.network.sent.empty());

        s.driver.isr(); // of the frame that was sent
        s.device.setConnected(true);
        QCOMPARE(s.driver.isr(), 2);
        QCOMPARE(s.driver.deviceConfig<std::uint16_t>(6), 1);
        s.device.setConnected(true);
        QCOMPARE(s.driver.isr(), 0);
        s.network.arrive(Bytes(60, 1));
        QVERIFY(s.driver.waitUsed(0));
        QVERIFY(s.driver.request(1, { { s.driver.put(Bytes(72)), 72, false } }));
        QCOMPARE(s.network.sent.size(), 1u);
    }

    void frameThatWaitedIsLostWithTheCable()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        s.network.arrive(Bytes(60, 1));
        QCOMPARE(s.network.waiting.size(), 1u);
        s.device.setConnected(false);
        s.driver.settle();
        QVERIFY(s.network.waiting.empty());
    }

    void cableOfAnOlderStateIsPluggedIn()
    {
        NetworkSetup s;
        auto old = s.device.save().toJson();
        old["version"] = 1u;
        old["state"].erase("connected");
        s.device.setConnected(false);
        REQUIRE_OK(s.device.load(tests::must(Section::fromJson(old))));
        QCOMPARE(s.driver.deviceConfig<std::uint16_t>(6), 1);
    }

    void configurationShowsMacAndLink()
    {
        NetworkSetup s;
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(0), 0x01005452u);
        QCOMPARE(s.driver.deviceConfig<std::uint16_t>(4), 0x0302);
        QCOMPARE(s.driver.deviceConfig<std::uint16_t>(6), 1);
    }

    void sentFrameComesWithoutItsHeader()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        Bytes packet(12 + 60);
        std::fill(packet.begin() + 12, packet.end(), 0x5a);
        auto const place = s.driver.put(packet);
        QVERIFY(s.driver.request(1, { { place, 30, false }, { place + 30, 42, false } }));
        QCOMPARE(s.network.sent.size(), 1u);
        QCOMPARE(s.network.sent[0], Bytes(60, 0x5a));
        QCOMPARE(s.device.bytesSent(), 60u);
    }

    void impossibleFramesAreLost_data()
    {
        QTest::addColumn<int>("size");
        QTest::newRow("empty") << 0;
        QTest::newRow("half a header") << 6;
        QTest::newRow("header alone") << 12;
        QTest::newRow("too short") << 25;
        QTest::newRow("too long") << 70000;
    }
    void impossibleFramesAreLost()
    {
        QFETCH(int, size);
        NetworkSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        auto const place = s.driver.allocate(80000);
        QVERIFY(s.driver.request(1, { { place, std::uint32_t(size), false } }));
        QVERIFY(s.network.sent.empty());
        QCOMPARE(s.driver.status(), 0xf);
    }

    void partialChecksumIsFinished()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(csum, { 16, 16 }));
        Bytes packet(12 + 14 + 40);
        packet[0] = 1;
        storeLittle(ByteSpan(packet).subspan(6, 2), std::uint16_t(34));
        storeLittle(ByteSpan(packet).subspan(8, 2), std::uint16_t(16));
        for (std::size_t i = 12 + 34; i < packet.size(); ++i)
            packet[i] = static_cast<std::uint8_t>(i * 7);
        QVERIFY(s.driver.request(1, { { s.driver.put(packet), std::uint32_t(packet.size()), false } }));
        QCOMPARE(s.network.sent.size(), 1u);
        // Checked as a receiver does: the sum over what the guest had put in and the checksum is what the guest had.
        auto const sent = ConstByteSpan(s.network.sent[0]).subspan(34);
        auto const before = onesSum(ConstByteSpan(packet).subspan(12 + 34));
        auto const checksum = loadLittle<std::uint16_t>(sent.subspan(16, 2));
        QCOMPARE(std::uint16_t(~checksum), before);
    }

    void checksumOutsideTheFrameIsLost()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(csum, { 16, 16 }));
        Bytes packet(12 + 60);
        packet[0] = 1;
        storeLittle(ByteSpan(packet).subspan(6, 2), std::uint16_t(0xffff));
        storeLittle(ByteSpan(packet).subspan(8, 2), std::uint16_t(0xffff));
        QVERIFY(s.driver.request(1, { { s.driver.put(packet), std::uint32_t(packet.size()), false } }));
        QVERIFY(s.network.sent.empty());
    }

    void receivedFrameFillsOneBuffer()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        auto const buffer = s.driver.allocate(1526);
        s.driver.add(0, { { buffer, 12, true }, { buffer + 12, 1514, true } });
        s.driver.ring(0);
        s.network.arrive(Bytes(100, 0x77));
        auto const used = s.driver.waitUsed(0);
        QVERIFY(used);
        QCOMPARE(used->length, 112u);
        QCOMPARE(loadLittle<std::uint16_t>(s.driver.memory(buffer + 10, 2)), 1);
        QCOMPARE(s.driver.memory(buffer + 12, 1)[0], 0x77);
        QCOMPARE(s.driver.memory(buffer + 111, 1)[0], 0x77);
    }

    void largeFrameIsSpreadOverMergedBuffers()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(mergeBuffers, { 16, 16 }));
        auto const buffers = s.driver.allocate(3 * 64);
        for (unsigned i = 0; i < 3; ++i)
            s.driver.add(0, { { buffers + 64 * i, 64, true } });
        s.driver.ring(0);
        s.network.arrive(Bytes(150, 0x33));
        QCOMPARE(s.driver.waitUsed(0)->length, 64u);
        QCOMPARE(s.driver.waitUsed(0)->length, 64u);
        QCOMPARE(s.driver.waitUsed(0)->length, 34u);
        QCOMPARE(loadLittle<std::uint16_t>(s.driver.memory(buffers + 10, 2)), 3);
    }

    void frameWaitsForABuffer()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(mergeBuffers | VirtioDriver::eventIndex, { 16, 16 }));
        s.driver.settle();
        s.driver.add(0, { { s.driver.allocate(64), 64, true } });
        s.network.arrive(Bytes(100, 1));
        QCOMPARE(s.network.waiting.size(), 1u);
        s.driver.add(0, { { s.driver.allocate(64), 64, true } });
        s.driver.ring(0);
        QCOMPARE(s.driver.waitUsed(0)->length, 64u);
        QCOMPARE(s.driver.waitUsed(0)->length, 48u);
    }

    void frameThatFitsNowhereIsLost()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        s.driver.add(0, { { s.driver.allocate(64), 64, true } });
        s.network.arrive(Bytes(100, 1));
        s.driver.settle();
        QVERIFY(s.network.waiting.empty());
        QVERIFY(!s.driver.takeUsed(0));
        s.network.arrive(Bytes(40, 1));
        QCOMPARE(s.driver.waitUsed(0)->length, 52u);
    }

    void tcpIsMarkedAsChecked()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(guestCsum, { 16, 16 }));
        auto const buffer = s.driver.allocate(1526);
        s.driver.add(0, { { buffer, 1526, true } });
        Bytes frame(60);
        frame[12] = 8;
        frame[23] = 6;
        s.network.arrive(frame);
        QVERIFY(s.driver.waitUsed(0));
        QCOMPARE(s.driver.memory(buffer, 1)[0], 2);
    }

    void aCardThatCameBackAnnouncesItselfOnce()
    {
        NetworkSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        s.device.pause();
        s.device.announce();
        QVERIFY(s.network.sent.empty());
        s.device.resume();
        s.driver.settle();
        QCOMPARE(s.network.sent.size(), 1u);
        auto const& frame = s.network.sent[0];
        QCOMPARE(frame.size(), 60u);
        QVERIFY(std::equal(mac.begin(), mac.end(), frame.begin() + 6)); // from the card, of the card
        QVERIFY(std::equal(mac.begin(), mac.end(), frame.begin() + 32));
        QCOMPARE(loadBig<std::uint16_t>(ConstByteSpan(frame).subspan(12, 2)), 0x8035);
        s.device.pause();
        s.device.resume();
        s.driver.settle();
        QCOMPARE(s.network.sent.size(), 1u);

        s.device.setConnected(false);
        s.device.pause();
        s.device.announce();
        s.device.resume();
        s.driver.settle();
        QCOMPARE(s.network.sent.size(), 1u);
    }

    void stateOfAnotherCardIsRefused()
    {
        NetworkSetup s;
        NetworkCard other(s.board.pci, s.network, { 0x52, 0x54, 0, 9, 9, 9 });
        QVERIFY(!other.load(s.device.save()));
    }
};

class VirtioConsoleTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        auto const board = std::make_shared<tests::FakeBoard>();
        auto const thread = std::shared_ptr<LoopThread>(tests::startLoop());
        auto const console = std::make_shared<Console>();
        tests::battery<ConsolePort>([=] { return std::make_unique<ConsolePort>(board->pci, thread->loop(), *console); },
            [=](ConsolePort& device) {
                VirtioDriver driver(*board, device);
                QVERIFY(driver.start(0, { 16, 16 }));
                device.pause();
            });
    }

    void outputReachesTheConsole()
    {
        ConsoleSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        QVERIFY(s.driver.request(
            1, { { s.driver.put(bytesOf("hello ")), 6, false }, { s.driver.put(bytesOf("world")), 5, false } }));
        QCOMPARE(textOf(s.console), QStringLiteral("hello world"));
    }

    void ofMoreThanTheConsoleKeepsTheEndIsCopied()
    {
        ConsoleSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        VirtioDriver::Part const all { 0, 1 << 20, false };
        auto const end = s.driver.put(bytesOf("the end"));
        QVERIFY(s.driver.request(1, { all, all, { end, 7, false } }));
        Bytes kept;
        QCOMPARE(s.console.readFrom(0, kept), std::uint64_t(Console::scrollback));
        QVERIFY(std::equal(kept.end() - 7, kept.end(), bytesOf("the end").begin()));
    }

    void outputOfATurnIsBounded()
    {
        tests::FakeBoard board;
        tests::ManualLoop loop;
        Console console;
        ConsolePort device(board.pci, loop, console);
        VirtioDriver driver(board, device);
        QVERIFY(driver.start(0, { 16, 16 }));
        for (int i = 0; i < 3; ++i)
            driver.add(1, { { 0, 1 << 20, false } });
        driver.ring(1);
        for (std::uint64_t turns = 1; turns <= 3; ++turns) {
            loop.turn();
            Bytes kept;
            QCOMPARE(console.readFrom(0, kept), turns * Console::scrollback);
        }
    }

    void typedTextWaitsForABuffer()
    {
        ConsoleSetup s;
        QVERIFY(s.driver.start(VirtioDriver::eventIndex, { 16, 16 }));
        QVERIFY(s.console.type(bytesOf("abcdef")));
        s.driver.settle();
        auto const buffer = s.driver.allocate(16);
        auto const used = s.driver.request(0, { { buffer, 4, true } });
        QVERIFY(used);
        QCOMPARE(used->length, 4u);
        QCOMPARE(s.driver.memory(buffer, 4)[3], 'd');
        QCOMPARE(s.driver.request(0, { { buffer, 4, true } })->length, 2u);
        s.driver.add(0, { { buffer, 4, true } });
        s.driver.ring(0);
        s.driver.settle();
        QVERIFY(s.console.type(bytesOf("z")));
        QCOMPARE(s.driver.waitUsed(0)->length, 1u);
    }

    void changeOfSizeInterrupts()
    {
        ConsoleSetup s;
        s.driver.enableMsix();
        QVERIFY(s.driver.start(1, { 16, 16 }));
        s.driver.setCommon(0x10, std::uint16_t(0));
        auto const generation = s.driver.common<std::uint8_t>(0x15);
        s.console.setSize({ 100, 40 });
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(0), 100u | 40u << 16);
        QVERIFY(s.driver.common<std::uint8_t>(0x15) != generation);
        QCOMPARE(s.board.msi.sent.size(), 1u);
        QCOMPARE(s.board.msi.sent[0].data, 0x40u);
        s.console.setSize({ 100, 40 }); // no news
        QCOMPARE(s.board.msi.sent.size(), 1u);
    }

    void aResetMachineIsBeforeTheSameTerminal()
    {
        ConsoleSetup s;
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(0), 80u | 25u << 16);
        s.console.setSize({ 100, 40 });
        s.device.reset();
        auto const state = tests::must(state::load<ConsolePort::State>(s.device.save()));
        QCOMPARE(state.columns, 100);
        QCOMPARE(state.rows, 40);
    }

    void aRestoredGuestHearsOfAnotherSizeWhenItGoesOn()
    {
        ConsoleSetup before, s;
        before.console.setSize({ 100, 40 });
        s.device.pause();
        REQUIRE_OK(s.device.load(before.device.save()));
        auto const generation = s.driver.common<std::uint8_t>(0x15);
        s.console.setSize({ 80, 24 });
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(0), 100u | 40u << 16); // it stands still
        s.device.resume();
        s.driver.settle();
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(0), 80u | 24u << 16);
        QVERIFY(s.driver.common<std::uint8_t>(0x15) != generation);
    }

    void whereNoTerminalIsARestoredGuestKeepsItsSize()
    {
        ConsoleSetup before, s;
        before.console.setSize({ 100, 40 });
        s.device.pause();
        REQUIRE_OK(s.device.load(before.device.save()));
        s.device.resume();
        s.driver.settle();
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(0), 100u | 40u << 16);
    }

    void emergencyWriteNeedsNoQueue()
    {
        ConsoleSetup s;
        s.driver.setDeviceConfig(8, std::uint32_t('!'));
        QCOMPARE(textOf(s.console), QStringLiteral("!"));
    }
};

class VirtioTabletTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        auto const board = std::make_shared<tests::FakeBoard>();
        auto const thread = std::shared_ptr<LoopThread>(tests::startLoop());
        tests::battery<Tablet>([=] { return std::make_unique<Tablet>(board->pci, thread->loop()); },
            [=](Tablet& device) {
                VirtioDriver driver(*board, device);
                QVERIFY(driver.start(0, { 16, 16 }));
                driver.setDeviceConfig(0, std::uint16_t(0x0311));
                device.button({ PointerButton::Left, true });
                device.pause();
            });
    }

    void configurationNamesAxesAndButtons()
    {
        TabletSetup s;
        auto const select = [&](std::uint8_t which, std::uint8_t subselect) {
            s.driver.setDeviceConfig(0, which);
            s.driver.setDeviceConfig(1, subselect);
            return s.driver.deviceConfig<std::uint8_t>(2);
        };
        QCOMPARE(select(1, 0), 18); // the name
        QCOMPARE(s.driver.deviceConfig<std::uint8_t>(8), 'C');
        QCOMPARE(select(3, 0), 8);
        QCOMPARE(select(0x11, 3), 1); // EV_ABS: X and Y
        QCOMPARE(s.driver.deviceConfig<std::uint8_t>(8), 3);
        QCOMPARE(select(0x11, 1), 0x114 / 8 + 1); // EV_KEY up to BTN_EXTRA
        QCOMPARE(s.driver.deviceConfig<std::uint8_t>(8 + 0x110 / 8), 0x1f);
        QCOMPARE(select(0x12, 0), 20);
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(12), 32767u);
        QCOMPARE(select(0x12, 2), 0);
        QCOMPARE(select(0x77, 0), 0);
    }

    void movesAndButtonsArriveInOrder()
    {
        TabletSetup s;
        QVERIFY(!s.device.wantsAbsolute());
        QVERIFY(s.driver.start(0, { 16, 16 }));
        QCOMPARE(s.changes.load(), 1); // the pointer became an absolute one
        QVERIFY(s.device.wantsAbsolute());
        s.bringBuffers(16);
        s.driver.settle();
        s.device.move(AbsoluteMove { 100, 200 });
        s.driver.settle();
        s.device.button({ PointerButton::Right, true });
        s.device.wheel({ -1, 0 });
        std::vector<TabletEvent> const expected { { 3, 0, 100 }, { 3, 1, 200 }, { 0, 0, 0 }, { 1, 0x111, 1 },
            { 0, 0, 0 }, { 2, 8, 0xffffffff }, { 0, 0, 0 } };
        QVERIFY(s.take() == expected);
    }

    void ofMovesInARowTheLastIsKept()
    {
        TabletSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        for (std::uint16_t i = 0; i < 1000; ++i)
            s.device.move(AbsoluteMove { i, i });
        s.bringBuffers(16);
        std::vector<TabletEvent> const expected { { 3, 0, 999 }, { 3, 1, 999 }, { 0, 0, 0 } };
        QVERIFY(s.take() == expected);
    }

    void guestThatDoesNotListenMissesWholeReports()
    {
        TabletSetup s;
        QVERIFY(s.driver.start(0, { 64, 16 }));
        for (int i = 0; i < 2000; ++i)
            s.device.button({ PointerButton::Left, i % 2 == 0 });
        s.device.pause();
        auto const saved = state::load<Tablet::State>(s.device.save());
        REQUIRE_OK(saved);
        QCOMPARE(saved->events.size(), Tablet::queuedEvents - 10); // which are for other buttons
        QVERIFY(saved->events.back() == TabletEvent {});
    }

    void guestThatDoesNotListenMissesNoRelease()
    {
        TabletSetup s;
        QVERIFY(s.driver.start(0, { 64, 16 }));
        s.device.button({ PointerButton::Right, true });
        s.bringBuffers(2);
        QCOMPARE(s.take().size(), std::size_t(2));
        for (int i = 0; i < 2001; ++i)
            s.device.button({ PointerButton::Left, i % 2 == 0 });
        s.device.button({ PointerButton::Right, false });
        s.device.button({ PointerButton::Left, false });
        s.device.pause();
        auto const saved = state::load<Tablet::State>(s.device.save());
        REQUIRE_OK(saved);
        auto const& events = saved->events;
        auto const size = events.size();
        QVERIFY((events[size - 2] == TabletEvent { 1, 0x111, 0 }));
        QVERIFY((events[size - 4] == TabletEvent { 1, 0x110, 0 }));
    }

    void resetByTheDriverEndsListening()
    {
        TabletSetup s;
        QVERIFY(s.driver.start(0, { 16, 16 }));
        s.driver.setStatus(0);
        QVERIFY(!s.device.wantsAbsolute());
    }
};

REGISTER_SUITE(VirtioNetworkTest);
REGISTER_SUITE(VirtioConsoleTest);
REGISTER_SUITE(VirtioTabletTest);
#include "devices_test.moc"
