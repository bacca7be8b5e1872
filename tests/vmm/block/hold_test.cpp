#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"

using namespace vmm;
using namespace tests;

/// An image that is held: what is submitted waits, while the image itself goes on working.
class HoldTest : public QObject {
    Q_OBJECT

private slots:
    void whatComesAfterIsNotInTheSnapshot()
    {
        constexpr std::uint64_t size = 1 << 20;
        FakeDisk disk;
        {
            FakeBlockFile file(disk);
            REQUIRE_OK(formatImage(file, { .size = size }));
        }
        ShufflingEngine engine(1);
        auto const image = must(BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, {}));
        REQUIRE_OK(image->writeSync(0, Bytes(4096, 1)));

        image->hold();
        Bytes later(4096, 2), seen(4096, 9);
        iovec const from { later.data(), later.size() }, to { seen.data(), seen.size() };
        BlockRequest write, read;
        std::vector<std::string> ended;
        write.kind = BlockRequest::Kind::Write;
        write.length = later.size();
        write.buffers = std::span(&from, 1);
        write.completed = [&](Result<> outcome) { ended.push_back(outcome ? "write" : "write failed"); };
        read.length = seen.size();
        read.buffers = std::span(&to, 1);
        read.completed = [&](Result<> outcome) { ended.push_back(outcome ? "read" : "read failed"); };
        image->submit(write);
        image->drain();
        QVERIFY(ended.empty());

        REQUIRE_OK(image->takeSnapshot({ .id = "then" }));
        QVERIFY(ended.empty());
        image->letGo();
        image->drain();
        image->submit(read);
        image->drain();
        QCOMPARE(ended, (std::vector<std::string> { "write", "read" }));
        QCOMPARE(seen, later);
        REQUIRE_OK(image->applySnapshot("then"));
        REQUIRE_OK(image->readSync(0, seen));
        QCOMPARE(seen, Bytes(4096, 1));
    }
};

REGISTER_SUITE(HoldTest);
#include "hold_test.moc"
