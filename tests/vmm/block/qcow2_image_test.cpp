#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

Result<std::unique_ptr<BlockImage>> openImage(IoEngine& engine, FakeDisk& disk, Access access = Access::ReadWrite,
    BlockImage::OpenBacking const& backing = {}, std::string name = "fake")
{
    ImageOptions options;
    options.access = access;
    return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk, std::move(name)), options, backing);
}

void putBig32(Bytes& image, std::size_t offset, std::uint32_t value)
{
    storeBig(ByteSpan(image).subspan(offset, 4), value);
}

void putBig64(Bytes& image, std::size_t offset, std::uint64_t value)
{
    storeBig(ByteSpan(image).subspan(offset, 8), value);
}

std::uint64_t big64(Bytes const& image, std::size_t offset)
{
    return loadBig<std::uint64_t>(ConstByteSpan(image).subspan(offset, 8));
}

}

class Qcow2ImageTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { setLogLevel(LogLevel::Off); }
    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void aNewImageReadsAsZeros()
    {
        FakeDisk disk(emptyImage({ .size = 3 * mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE((*image)->size(), 3 * mib);
        Bytes data(64 * kib, 0xff);
        REQUIRE_OK((*image)->readSync(mib + 512, data));
        QCOMPARE(data, Bytes(64 * kib, 0));
    }

    void whatIsWrittenIsThereAfterOpeningAgain()
    {
        FakeDisk disk(emptyImage({ .size = 3 * mib }));
        InlineEngine engine;
        Bytes const written(100 * kib, 0x5a);
        {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(mib - 512, written));
            REQUIRE_OK((*image)->flushSync());
        }
        auto image = openImage(engine, disk, Access::ReadOnly);
        REQUIRE_OK(image);
        Bytes read(102 * kib);
        REQUIRE_OK((*image)->readSync(mib - 1024, read));
        QCOMPARE(Bytes(read.begin(), read.begin() + 512), Bytes(512, 0));
        QCOMPARE(Bytes(read.begin() + 512, read.begin() + 512 + 100 * kib), written);
        QCOMPARE(Bytes(read.begin() + 512 + 100 * kib, read.end()), Bytes(1536, 0));
    }

    void randomRequestsAgreeWithAModel_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("refcountBits");
        QTest::addColumn<unsigned>("version");
        QTest::addColumn<bool>("backing");
        for (unsigned const clusterBits : { 9U, 12U, 16U, 21U }) {
            for (bool const backing : { false, true }) {
                QTest::addRow("%u v3 %d", clusterBits, backing) << clusterBits << 16U << 3U << backing;
                QTest::addRow("%u v2 %d", clusterBits, backing) << clusterBits << 16U << 2U << backing;
            }
        }
        for (unsigned const refcountBits : { 1U, 2U, 4U, 8U, 32U, 64U })
            QTest::addRow("refcounts %u", refcountBits) << 9U << refcountBits << 3U << true;
    }

    void randomRequestsAgreeWithAModel()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, refcountBits);
        QFETCH(unsigned, version);
        QFETCH(bool, backing);
        NewImage what {
            .size = 2 * mib + 512, .clusterBits = clusterBits, .refcountBits = refcountBits, .version = version
        };
        if (backing) {
            what.backingFile = "below";
            what.backingFormat = ImageFormat::Raw;
        }
        FakeDisk disk(emptyImage(what));
        DiskModel model(what.size, clusterBits * 7 + version);
        FakeDisk below(patternBytes(mib + 512)); // shorter than what lies over it
        if (backing)
            std::ranges::copy(below.content, model.content().begin());
        ShufflingEngine engine(clusterBits);
        auto const openBacking = [&](std::string const&, std::optional<ImageFormat>) {
            return openImage(engine, below, Access::ReadOnly, {}, "below");
        };
        for (int round = 0; round < 3; ++round) {
            auto image = openImage(engine, disk, Access::ReadWrite, openBacking);
            REQUIRE_OK(image);
            QCOMPARE(model.run(**image, engine, 60), std::string());
            QCOMPARE(model.compare(**image), std::string());
            QCOMPARE(model.failures(), 0U);
            REQUIRE_OK((*image)->flushSync());
        }
        auto image = openImage(engine, disk, Access::ReadOnly, openBacking);
        REQUIRE_OK(image);
        QCOMPARE(model.compare(**image), std::string());
    }

    void anImageGrowsPastItsFirstRefcountTable()
    {
        // 512-byte clusters with 64-bit counts: a table cluster counts 64 blocks of 64 clusters, 2 MiB.
        FakeDisk disk(emptyImage({ .size = 6 * mib, .clusterBits = 9, .refcountBits = 64 }));
        InlineEngine engine;
        Bytes written(6 * mib);
        for (std::size_t i = 0; i < written.size(); ++i)
            written[i] = static_cast<std::uint8_t>(i / 512 + i);
        {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(0, written));
            REQUIRE_OK((*image)->flushSync());
        }
        QVERIFY(big64(disk.content, 48) > 2 * mib); // the table moved
        auto image = openImage(engine, disk, Access::ReadOnly);
        REQUIRE_OK(image);
        Bytes read(written.size());
        REQUIRE_OK((*image)->readSync(0, read));
        QVERIFY(read == written);
    }

    void discardedClustersAreUsedAgain()
    {
        FakeDisk disk(emptyImage({ .size = 8 * mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(0, Bytes(mib, 1)));
        REQUIRE_OK((*image)->flushSync());
        auto const size = disk.content.size();
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::Discard, 0, mib));
        REQUIRE_OK((*image)->flushSync());
        REQUIRE_OK((*image)->writeSync(4 * mib, Bytes(mib, 2)));
        REQUIRE_OK((*image)->flushSync());
        QVERIFY(disk.content.size() <= size);
        Bytes read(mib, 9);
        REQUIRE_OK((*image)->readSync(0, read));
        QCOMPARE(read, Bytes(mib, 0));
    }

    void aRangeOutsideOfTheDiskIsRefused()
    {
        FakeDisk disk(emptyImage({ .size = mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        Bytes data(1024);
        QCOMPARE((*image)->readSync(mib - 512, data).error().code, ErrorCode::InvalidArgument);
        QCOMPARE((*image)->readSync(~511ULL, data).error().code, ErrorCode::InvalidArgument);
        QCOMPARE((*image)->writeSync(100, data).error().code, ErrorCode::InvalidArgument);
    }

    void aFullHostIsReportedAndTheRequestSucceedsLater()
    {
        FakeDisk disk(emptyImage({ .size = 4 * mib }));
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        Bytes const data(mib, 0x77);
        disk.fault = FakeDisk::Fault::Torn;
        disk.faultAt = disk.operations;
        disk.faultStays = true;
        QCOMPARE((*image)->writeSync(512, data).error().code, ErrorCode::NoSpace);
        disk.fault = FakeDisk::Fault::None;
        REQUIRE_OK((*image)->writeSync(512, data));
        disk.fault = FakeDisk::Fault::Fail;
        disk.faultAt = disk.operations;
        QCOMPARE((*image)->runSync(BlockRequest::Kind::Flush, 0, 0).error().code, ErrorCode::NoSpace);
        disk.fault = FakeDisk::Fault::None;
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::Flush, 0, 0));
        image->reset();
        auto again = openImage(engine, disk, Access::ReadOnly);
        REQUIRE_OK(again);
        Bytes read(mib);
        REQUIRE_OK((*again)->readSync(512, read));
        QVERIFY(read == data);
    }

    void whatWasFlushedSurvivesAPowerCutAtAnyWrite()
    {
        NewImage const what { .size = mib, .clusterBits = 12 };
        auto const empty = emptyImage(what);
        std::uint64_t total = 0;
        for (std::uint64_t cut = 0; cut <= total; cut += 9) {
            FakeDisk disk(empty);
            ShufflingEngine engine(3);
            DiskModel model(what.size, 11);
            {
                auto image = openImage(engine, disk);
                REQUIRE_OK(image);
                disk.fault = cut == 0 ? FakeDisk::Fault::None : FakeDisk::Fault::PowerCut;
                disk.faultAt = cut;
                for (int i = 0; i < 6; ++i) {
                    QCOMPARE(model.run(**image, engine, 6), std::string());
                    model.flush(**image);
                }
            }
            if (cut == 0)
                total = disk.operations;
            for (unsigned seed = 0; seed < 4; ++seed) {
                FakeDisk left(disk.afterPowerCut(seed));
                auto image = openImage(engine, left);
                REQUIRE_OK(image);
                QCOMPARE(model.compareDurable(**image), std::string());
            }
        }
        QVERIFY(total > 50);
    }

    void anImageThatWasNotClosedIsCountedAnew()
    {
        FakeDisk disk(emptyImage({ .size = 4 * mib }));
        InlineEngine engine;
        Bytes const data(mib, 0x33);
        {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(0, data));
        }
        auto const intact = disk.content;
        auto const block = big64(intact, big64(intact, 48)); // the first refcount block
        auto broken = intact;
        std::fill_n(broken.begin() + static_cast<std::ptrdiff_t>(block), 64 * kib, 0);
        putBig64(broken, 72, 1);
        FakeDisk left(broken);
        {
            auto image = openImage(engine, left);
            REQUIRE_OK(image);
            QVERIFY(!(*image)->info().dirty);
        }
        QVERIFY(std::equal(intact.begin() + static_cast<std::ptrdiff_t>(block),
            intact.begin() + static_cast<std::ptrdiff_t>(block + 64 * kib),
            left.content.begin() + static_cast<std::ptrdiff_t>(block)));
        QCOMPARE(big64(left.content, 72), 0ULL);
    }

    void unknownFeaturesAreRefusedByName_data()
    {
        QTest::addColumn<std::uint64_t>("feature");
        QTest::addColumn<QString>("name");
        QTest::newRow("data file") << (std::uint64_t(1) << 2) << "external data file";
        QTest::newRow("extended L2") << (std::uint64_t(1) << 4) << "extended L2";
        QTest::newRow("unknown") << (std::uint64_t(1) << 40) << "incompatible feature 40";
    }

    void unknownFeaturesAreRefusedByName()
    {
        QFETCH(std::uint64_t, feature);
        QFETCH(QString, name);
        auto bytes = emptyImage({ .size = mib });
        putBig64(bytes, 72, feature);
        FakeDisk disk(bytes);
        InlineEngine engine;
        auto const image = openImage(engine, disk);
        QCOMPARE(image.error().code, ErrorCode::Unsupported);
        QVERIFY(QString::fromStdString(image.error().detail).contains(name));
    }

    void anEncryptedImageIsRefused()
    {
        auto bytes = emptyImage({ .size = mib });
        putBig32(bytes, 32, 2);
        FakeDisk disk(bytes);
        InlineEngine engine;
        QCOMPARE(openImage(engine, disk).error().code, ErrorCode::Unsupported);
    }

    void aCorruptImageCanOnlyBeRead()
    {
        auto bytes = emptyImage({ .size = mib });
        putBig64(bytes, 72, 2);
        FakeDisk disk(bytes);
        InlineEngine engine;
        QCOMPARE(openImage(engine, disk).error().code, ErrorCode::Corrupt);
        REQUIRE_OK(openImage(engine, disk, Access::ReadOnly));
    }

    void hostileHeadersAreRefused_data()
    {
        QTest::addColumn<int>("offset");
        QTest::addColumn<int>("width");
        QTest::addColumn<std::uint64_t>("value");
        QTest::newRow("cluster bits 8") << 20 << 4 << std::uint64_t(8);
        QTest::newRow("cluster bits 22") << 20 << 4 << std::uint64_t(22);
        QTest::newRow("cluster bits huge") << 20 << 4 << std::uint64_t(0xffffffff);
        QTest::newRow("size beyond the L1 table") << 24 << 8 << (std::uint64_t(1) << 40);
        QTest::newRow("size huge") << 24 << 8 << ~std::uint64_t(0);
        QTest::newRow("L1 huge") << 36 << 4 << std::uint64_t(0xffffffff);
        QTest::newRow("L1 unaligned") << 40 << 8 << std::uint64_t(0x30001);
        QTest::newRow("L1 outside") << 40 << 8 << (std::uint64_t(1) << 50);
        QTest::newRow("L1 overflow") << 40 << 8 << ~std::uint64_t(0xffff);
        QTest::newRow("L1 in the header") << 40 << 8 << std::uint64_t(0);
        QTest::newRow("refcount table outside") << 48 << 8 << (std::uint64_t(1) << 50);
        QTest::newRow("refcount table on the L1 table") << 48 << 8 << std::uint64_t(0x30000);
        QTest::newRow("refcount table huge") << 56 << 4 << std::uint64_t(0xffffffff);
        QTest::newRow("refcount table empty") << 56 << 4 << std::uint64_t(0);
        QTest::newRow("snapshots huge") << 60 << 4 << std::uint64_t(0xffffffff);
        QTest::newRow("backing name outside") << 8 << 8 << std::uint64_t(0x10000000);
        QTest::newRow("refcount width") << 96 << 4 << std::uint64_t(7);
        QTest::newRow("header length") << 100 << 4 << std::uint64_t(0x7fffffff);
        QTest::newRow("header length unaligned") << 100 << 4 << std::uint64_t(105);
    }

    void hostileHeadersAreRefused()
    {
        QFETCH(int, offset);
        QFETCH(int, width);
        QFETCH(std::uint64_t, value);
        auto bytes = emptyImage({ .size = mib });
        if (width == 4)
            putBig32(bytes, static_cast<std::size_t>(offset), static_cast<std::uint32_t>(value));
        else
            putBig64(bytes, static_cast<std::size_t>(offset), value);
        FakeDisk disk(bytes);
        InlineEngine engine;
        QCOMPARE(openImage(engine, disk).error().code, ErrorCode::Corrupt);
    }

    void everyTruncationIsRefusedOrReadable()
    {
        FakeDisk disk(emptyImage({ .size = 256 * kib, .clusterBits = 9 }));
        InlineEngine engine;
        {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(0, Bytes(16 * kib, 1)));
        }
        for (std::size_t length = 0; length < disk.content.size(); length += 100) {
            FakeDisk cut(Bytes(disk.content.begin(), disk.content.begin() + static_cast<std::ptrdiff_t>(length)));
            ImageOptions options;
            options.format = ImageFormat::Qcow2;
            auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(cut), options, {});
            if (!image)
                continue;
            Bytes data(16 * kib);
            ignore((*image)->readSync(0, data));
        }
    }

    void anEntryThatPointsIntoATableIsNotWrittenTo()
    {
        FakeDisk disk(emptyImage({ .size = mib }));
        InlineEngine engine;
        {
            auto image = openImage(engine, disk);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(0, Bytes(512, 1)));
        }
        auto const l2 = big64(disk.content, big64(disk.content, 40)) & 0x00fffffffffffe00;
        putBig64(disk.content, l2, l2 | 1ULL << 63);
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        auto const before = Bytes(disk.content.begin() + static_cast<std::ptrdiff_t>(l2), disk.content.end());
        QCOMPARE((*image)->writeSync(0, Bytes(512, 0xee)).error().code, ErrorCode::Corrupt);
        QCOMPARE(Bytes(disk.content.begin() + static_cast<std::ptrdiff_t>(l2), disk.content.end()), before);
        QVERIFY((*image)->info().corrupt);
        QCOMPARE((*image)->writeSync(512 * kib, Bytes(512, 1)).error().code, ErrorCode::Corrupt);
    }

    void bitmapsAreDeclaredVoidBeforeTheFirstWriteOnly()
    {
        auto bytes = emptyImage({ .size = mib });
        putBig64(bytes, 88, 1);
        FakeDisk disk(bytes);
        InlineEngine engine;
        auto image = openImage(engine, disk);
        REQUIRE_OK(image);
        QCOMPARE(big64(disk.content, 88), 1ULL);
        REQUIRE_OK((*image)->writeSync(0, Bytes(512, 1)));
        QCOMPARE(big64(disk.content, 88), 0ULL);
    }
};

REGISTER_SUITE(Qcow2ImageTest);
#include "qcow2_image_test.moc"
