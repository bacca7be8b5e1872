#include "tests/support/asks.h"
#include "tests/support/checkpoint_story.h"
#include "tests/support/mounted_image.h"
#include "tests/support/still_machine.h"
#include "vmm/block/image_diff.h"
#include "vmm/machine/disk_costs.h"

using namespace vmm;
using namespace tests;

/// Checkpoints on file systems that share blocks between files, made in a file and mounted; that needs root.
class ReflinkTest : public QObject {
    Q_OBJECT

private slots:
    void whatSharedBlocksTakeIsKnown_data()
    {
        QTest::addColumn<QString>("fileSystem");
        QTest::newRow("btrfs") << QStringLiteral("btrfs");
        QTest::newRow("xfs") << QStringLiteral("xfs");
    }

    /// Who shares what with whom is seen where it lies, and that somebody else has it, too.
    void whatSharedBlocksTakeIsKnown()
    {
        constexpr std::uint64_t cluster = 64 << 10;
        QFETCH(QString, fileSystem);
        MountedImage const there(fileSystem);
        if (!there.whyNot.isEmpty())
            QSKIP(qPrintable(there.whyNot));
        StillMachine machine(there.path().toStdString());
        machine.config.disks.pop_back(); // the raw one is left
        must(createImage(machine.config.disks[0].path, { .format = ImageFormat::Raw, .size = 1 << 20 }));
        auto const timeline = machine.open();
        // Each is an extent of its own, for btrfs gives them back as a whole.
        auto const write = [&](std::vector<std::uint64_t> const& clusters) {
            InlineEngine engine;
            auto const image
                = must(BlockImage::open(engine, machine.config.disks[0].path, imageOptions(machine.config.disks[0])));
            for (auto const one : clusters) {
                must(image->writeSync(one * cluster, Bytes(cluster, 7)));
                must(image->flushSync());
            }
        };
        auto const keep = [&] { return must(Machine::keepOff(machine.config, *timeline, {})); };
        auto const costOf = [&](auto const& moment) {
            return must(must(diskCosts(*timeline, machine.config)).moments.at(moment.id));
        };
        // XFS goes on telling of the old blocks for a moment when the new ones are durable.
        write({ 0, 1, 2, 3 });
        auto const first = keep();
        QCOMPARE(first.disks[0].checkpoint.way, CheckpointWay::Reflink);
        QTRY_COMPARE(costOf(first), (DiskCost { 0, 4 * cluster }));
        write({ 1, 2, 3 });
        QTRY_COMPARE(costOf(first), (DiskCost { 3 * cluster, cluster }));
        auto const second = keep();
        write({ 3, 4 });
        QTRY_COMPARE(costOf(first), (DiskCost { 3 * cluster, cluster }));
        QTRY_COMPARE(costOf(second), (DiskCost { cluster, 3 * cluster }));
        // What only the two share comes back with the last of them.
        write({ 0 });
        using Each = std::vector<std::uint64_t>;
        auto const eachOf = [&](std::vector<std::string> const& order) {
            return must(freedByDisks(*timeline, machine.config, order)).each;
        };
        QTRY_COMPARE(eachOf({ first.id, second.id }), (Each { 3 * cluster, 2 * cluster }));
        QTRY_COMPARE(eachOf({ second.id, first.id }), (Each { cluster, 4 * cluster }));
        auto const file = machine.folder + "/" + first.disks[0].checkpoint.place;
        must(cloneFile(file, machine.folder + "/of somebody"));
        QTRY_COMPARE(costOf(first), (DiskCost { 0, 4 * cluster }));
    }

    /// To a file system of another kind the kernel copies nothing by itself.
    void aForkElsewhereIsCopiedAndCancelled()
    {
        MountedImage const there(QStringLiteral("btrfs"));
        if (!there.whyNot.isEmpty())
            QSKIP(qPrintable(there.whyNot));
        auto const source = there.path().toStdString() + "/disk";
        must(createImage(source, { .format = ImageFormat::Raw, .size = 64 << 20 }));
        InlineEngine engine;
        auto const image = must(BlockImage::open(engine, source, { .format = ImageFormat::Raw }));
        must(image->writeSync(0, Bytes(20 << 20, 7)));
        must(image->writeSync(40 << 20, Bytes(4 << 20, 8)));
        must(image->flushSync());
        auto const target = there.folder.filePath("fork").toStdString();
        Asks all;
        must(copyFile(source, target, [&](auto, auto) { return all.goOn(); }));
        QVERIFY2(all.count > 3, qPrintable(QString::number(all.count)));
        auto const copy = must(BlockImage::open(engine, target, { .format = ImageFormat::Raw }));
        QCOMPARE(must(compareImages(*image, *copy, 1, {})).bytes, 0u);
        QVERIFY(copy->info().allocatedBytes < 30 << 20);
        for (auto const at : Asks::toTry(all.count)) {
            must(removeFile(target));
            Asks asks { at };
            auto const cancelled = copyFile(source, target, [&](auto, auto) { return asks.goOn(); });
            QCOMPARE(cancelled.error().code, ErrorCode::Cancelled);
            QVERIFY(!existsFile(target));
        }
    }

    void disksFollow_data()
    {
        QTest::addColumn<QString>("fileSystem");
        QTest::addColumn<ImageFormat>("format");
        for (QString const fileSystem : { "btrfs", "xfs" }) {
            QTest::addRow("%s, raw", qPrintable(fileSystem)) << fileSystem << ImageFormat::Raw;
            QTest::addRow("%s, qcow2", qPrintable(fileSystem)) << fileSystem << ImageFormat::Qcow2;
        }
    }

    void disksFollow()
    {
        QFETCH(QString, fileSystem);
        QFETCH(ImageFormat, format);
        MountedImage const there(fileSystem);
        if (!there.whyNot.isEmpty())
            QSKIP(qPrintable(there.whyNot));
        auto const method = CheckpointMethod::create(CheckpointWay::Reflink);
        CheckpointStory story(*method, there.path().toStdString() + "/disk", format);
        story.tell(there.path().toStdString() + "/fork");
        CheckpointStory(*method, there.path().toStdString() + "/larger", format).tellOfGrowth();
        auto const chosen = must(CheckpointMethod::choose(story.disk(), {}));
        QCOMPARE(must(chosen->plan(story.disk(), "chosen")).way, CheckpointWay::Reflink);
    }
};

REGISTER_SUITE(ReflinkTest);
#include "reflink_test.moc"
