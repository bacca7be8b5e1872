#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"

#include <map>
#include <random>

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

using Moments = std::map<std::string, DiskModel::Moment>;

Result<std::unique_ptr<BlockImage>> openImage(IoEngine& engine, FakeDisk& disk, ImageOptions const& options = {})
{
    return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), options, {});
}

Result<std::unique_ptr<BlockImage>> openSnapshot(IoEngine& engine, FakeDisk& disk, std::string const& id)
{
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.snapshot = id;
    return openImage(engine, disk, options);
}

std::vector<std::string> idsOf(std::vector<DiskSnapshot> const& snapshots)
{
    std::vector<std::string> ids;
    for (auto const& snapshot : snapshots)
        ids.push_back(snapshot.id);
    return ids;
}

/// What is wrong with the snapshots of the image, read one by one; nothing when they are as remembered.
std::string compareAll(IoEngine& engine, FakeDisk& disk, Moments const& moments)
{
    for (auto const& [id, moment] : moments) {
        auto const image = openSnapshot(engine, disk, id);
        if (!image)
            return image.error().message();
        if (auto problem = DiskModel::compare(**image, moment); !problem.empty())
            return "snapshot " + id + ": " + problem;
    }
    return {};
}

std::uint64_t big64(Bytes const& image, std::size_t offset)
{
    return loadBig<std::uint64_t>(ConstByteSpan(image).subspan(offset, 8));
}

/// A disk with two snapshots and something written after them.
struct Prepared {
    FakeDisk disk;
    DiskModel model;
    Moments moments;

    explicit Prepared(unsigned clusterBits, std::uint64_t size = mib)
        : disk(emptyImage({ .size = size, .clusterBits = clusterBits })), model(size, clusterBits)
    {
        ShufflingEngine engine(1);
        auto const image = must(openImage(engine, disk));
        for (std::string const id : { "one", "two" }) {
            model.run(*image, engine, 12, false);
            must(image->takeSnapshot({ .id = id, .name = "moment " + id }));
            moments[id] = model.moment();
        }
        model.run(*image, engine, 12, false);
        model.flush(*image);
    }
};

enum class Change { Take, ApplyFirst, ApplyLast, DeleteFirst, DeleteLast };

Result<> make(BlockImage& image, Change change)
{
    switch (change) {
    case Change::Take: return image.takeSnapshot({ .id = "three", .name = "" });
    case Change::ApplyFirst: return image.applySnapshot("one");
    case Change::ApplyLast: return image.applySnapshot("two");
    case Change::DeleteFirst: return image.deleteSnapshot("one");
    case Change::DeleteLast: return image.deleteSnapshot("two");
    }
    return {};
}

/// What it must be after the change.
void make(DiskModel& model, Moments& moments, Change change)
{
    switch (change) {
    case Change::Take: moments["three"] = model.moment(); break;
    case Change::ApplyFirst: model.goBack(moments["one"]); break;
    case Change::ApplyLast: model.goBack(moments["two"]); break;
    case Change::DeleteFirst: moments.erase("one"); break;
    case Change::DeleteLast: moments.erase("two"); break;
    }
}

void addChanges()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<unsigned>("clusterBits");
    for (unsigned const bits : { 10U, 16U }) {
        QTest::addRow("take, 2^%u", bits) << int(Change::Take) << bits;
        QTest::addRow("apply the first, 2^%u", bits) << int(Change::ApplyFirst) << bits;
        QTest::addRow("apply the last, 2^%u", bits) << int(Change::ApplyLast) << bits;
        QTest::addRow("delete the first, 2^%u", bits) << int(Change::DeleteFirst) << bits;
        QTest::addRow("delete the last, 2^%u", bits) << int(Change::DeleteLast) << bits;
    }
}

}

