#include "tests/battery/battery.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/fakes/manual_loop.h"
#include "tests/vmm/usb/uas_initiator.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/base/log.h"
#include "vmm/block/io_engine.h"

#include <QScopeGuard>
#include <nlohmann/json.hpp>

using namespace vmm;
using tests::FakeBlockFile;
using tests::FakeDisk;
using tests::ManualLoop;
using tests::patternBytes;
using tests::UasInitiator;

namespace {

constexpr std::uint64_t diskSize = 64 << 10;

/// A stick and who uses it.
struct Stick {
    explicit Stick(Access access = Access::ReadWrite)
        : image(std::move(*BlockImage::open(
            engine, std::make_unique<FakeBlockFile>(file), { .access = access, .format = ImageFormat::Raw }, {}))),
          storage("stick", loop, *image, false, [this](Error const& error) { errors.push_back(error); }),
          initiator(storage)
    {
    }
    ~Stick() { settle(); }

    void settle()
    {
        do {
            loop.turn();
        } while (engine.wait());
        loop.turn();
    }
    /// The first command after a reset only hears of that.
    void getReady()
    {
        initiator.status(31);
        initiator.command(31, { 0, 0, 0, 0, 0, 0 });
        QCOMPARE(initiator.answer(31),
            (Bytes { 3, 0, 0, 31, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 18, 0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0,
                0, 0, 0, 0 }));
    }
    static Bytes blocks(std::uint8_t operation, std::uint32_t block, std::uint16_t count)
    {
        Bytes cdb(10);
        cdb[0] = operation;
        storeBig(ByteSpan(cdb).subspan(2, 4), block);
        storeBig(ByteSpan(cdb).subspan(7, 2), count);
        return cdb;
    }
    static Bytes good(std::uint8_t tag) { return { 3, 0, 0, tag, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }; }
    static Bytes response(std::uint8_t tag, std::uint8_t code) { return { 4, 0, 0, tag, 0, 0, 0, code }; }

    ManualLoop loop;
    InlineEngine engine;
    FakeDisk file { patternBytes(diskSize) };
    std::unique_ptr<BlockImage> image;
    std::vector<Error> errors;
    UasStorage storage;
    UasInitiator initiator;
};

}

class UasStorageTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        Stick surroundings;
        tests::battery<UasStorage>(
            [&] {
                return std::make_unique<UasStorage>(
                    "s", surroundings.loop, *surroundings.image, false, [](Error const&) {});
            },
            [](UasStorage& storage) {
                UasInitiator initiator(storage);
                initiator.command(1, { 0x12, 0, 0, 0, 36, 0 }); // an INQUIRY whose answer nobody takes
                initiator.command(2, { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0 });
            });
    }

    void commandsEndInAnyOrder()
    {
        Stick s;
        s.getReady();
        // Three are there before there is a transfer for any of them.
        s.initiator.command(1, Stick::blocks(0x28, 0, 4));
        s.initiator.command(2, Stick::blocks(0x28, 8, 2));
        s.initiator.command(3, { 0x12, 0, 0, 0, 36, 0 });
        s.initiator.read(2, 1024);
        s.settle();
        QCOMPARE(s.initiator.dataOf(2), Bytes(s.file.content.begin() + 4096, s.file.content.begin() + 5120));
        s.initiator.status(2);
        QCOMPARE(s.initiator.answer(2), Stick::good(2));
        s.initiator.status(3);
        s.initiator.read(3, 36);
        QCOMPARE(s.initiator.dataOf(3).size(), std::size_t(36));
        QCOMPARE(s.initiator.answer(3), Stick::good(3));
        // In two transfers.
        s.initiator.read(1, 1536);
        s.settle();
        s.initiator.read(1, 1024);
        s.settle();
        QCOMPARE(s.initiator.dataOf(1), Bytes(s.file.content.begin() + 1536, s.file.content.begin() + 2048));
        s.initiator.status(1);
        QCOMPARE(s.initiator.answer(1), Stick::good(1));
        QCOMPARE(s.storage.bytesRead(), 3072u);
    }

    void writesAreThereWhenTheyAreFlushed()
    {
        Stick s;
        s.getReady();
        auto const data = Bytes(1024, 0xc3);
        s.initiator.write(4, data);
        s.initiator.status(4);
        s.initiator.command(4, Stick::blocks(0x2a, 6, 2));
        s.settle();
        QCOMPARE(s.initiator.answer(4), Stick::good(4));
        s.initiator.command(4, { 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0 });
        s.initiator.status(4);
        QCOMPARE(s.initiator.answer(4), Bytes {}); // not before it is durable
        s.settle();
        QCOMPARE(s.initiator.answer(4), Stick::good(4));
        QCOMPARE(Bytes(s.file.content.begin() + 3072, s.file.content.begin() + 4096), data);
        QCOMPARE(s.storage.bytesWritten(), 1024u);
    }

    void wrongCommandsAreRefused()
    {
        Stick s;
        s.getReady();
        s.initiator.status(1);
        s.initiator.command(1, Stick::blocks(0x28, 127, 2));
        auto const beyond = s.initiator.answer(1);
        QCOMPARE(beyond.size(), std::size_t(34));
        QCOMPARE(beyond[6], 2);
        QCOMPARE(beyond[16 + 2], 5);
        QCOMPARE(beyond[16 + 12], 0x21);
        s.initiator.status(1);
        s.initiator.command(1, { 0, 0, 0, 0, 0, 0 }, 5); // another logical unit
        QCOMPARE(s.initiator.answer(1)[16 + 12], 0x25);
        // Parts of blocks.
        s.initiator.command(1, Stick::blocks(0x28, 0, 2));
        s.initiator.read(1, 100);
        s.initiator.status(1);
        QCOMPARE(s.initiator.answer(1)[16 + 2], 0x0b);
    }

    void unitsThatAreNoneAreAnswered()
    {
        Stick s;
        s.initiator.unit({ 0x77, 0, 0, 9 });
        s.initiator.status(9);
        QCOMPARE(s.initiator.answer(9), Stick::response(9, 2));
        // To a tag that has no stream nothing can be said.
        QCOMPARE(s.initiator.unit({ 1, 0, 1, 0 }), UsbStatus::Stall);
        QCOMPARE(s.initiator.unit({ 1, 0, 0, 1 }), UsbStatus::Stall); // halted
        // A tag that is in use.
        Stick other;
        other.initiator.command(1, { 0x12, 0, 0, 0, 36, 0 });
        other.initiator.command(1, { 0x12, 0, 0, 0, 36, 0 });
        other.initiator.status(1);
        QCOMPARE(other.initiator.answer(1), Stick::response(1, 0x0a));
    }

    void tasksAreManaged()
    {
        Stick s;
        s.getReady();
        auto const manage = [&](std::uint8_t function, std::uint8_t tag) {
            s.initiator.status(20);
            s.initiator.unit({ 5, 0, 0, 20, function, 0, 0, tag, 0, 0, 0, 0, 0, 0, 0, 0 });
            return s.initiator.answer(20);
        };
        s.initiator.command(1, Stick::blocks(0x28, 0, 4));
        QCOMPARE(manage(0x80, 1), Stick::response(20, 8)); // it is there
        QCOMPARE(manage(0x01, 1), Stick::response(20, 0)); // aborted
        QCOMPARE(manage(0x80, 1), Stick::response(20, 0));
        QCOMPARE(manage(0x40, 1), Stick::response(20, 4)); // no such function
        // What the image does for it has to end first.
        s.initiator.command(2, Stick::blocks(0x28, 0, 4));
        s.initiator.read(2, 2048);
        QCOMPARE(manage(0x08, 0), Bytes {});
        s.settle();
        QCOMPARE(s.initiator.answer(20), Stick::response(20, 0));
        QCOMPARE(s.initiator.statusOf(2), UsbStatus::Cancelled);
        s.getReady(); // the reset is told of
    }

    void cancelledTransfersAreTakenUpAgain()
    {
        Stick s;
        s.getReady();
        s.initiator.command(1, Stick::blocks(0x28, 0, 4));
        s.initiator.status(1);
        s.initiator.cancelAll();
        auto const saved = s.storage.save();
        Stick restored;
        REQUIRE_OK(restored.storage.load(saved));
        restored.initiator.status(1);
        restored.initiator.read(1, 2048);
        restored.settle();
        QCOMPARE(restored.initiator.dataOf(1), Bytes(s.file.content.begin(), s.file.content.begin() + 2048));
        QCOMPARE(restored.initiator.answer(1), Stick::good(1));
    }

    void hostErrorsKeepTheTransfer()
    {
        Stick s;
        s.getReady();
        s.file.fault = FakeDisk::Fault::Fail;
        s.file.faultAt = 0;
        s.file.faultStays = true;
        s.initiator.command(1, Stick::blocks(0x2a, 0, 1));
        s.initiator.write(1, Bytes(512, 0x11));
        s.initiator.command(2, Stick::blocks(0x2a, 1, 1));
        s.initiator.write(2, Bytes(512, 0x22));
        s.settle();
        QCOMPARE(s.errors.size(), 1u); // said once
        s.initiator.cancelAll();
        s.file.fault = FakeDisk::Fault::None;
        s.storage.resume();
        for (std::uint8_t tag = 1; tag <= 2; ++tag) {
            s.initiator.write(tag, Bytes(512, static_cast<std::uint8_t>(0x11 * tag)));
            s.initiator.status(tag);
        }
        s.settle();
        QCOMPARE(s.initiator.answer(1), Stick::good(1));
        QCOMPARE(s.initiator.answer(2), Stick::good(2));
        QCOMPARE(s.file.content[512], 0x22);
    }

    /// However many commands the guest has under way, and however often it begins them anew.
    void refusalsAreOneLineOfTheLogUntilItRunsAgain()
    {
        static std::atomic<int> lines;
        lines = 0;
        auto const asBefore = qScopeGuard([] { setLogSink(nullptr); });
        setLogSink([](LogLevel, std::string_view area, std::string_view) { lines += area == "usb-storage"; });
        Stick s;
        s.getReady();
        s.file.fault = FakeDisk::Fault::Fail;
        s.file.faultAt = 0;
        s.file.faultStays = true;
        s.initiator.command(1, Stick::blocks(0x2a, 0, 1));
        s.initiator.command(2, Stick::blocks(0x2a, 1, 1));
        for (int round = 0; round < 3; ++round) {
            s.initiator.write(1, Bytes(512, 0x11));
            s.initiator.write(2, Bytes(512, 0x22));
            s.settle();
            s.initiator.cancelAll();
        }
        QCOMPARE(lines.load(), 1);
        s.storage.resume();
        s.initiator.write(1, Bytes(512, 0x11));
        s.settle();
        QCOMPARE(lines.load(), 2);
    }

    /// The same again for as long as there is no room; and what waits goes along with a suspended machine.
    void fullHostIsWaitedFor()
    {
        Stick s;
        s.getReady();
        s.file.fault = FakeDisk::Fault::Fail;
        s.file.faultAt = 0;
        s.file.faultStays = true;
        Bytes const data(512, 0x77);
        s.initiator.command(1, Stick::blocks(0x2a, 3, 1));
        for (std::size_t told = 1; told <= 2; ++told) {
            s.initiator.write(1, data);
            s.settle();
            QCOMPARE(s.errors.size(), told);
            QCOMPARE(s.errors.back().osError, ENOSPC);
            s.initiator.cancelAll();
            s.storage.resume();
        }
        Stick elsewhere;
        REQUIRE_OK(elsewhere.storage.load(s.storage.save()));
        elsewhere.initiator.write(1, data);
        elsewhere.initiator.status(1);
        elsewhere.settle();
        QCOMPARE(elsewhere.initiator.answer(1), Stick::good(1));
        QCOMPARE(Bytes(elsewhere.file.content.begin() + 1536, elsewhere.file.content.begin() + 2048), data);
    }

    void flushThatTheHostRefusesIsNotToldAsDone()
    {
        Stick s;
        s.getReady();
        s.initiator.write(1, Bytes(512, 0x77));
        s.initiator.status(1);
        s.initiator.command(1, Stick::blocks(0x2a, 3, 1));
        s.settle();
        QCOMPARE(s.initiator.answer(1), Stick::good(1));
        s.file.fault = FakeDisk::Fault::Fail;
        s.file.faultAt = 0;
        s.file.faultStays = true;
        s.initiator.command(1, { 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0 });
        s.initiator.status(1);
        s.settle();
        QCOMPARE(s.errors.size(), 1u);
        QCOMPARE(s.initiator.answer(1), Bytes {});
        s.initiator.cancelAll();
        s.file.fault = FakeDisk::Fault::None;
        s.storage.resume();
        s.initiator.status(1);
        s.settle();
        QCOMPARE(s.initiator.answer(1), Stick::good(1));
    }

    void statesThatContradictThemselvesAreRefused()
    {
        Stick s;
        s.getReady();
        s.initiator.command(1, Stick::blocks(0x28, 120, 8));
        auto const good = s.storage.save().toJson();
        REQUIRE_OK(s.storage.load(*Section::fromJson(good)));
        auto const refused = [&](char const* field, Json const& value) {
            auto bad = good;
            bad["state"]["tasks"][0][field] = value;
            return !s.storage.load(*Section::fromJson(bad));
        };
        QVERIFY(refused("offset", { { "u64", "65536" } }));
        QVERIFY(refused("length", { { "u64", "8192" } }));
        QVERIFY(refused("done", { { "u64", "4096" } }));
        QVERIFY(refused("fromImage", false));
    }
};

REGISTER_SUITE(UasStorageTest);
#include "uas_storage_test.moc"
