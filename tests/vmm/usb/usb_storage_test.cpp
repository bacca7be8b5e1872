#include "tests/battery/battery.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/fakes/manual_loop.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/base/log.h"
#include "vmm/block/io_engine.h"
#include "vmm/usb/usb_storage.h"

#include <QScopeGuard>
#include <nlohmann/json.hpp>

using namespace vmm;
using tests::FakeBlockFile;
using tests::FakeDisk;
using tests::ManualLoop;
using tests::patternBytes;
using tests::UsbGuest;

namespace {

constexpr std::uint64_t diskSize = 64 << 10;

/// A stick and who uses it.
struct Stick {
    explicit Stick(Access access = Access::ReadWrite)
        : image(std::move(*BlockImage::open(
            engine, std::make_unique<FakeBlockFile>(file), { .access = access, .format = ImageFormat::Raw }, {}))),
          storage(UsbSpeed::High, "stick", loop, *image, false, [this](Error const&) { ++errors; }),
          guest(storage)
    {
        guest.configure();
    }
    ~Stick() { settle(); }

    void settle()
    {
        do {
            loop.turn();
        } while (engine.wait());
        loop.turn();
    }
    void begin(Bytes const& cdb, std::uint32_t length, bool in, std::uint32_t tag = 7)
    {
        Bytes wrapper(31);
        storeLittle(ByteSpan(wrapper).first(4), 0x43425355u);
        storeLittle(ByteSpan(wrapper).subspan(4, 4), tag);
        storeLittle(ByteSpan(wrapper).subspan(8, 4), length);
        wrapper[12] = in ? 0x80 : 0;
        wrapper[14] = static_cast<std::uint8_t>(cdb.size());
        std::copy(cdb.begin(), cdb.end(), wrapper.begin() + 15);
        guest.write(0x02, wrapper);
    }
    UsbGuest::Result in(std::size_t size)
    {
        guest.read(0x81, size);
        settle();
        return guest.result();
    }
    UsbGuest::Result out(Bytes const& data)
    {
        guest.write(0x02, data);
        settle();
        return guest.result();
    }
    /// Signature and tag hold, then: residue, status.
    std::pair<std::uint32_t, int> status(std::uint32_t tag = 7)
    {
        auto const answer = in(13);
        auto const field
            = [&](std::size_t at) { return loadLittle<std::uint32_t>(ConstByteSpan(answer.data).subspan(at, 4)); };
        if (answer.data.size() != 13 || field(0) != 0x53425355 || field(4) != tag)
            return { 0, -1 };
        return { field(8), answer.data[12] };
    }
    /// A command with data to the host; empty where it fails.
    Bytes ask(Bytes const& cdb, std::uint32_t length)
    {
        begin(cdb, length, true);
        auto answer = in(length).data;
        return status().second == 0 ? answer : Bytes {};
    }
    /// The first command after a reset only hears of that.
    void getReady()
    {
        begin({ 0, 0, 0, 0, 0, 0 }, 0, true);
        QCOMPARE(status().second, 1);
        auto const sense = ask({ 3, 0, 0, 0, 18, 0 }, 18);
        QCOMPARE(sense[2], 6);
        QCOMPARE(sense[12], 0x29);
    }
    static Bytes transfer(std::uint8_t operation, std::uint32_t block, std::uint16_t count)
    {
        Bytes cdb(10);
        cdb[0] = operation;
        storeBig(ByteSpan(cdb).subspan(2, 4), block);
        storeBig(ByteSpan(cdb).subspan(7, 2), count);
        return cdb;
    }

    ManualLoop loop;
    InlineEngine engine;
    FakeDisk file { patternBytes(diskSize) };
    std::unique_ptr<BlockImage> image;
    int errors = 0;
    UsbStorage storage;
    UsbGuest guest;
};

using Status = std::pair<std::uint32_t, int>;

}

class UsbStorageTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        Stick surroundings;
        tests::battery<UsbStorage>(
            [&] {
                return std::make_unique<UsbStorage>(
                    UsbSpeed::High, "s", surroundings.loop, *surroundings.image, false, [](Error const&) {});
            },
            [](UsbStorage& storage) {
                UsbGuest guest(storage);
                guest.configure();
                guest.write(0x02, patternBytes(31)); // no command at all
            });
    }

    void diskTellsWhoItIs()
    {
        Stick s;
        auto const inquiry = s.ask({ 0x12, 0, 0, 0, 36, 0 }, 36);
        QCOMPARE(inquiry.size(), std::size_t(36));
        QCOMPARE(inquiry[0], 0);
        QCOMPARE(inquiry[1], 0x80);
        QCOMPARE(QByteArray(reinterpret_cast<char const*>(inquiry.data()) + 8, 8), QByteArray("Chronos "));
        QCOMPARE(s.ask({ 0x12, 1, 0x80, 0, 64, 0 }, 64), (Bytes { 0, 0x80, 0, 5, 's', 't', 'i', 'c', 'k' }));
        QCOMPARE(s.ask({ 0x12, 1, 0, 0, 64, 0 }, 64)[3], 5);
        QCOMPARE(s.guest.get({ 0xa1, 0xfe, 0, 0, 0, 0, 1, 0 }), Bytes { 0 });
        s.getReady();
        QCOMPARE(s.ask({ 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 8), (Bytes { 0, 0, 0, 127, 0, 0, 2, 0 }));
        QCOMPARE(s.ask({ 0x1a, 0, 0x3f, 0, 192, 0 }, 192).size(), std::size_t(24));
        QCOMPARE(s.ask({ 0x23, 0, 0, 0, 0, 0, 0, 0, 12, 0 }, 12).size(), std::size_t(12));
    }

    void blocksAreReadAndWritten()
    {
        Stick s;
        s.getReady();
        auto const pattern = patternBytes(diskSize);
        QCOMPARE(s.ask(Stick::transfer(0x28, 3, 4), 2048), Bytes(pattern.begin() + 1536, pattern.begin() + 3584));
        s.begin(Stick::transfer(0x2a, 5, 2), 1024, false);
        QVERIFY(s.out(Bytes(1024, 0xaa)).status == UsbStatus::Success);
        QCOMPARE(s.status(), Status(0, 0));
        QCOMPARE(s.ask(Stick::transfer(0x28, 5, 2), 1024), Bytes(1024, 0xaa));
        s.begin({ 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 0, false); // durable
        QCOMPARE(s.status(), Status(0, 0));
        QCOMPARE(s.storage.bytesRead(), 3072u);
        QCOMPARE(s.storage.bytesWritten(), 1024u);
    }

    void dataMayComeInSeveralTransfers()
    {
        Stick s;
        s.getReady();
        auto const pattern = patternBytes(diskSize);
        s.begin(Stick::transfer(0x28, 0, 4), 2048, true);
        QCOMPARE(s.in(512).data, Bytes(pattern.begin(), pattern.begin() + 512));
        QCOMPARE(s.in(1536).data, Bytes(pattern.begin() + 512, pattern.begin() + 2048));
        QCOMPARE(s.status(), Status(0, 0));
    }

    void wrongAddressIsRefused()
    {
        Stick s;
        s.getReady();
        s.begin(Stick::transfer(0x28, 127, 2), 1024, true);
        QCOMPARE(s.in(1024).data.size(), std::size_t(0));
        QCOMPARE(s.status(), Status(1024, 1));
        auto const sense = s.ask({ 3, 0, 0, 0, 18, 0 }, 18);
        QCOMPARE(sense[2], 5);
        QCOMPARE(sense[12], 0x21);
        s.begin(Stick::transfer(0x2a, 128, 1), 512, false);
        QVERIFY(s.out(Bytes(512)).status == UsbStatus::Success); // swallowed
        QCOMPARE(s.status(), Status(512, 1));
    }

    void readOnlyDiskIsNotWritten()
    {
        Stick s(Access::ReadOnly);
        s.getReady();
        QCOMPARE(s.ask({ 0x1a, 0, 0x3f, 0, 192, 0 }, 192)[2], 0x80);
        s.begin(Stick::transfer(0x2a, 0, 1), 512, false);
        s.out(Bytes(512));
        QCOMPARE(s.status(), Status(512, 1));
        QCOMPARE(s.ask({ 3, 0, 0, 0, 18, 0 }, 18)[2], 7);
    }

    void lessAndMoreThanAskedForIsTold()
    {
        Stick s;
        s.getReady();
        s.begin({ 0x12, 0, 0, 0, 36, 0 }, 100, true);
        QCOMPARE(s.in(100).data.size(), std::size_t(36));
        QCOMPARE(s.status(), Status(64, 0));
        s.begin(Stick::transfer(0x28, 0, 2), 512, true); // more than there is room for
        QCOMPARE(s.in(512).data.size(), std::size_t(512));
        QCOMPARE(s.status().second, 2);
        s.begin(Stick::transfer(0x28, 0, 1), 512, false); // the other way round
        s.out(Bytes(512));
        QCOMPARE(s.status().second, 2);
    }

    void wrongWrapperNeedsAReset()
    {
        Stick s;
        s.guest.write(0x02, Bytes(31));
        QVERIFY(s.guest.result().status == UsbStatus::Stall);
        QVERIFY(s.in(13).status == UsbStatus::Stall);
        s.guest.put({ 2, 1, 0, 0, 0x81, 0, 0, 0 });
        QVERIFY(s.in(13).status == UsbStatus::Stall); // not yet
        s.guest.put({ 0x21, 0xff, 0, 0, 0, 0, 0, 0 });
        s.guest.put({ 2, 1, 0, 0, 0x81, 0, 0, 0 });
        s.guest.put({ 2, 1, 0, 0, 0x02, 0, 0, 0 });
        s.getReady();
    }

    void aStateAfterPartsOfBlocksIsOne()
    {
        Stick s;
        s.getReady();
        s.begin(Stick::transfer(0x28, 0, 4), 2048, true);
        QCOMPARE(s.in(512).data.size(), std::size_t(512));
        QCOMPARE(s.in(100).data.size(), std::size_t(0)); // ends the command
        auto const saved = s.storage.save();
        REQUIRE_OK(s.storage.load(saved));
        QVERIFY(s.storage.save() == saved);
        QCOMPARE(s.status(), Status(1536, 2));
    }

    void hostErrorsKeepTheTransfer()
    {
        Stick s;
        s.getReady();
        s.begin(Stick::transfer(0x2a, 1, 1), 512, false);
        s.file.fault = FakeDisk::Fault::Fail;
        s.file.faultAt = 0;
        s.file.faultStays = true;
        QVERIFY(!s.out(Bytes(512, 0xbb)).done);
        QCOMPARE(s.errors, 1);
        s.guest.cancel(); // the pause
        QVERIFY(s.guest.result().status == UsbStatus::Cancelled);
        auto const saved = s.storage.save();
        REQUIRE_OK(s.storage.load(saved));
        QVERIFY(s.storage.save() == saved);
        s.file.fault = FakeDisk::Fault::None;
        s.storage.resume();
        QVERIFY(s.out(Bytes(512, 0xbb)).status == UsbStatus::Success);
        QCOMPARE(s.status(), Status(0, 0));
        QCOMPARE(s.ask(Stick::transfer(0x28, 1, 1), 512), Bytes(512, 0xbb));
    }

    /// However often a guest asks again before the machine stands.
    void refusalsAreOneLineOfTheLogUntilItRunsAgain()
    {
        static std::atomic<int> lines;
        lines = 0;
        auto const asBefore = qScopeGuard([] { setLogSink(nullptr); });
        setLogSink([](LogLevel, std::string_view area, std::string_view) { lines += area == "usb-storage"; });
        Stick s;
        s.getReady();
        s.begin(Stick::transfer(0x2a, 1, 1), 512, false);
        s.file.fault = FakeDisk::Fault::Fail;
        s.file.faultAt = 0;
        s.file.faultStays = true;
        for (int round = 0; round < 3; ++round) {
            QVERIFY(!s.out(Bytes(512, 0xbb)).done);
            s.guest.cancel();
        }
        QCOMPARE(lines.load(), 1);
        s.storage.resume();
        QVERIFY(!s.out(Bytes(512, 0xbb)).done);
        QCOMPARE(lines.load(), 2);
    }

    void statesThatContradictThemselvesAreRefused()
    {
        Stick s;
        s.getReady();
        s.begin(Stick::transfer(0x28, 0, 2), 1024, true);
        auto const good = s.storage.save();
        auto const refused = [&](auto change) {
            auto json = good.toJson();
            change(json["state"]);
            return !s.storage.load(*Section::fromJson(json)) && s.storage.save() == good;
        };
        QVERIFY(refused([](Json& state) { state["done"] = 2048; }));
        QVERIFY(refused([](Json& state) { state["length"] = 4096; }));
        QVERIFY(refused([](Json& state) { state["fromImage"] = false; }));
        QVERIFY(refused([](Json& state) { state["offset"]["u64"] = "65536"; }));
        QVERIFY(refused([](Json& state) { state["disk"]["blocks"]["u64"] = "1"; }));
    }
};

REGISTER_SUITE(UsbStorageTest);
#include "usb_storage_test.moc"