/// Internal snapshots of qcow2 images, on a disk in memory.
class Qcow2SnapshotsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { setLogLevel(LogLevel::Off); }
    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void aSnapshotIsListedAsItWasTaken()
    {
        FakeDisk disk(emptyImage({ .size = mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE(must((*image)->snapshots()).size(), 0U);
        DiskSnapshot const snapshot { .id = "0f6a54f2-43a0-4a46-9b24-0e56a3c5e6d1",
            .name = "Grüße, vor dem Update",
            .time = 1'790'000'000'123'456'789,
            .guestTime = 77'000'000'001,
            .diskSize = mib };
        REQUIRE_OK((*image)->takeSnapshot(snapshot));
        image->reset();
        image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE(must((*image)->snapshots()), std::vector { snapshot });
        QCOMPARE((*image)->info().snapshots, 1U);
    }

    void aSnapshotWithoutANameHasItsId()
    {
        FakeDisk disk(emptyImage({ .size = mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        QCOMPARE(must((*image)->snapshots())[0].name, std::string("a"));
    }

    void goingBackAndForthBetweenSnapshots()
    {
        FakeDisk disk(emptyImage({ .size = 4 * mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(mib, Bytes(mib, 1)));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        REQUIRE_OK((*image)->writeSync(mib + 512, Bytes(512, 2)));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "b", .name = "" }));
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::WriteZeroes, 0, 4 * mib));
        Bytes data(1536);
        Bytes expected(1536, 1);
        for (std::string const id : { "a", "b", "a", "b" }) {
            REQUIRE_OK((*image)->applySnapshot(id));
            REQUIRE_OK((*image)->readSync(mib, data));
            std::fill_n(expected.begin() + 512, 512, id == "a" ? 1 : 2);
            QCOMPARE(data, expected);
            REQUIRE_OK((*image)->writeSync(mib, Bytes(1536, 9))); // the snapshots do not see it
        }
    }

    void randomSequencesAgreeWithAModel_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("refcountBits");
        QTest::addColumn<unsigned>("version");
        for (unsigned const bits : { 9U, 12U, 16U, 18U })
            QTest::addRow("clusters of 2^%u", bits) << bits << 16U << 3U;
        for (unsigned const bits : { 4U, 8U, 32U, 64U })
            QTest::addRow("refcounts of %u", bits) << 10U << bits << 3U;
        QTest::newRow("version 2") << 12U << 16U << 2U;
    }

    void randomSequencesAgreeWithAModel()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, refcountBits);
        QFETCH(unsigned, version);
        NewImage const what {
            .size = mib + 512, .clusterBits = clusterBits, .refcountBits = refcountBits, .version = version
        };
        FakeDisk disk(emptyImage(what));
        DiskModel model(what.size, clusterBits + refcountBits);
        Moments moments;
        std::mt19937 random(clusterBits * refcountBits);
        auto const any = [&] {
            auto it = moments.begin();
            std::advance(it, static_cast<std::ptrdiff_t>(random() % moments.size()));
            return it;
        };
        ShufflingEngine engine(clusterBits);
        for (int round = 0; round < 6; ++round) {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            for (int step = 0; step < 12; ++step) {
                QCOMPARE(model.run(**image, engine, 4, false), std::string());
                auto const choice = random() % 4;
                if (choice < 2 && moments.size() < 9) {
                    auto const id = std::to_string(random());
                    REQUIRE_OK((*image)->takeSnapshot({ .id = id, .name = "" }));
                    moments[id] = model.moment();
                } else if (choice == 2 && !moments.empty()) {
                    auto const it = any();
                    REQUIRE_OK((*image)->applySnapshot(it->first));
                    model.goBack(it->second);
                } else if (!moments.empty()) {
                    auto const it = any();
                    REQUIRE_OK((*image)->deleteSnapshot(it->first));
                    moments.erase(it);
                }
                QCOMPARE(model.compare(**image), std::string());
                QCOMPARE(must((*image)->snapshots()).size(), moments.size());
            }
            QCOMPARE(model.failures(), 0U);
            REQUIRE_OK((*image)->flushSync());
            QCOMPARE(compareAll(engine, disk, moments), std::string());
        }
    }

    /// What a snapshot alone used is used again, so that taking and deleting does not make the file grow.
    void takingAndDeletingDoesNotGrowTheFile()
    {
        FakeDisk disk(emptyImage({ .size = 8 * mib, .clusterBits = 12 }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(0, Bytes(4 * mib, 1)));
        std::size_t after = 0;
        for (int i = 0; i < 30; ++i) {
            REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
            REQUIRE_OK((*image)->writeSync(mib, Bytes(mib, std::uint8_t(i))));
            REQUIRE_OK((*image)->deleteSnapshot("a"));
            if (i == 2)
                after = disk.content.size();
        }
        QVERIFY(disk.content.size() <= after + 64 * kib);
    }

    /// The host gets back what only a deleted snapshot used, later and piece by piece; not what was taken meanwhile.
    void theSpaceOfADeletedSnapshotIsGivenBack()
    {
        FakeDisk disk(emptyImage({ .size = 4 * mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(0, Bytes(mib, 0x77)));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::Discard, 0, mib));
        REQUIRE_OK((*image)->deleteSnapshot("a"));
        auto const kept = std::ranges::count(disk.content, 0x77);
        QVERIFY(kept >= std::ptrdiff_t(mib));
        REQUIRE_OK((*image)->writeSync(2 * mib, Bytes(256 * kib, 0x55)));
        while ((*image)->workWhenIdle()) { }
        QCOMPARE(std::ranges::count(disk.content, 0x77), std::ptrdiff_t(0));
        Bytes data(256 * kib);
        REQUIRE_OK((*image)->readSync(2 * mib, data));
        QCOMPARE(data, Bytes(256 * kib, 0x55));
    }

    /// A snapshot of a disk that nobody has written to since changes only what it must: the tables are shared.
    void aSecondSnapshotSharesTheTables()
    {
        FakeDisk disk(emptyImage({ .size = 64 * mib, .clusterBits = 12 }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(0, Bytes(16 * mib, 1))); // eight L2 tables
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "b", .name = "" }));
        auto const size = disk.content.size();
        REQUIRE_OK((*image)->takeSnapshot({ .id = "c", .name = "" }));
        QVERIFY(disk.content.size() <= size + 2 * 4 * kib);
    }

    void aSnapshotOfAnotherSizeBringsItsSize()
    {
        FakeDisk disk(emptyImage({ .size = mib, .clusterBits = 12 }));
        InlineEngine engine;
        {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(mib - 512, Bytes(512, 5)));
            REQUIRE_OK((*image)->takeSnapshot({ .id = "large", .name = "" }));
        }
        storeBig(ByteSpan(disk.content).subspan(24, 8), std::uint64_t(512 * kib)); // somebody shrinks the disk
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE((*image)->size(), 512 * kib);
        REQUIRE_OK((*image)->applySnapshot("large"));
        QCOMPARE((*image)->size(), mib);
        Bytes data(512);
        REQUIRE_OK((*image)->readSync(mib - 512, data));
        QCOMPARE(data, Bytes(512, 5));
        image->reset();
        image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE((*image)->size(), mib);
    }

    void narrowCountsAreAClearError()
    {
        InlineEngine engine;
        FakeDisk one(emptyImage({ .size = mib, .refcountBits = 1 }));
        auto image = openImage(engine, one);
        REQUIRE_OK(image);
        auto const before = one.content;
        QCOMPARE((*image)->takeSnapshot({ .id = "a", .name = "" }).error().code, ErrorCode::Unsupported);
        QVERIFY(one.content == before);

        FakeDisk two(emptyImage({ .size = mib, .refcountBits = 2 }));
        image = openImage(engine, two);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(0, Bytes(512, 1)));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "b", .name = "" }));
        auto const refused = (*image)->takeSnapshot({ .id = "c", .name = "" });
        QCOMPARE(refused.error().code, ErrorCode::Unsupported);
        QVERIFY(QString::fromStdString(refused.error().detail).contains("2 bits"));
        QCOMPARE(idsOf(must((*image)->snapshots())), (std::vector<std::string> { "a", "b" }));
        REQUIRE_OK((*image)->deleteSnapshot("a"));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "c", .name = "" }));
    }

    void wrongIdsAndNamesAreRefused()
    {
        FakeDisk disk(emptyImage({ .size = mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        auto const taking = [&](std::string id, std::string name) {
            return (*image)->takeSnapshot({ .id = std::move(id), .name = std::move(name) }).error().code;
        };
        QCOMPARE(taking("a", ""), ErrorCode::AlreadyExists);
        QCOMPARE(taking("", ""), ErrorCode::InvalidArgument);
        QCOMPARE(taking(std::string(128, 'x'), ""), ErrorCode::InvalidArgument);
        QCOMPARE(taking("b", std::string(256, 'x')), ErrorCode::InvalidArgument);
        for (std::string const name : { "\xff", "\xc0\x80", "a\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80" })
            QCOMPARE(taking("b", name), ErrorCode::InvalidArgument);
        QCOMPARE(taking("b", std::string("x\0y", 3)), ErrorCode::InvalidArgument);
        QCOMPARE((*image)->applySnapshot("b").error().code, ErrorCode::NotFound);
        QCOMPARE((*image)->deleteSnapshot("b").error().code, ErrorCode::NotFound);
        QCOMPARE(openSnapshot(engine, disk, "b").error().code, ErrorCode::NotFound);
        ImageOptions writable;
        writable.snapshot = "a";
        QCOMPARE(openImage(engine, disk, writable).error().code, ErrorCode::InvalidArgument);
    }

    void aRawImageHasNone()
    {
        FakeDisk disk((Bytes(mib)));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE((*image)->takeSnapshot({ .id = "a", .name = "" }).error().code, ErrorCode::Unsupported);
        QCOMPARE((*image)->snapshots().error().code, ErrorCode::Unsupported);
        QCOMPARE(openSnapshot(engine, disk, "a").error().code, ErrorCode::Unsupported);
    }

    void aPowerCutLeavesTheOldOrTheNew_data() { addChanges(); }

    /// The power goes before any write or sync; then everything is read again.
    void aPowerCutLeavesTheOldOrTheNew()
    {
        QFETCH(int, kind);
        QFETCH(unsigned, clusterBits);
        auto const change = static_cast<Change>(kind);
        Prepared const start(clusterBits);
        auto after = start.moments;
        auto modelAfter = start.model;
        make(modelAfter, after, change);
        bool done = false;
        unsigned old = 0, fresh = 0;
        for (std::uint64_t cut = 0; !done; ++cut) {
            FakeDisk disk(start.disk.content);
            ShufflingEngine engine(1);
            {
                auto image = openImage(engine, disk);
                REQUIRE_OK(image);
                disk.fault = FakeDisk::Fault::PowerCut;
                disk.faultAt = disk.operations + cut;
                done = make(**image, change).has_value() && disk.powered;
            }
            for (unsigned survivors = 0; survivors < 3; ++survivors) {
                FakeDisk left(disk.afterPowerCut(survivors));
                auto image = openImage(engine, left);
                REQUIRE_OK(image);
                bool const happened = idsOf(must((*image)->snapshots())).size() != start.moments.size();
                bool const isApply = change == Change::ApplyFirst || change == Change::ApplyLast;
                auto const& moments = happened ? after : start.moments;
                auto const asBefore = start.model.compare(**image);
                auto const asAfter = modelAfter.compare(**image);
                QVERIFY2(asBefore.empty() || (isApply && asAfter.empty()), asBefore.c_str());
                QCOMPARE(compareAll(engine, left, moments), std::string());
                (happened || (isApply && asAfter.empty()) ? fresh : old) += 1;
                // And it can be written to: what is shared is known to be.
                Bytes const other(64 * kib, 0xcc);
                for (std::uint64_t at = 0; at < mib; at += 64 * kib)
                    REQUIRE_OK((*image)->writeSync(at, other));
                REQUIRE_OK((*image)->flushSync());
                QCOMPARE(compareAll(engine, left, moments), std::string());
            }
        }
        QVERIFY(old != 0);
        QVERIFY(fresh != 0);
    }

    void aFailingDiskLeavesTheOldOrTheNew_data() { addChanges(); }

    void aFailingDiskLeavesTheOldOrTheNew()
    {
        QFETCH(int, kind);
        QFETCH(unsigned, clusterBits);
        auto const change = static_cast<Change>(kind);
        Prepared const start(clusterBits);
        auto after = start.moments;
        auto modelAfter = start.model;
        make(modelAfter, after, change);
        for (auto const fault : { FakeDisk::Fault::Fail, FakeDisk::Fault::Torn, FakeDisk::Fault::Unreadable }) {
            for (bool const stays : { false, true }) {
                bool struck = true;
                for (std::uint64_t at = 0; struck; ++at) {
                    FakeDisk disk(start.disk.content);
                    ShufflingEngine engine(1);
                    auto image = openImage(engine, disk);
                    REQUIRE_OK(image);
                    disk.plan(fault, at, stays);
                    auto const made = make(**image, change);
                    struck = disk.hasStruck();
                    disk.fault = FakeDisk::Fault::None; // there is room again
                    if (!made) {
                        bool const isUnreadable = fault == FakeDisk::Fault::Unreadable;
                        QCOMPARE(made.error().code, isUnreadable ? ErrorCode::IoError : ErrorCode::NoSpace);
                        QCOMPARE(start.model.compare(**image), std::string());
                        bool happened = false;
                        if (auto const known = (*image)->prepareSnapshot(); known) {
                            QCOMPARE(compareAll(engine, disk, start.moments), std::string());
                        } else {
                            // Whether the header was written nobody knows, so the image is opened again.
                            QCOMPARE(known.error().code, ErrorCode::IoError);
                            QVERIFY(known.error().detail.ends_with("until it is opened again"));
                            image->reset();
                            image = openImage(engine, disk);
                            REQUIRE_OK(image);
                            happened = must((*image)->snapshots()).size() != start.moments.size();
                        }
                        if (!happened)
                            REQUIRE_OK(make(**image, change));
                    }
                    QCOMPARE(modelAfter.compare(**image), std::string());
                    REQUIRE_OK((*image)->flushSync());
                    QCOMPARE(compareAll(engine, disk, after), std::string());
                }
            }
        }
    }

    void hostileTablesAreRefusedByName_data()
    {
        QTest::addColumn<int>("offset"); // in the first entry
        QTest::addColumn<int>("width");
        QTest::addColumn<std::uint64_t>("value");
        QTest::addColumn<QString>("says");
        QTest::newRow("L1 outside") << 0 << 8 << (std::uint64_t(1) << 40) << "outside of the file";
        QTest::newRow("L1 unaligned") << 0 << 8 << std::uint64_t(0x30200) << "outside of the file";
        QTest::newRow("L1 in the header") << 0 << 8 << std::uint64_t(0) << "outside of the file";
        QTest::newRow("L1 on the refcount table") << 0 << 8 << std::uint64_t(0) << "overlaps";
        QTest::newRow("L1 huge") << 8 << 4 << std::uint64_t(0xffffffff) << "L1 table of";
        QTest::newRow("L1 beyond the file") << 8 << 4 << std::uint64_t(1 << 20) << "outside of the file";
        QTest::newRow("id too long") << 12 << 2 << std::uint64_t(65535) << "UTF-8";
        QTest::newRow("extra data") << 36 << 4 << std::uint64_t(0x7fffffff) << "extra data";
        QTest::newRow("disk size") << 48 << 8 << ~std::uint64_t(0) << "of a disk of";
        QTest::newRow("id not UTF-8") << 64 << 1 << std::uint64_t(0xff) << "UTF-8";
        QTest::newRow("same id") << 64 << 3 << std::uint64_t(0x74776f) << "another one";
    }

    void hostileTablesAreRefusedByName()
    {
        QFETCH(int, offset);
        QFETCH(int, width);
        QFETCH(std::uint64_t, value);
        QFETCH(QString, says);
        Prepared start(12);
        auto& content = start.disk.content;
        auto const table = big64(content, 64);
        auto const at = static_cast<std::size_t>(table) + static_cast<std::size_t>(offset);
        if (says == "overlaps")
            value = big64(content, 48);
        for (int i = 0; i < width; ++i)
            content[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value >> (width - 1 - i) * 8);
        InlineEngine engine;
        auto const image = openImage(engine, start.disk);
        QVERIFY(!image);
        QCOMPARE(image.error().code, ErrorCode::Corrupt);
        QVERIFY2(QString::fromStdString(image.error().detail).contains(says), image.error().detail.c_str());
    }

    void hostileCountsAreRefusedByName_data()
    {
        QTest::addColumn<std::uint64_t>("count");
        QTest::addColumn<std::uint64_t>("offset"); // 0: as it is
        QTest::newRow("too many") << std::uint64_t(65537) << std::uint64_t(0);
        QTest::newRow("more than there are") << std::uint64_t(65536) << std::uint64_t(0);
        QTest::newRow("outside") << std::uint64_t(2) << (std::uint64_t(1) << 40);
        QTest::newRow("unaligned") << std::uint64_t(2) << std::uint64_t(0x200);
    }

    void hostileCountsAreRefusedByName()
    {
        QFETCH(std::uint64_t, count);
        QFETCH(std::uint64_t, offset);
        Prepared start(12);
        auto& content = start.disk.content;
        storeBig(ByteSpan(content).subspan(60, 4), static_cast<std::uint32_t>(count));
        if (offset != 0)
            storeBig(ByteSpan(content).subspan(64, 8), offset);
        InlineEngine engine;
        auto const image = openImage(engine, start.disk);
        QVERIFY(!image);
        QCOMPARE(image.error().code, ErrorCode::Corrupt);
        QVERIFY(QString::fromStdString(image.error().detail).contains("snapshot"));
    }

    /// A snapshot whose tables lead to where they must not is refused when it is used, and nothing else is harmed.
    void hostileTablesBelowASnapshotHarmNothing_data()
    {
        QTest::addColumn<std::uint64_t>("entry");
        QTest::newRow("outside") << (std::uint64_t(1) << 40);
        QTest::newRow("reserved bits") << std::uint64_t(0x0100000000010000);
        QTest::newRow("the header") << std::uint64_t(1);
        QTest::newRow("free space") << std::uint64_t(0xfff000);
    }

    void hostileTablesBelowASnapshotHarmNothing()
    {
        QFETCH(std::uint64_t, entry);
        Prepared start(12);
        auto& content = start.disk.content;
        content.resize(0x1000000);
        auto const l1 = big64(content, big64(content, 64)); // of the first snapshot
        storeBig(ByteSpan(content).subspan(l1, 8), entry);
        InlineEngine engine;
        auto image = openImage(engine, start.disk);
        REQUIRE_OK(image);
        QVERIFY(!(*image)->applySnapshot("one"));
        QVERIFY(!(*image)->deleteSnapshot("one"));
        QCOMPARE(start.model.compare(**image), std::string());
        REQUIRE_OK((*image)->flushSync());
        start.moments.erase("one");
        QCOMPARE(compareAll(engine, start.disk, start.moments), std::string());
    }

    /// Entries of later versions of the format go through our hands as they are.
    void unknownExtraDataIsKept()
    {
        Prepared start(12);
        auto& content = start.disk.content;
        auto const table = static_cast<std::size_t>(big64(content, 64));
        // The first entry gets eight bytes more, in the place of the second, which goes.
        std::copy_backward(content.begin() + static_cast<std::ptrdiff_t>(table + 64),
            content.begin() + static_cast<std::ptrdiff_t>(table + 200),
            content.begin() + static_cast<std::ptrdiff_t>(table + 208));
        storeBig(ByteSpan(content).subspan(table + 36, 4), std::uint32_t(32));
        storeBig(ByteSpan(content).subspan(table + 64, 8), std::uint64_t(0x1122334455667788));
        storeBig(ByteSpan(content).subspan(60, 4), std::uint32_t(1));
        InlineEngine engine;
        auto image = openImage(engine, start.disk);
        REQUIRE_OK(image);
        QCOMPARE(must((*image)->snapshots())[0].id, std::string("one"));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "three", .name = "" }));
        auto const moved = static_cast<std::size_t>(big64(content, 64));
        QVERIFY(moved != table);
        QCOMPARE(big64(content, moved + 64), 0x1122334455667788ULL);
        QCOMPARE(idsOf(must((*image)->snapshots())), (std::vector<std::string> { "one", "three" }));
    }
};

REGISTER_SUITE(Qcow2SnapshotsTest);
#include "qcow2_snapshots_test.moc"
