#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"
#include "vmm/block/stream.h"

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t mib = 1 << 20, size = 6 * mib + 512;

/// An overlay over a raw file that is shorter, with zeros and data in it.
struct Chain {
    FakeDisk below { Bytes(5 * mib) };
    FakeDisk top;
    DiskModel model;
    ShufflingEngine engine { 3 };

    explicit Chain(unsigned clusterBits, unsigned version = 3) : model(size, clusterBits)
    {
        for (std::size_t i = mib; i < below.content.size(); ++i)
            below.content[i] = static_cast<std::uint8_t>(i / 512 * 7 + i);
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
