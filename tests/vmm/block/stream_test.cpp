#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"
#include "vmm/block/stream.h"

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t mib = 1 << 20, size = 6 * mib + 512;

/// So many zeros first.
Bytes rawContent(std::size_t zeros)
{
    static auto const data = patternBytes(5 * mib); // takes long
    auto content = data;
    std::fill_n(content.begin(), zeros, std::uint8_t(0));
    return content;
}

/// An overlay over a raw file that is shorter, with zeros and data in it.
struct Chain {
    FakeDisk below { rawContent(mib) };
    FakeDisk top;
    DiskModel model;
    ShufflingEngine engine { 3 };

    explicit Chain(unsigned clusterBits, unsigned version = 3) : model(size, clusterBits)
    {
        std::ranges::copy(below.content, model.content().begin());
        FakeBlockFile file(top);
        must(formatImage(file,
            { .size = size,
                .clusterBits = clusterBits,
                .version = version,
                .backingFile = "below",
                .backingFormat = ImageFormat::Raw }));
        must(file.sync());
        model.noteDurable();
    }
    Result<std::unique_ptr<BlockImage>> open(FakeDisk& disk)
    {
        auto const openBelow = [this](std::string const&, std::optional<ImageFormat>) {
            ImageOptions options;
            options.access = Access::ReadOnly;
            options.format = ImageFormat::Raw;
            return BlockImage::open(engine, std::make_unique<FakeBlockFile>(below), options, {});
        };
        return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, openBelow);
    }
};

/// An overlay over an overlay over a raw file, of different clusters: what the middle one has, and has zeros for, goes
/// up.
struct LongChain {
    FakeDisk bottom { rawContent(0) };
    FakeDisk middle, top;
    DiskModel model { size, 16 };
    ShufflingEngine engine { 5 };

    LongChain()
    {
        std::ranges::copy(bottom.content, model.content().begin());
        format(middle, "bottom", ImageFormat::Raw, 12);
        {
            auto const image = must(open(middle));
            Bytes const mine(3 * 4096, 0xee);
            must(image->writeSync(mib, mine));
            must(image->writeSync(5 * mib + 4096, mine)); // where the bottom has ended
            must(image->runSync(BlockRequest::Kind::WriteZeroes, 2 * mib, mib / 2));
            must(image->flushSync());
            std::ranges::copy(mine, model.content().begin() + mib);
            std::ranges::copy(mine, model.content().begin() + 5 * mib + 4096);
            std::fill_n(model.content().begin() + 2 * mib, mib / 2, std::uint8_t(0));
        }
        format(top, "middle", ImageFormat::Qcow2, 16);
        model.noteDurable();
    }
    static void format(FakeDisk& disk, std::string const& below, ImageFormat belowFormat, unsigned clusterBits)
    {
        FakeBlockFile file(disk);
        must(formatImage(
            file, { .size = size, .clusterBits = clusterBits, .backingFile = below, .backingFormat = belowFormat }));
        must(file.sync());
    }
    /// As the headers say.
    Result<std::unique_ptr<BlockImage>> open(FakeDisk& disk, Access access = Access::ReadWrite)
    {
        ImageOptions options;
        options.access = access;
        options.format = &disk == &bottom ? ImageFormat::Raw : ImageFormat::Qcow2;
        auto const below = [this](std::string const& name, std::optional<ImageFormat>) {
            return open(name == "bottom" ? bottom : middle, Access::ReadOnly);
        };
        return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), options, below);
    }
    ImageStream::Onto ontoBottom()
    {
        return { "bottom", 1, [this] { return open(bottom, Access::ReadOnly); } };
    }
};

}

