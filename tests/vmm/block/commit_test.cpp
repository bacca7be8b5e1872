#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"
#include "vmm/base/log.h"
#include "vmm/block/commit.h"

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t mib = 1 << 20, part = 256 << 10, size = 3 * part;

/// An overlay over a file that is to get all that it has.
struct Chain {
    ImageFormat below;
    FakeDisk base, top;
    Bytes content { Bytes(size) };
    InlineEngine engine;

    Chain(ImageFormat format, unsigned clusterBits) : below(format)
    {
        make(base, { .format = below, .size = size, .clusterBits = clusterBits }, 0, 2 * part, 3);
        make(
            top, { .size = size, .clusterBits = 14, .backingFile = "base", .backingFormat = below }, part, 3 * part, 5);
    }
    void make(FakeDisk& disk, NewImage const& what, std::uint64_t from, std::uint64_t to, unsigned seed)
    {
        {
            FakeBlockFile file(disk);
            must(formatImage(file, what));
        }
        auto const image = must(open(disk, base));
        std::mt19937 random(seed);
        for (auto at = from; at < to; at += 64 << 10) {
            Bytes const data(24 << 10, static_cast<std::uint8_t>(1 + random() % 200));
            must(image->writeSync(at, data));
            std::ranges::copy(data, content.begin() + static_cast<std::ptrdiff_t>(at));
        }
        if (&disk == &top) { // zeros that hide what is below
            must(image->runSync(BlockRequest::Kind::WriteZeroes, 0, part / 2));
            std::fill_n(content.begin(), part / 2, std::uint8_t(0));
        }
        must(image->flushSync());
    }
    /// `disk`, as its header says; where that is the overlay, over `under`.
    Result<std::unique_ptr<BlockImage>> open(FakeDisk& disk, FakeDisk& under)
    {
        ImageOptions options;
        options.format = &disk == &top ? ImageFormat::Qcow2 : below;
        return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), options,
            [this, &under](std::string const&, std::optional<ImageFormat>) { return open(under, under); });
    }
    Result<> commit(FakeDisk& under)
    {
        auto const disk = TRY(open(top, under));
        return writeToBase(*disk, *disk->backing());
    }
    /// The first thing that is wrong with it, read over `under`; empty: nothing.
    QString problem(FakeDisk& disk, FakeDisk& under)
    {
        Bytes data(size);
        auto const image = open(disk, under);
        auto const got = image ? (*image)->readSync(0, data) : fail(image.error());
        if (!got)
            return QString::fromStdString(got.error().message());
        return data == content
            ? QString()
            : QStringLiteral("byte %1 is another").arg(std::ranges::mismatch(data, content).in1 - data.begin());
    }
};

/// An empty file, and over it zeros to the 128th MiB.
struct ZeroedChain {
    FakeDisk base, top;
    InlineEngine engine;
    std::unique_ptr<BlockImage> disk;

    ZeroedChain(std::uint64_t bytes, unsigned clusterBits)
        : base(emptyImage({ .size = bytes, .clusterBits = clusterBits })),
          top(emptyImage({ .size = bytes,
              .clusterBits = clusterBits,
              .backingFile = "base",
              .backingFormat = ImageFormat::Qcow2 }))
    {
        disk = must(BlockImage::open(
            engine, std::make_unique<FakeBlockFile>(top), {}, [this](std::string const&, std::optional<ImageFormat>) {
                return BlockImage::open(engine, std::make_unique<FakeBlockFile>(base), {}, {});
            }));
        must(disk->runSync(BlockRequest::Kind::WriteZeroes, 0, 128 * mib));
    }
};

/// The same of a disk that is in use.
struct UsedChain {
    static constexpr std::uint64_t bytes = 3 << 20;
    ImageFormat below;
    FakeDisk base, top;
    DiskModel model { bytes, 11 };
    ShufflingEngine engine { 3 };

    UsedChain(ImageFormat format, unsigned clusterBits) : below(format)
    {
        make(base, { .format = below, .size = bytes, .clusterBits = clusterBits });
        {
            auto const image = must(open(base, base));
            fill(*image, 40);
            must(image->flushSync());
        }
        make(top, { .size = bytes, .clusterBits = 14, .backingFile = "base", .backingFormat = below });
        auto const disk = must(open(top, base));
        fill(*disk, 20);
        must(disk->flushSync());
        model.noteDurable();
    }
    void fill(BlockImage& image, unsigned batches)
    {
        if (auto const wrong = model.run(image, engine, batches, false); !wrong.empty())
            qFatal("%s", wrong.c_str());
    }
    static void make(FakeDisk& disk, NewImage const& what)
    {
        FakeBlockFile file(disk);
        must(formatImage(file, what));
        must(file.sync());
    }
    /// The overlay stands on `under`.
    Result<std::unique_ptr<BlockImage>> open(FakeDisk& disk, FakeDisk& under, bool isOverlay = false)
    {
        ImageOptions options;
        options.format = isOverlay || &disk == &top ? ImageFormat::Qcow2 : below;
        return BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), options,
            [this, &under](std::string const&, std::optional<ImageFormat>) { return open(under, under); });
    }
    /// The guest does `between` batches between two pieces; what was wrong with them, else how the writing went.
    Result<> write(BlockImage& disk, unsigned between, unsigned* pieces = nullptr)
    {
        BaseWriter writer(disk, *disk.backing());
        for (;;) {
            if (auto const wrong = model.run(disk, engine, between); !wrong.empty())
                return fail(ErrorCode::Internal, wrong);
            disk.drain();
            if (pieces)
                ++*pieces;
            if (!TRY(writer.writePiece()))
                return {};
        }
    }
};

}

