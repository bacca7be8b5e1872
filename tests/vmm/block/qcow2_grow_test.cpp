#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
constexpr std::uint64_t oldSize = 96 * kib + 512, largeSize = 256 * kib, newSize = 400 * kib + 512;

Result<std::unique_ptr<BlockImage>> openImage(IoEngine& engine, FakeDisk& disk, ImageOptions const& options = {})
{
    return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), options, {});
}

DiskModel::Moment ofSize(DiskModel::Moment moment, std::uint64_t size)
{
    moment.content.resize(size);
    moment.known.resize(size / 512, true);
    return moment;
}

bool isZeros(BlockImage& image, std::uint64_t from, std::uint64_t to)
{
    Bytes data(to - from, 1);
    must(image.readSync(from, data));
    return std::ranges::count(data, 0) == std::ptrdiff_t(data.size());
}

/// A disk that has been larger once: its snapshot "large" still is, and somebody has left in the tables what lies
/// behind the end.
struct Shrunk {
    FakeDisk disk;
    DiskModel::Moment large, before, after;

    explicit Shrunk(unsigned clusterBits) : disk(emptyImage({ .size = largeSize, .clusterBits = clusterBits }))
    {
        DiskModel model(largeSize, clusterBits);
        ShufflingEngine engine(1);
        {
            auto const image = must(openImage(engine, disk));
            must(image->writeSync(0, Bytes(largeSize, 0xee)));
            std::ranges::fill(model.content(), std::uint8_t(0xee));
            must(image->takeSnapshot({ .id = "large", .name = "" }));
            large = model.moment();
            model.run(*image, engine, 40, false);
            must(image->flushSync());
        }
        storeBig(ByteSpan(disk.content).subspan(24, 8), oldSize);
        before = ofSize(model.moment(), oldSize);
        after = ofSize(before, newSize);
        disk = FakeDisk(disk.content); // all of it durable
    }
    /// What is wrong with the disk as it is, of either size, and with its snapshot.
    std::string problem(IoEngine& engine, FakeDisk& left) const
    {
        ImageOptions options;
        options.access = Access::ReadOnly;
        auto const image = openImage(engine, left, options);
        if (!image)
            return image.error().message();
        auto const size = (*image)->size();
        if (size != oldSize && size != newSize)
            return fmt::format("a disk of {} bytes", size);
        if (auto wrong = DiskModel::compare(**image, size == oldSize ? before : after); !wrong.empty())
            return wrong;
        options.snapshot = "large";
        auto const then = openImage(engine, left, options);
        return then ? DiskModel::compare(**then, large) : then.error().message();
    }
};

void addClusters()
{
    QTest::addColumn<unsigned>("clusterBits");
    QTest::newRow("five more L1 entries") << 9U;
    QTest::newRow("two more") << 10U;
    QTest::newRow("the same L1 table") << 16U;
}

}

