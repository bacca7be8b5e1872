#include "tests/battery/battery.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/vmm/virtio/driver.h"
#include "vmm/state/reader.h"
#include "vmm/virtio/block_device.h"

#include <nlohmann/json.hpp>
#include <thread>

using namespace vmm;
using namespace vmm::virtio;
using tests::VirtioDriver;

namespace {

/// Does transfers on the disk's thread, at once or when a test lets it.
class GatedEngine final : public IoEngine {
public:
    explicit GatedEngine(EventLoop& loop) : m_loop(loop) { }
    void submit(IoOperation& operation) override
    {
        m_waiting.push_back(&operation);
        if (!m_closed)
            m_loop.post([this] {
                while (wait()) { }
            });
    }
    bool wait() override
    {
        if (m_waiting.empty())
            return false;
        auto& operation = *m_waiting.front();
        m_waiting.pop_front();
        operation.done(operation, performNow(operation));
        return true;
    }
    char const* name() const override { return "gated"; }
    void close()
    {
        m_loop.call([this] { m_closed = true; });
    }
    void open()
    {
        m_loop.call([this] {
            m_closed = false;
            while (wait()) { }
        });
    }

private:
    EventLoop& m_loop;
    std::deque<IoOperation*> m_waiting;
    bool m_closed = false;
};

constexpr std::size_t diskSize = 256 << 10;
constexpr std::uint64_t flush = 1 << 9, discard = 1 << 13, writeZeroes = 1 << 14;
constexpr std::uint8_t ok = 0, ioError = 1, unsupported = 2;

Bytes pattern()
{
    Bytes bytes(diskSize);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(i / 512 + i);
    return bytes;
}

struct Host {
    std::unique_ptr<LoopThread> thread = tests::startLoop();
    tests::FakeDisk disk { pattern() };
    GatedEngine engine { thread->loop() };
    std::unique_ptr<BlockImage> image = std::move(*BlockImage::open(engine,
        std::make_unique<tests::FakeBlockFile>(disk), { .access = Access::ReadWrite, .format = ImageFormat::Raw }, {}));
    std::atomic<int> errors { 0 };
    ErrorCode lastError = ErrorCode::Internal;

    BlockDevice::HostError onError()
    {
        return [this](Error const& error) {
            lastError = error.code;
            ++errors;
        };
    }
    void breakDisk(int error)
    {
        thread->loop().call([&] {
            disk.error = error;
            disk.fault = tests::FakeDisk::Fault::Fail;
            disk.faultAt = disk.operations;
            disk.faultStays = true;
        });
    }
    void mendDisk()
    {
        thread->loop().call([&] { disk.fault = tests::FakeDisk::Fault::None; });
    }
};

struct Setup : Host {
    explicit Setup(BlockOptions options = { .serial = "serial-number", .queues = 1 })
        : device(board.pci, thread->loop(), *image, options, onError()), driver(board, device)
    {
    }
    /// Adds a request; where its status will be.
    std::uint64_t add(std::uint32_t type, std::uint64_t sector, std::uint64_t buffer, std::uint32_t length,
        bool toGuest, unsigned queue = 0)
    {
        std::array<std::uint8_t, 16> header {};
        storeLittle(ByteSpan(header).subspan(0, 4), type);
        storeLittle(ByteSpan(header).subspan(8, 8), sector);
        auto const status = driver.put(Bytes { 0xee });
        std::vector<VirtioDriver::Part> parts { { driver.put(header), 16, false } };
        if (length != 0)
            parts.push_back({ buffer, length, toGuest });
        parts.push_back({ status, 1, true });
        driver.add(queue, parts);
        return status;
    }
    std::uint8_t request(std::uint32_t type, std::uint64_t sector, std::uint64_t buffer = 0, std::uint32_t length = 0,
        bool toGuest = false, unsigned queue = 0)
    {
        auto const status = add(type, sector, buffer, length, toGuest, queue);
        driver.ring(queue);
        return driver.waitUsed(queue) ? driver.memory(status, 1)[0] : 0xff;
    }
    std::uint8_t range(std::uint32_t type, std::uint64_t sector, std::uint32_t count, std::uint32_t flags)
    {
        Bytes bytes(16);
        storeLittle(ByteSpan(bytes).subspan(0, 8), sector);
        storeLittle(ByteSpan(bytes).subspan(8, 4), count);
        storeLittle(ByteSpan(bytes).subspan(12, 4), flags);
        return request(type, 0, driver.put(bytes), 16);
    }

