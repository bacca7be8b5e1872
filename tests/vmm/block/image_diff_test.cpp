#include "tests/support/suite.h"
#include "vmm/block/image_diff.h"

#include <QTemporaryDir>
#include <random>

using namespace vmm;
using Runs = std::vector<ChangedRuns::Run>;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

/// Counts what is read of files.
class CountingEngine final : public InlineEngine {
public:
    void submit(IoOperation& operation) override
    {
        if (operation.kind == IoOperation::Kind::Read)
            bytesRead += operation.length;
        InlineEngine::submit(operation);
    }
    std::uint64_t bytesRead = 0;
};

struct Bench {
    QTemporaryDir directory;
    CountingEngine engine;

    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    std::unique_ptr<BlockImage> open(char const* name, ImageOptions options = {})
    {
        return tests::must(BlockImage::open(engine, path(name), options));
    }
    std::unique_ptr<BlockImage> make(char const* name, NewImage const& what)
    {
        tests::must(createImage(path(name), what));
        return open(name);
    }
    std::unique_ptr<BlockImage> snapshot(char const* name, char const* id)
    {
        return open(name, { .access = Access::ReadOnly, .lock = HostFile::Lock::No, .snapshot = id });
    }
    ChangedRuns compare(BlockImage& before, BlockImage& after, std::size_t most = 1000)
    {
        return tests::must(compareImages(before, after, most, {}));
    }
};

}

class ImageDiffTest : public QObject {
    Q_OBJECT

private slots:
    void snapshotsOfAnImageAreComparedByTheirTables()
    {
        Bench bench;
        auto image = bench.make("disk", { .size = 256 * mib });
        REQUIRE_OK(image->writeSync(0, Bytes(32 * mib, 1)));
        REQUIRE_OK(image->takeSnapshot({ .id = "a" }));
        REQUIRE_OK(image->writeSync(5 * mib + 8 * kib, Bytes(4 * kib, 2)));
        REQUIRE_OK(image->writeSync(100 * mib, Bytes(100 * kib, 3)));
        REQUIRE_OK(image->writeSync(7 * mib, Bytes(4 * kib, 1))); // what was there
        REQUIRE_OK(image->takeSnapshot({ .id = "b" }));
        image.reset();
        auto const before = bench.snapshot("disk", "a"), after = bench.snapshot("disk", "b");
        bench.engine.bytesRead = 0;
        auto const changed = bench.compare(*before, *after);
        QCOMPARE(changed.runs, (Runs { { 5 * mib + 8 * kib, 4 * kib }, { 100 * mib, 100 * kib } }));
        QCOMPARE(changed.bytes, 104 * kib);
        QVERIFY2(bench.engine.bytesRead < mib, qPrintable(QString::number(bench.engine.bytesRead)));
        QVERIFY(bench.compare(*before, *before).runs.empty());
    }

    void whatStandsOnOneBaseIsNotRead()
    {
        Bench bench;
        REQUIRE_OK(bench.make("base", { .size = 64 * mib })->writeSync(0, Bytes(32 * mib, 1)));
        NewImage const overlay { .backingFile = "base", .backingFormat = ImageFormat::Qcow2 };
        REQUIRE_OK(bench.make("top", overlay)->writeSync(mib, Bytes(64 * kib, 2)));
        auto const base = bench.open("base", { .access = Access::ReadOnly, .lock = HostFile::Lock::No });
        auto const top = bench.open("top", { .access = Access::ReadOnly, .lock = HostFile::Lock::No });
        bench.engine.bytesRead = 0;
        QCOMPARE(bench.compare(*base, *top).runs, (Runs { { mib, 64 * kib } }));
        QVERIFY(bench.engine.bytesRead < mib);
    }

    void filesThatHaveNothingInCommonAreRead()
    {
        Bench bench;
        auto const raw = bench.make("raw", { .format = ImageFormat::Raw, .size = 8 * mib });
        auto const larger = bench.make("qcow2", { .size = 10 * mib, .clusterBits = 9 });
        std::mt19937 random(5);
        Runs expected;
        for (std::uint64_t at = 0; at < 8 * mib; at += 64 * kib) {
            Bytes const data(64 * kib, static_cast<std::uint8_t>(1 + random() % 255));
            REQUIRE_OK(raw->writeSync(at, data));
            REQUIRE_OK(larger->writeSync(at, data));
        }
        REQUIRE_OK(larger->writeSync(3 * mib, Bytes(4 * kib, 0)));
        REQUIRE_OK(larger->writeSync(9 * mib, Bytes(4 * kib, 9)));
        QCOMPARE(bench.compare(*raw, *larger).runs, (Runs { { 3 * mib, 4 * kib }, { 9 * mib, 4 * kib } }));
        QCOMPARE(bench.compare(*larger, *raw).runs, (Runs { { 3 * mib, 4 * kib }, { 9 * mib, 4 * kib } }));
    }

    void itIsBoundedAndCanBeCancelled()
    {
        Bench bench;
        auto const one = bench.make("one", { .size = 4 * mib }), other = bench.make("other", { .size = 4 * mib });
        for (std::uint64_t at = 0; at < 4 * mib; at += 64 * kib)
            REQUIRE_OK(other->writeSync(at, Bytes(4 * kib, 1)));
        auto const changed = bench.compare(*one, *other, 10);
        QCOMPARE(changed.runs.size(), 10u);
        QCOMPARE(changed.bytes, 64 * 4 * kib);
        QVERIFY(!changed.isWhole);
        QCOMPARE(compareImages(*one, *other, 10, [](auto) { return false; }).error().code, ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(ImageDiffTest);
#include "image_diff_test.moc"
