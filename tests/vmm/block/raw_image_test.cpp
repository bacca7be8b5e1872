#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"
#include "vmm/block/raw_image.h"

using namespace vmm;

class RawImageTest : public QObject {
    Q_OBJECT
private slots:
    void everyFlushWaitsForWhatWasWrittenBeforeIt()
    {
        tests::FakeDisk disk(Bytes(65536));
        InlineEngine engine;
        auto const image
            = tests::must(RawImage::open(engine, std::make_unique<tests::FakeBlockFile>(disk), Access::ReadWrite));
        Bytes data(4096, 0xab);
        iovec const buffer { data.data(), data.size() };
        BlockRequest write, first, second, third;
        int done = 0;
        for (auto* request : { &write, &first, &second, &third })
            request->completed = [&](Result<> const& result) { done += result ? 1 : 100; };
        write.kind = BlockRequest::Kind::Write;
        write.length = data.size();
        write.buffers = { &buffer, 1 };
        for (auto* flush : { &first, &second, &third })
            flush->kind = BlockRequest::Kind::Flush;

        image->submit(write);
        while (engine.wait()) { }
        QCOMPARE(done, 1);
        // Two queues flush at once: neither may be told "durable" before a sync has ended.
        image->submit(first);
        image->submit(second);
        QCOMPARE(done, 1);
        QCOMPARE(disk.afterPowerCut(0)[0], std::uint8_t(0));
        while (engine.wait()) { }
        QCOMPARE(done, 3);
        QCOMPARE(disk.afterPowerCut(0)[0], std::uint8_t(0xab));
        // Nothing was written since: no sync is needed.
        auto const operations = disk.operations;
        image->submit(third);
        while (engine.wait()) { }
        QCOMPARE(done, 4);
        QCOMPARE(disk.operations, operations);
    }
};

REGISTER_SUITE(RawImageTest);
#include "raw_image_test.moc"