    tests::FakeBoard board;
    BlockDevice device;
    VirtioDriver driver;
};

}

class VirtioBlockTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        auto const host = std::make_shared<Host>();
        auto const board = std::make_shared<tests::FakeBoard>();
        tests::battery<BlockDevice>(
            [=] {
                return std::make_unique<BlockDevice>(board->pci, host->thread->loop(), *host->image,
                    BlockOptions { "serial", 2, false }, host->onError());
            },
            [=](BlockDevice& device) {
                VirtioDriver driver(*board, device);
                QVERIFY(driver.start(flush, { 16, 16 }));
                device.pause();
            });
    }

    void configurationDescribesTheDisk()
    {
        Setup s({ .serial = "x", .queues = 4 });
        QCOMPARE(s.driver.deviceConfig<std::uint64_t>(0), diskSize / 512);
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(12), 254u);
        QCOMPARE(s.driver.deviceConfig<std::uint32_t>(20), 512u);
        QCOMPARE(s.driver.deviceConfig<std::uint16_t>(34), 4);
        QCOMPARE(s.driver.common<std::uint16_t>(0x12), 4);
        QVERIFY((s.driver.deviceFeatures() & (1 << 12)) != 0);
        QVERIFY((s.driver.deviceFeatures() & (1 << 5)) == 0);
    }

    void readBringsTheDisksContent()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        auto const buffer = s.driver.allocate(4096);
        QCOMPARE(s.request(0, 8, buffer, 4096, true), ok);
        QVERIFY(std::equal(
            s.disk.content.begin() + 4096, s.disk.content.begin() + 8192, s.driver.memory(buffer, 4096).begin()));
        QCOMPARE(s.device.bytesRead(), 4096u);
    }

    void writeReachesTheDisk()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        QCOMPARE(s.request(1, 2, s.driver.put(Bytes(1024, 0xab)), 1024), ok);
        QCOMPARE(s.disk.content[1024], 0xab);
        QCOMPARE(s.disk.content[2047], 0xab);
        QCOMPARE(s.device.bytesWritten(), 1024u);
        // Not durable before a flush.
        QVERIFY(s.disk.afterPowerCut(0)[1024] != 0xab);
        QCOMPARE(s.request(4, 0), ok);
        QCOMPARE(s.disk.afterPowerCut(0)[1024], 0xab);
    }

    void withoutFlushAWriteIsDurableWhenDone()
    {
        Setup s;
        QVERIFY(s.driver.start(0, { 64 }));
        QCOMPARE(s.request(1, 0, s.driver.put(Bytes(512, 0xcd)), 512), ok);
        QCOMPARE(s.disk.afterPowerCut(0)[0], 0xcd);
    }

    void headerAndStatusMayShareDescriptorsWithData()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        auto const buffer = s.driver.allocate(513);
        auto const used = s.driver.request(
            0, { { s.driver.put(Bytes(5)), 5, false }, { s.driver.put(Bytes(11)), 11, false }, { buffer, 513, true } });
        QVERIFY(used);
        QCOMPARE(used->length, 513u);
        QCOMPARE(s.driver.memory(buffer, 513)[512], ok);
        QCOMPARE(s.driver.memory(buffer, 513)[5], s.disk.content[5]);
    }

    void serialNumberIsTold()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        auto const buffer = s.driver.allocate(20);
        QCOMPARE(s.request(8, 0, buffer, 20, true), ok);
        QCOMPARE(
            QByteArray(reinterpret_cast<char const*>(s.driver.memory(buffer, 20).data())), QByteArray("serial-number"));
    }

    void discardAndWriteZeroesClear()
    {
        Setup s;
        QVERIFY(s.driver.start(flush | discard | writeZeroes, { 64 }));
        QCOMPARE(s.range(13, 16, 8, 0), ok);
        QVERIFY(std::all_of(
            s.disk.content.begin() + 16 * 512, s.disk.content.begin() + 24 * 512, [](auto b) { return b == 0; }));
        QCOMPARE(s.range(13, 32, 8, 1), ok);
        QCOMPARE(s.disk.content[32 * 512], 0);
        QCOMPARE(s.range(11, 48, 8, 0), ok);
        QCOMPARE(s.range(11, 48, 8, 1), unsupported);
        QCOMPARE(s.range(13, diskSize / 512 - 1, 2, 0), ioError);
        QCOMPARE(s.range(13, ~0ull, 2, 0), ioError);
    }

    void whatTheGuestDoesWronglyIsAStatus()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        auto const buffer = s.driver.allocate(4096);
        QCOMPARE(s.request(0, diskSize / 512, buffer, 512, true), ioError);
        QCOMPARE(s.request(0, diskSize / 512 - 1, buffer, 1024, true), ioError);
        QCOMPARE(s.request(0, ~0ull, buffer, 512, true), ioError);
        QCOMPARE(s.request(0, 0, buffer, 511, true), ioError);
        QCOMPARE(s.request(77, 0, buffer, 512, true), unsupported);
        QCOMPARE(s.request(0, 0, 0, 0, true), ok);
        QCOMPARE(s.errors.load(), 0);
        QCOMPARE(s.driver.status(), 0xf);
    }

    void requestWithoutHeaderOrStatusStopsTheDevice()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        s.driver.add(0, { { s.driver.allocate(16), 8, false }, { s.driver.allocate(16), 1, true } });
        s.driver.ring(0);
        s.driver.settle();
        QVERIFY((s.driver.status() & 0x40) != 0);
        QVERIFY(s.driver.start(flush, { 64 }));
        s.driver.add(0, { { s.driver.allocate(16), 16, false } });
        s.driver.ring(0);
        s.driver.settle();
        QVERIFY((s.driver.status() & 0x40) != 0);
    }

    void readOnlyDiskRefusesWrites()
    {
        Setup s({ .serial = "", .queues = 1, .readOnly = true });
        QVERIFY((s.driver.deviceFeatures() & (1 << 5)) != 0);
        QVERIFY((s.driver.deviceFeatures() & (flush | discard | writeZeroes)) == 0);
        QVERIFY(s.driver.start(0, { 64 }));
        auto const buffer = s.driver.put(Bytes(512, 1));
        QCOMPARE(s.request(1, 0, buffer, 512), ioError);
        QCOMPARE(s.range(13, 0, 1, 0), ioError);
        QCOMPARE(s.request(4, 0), ok);
        QVERIFY(s.disk.content == pattern());
    }

    void manyRequestsAreInFlightOnAllQueues()
    {
        Setup s({ .serial = "", .queues = 2 });
        QVERIFY(s.driver.start(flush, { 64, 64 }));
        s.engine.close();
        auto const buffer = s.driver.allocate(512);
        for (unsigned i = 0; i < 20; ++i)
            s.add(0, i, buffer, 512, true, i % 2);
        s.driver.ring(0);
        s.driver.ring(1);
        s.driver.settle();
        QCOMPARE(s.driver.usedIndex(0) + s.driver.usedIndex(1), 0);
        s.engine.open();
        for (unsigned i = 0; i < 20; ++i)
            QVERIFY(s.driver.waitUsed(i % 2));
    }

    void pauseWaitsForWhatIsInFlight()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        s.engine.close();
        s.add(0, 0, s.driver.allocate(512), 512, true);
        s.driver.ring(0);
        s.driver.settle();
        std::uint16_t usedAtPause = 0;
        std::jthread pausing([&] {
            s.device.pause();
            usedAtPause = s.driver.usedIndex(0);
        });
        QTest::qWait(50); // for one that does not wait to come to its end
        s.engine.open();
        pausing.join();
        QCOMPARE(usedAtPause, 1);
    }

    void resetByTheDriverWaitsForWhatIsInFlight()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        s.engine.close();
        auto const buffer = s.driver.allocate(512);
        s.add(0, 0, buffer, 512, true);
        s.add(0, 1, buffer, 512, true);
        s.driver.ring(0);
        s.driver.settle();
        std::uint16_t usedAtReset = 0;
        std::jthread vcpu([&] {
            s.driver.setStatus(0);
            usedAtReset = s.driver.usedIndex(0);
        });
        QTest::qWait(50); // for one that does not wait to come to its end
        s.engine.open();
        vcpu.join();
        QCOMPARE(usedAtReset, 2);
        QCOMPARE(s.driver.status(), 0);
        // From here on the guest's memory is its own again.
        QVERIFY(s.driver.start(flush, { 64 }));
        QCOMPARE(s.request(0, 0, buffer, 512, true), ok);
    }

    void fullDiskKeepsTheRequestUntilThereIsRoom()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        s.breakDisk(ENOSPC);
        auto const status = s.add(1, 3, s.driver.put(Bytes(512, 0x42)), 512, false);
        s.add(1, 4, s.driver.put(Bytes(512, 0x43)), 512, false);
        s.driver.ring(0);
        s.driver.settle();
        QCOMPARE(s.errors.load(), 1);
        QCOMPARE(s.lastError, ErrorCode::NoSpace);
        QCOMPARE(s.driver.usedIndex(0), 0);
        QCOMPARE(s.driver.memory(status, 1)[0], 0xee);

        // Resumed too early: asks again.
        s.device.pause();
        s.device.resume();
        s.driver.settle();
        QCOMPARE(s.errors.load(), 2);

        s.device.pause();
        s.mendDisk();
        s.device.resume();
        QVERIFY(s.driver.waitUsed(0));
        QVERIFY(s.driver.waitUsed(0));
        QCOMPARE(s.driver.memory(status, 1)[0], ok);
        QCOMPARE(s.disk.content[3 * 512], 0x42);
        QCOMPARE(s.disk.content[4 * 512], 0x43);
    }

    void keptRequestSurvivesARestore()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        s.breakDisk(EIO);
        auto const status = s.add(1, 3, s.driver.put(Bytes(512, 0x42)), 512, false);
        s.driver.ring(0);
        s.driver.settle();
        s.device.pause();
        auto const saved = s.device.save();
        auto const state = state::load<BlockDevice::State>(saved);
        REQUIRE_OK(state);
        QCOMPARE(state->transport.queues[0].held, std::vector<std::uint16_t> { 0 });

        s.device.reset();
        REQUIRE_OK(s.device.load(saved));
        s.mendDisk();
        s.device.resume();
        QVERIFY(s.driver.waitUsed(0));
        QCOMPARE(s.driver.memory(status, 1)[0], ok);
        QCOMPARE(s.disk.content[3 * 512], 0x42);
    }

    void resetForgetsKeptRequests()
    {
        Setup s;
        QVERIFY(s.driver.start(flush, { 64 }));
        s.breakDisk(ENOSPC);
        s.add(1, 3, s.driver.put(Bytes(512, 0x42)), 512, false);
        s.driver.ring(0);
        s.driver.settle();
        s.driver.setStatus(0);
        s.device.pause();
        s.mendDisk();
        s.device.resume();
        s.driver.settle();
        QVERIFY(s.disk.content == pattern());
    }

    void stateOfADiskOfAnotherSizeIsRefused()
    {
        Setup s;
        auto json = s.device.save().toJson();
        json["state"]["sectors"] = { { "u64", "99" } };
        QVERIFY(!s.device.load(*Section::fromJson(json)));
    }
};

REGISTER_SUITE(VirtioBlockTest);
#include "block_device_test.moc"