/// Copying up what is below an image, while a guest uses it.
class StreamTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { setLogLevel(LogLevel::Off); }
    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void theGuestGoesOnMeanwhile_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("version");
        QTest::newRow("small clusters") << 10U << 3U;
        QTest::newRow("default") << 16U << 3U;
        QTest::newRow("version 2") << 12U << 2U;
    }

    void theGuestGoesOnMeanwhile()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, version);
        Chain chain(clusterBits, version);
        {
            auto const image = must(chain.open(chain.top));
            QCOMPARE(chain.model.run(*image, chain.engine, 10), std::string());
            auto stream = must(ImageStream::begin(*image));
            int steps = 0;
            while (must(stream.step())) {
                QCOMPARE(chain.model.run(*image, chain.engine, 5), std::string());
                ++steps;
            }
            QVERIFY(steps >= 3);
            QVERIFY(image->info().backing.empty());
            QCOMPARE(chain.model.compare(*image), std::string());
            QCOMPARE(chain.model.run(*image, chain.engine, 20), std::string());
            QCOMPARE(chain.model.failures(), 0U);
        }
        // Nobody is asked for a backing file any more.
        auto const alone = must(BlockImage::open(chain.engine, std::make_unique<FakeBlockFile>(chain.top), {}, {}));
        QCOMPARE(chain.model.compare(*alone), std::string());
    }

    void whatWaitsAtAHeldDiskWaitsOn()
    {
        Chain chain(16);
        auto const image = must(chain.open(chain.top));
        auto stream = must(ImageStream::begin(*image));
        image->hold();
        QVERIFY(must(stream.step()));
        QVERIFY(image->isHeld());
        image->letGo();
        QVERIFY(must(stream.step()));
        QVERIFY(!image->isHeld());
    }

    void aPowerCutOrErrorLosesNothing()
    {
        std::uint64_t total = 0;
        for (std::uint64_t at = 0; at <= total; ++at) {
            for (auto const fault : { FakeDisk::Fault::PowerCut, FakeDisk::Fault::Torn }) {
                Chain chain(16);
                {
                    auto const image = must(chain.open(chain.top));
                    chain.top.fault = at == 0 ? FakeDisk::Fault::None : fault;
                    auto const before = chain.top.operations;
                    chain.top.faultAt = before + at;
                    auto stream = must(ImageStream::begin(*image));
                    auto more = stream.step();
                    while (more && *more)
                        more = stream.step();
                    if (at == 0)
                        total = chain.top.operations - before;
                    if (fault == FakeDisk::Fault::Torn)
                        QCOMPARE(chain.model.compare(*image), std::string());
                }
                for (unsigned survivors = 0; survivors < 3; ++survivors) {
                    FakeDisk left(chain.top.afterPowerCut(survivors));
                    auto const image = must(chain.open(left));
                    auto const problem = chain.model.compareDurable(*image);
                    QVERIFY2(problem.empty(),
                        qPrintable(QString("operation %1 of %2, fault %3, survivors %4: %5")
                                       .arg(at)
                                       .arg(total)
                                       .arg(int(fault))
                                       .arg(survivors)
                                       .arg(problem.c_str())));
                }
            }
        }
        QVERIFY(total > 8);
    }

    void ontoAFileFurtherBelow()
    {
        LongChain chain;
        auto const image = must(chain.open(chain.top));
        QCOMPARE(chain.model.run(*image, chain.engine, 10), std::string());
        auto stream = must(ImageStream::begin(*image, chain.ontoBottom()));
        while (must(stream.step()))
            QCOMPARE(chain.model.run(*image, chain.engine, 5), std::string());
        QCOMPARE(image->info().backing.size(), std::size_t(1));
        QCOMPARE(image->info().backing[0].format, ImageFormat::Raw);
        QCOMPARE(chain.model.compare(*image), std::string());
        QCOMPARE(chain.model.run(*image, chain.engine, 20), std::string());
        QCOMPARE(chain.model.flush(*image), std::string());
        chain.middle = FakeDisk(); // nobody asks for it any more
        auto const again = must(chain.open(chain.top));
        QCOMPARE(chain.model.compare(*again), std::string());
    }

    void aPowerCutOnTheWayOntoAFileFurtherBelowLosesNothing()
    {
        std::uint64_t total = 0;
        for (std::uint64_t at = 0; at <= total; ++at) {
            LongChain chain;
            {
                auto const image = must(chain.open(chain.top));
                chain.top.fault = at == 0 ? FakeDisk::Fault::None : FakeDisk::Fault::PowerCut;
                auto const before = chain.top.operations;
                chain.top.faultAt = before + at;
                auto stream = must(ImageStream::begin(*image, chain.ontoBottom()));
                auto more = stream.step();
                while (more && *more)
                    more = stream.step();
                if (at == 0)
                    total = chain.top.operations - before;
            }
            for (unsigned survivors = 0; survivors < 3; ++survivors) {
                FakeDisk left(chain.top.afterPowerCut(survivors));
                auto const image = must(chain.open(left));
                auto const problem = chain.model.compareDurable(*image);
                QVERIFY2(problem.empty(),
                    qPrintable(QString("operation %1 of %2, survivors %3: %4")
                                   .arg(at)
                                   .arg(total)
                                   .arg(survivors)
                                   .arg(problem.c_str())));
            }
        }
        QVERIFY(total > 8);
    }

    void aFaultEndsItAndNothingElse_data()
    {
        QTest::addColumn<FakeDisk::Fault>("fault");
        QTest::addColumn<bool>("isBelow"); // it is the file below that cannot be read
        QTest::newRow("full disk") << FakeDisk::Fault::Fail << false;
        QTest::newRow("unreadable") << FakeDisk::Fault::Unreadable << false;
        QTest::newRow("unreadable below") << FakeDisk::Fault::Unreadable << true;
    }

    /// The host fails at each step once; the guest goes on, and the next try comes to the end.
    void aFaultEndsItAndNothingElse()
    {
        QFETCH(FakeDisk::Fault, fault);
        QFETCH(bool, isBelow);
        bool const isUnreadable = fault == FakeDisk::Fault::Unreadable;
        std::uint64_t steps = 0;
        for (bool struck = true; struck; ++steps) {
            Chain chain(16);
            auto const image = must(chain.open(chain.top));
            auto& disk = isBelow ? chain.below : chain.top;
            disk.plan(fault, steps, false);
            auto const run = [&]() -> Result<> {
                auto stream = TRY(ImageStream::begin(*image));
                while (TRY(stream.step())) { }
                return {};
            };
            auto const outcome = run();
            struck = disk.hasStruck();
            if (!outcome)
                QCOMPARE(outcome.error().code, isUnreadable ? ErrorCode::IoError : ErrorCode::NoSpace);
            disk.fault = FakeDisk::Fault::None;
            QVERIFY(outcome || struck);
            QCOMPARE(chain.model.compare(*image), std::string());
            QCOMPARE(chain.model.run(*image, chain.engine, 3), std::string());
            if (!outcome)
                REQUIRE_OK(run());
            QVERIFY(image->info().backing.empty());
            QCOMPARE(chain.model.compare(*image), std::string());
        }
        QVERIFY(steps > (isUnreadable ? 1 : 8)); // of tables, what it needs is known
    }

    /// Old images have the backing file's name right behind the header: without it, it must not be read as extensions.
    void anOldHeaderStaysReadable()
    {
        Chain chain(12, 2);
        auto& header = chain.top.content;
        constexpr std::size_t end = 72;
        std::string const name = "below";
        std::fill(header.begin() + end, header.begin() + 512, std::uint8_t(0));
        std::ranges::copy(name, header.begin() + end);
        storeBig(ByteSpan(header).subspan(8, 8), std::uint64_t(end));
        storeBig(ByteSpan(header).subspan(16, 4), static_cast<std::uint32_t>(name.size()));
        {
            auto const image = must(chain.open(chain.top));
            auto stream = must(ImageStream::begin(*image));
            while (must(stream.step())) { }
        }
        auto const alone = must(BlockImage::open(chain.engine, std::make_unique<FakeBlockFile>(chain.top), {}, {}));
        QCOMPARE(chain.model.compare(*alone), std::string());
    }

    void whatCannotBeStreamedIsNamed()
    {
        Chain chain(16);
        auto const image = must(chain.open(chain.top));
        REQUIRE_OK(image->takeSnapshot({ .id = "a", .name = "" }));
        QCOMPARE(ImageStream::begin(*image).error().code, ErrorCode::Unsupported);
        QCOMPARE(ImageStream::begin(*image->backing()).error().code, ErrorCode::Unsupported);
    }
};

REGISTER_SUITE(StreamTest);
#include "stream_test.moc"