/// qcow2 disks that are made larger, on a disk in memory; what qemu-img says is in
/// tests/images/larger_disk_tools_test.cpp.
class Qcow2GrowTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { setLogLevel(LogLevel::Off); }
    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void itReadsTheSameAndThenZeros_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("version");
        for (unsigned const bits : { 9U, 12U, 16U, 21U })
            QTest::addRow("clusters of 2^%u", bits) << bits << 3U;
        QTest::newRow("version 2") << 9U << 2U;
    }

    void itReadsTheSameAndThenZeros()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, version);
        FakeDisk disk(emptyImage({ .size = oldSize, .clusterBits = clusterBits, .version = version }));
        DiskModel model(oldSize, clusterBits);
        ShufflingEngine engine(clusterBits);
        auto image = must(openImage(engine, disk));
        QCOMPARE(model.run(*image, engine, 30), std::string());
        REQUIRE_OK(image->grow(newSize));
        QCOMPARE(image->size(), newSize);
        QCOMPARE(DiskModel::compare(*image, ofSize(model.moment(), newSize)), std::string());
        REQUIRE_OK(image->writeSync(newSize - 512, Bytes(512, 5)));
        // It was durable when it returned, and what is written then is kept like all else.
        QCOMPARE(must(openImage(engine, disk))->size(), newSize);
        REQUIRE_OK(image->flushSync());
        image.reset();
        FakeDisk left(disk.afterPowerCut(0));
        image = must(openImage(engine, left));
        QCOMPARE(image->size(), newSize);
        Bytes last(512);
        REQUIRE_OK(image->readSync(newSize - 512, last));
        QCOMPARE(last, Bytes(512, 5));
        QVERIFY(isZeros(*image, oldSize, newSize - 512));
    }

    void anEmptyDiskOfNoSizeBecomesOne()
    {
        FakeDisk disk(emptyImage({ .size = 512 }));
        storeBig(ByteSpan(disk.content).subspan(24, 8), std::uint64_t(0));
        storeBig(ByteSpan(disk.content).subspan(36, 4), std::uint32_t(0));
        InlineEngine engine;
        auto const image = must(openImage(engine, disk));
        REQUIRE_OK(image->grow(mib));
        REQUIRE_OK(image->writeSync(mib - 512, Bytes(512, 3)));
        QVERIFY(isZeros(*image, 0, mib - 512));
    }

    void whatWasBehindTheEndDoesNotComeToLight_data() { addClusters(); }

    void whatWasBehindTheEndDoesNotComeToLight()
    {
        QFETCH(unsigned, clusterBits);
        Shrunk start(clusterBits);
        InlineEngine engine;
        {
            auto const image = must(openImage(engine, start.disk));
            QCOMPARE(image->size(), oldSize);
            REQUIRE_OK(image->grow(newSize));
        }
        QCOMPARE(start.problem(engine, start.disk), std::string());
        QCOMPARE(must(openImage(engine, start.disk))->size(), newSize);
    }

    void norWhatALargerBaseHas_data()
    {
        QTest::addColumn<ImageFormat>("format");
        QTest::addColumn<std::uint64_t>("size");
        QTest::addColumn<unsigned>("version");
        for (auto const& [name, size] : { std::pair("smaller", 64 * kib), { "as large", oldSize },
                 { "larger", largeSize }, { "larger than that", 640 * kib } }) {
            QTest::addRow("raw, %s", name) << ImageFormat::Raw << size << 3U;
            QTest::addRow("qcow2, %s", name) << ImageFormat::Qcow2 << size << 3U;
            QTest::addRow("below version 2, %s", name) << ImageFormat::Raw << size << 2U;
        }
    }

    void norWhatALargerBaseHas()
    {
        QFETCH(ImageFormat, format);
        QFETCH(std::uint64_t, size);
        QFETCH(unsigned, version);
        FakeDisk base(emptyImage({ .format = format, .size = size }));
        FakeDisk top(emptyImage({ .size = oldSize,
            .clusterBits = 12,
            .version = version,
            .backingFile = "base",
            .backingFormat = format }));
        InlineEngine engine;
        ImageOptions below;
        below.format = format;
        must(must(openImage(engine, base, below))->writeSync(0, Bytes(size, 7)));
        auto const open = [&] {
            return must(BlockImage::open(engine, std::make_unique<FakeBlockFile>(top), {},
                [&](std::string const&, std::optional<ImageFormat>) { return openImage(engine, base, below); }));
        };
        {
            auto const image = open();
            REQUIRE_OK(image->writeSync(4096, Bytes(512, 8)));
            REQUIRE_OK(image->grow(newSize));
        }
        auto const image = open();
        QCOMPARE(image->size(), newSize);
        auto const had = std::min(size, oldSize);
        Bytes expected(newSize), data(newSize);
        std::fill_n(expected.begin(), had, std::uint8_t(7));
        std::fill_n(expected.begin() + 4096, 512, std::uint8_t(8));
        REQUIRE_OK(image->readSync(0, data));
        QVERIFY(data == expected);
    }

    void snapshotsKeepTheirSize()
    {
        FakeDisk disk(emptyImage({ .size = oldSize, .clusterBits = 9 }));
        InlineEngine engine;
        auto image = must(openImage(engine, disk));
        REQUIRE_OK(image->writeSync(0, Bytes(oldSize, 1)));
        REQUIRE_OK(image->takeSnapshot({ .id = "small", .name = "" }));
        REQUIRE_OK(image->grow(newSize));
        REQUIRE_OK(image->writeSync(oldSize - 512, Bytes(newSize - oldSize + 512, 2)));
        REQUIRE_OK(image->takeSnapshot({ .id = "large", .name = "" }));
        auto const listed = must(image->snapshots());
        QCOMPARE(listed[0].diskSize, oldSize);
        QCOMPARE(listed[1].diskSize, newSize);

        REQUIRE_OK(image->applySnapshot("small"));
        QCOMPARE(image->size(), oldSize);
        Bytes data(oldSize);
        REQUIRE_OK(image->readSync(0, data));
        QCOMPARE(data, Bytes(oldSize, 1));
        REQUIRE_OK(image->grow(newSize)); // of what it gained the last time nothing is there
        QVERIFY(isZeros(*image, oldSize, newSize));
        image.reset();
        image = must(openImage(engine, disk));
        REQUIRE_OK(image->applySnapshot("large"));
        QCOMPARE(image->size(), newSize);
        Bytes end(1024);
        REQUIRE_OK(image->readSync(newSize - 1024, end));
        QCOMPARE(end, Bytes(1024, 2));
        REQUIRE_OK(image->deleteSnapshot("large"));
        REQUIRE_OK(image->deleteSnapshot("small"));
        REQUIRE_OK(image->readSync(newSize - 1024, end));
        QCOMPARE(end, Bytes(1024, 2));
    }

    /// In version 2 it need not say it, and would be as large as the disk is whenever somebody reads it.
    void aSnapshotThatDoesNotSayItsSizeIsInTheWay()
    {
        FakeDisk disk(emptyImage({ .size = mib, .version = 2 }));
        InlineEngine engine;
        must(must(openImage(engine, disk))->takeSnapshot({ .id = "one", .name = "two" }));
        {
            auto const image = must(openImage(engine, disk)); // ours say it
            REQUIRE_OK(image->grow(2 * mib));
        }
        auto const table = loadBig<std::uint64_t>(ConstByteSpan(disk.content).subspan(64, 8));
        auto const entry = ByteSpan(disk.content).subspan(table, 48);
        storeBig(entry.subspan(36, 4), std::uint32_t(0));
        std::ranges::copy(bytesOf("onetwo"), entry.begin() + 40);
        auto const image = must(openImage(engine, disk));
        QCOMPARE(must(image->snapshots())[0].id, std::string("one"));
        auto const refused = image->grow(3 * mib);
        QCOMPARE(refused.error().code, ErrorCode::Unsupported);
        QVERIFY2(
            QString::fromStdString(refused.error().detail).contains("qemu-img amend"), refused.error().detail.c_str());
        QCOMPARE(image->size(), 2 * mib);
    }

    void whatIsNoLargerSizeIsRefused()
    {
        FakeDisk disk(emptyImage({ .size = mib })), raw { Bytes(mib) };
        InlineEngine engine;
        for (auto* const which : { &disk, &raw }) {
            auto const image = must(openImage(engine, *which));
            auto const before = which->content;
            for (auto const size : { std::uint64_t(0), mib - 512, mib, mib + 1, (std::uint64_t(1) << 62) + 512,
                     std::uint64_t(1) << 63, ~std::uint64_t(511), ~std::uint64_t(0) })
                QCOMPARE(image->grow(size).error().code, ErrorCode::InvalidArgument);
            QCOMPARE(image->size(), mib);
            QVERIFY(which->content == before);
            ImageOptions options;
            options.access = Access::ReadOnly;
            QCOMPARE(must(openImage(engine, *which, options))->grow(2 * mib).error().code, ErrorCode::PermissionDenied);
        }
        QCOMPARE(must(openImage(engine, disk))->grow(1ULL << 62).error().code, ErrorCode::InvalidArgument);
        REQUIRE_OK(must(openImage(engine, raw))->checkGrowth(1ULL << 62));
    }

    /// Of 512 bytes each they hold 128 GiB.
    void asMuchAsTheClustersHold()
    {
        FakeDisk disk(emptyImage({ .size = mib, .clusterBits = 9 }));
        InlineEngine engine;
        auto image = must(openImage(engine, disk));
        REQUIRE_OK(image->writeSync(mib - 512, Bytes(512, 4)));
        QCOMPARE(image->grow(128 * gib + 512).error().code, ErrorCode::InvalidArgument);
        REQUIRE_OK(image->grow(128 * gib));
        QCOMPARE(image->grow(128 * gib + 512).error().code, ErrorCode::InvalidArgument);
        REQUIRE_OK(image->writeSync(128 * gib - 512, Bytes(512, 5)));
        image.reset();
        image = must(openImage(engine, disk));
        QCOMPARE(image->size(), 128 * gib);
        Bytes data(512);
        REQUIRE_OK(image->readSync(mib - 512, data));
        QCOMPARE(data, Bytes(512, 4));
        REQUIRE_OK(image->readSync(128 * gib - 512, data));
        QCOMPARE(data, Bytes(512, 5));
    }

    void tablesThatCannotBeRightAreAnError()
    {
        FakeDisk disk(emptyImage({ .size = 64 * kib, .clusterBits = 12 }));
        InlineEngine engine;
        must(must(openImage(engine, disk))->writeSync(0, Bytes(64 * kib, 1)));
        // Behind the end of the disk, which reads nothing of it, an entry leads out of the file.
        auto const l1 = loadBig<std::uint64_t>(ConstByteSpan(disk.content).subspan(40, 8));
        auto const l2 = loadBig<std::uint64_t>(ConstByteSpan(disk.content).subspan(l1, 8)) & 0x00fffffffffffe00;
        storeBig(ByteSpan(disk.content).subspan(l2 + 20 * 8, 8), std::uint64_t(1) << 40);
        auto const image = must(openImage(engine, disk));
        QCOMPARE(image->grow(mib).error().code, ErrorCode::Corrupt);
        QCOMPARE(image->size(), 64 * kib);
        Bytes data(64 * kib);
        REQUIRE_OK(image->readSync(0, data));
        QCOMPARE(data, Bytes(64 * kib, 1));
    }

    void aPowerCutLeavesTheOldOrTheNew_data() { addClusters(); }

    void aPowerCutLeavesTheOldOrTheNew()
    {
        QFETCH(unsigned, clusterBits);
        Shrunk const start(clusterBits);
        ShufflingEngine engine(1);
        bool done = false;
        unsigned old = 0, fresh = 0;
        for (std::uint64_t cut = 0; !done; ++cut) {
            FakeDisk disk(start.disk.content);
            {
                auto const image = must(openImage(engine, disk));
                disk.fault = FakeDisk::Fault::PowerCut;
                disk.faultAt = disk.operations + cut;
                done = image->grow(newSize).has_value() && disk.powered;
            }
            for (unsigned survivors = 0; survivors < 3; ++survivors) {
                FakeDisk left(disk.afterPowerCut(survivors));
                QCOMPARE(start.problem(engine, left), std::string());
                auto const image = must(openImage(engine, left));
                bool const isOld = image->size() == oldSize;
                ++(isOld ? old : fresh);
                if (isOld)
                    REQUIRE_OK(image->grow(newSize));
                QCOMPARE(start.problem(engine, left), std::string());
                // What it gained is its own: the snapshot has something there.
                REQUIRE_OK(image->writeSync(0, Bytes(newSize, 0xcc)));
                REQUIRE_OK(image->flushSync());
                ImageOptions options;
                options.access = Access::ReadOnly;
                options.snapshot = "large";
                auto const then = must(openImage(engine, left, options));
                QCOMPARE(DiskModel::compare(*then, start.large), std::string());
            }
        }
        QVERIFY(old != 0);
        QVERIFY(fresh != 0);
    }

    void aFailingDiskLeavesTheOldOrTheNew_data() { addClusters(); }

    void aFailingDiskLeavesTheOldOrTheNew()
    {
        QFETCH(unsigned, clusterBits);
        Shrunk const start(clusterBits);
        ShufflingEngine engine(1);
        for (auto const fault : { FakeDisk::Fault::Fail, FakeDisk::Fault::Torn, FakeDisk::Fault::Unreadable }) {
            for (bool const stays : { false, true }) {
                bool struck = true;
                for (std::uint64_t at = 0; struck; ++at) {
                    FakeDisk disk(start.disk.content);
                    auto image = must(openImage(engine, disk));
                    disk.plan(fault, at, stays);
                    auto const grown = image->grow(newSize);
                    struck = disk.hasStruck();
                    disk.fault = FakeDisk::Fault::None; // there is room again
                    QVERIFY(grown || struck);
                    if (!grown) {
                        bool const isUnreadable = fault == FakeDisk::Fault::Unreadable;
                        QCOMPARE(grown.error().code, isUnreadable ? ErrorCode::IoError : ErrorCode::NoSpace);
                        QCOMPARE(image->size(), oldSize);
                        QCOMPARE(DiskModel::compare(*image, start.before), std::string());
                        // Whether the header was written nobody may know: then the image is opened again.
                        if (auto const known = image->prepareSnapshot(); !known) {
                            QCOMPARE(known.error().code, ErrorCode::IoError);
                            QVERIFY(known.error().detail.ends_with("until it is opened again"));
                            image.reset();
                            image = must(openImage(engine, disk));
                        }
                        if (image->size() == oldSize)
                            REQUIRE_OK(image->grow(newSize));
                    }
                    REQUIRE_OK(image->flushSync());
                    image.reset();
                    QCOMPARE(start.problem(engine, disk), std::string());
                    QCOMPARE(must(openImage(engine, disk))->size(), newSize);
                }
            }
        }
    }
};

REGISTER_SUITE(Qcow2GrowTest);
#include "qcow2_grow_test.moc"