/// The file below a disk gets what the disk has of its own. What the host does to the files' names and to a whole
/// chain is in tests/images/disk_chain_test.cpp.
class CommitTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { setLogLevel(LogLevel::Off); }
    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void whateverHappensToTheBaseTheDiskReadsTheSame_data()
    {
        QTest::addColumn<ImageFormat>("below");
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<FakeDisk::Fault>("fault");
        QTest::addColumn<bool>("stays");
        for (auto const& [name, fault, stays] :
            { std::tuple("full disk", FakeDisk::Fault::Fail, false),
                { "full disk for good", FakeDisk::Fault::Fail, true }, { "torn", FakeDisk::Fault::Torn, false },
                { "power cut", FakeDisk::Fault::PowerCut, false }, { "unreadable", FakeDisk::Fault::Unreadable, false },
                { "unreadable for good", FakeDisk::Fault::Unreadable, true } }) {
            QTest::addRow("raw, %s", name) << ImageFormat::Raw << 16U << fault << stays;
            QTest::addRow("qcow2, %s", name) << ImageFormat::Qcow2 << 16U << fault << stays;
            QTest::addRow("qcow2 of small clusters, %s", name) << ImageFormat::Qcow2 << 12U << fault << stays;
        }
    }

    void whateverHappensToTheBaseTheDiskReadsTheSame()
    {
        QFETCH(ImageFormat, below);
        QFETCH(unsigned, clusterBits);
        QFETCH(FakeDisk::Fault, fault);
        QFETCH(bool, stays);
        std::uint64_t total = 0;
        for (std::uint64_t at = 0; at <= total; ++at) {
            Chain chain(below, clusterBits);
            auto& base = chain.base;
            // What is read is the disk.
            bool const isUnreadable = fault == FakeDisk::Fault::Unreadable;
            auto& struck = isUnreadable ? chain.top : base;
            auto const steps = [&] { return isUnreadable ? struck.reads : struck.operations; };
            auto const before = steps();
            if (at != 0)
                struck.plan(fault, at - 1, stays);
            auto const outcome = chain.commit(base);
            if (isUnreadable)
                struck.fault = FakeDisk::Fault::None;
            if (at == 0)
                total = steps() - before;
            QVERIFY2(outcome || at != 0, outcome ? "" : outcome.error().message().c_str());
            for (unsigned survivors = 0; survivors < 4; ++survivors) {
                // The last of them: without a power cut.
                FakeDisk left(survivors == 3 ? base.content : base.afterPowerCut(survivors));
                auto const where
                    = QStringLiteral("operation %1 of %2, survivors %3: ").arg(at).arg(total).arg(survivors);
                auto const found = chain.problem(chain.top, left);
                QVERIFY2(found.isEmpty(), qPrintable(where + found));
                if (outcome) {
                    auto const alone = chain.problem(left, left);
                    QVERIFY2(alone.isEmpty(), qPrintable(where + "it was done, and " + alone));
                    continue;
                }
                auto const again = chain.commit(left);
                QVERIFY2(again, again ? "" : qPrintable(where + again.error().message().c_str()));
                FakeDisk durable(left.afterPowerCut(0));
                auto const alone = chain.problem(durable, durable);
                QVERIFY2(alone.isEmpty(), qPrintable(where + "again: " + alone));
            }
        }
        QVERIFY(total > 8);
    }

    void whatTheGuestWritesMeanwhileGoesAlong_data()
    {
        QTest::addColumn<ImageFormat>("below");
        QTest::addColumn<unsigned>("clusterBits");
        QTest::newRow("raw") << ImageFormat::Raw << 16U;
        QTest::newRow("qcow2") << ImageFormat::Qcow2 << 16U;
        QTest::newRow("qcow2 of small clusters") << ImageFormat::Qcow2 << 10U;
        QTest::newRow("qcow2 of large clusters") << ImageFormat::Qcow2 << 20U;
    }

    void whatTheGuestWritesMeanwhileGoesAlong()
    {
        QFETCH(ImageFormat, below);
        QFETCH(unsigned, clusterBits);
        UsedChain chain(below, clusterBits);
        {
            auto const disk = must(chain.open(chain.top, chain.base));
            unsigned pieces = 0;
            REQUIRE_OK(chain.write(*disk, 3, &pieces));
            QVERIFY(pieces >= 4);
            QCOMPARE(chain.model.compare(*disk), std::string());
            QCOMPARE(chain.model.failures(), 0U);
        }
        auto const alone = must(chain.open(chain.base, chain.base));
        QCOMPARE(chain.model.compare(*alone), std::string());
    }

    void aPowerCutWhileTheGuestWritesLosesNothing_data() { whatTheGuestWritesMeanwhileGoesAlong_data(); }

    /// Of what the guest was told to be durable. Both files lose what was not synced.
    void aPowerCutWhileTheGuestWritesLosesNothing()
    {
        QFETCH(ImageFormat, below);
        QFETCH(unsigned, clusterBits);
        std::uint64_t total = 0;
        for (std::uint64_t at = 0; at <= total; at += at < 16 ? 1 : 1 + total / 64) {
            UsedChain chain(below, clusterBits);
            auto const disk = must(chain.open(chain.top, chain.base));
            auto const before = chain.base.operations;
            chain.base.fault = at == 0 ? FakeDisk::Fault::None : FakeDisk::Fault::PowerCut;
            chain.base.faultAt = before + at - 1;
            auto const written = chain.write(*disk, 2);
            QVERIFY2(written.has_value() == (at == 0), written ? "" : written.error().message().c_str());
            if (at == 0)
                total = chain.base.operations - before;
            for (unsigned survivors = 0; survivors < 3; ++survivors) {
                FakeDisk top(chain.top.afterPowerCut(survivors)), base(chain.base.afterPowerCut(survivors));
                auto const left = must(chain.open(top, base, true));
                auto const wrong = chain.model.compareDurable(*left);
                QVERIFY2(wrong.empty(),
                    qPrintable(QString("operation %1 of %2, survivors %3: %4")
                                   .arg(at)
                                   .arg(total)
                                   .arg(survivors)
                                   .arg(wrong.c_str())));
            }
        }
        QVERIFY(total > 8);
    }

    /// Between two pieces it is more than one of them has at most otherwise.
    void itComesToAnEndHoweverMuchIsWritten()
    {
        ZeroedChain chain(256 * mib, 16);
        BaseWriter writer(*chain.disk, *chain.disk->backing());
        unsigned pieces = 0;
        do {
            QVERIFY(++pieces < 40);
            REQUIRE_OK(chain.disk->runSync(BlockRequest::Kind::WriteZeroes, 0, 256 * mib));
        } while (must(writer.writePiece()));
    }

    /// Each other time much, and nothing in between.
    void itComesToAnEndThoughMuchIsWrittenNowAndThen()
    {
        ZeroedChain chain(256 * mib, 16);
        BaseWriter writer(*chain.disk, *chain.disk->backing());
        unsigned pieces = 0;
        do {
            QVERIFY(++pieces < 40);
            if (pieces % 2 == 0)
                REQUIRE_OK(chain.disk->runSync(BlockRequest::Kind::WriteZeroes, 0, 256 * mib));
        } while (must(writer.writePiece()));
    }

    /// Not every file has them for nothing, and the guest waits.
    void zerosAreWrittenInPiecesToo()
    {
        ZeroedChain chain(128 * mib, 16);
        auto& base = *chain.disk->backing();
        REQUIRE_OK(base.writeSync(100 * mib, Bytes(512, 7)));
        auto const there = [&] {
            Bytes data(512);
            must(base.readSync(100 * mib, data));
            return int(data[0]);
        };
        BaseWriter writer(*chain.disk, base);
        QVERIFY(must(writer.writePiece()));
        QCOMPARE(there(), 7);
        QVERIFY(must(writer.writePiece()));
        QCOMPARE(there(), 0);
    }

    /// For each 64 KiB of it there would be a bit.
    void aHugeDiskTakesLittleMemory()
    {
        ZeroedChain chain(1ULL << 60, 21);
        auto& base = *chain.disk->backing();
        BaseWriter writer(*chain.disk, base);
        QVERIFY(must(writer.writePiece()));
        REQUIRE_OK(chain.disk->writeSync(0, Bytes(512, 7))); // is noted
        QVERIFY(must(writer.writePiece()));
        QVERIFY(writer.part() > 0 && writer.part() < 1);
    }

    void whatIsBrokenOffCanBeDoneAgain()
    {
        UsedChain chain(ImageFormat::Qcow2, 16);
        {
            auto const disk = must(chain.open(chain.top, chain.base));
            {
                BaseWriter writer(*disk, *disk->backing());
                QVERIFY(must(writer.writePiece()));
                QVERIFY(writer.part() > 0 && writer.part() < 1);
            }
            QCOMPARE(chain.model.run(*disk, chain.engine, 5), std::string());
            QCOMPARE(chain.model.compare(*disk), std::string());
            REQUIRE_OK(chain.write(*disk, 1));
        }
        auto const alone = must(chain.open(chain.base, chain.base));
        QCOMPARE(chain.model.compare(*alone), std::string());
    }
};

REGISTER_SUITE(CommitTest);
#include "commit_test.moc"
